// Revocation lists made (-k, -k -u) and asked (-Q).
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/limits.h"
#include "base/text.h"
#include "io/clock.h"
#include "io/file.h"
#include "key/base64.h"
#include "key/krl.h"
#include "tools/keygen.h"

// Adds a file of specification lines or public keys.
static bool add_file(const struct keygen *k, struct krl_maker *m, const char *path,
                     const struct view *ca) {
    scoped_buf text = {0};
    struct view rest, line;
    if (!k->quiet)
        printf("Revoking from %s\n", path);
    if (!keygen_read_file(path, LIMIT_KRL, &text))
        return false;
    rest = buf_view(&text);
    for (unsigned long number = 1; keygen_next_line(&rest, &line); number++) {
        struct fault f = {0};
        enum err e = krl_maker_add_line(m, line, ca, &f);
        if (e != OK)
            return keygen_fail("%s:%lu: %s", path, number,
                               f.text[0] != '\0' ? f.text : err_text(e)) == 0;
    }
    return true;
}

static bool add_files(const struct keygen *k, struct krl_maker *m,
                      const struct view *ca) {
    for (size_t i = 0; i < k->arg_count; i++) {
        if (!add_file(k, m, k->args[i], ca))
            return false;
    }
    return true;
}

// What -u keeps.
static bool add_old(const struct keygen *k, struct krl_maker *m, uint64_t *version) {
    scoped_buf text = {0};
    struct fault f = {0};
    struct krl old;
    if (!keygen_read_file(k->file, LIMIT_KRL, &text))
        return false;
    enum err e = krl_open(&old, buf_view(&text), &f);
    if (e == OK)
        e = krl_maker_add_list(m, buf_view(&text), &f);
    if (e != OK)
        return keygen_fail("%s: %s", k->file, f.text[0] != '\0' ? f.text : err_text(e)) ==
               0;
    *version = old.version;
    return true;
}

static bool make(const struct keygen *k, struct krl_maker *m, const struct view *ca) {
    uint64_t version = 0;
    struct fault f = {0};
    if (k->update && !add_old(k, m, &version))
        return false;
    if (k->serial != NULL && !text_number(k->serial, 0, UINT64_MAX, &version))
        return keygen_fail("Invalid version number \"%s\"", k->serial) == 0;
    if (!add_files(k, m, ca))
        return false;
    scoped_buf out;
    buf_init(&out, LIMIT_KRL);
    enum err e = krl_maker_write(m, version, clock_wall_s(),
                                 k->comment != NULL ? k->comment : "", &out);
    if (e != OK)
        return keygen_fail("the list can not be made: %s", err_text(e)) == 0;
    // Somebody may have a reader open on the old one: it is replaced whole.
    e = file_write(k->file, buf_view(&out), 0644, &f);
    return e == OK || keygen_fail("%s", fault_text(&f)) == 0;
}

int keygen_make_krl(struct keygen *k) {
    struct key *ca = NULL;
    struct view blob = view_of("", 0);
    struct krl_maker *m;
    struct fault f = {0};
    if (k->file == NULL)
        return keygen_fail("KRL generation requires an output file (-f)");
    bool any = k->ca != NULL && strcasecmp(k->ca, "none") == 0;
    if (k->ca != NULL && !any) {
        if (keygen_load_public(k->ca, &ca, &f) != OK)
            return keygen_fail("Cannot load CA public key %s: %s", k->ca,
                               fault_reason(&f, k->ca));
        blob = key_blob(ca);
    }
    bool ok = krl_maker_new(&m) == OK;
    ok = ok && make(k, m, k->ca != NULL ? &blob : NULL);
    if (m != NULL)
        krl_maker_free(m);
    key_free(ca);
    return ok ? 0 : KEYGEN_FAILED;
}

// --- -Q
// ----------------------------------------------------------------------------------------

static void print_head(const struct krl *krl) {
    char when[32] = "", clean[1024];
    struct tm tm;
    time_t t = (time_t)(krl->generated & INT64_MAX);
    if (localtime_r(&t, &tm) != NULL)
        (void)!strftime(when, sizeof when, "%Y%m%dT%H%M%S", &tm);
    printf("# KRL version %" PRIu64 "\n# Generated at %s\n", krl->version, when);
    if (krl->comment.n > 0)
        printf("# Comment: %s\n", text_clean(clean, sizeof clean, krl->comment));
    printf("\n");
}

static void print_key(struct view blob) {
    char text[KEY_FINGERPRINT_SIZE], clean[80];
    struct reader r = reader_of(blob);
    key_fingerprint(text, sizeof text, blob, &digest_sha256);
    printf("hash: %s # %s\n", text, text_clean(clean, sizeof clean, read_string(&r)));
}

static void print_hash(const char *before, struct view hash) {
    uint8_t text[64] = {0};
    base64_encode_to(text, hash);
    text[strcspn((char *)text, "=")] = '\0';
    printf("%s%s\n", before, (char *)text);
}

static void print_authority(struct view ca) {
    char text[KEY_FINGERPRINT_SIZE], clean[80];
    struct reader r = reader_of(ca);
    if (ca.n == 0)
        printf("\n# Wildcard CA\n");
    else
        printf("\n# CA key %s %s\n", text_clean(clean, sizeof clean, read_string(&r)),
               key_fingerprint(text, sizeof text, ca, &digest_sha256));
}

static void print_entry(const struct krl_entry *e) {
    char clean[1024];
    switch (e->kind) {
    case KRL_KEY:
        print_key(e->data);
        break;
    case KRL_SHA1:
        print_hash("# hash SHA1:", e->data);
        break;
    case KRL_SHA256:
        print_hash("hash: SHA256:", e->data);
        break;
    case KRL_SERIALS:
        printf(e->lo == e->hi ? "serial: %" PRIu64 "\n"
                              : "serial: %" PRIu64 "-%" PRIu64 "\n",
               e->lo, e->hi);
        break;
    case KRL_KEY_ID:
        printf("id: %s\n", text_clean(clean, sizeof clean, e->data));
        break;
    }
}

static enum err print_list(struct view bytes, struct fault *f) {
    struct krl krl;
    struct krl_entry e;
    struct view ca = {0};
    bool in_authority = false;
    TRY(krl_open(&krl, bytes, f));
    print_head(&krl);
    enum err err;
    while ((err = krl_next(&krl, &e, f)) == OK) {
        bool certificates = e.kind == KRL_SERIALS || e.kind == KRL_KEY_ID;
        if (certificates && (!in_authority || !view_equal(ca, e.ca)))
            print_authority(e.ca);
        in_authority = certificates;
        ca = e.ca;
        print_entry(&e);
    }
    return err == ERR_NOT_FOUND ? OK : err;
}

// 0: not revoked, 1: revoked.
static int query(struct view bytes, const char *path, struct fault *f) {
    char clean[1024];
    struct key *key;
    bool revoked;
    if (keygen_load_public(path, &key, f) != OK)
        return keygen_fail("Cannot load public key %s: %s", path, fault_text(f));
    enum err e = krl_check(bytes, key, &revoked, f);
    bool comment = key->comment != NULL && key->comment[0] != '\0';
    if (e == OK)
        printf("%s%s%s%s: %s\n", path, comment ? " (" : "",
               comment ? text_clean(clean, sizeof clean, view_text(key->comment)) : "",
               comment ? ")" : "", revoked ? "REVOKED" : "ok");
    key_free(key);
    return e == OK ? revoked
                   : keygen_fail("%s", f->text[0] != '\0' ? f->text : err_text(e));
}

int keygen_query_krl(struct keygen *k) {
    scoped_buf text = {0};
    struct fault f = {0};
    int status = 0;
    if (k->file == NULL)
        return keygen_fail("KRL checking requires an input file (-f)");
    if (!keygen_read_file(k->file, LIMIT_KRL, &text))
        return KEYGEN_FAILED;
    struct view bytes = buf_view(&text);
    enum err e = OK;
    if (k->fingerprint)
        e = print_list(bytes, &f);
    if (e != OK || !krl_is(bytes))
        return keygen_fail("Invalid KRL file %s: %s", k->file,
                           e != OK ? fault_text(&f) : "no revocation list");
    for (size_t i = 0; i < k->arg_count && status != KEYGEN_FAILED; i++) {
        int one = query(bytes, k->args[i], &f);
        status = one > status ? one : status;
    }
    return status;
}
