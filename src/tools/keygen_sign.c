// Signatures of files (-Y): made, checked, and who may have made them.
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/text.h"
#include "io/clock.h"
#include "io/fd.h"
#include "io/file.h"
#include "key/allowed_signers.h"
#include "key/certificate.h"
#include "key/krl.h"
#include "key/sshsig.h"
#include "tools/keygen_signer.h"

// What -O says for these commands.
struct settings {
    const struct digest_alg *hash;
    uint64_t now_s;
    bool print_key;
};

static bool take_settings(const struct keygen *k, struct settings *s) {
    *s = (struct settings){.hash = &digest_sha512, .now_s = clock_wall_s()};
    for (size_t i = 0; i < k->option_count; i++) {
        const char *option = k->options[i], *value;
        if ((value = keygen_option_value(option, "hashalg")) != NULL) {
            s->hash = sshsig_hash_find(view_text(value));
            if (s->hash == NULL)
                return keygen_fail("Unsupported hash algorithm \"%s\"", value) == 0;
        } else if ((value = keygen_option_value(option, "verify-time")) != NULL) {
            if (!keygen_time(value, &s->now_s))
                return keygen_fail("Invalid \"verify-time\" option") == 0;
        } else if (strcasecmp(option, "print-pubkey") == 0) {
            s->print_key = true;
        } else {
            return keygen_fail("Invalid option \"%s\"", option) == 0;
        }
    }
    return true;
}

static enum err hash_fd(int fd, const struct digest_alg *hash, uint8_t *md) {
    static uint8_t chunk[64 * 1024];
    struct digest *d;
    size_t n = 0;
    TRY(digest_new(&d, hash));
    enum err e;
    while ((e = fd_read_some(fd, (struct span){chunk, sizeof chunk}, &n)) == OK) {
        struct pollfd wait = {.fd = fd, .events = POLLIN};
        if (n == 0)
            (void)!poll(&wait, 1, -1);  // whoever gave it to us does not block on it
        else if ((e = digest_add(d, view_of(chunk, n))) != OK)
            break;
    }
    if (e == ERR_CLOSED)
        e = digest_end(d, md);
    digest_free(d);
    return e;
}

// --- sign
// --------------------------------------------------------------------------------------

struct signer {
    const struct keygen *k;
    const struct settings *s;
    struct keygen_signer by;
    struct key *plain;
};

static enum err sign_hash(struct signer *g, const uint8_t *md, struct buf *out,
                          struct fault *f) {
    const struct signature_alg *alg = sshsig_algorithm(g->plain);
    scoped_buf data, signature;
    buf_init(&data, LIMIT_SSHSIG);
    buf_init(&signature, LIMIT_SSHSIG);
    if (alg == NULL)
        return ERR_KEY;
    TRY(sshsig_signed_data(g->k->names, g->s->hash, md, &data));
    TRY(keygen_signer_sign(&g->by, alg, buf_view(&data), &signature, f));
    // Whoever signed is not taken at his word.
    struct key_touch touch;
    if (key_verify_touch(g->plain, alg, buf_view(&signature), buf_view(&data), &touch) !=
        OK)
        return fault_set(f, ERR_SIGNATURE, 0, "the signature that was made is wrong");
    return sshsig_write(g->by.public != NULL ? g->by.public : g->plain, g->k->names,
                        g->s->hash, buf_view(&signature), out);
}

static bool sign_fd(struct signer *g, int fd, const char *name, struct buf *out) {
    uint8_t md[DIGEST_MAX];
    struct fault f = {0};
    enum err e = hash_fd(fd, g->s->hash, md);
    if (e != OK)
        return keygen_fail("%s: %s", name, err_text(e)) == 0;
    e = sign_hash(g, md, out, &f);
    return e == OK || keygen_fail("Signing %s failed: %s", name,
                                  f.text[0] != '\0' ? f.text : err_text(e)) == 0;
}

static bool sign_file(struct signer *g, const char *path) {
    char target[KEYGEN_PATH + 8];
    scoped_fd fd = -1;
    scoped_buf out;
    struct fault f = {0};
    buf_init(&out, LIMIT_SSHSIG);
    if (file_open(path, FILE_STREAM, &fd, &f) != OK)
        return keygen_fail("Cannot open %s for signing: %s", path,
                           fault_reason(&f, path)) == 0;
    if (!g->k->quiet)
        fprintf(stderr, "Signing file %s\n", path);
    if (!sign_fd(g, fd, path, &out))
        return false;
    snprintf(target, sizeof target, "%s.sig", path);
    if (!keygen_may_write(target))
        return false;
    if (!g->k->quiet)
        fprintf(stderr, "Write signature to %s\n", target);
    return keygen_write_file(target, buf_view(&out), 0644);
}

static bool sign_input(struct signer *g) {
    scoped_buf out;
    buf_init(&out, LIMIT_SSHSIG);
    if (!g->k->quiet)
        fprintf(stderr, "Signing data on standard input\n");
    if (!sign_fd(g, STDIN_FILENO, "standard input", &out))
        return false;
    struct view v = buf_view(&out);
    return fwrite(v.p, 1, v.n, stdout) == v.n;
}

static int sign(const struct keygen *k, const struct settings *s) {
    struct signer g = {.k = k, .s = s};
    if (k->file == NULL || k->names == NULL || k->names[0] == '\0')
        return keygen_fail("sign needs a key (-f) and a namespace (-n)");
    bool ok = keygen_signer_open(&g.by, k, k->file, true) &&
              (g.plain = keygen_signer_plain(&g.by)) != NULL;
    if (ok && k->arg_count == 0)
        ok = sign_input(&g);
    for (size_t i = 0; ok && i < k->arg_count; i++)
        ok = strcmp(k->args[i], "-") == 0 ? sign_input(&g) : sign_file(&g, k->args[i]);
    keygen_signer_close(&g.by);
    key_free(g.plain);
    return ok ? 0 : KEYGEN_FAILED;
}

// --- check
// -------------------------------------------------------------------------------------

static bool read_signature(const struct keygen *k, struct sshsig *sig) {
    scoped_buf text = {0};
    struct fault f = {0};
    if (k->ca == NULL)
        return keygen_fail("%s needs a signature file (-s)", k->operation) == 0;
    if (!keygen_read_file(k->ca, LIMIT_SSHSIG, &text))
        return false;
    return sshsig_parse(sig, buf_view(&text), &f) == OK ||
           keygen_fail("%s: %s", k->ca, fault_reason(&f, k->ca)) == 0;
}

static bool is_revoked(const struct keygen *k, const struct key *key) {
    scoped_buf text = {0};
    struct fault f = {0};
    bool revoked = true;
    if (k->dns_host == NULL)
        return false;
    if (!keygen_read_file(k->dns_host, LIMIT_KRL, &text))
        return true;
    if (revoked_keys_check(buf_view(&text), k->dns_host, key, &revoked, &f) != OK)
        keygen_fail("%s: %s", k->dns_host, fault_reason(&f, k->dns_host));
    else if (revoked)
        keygen_fail("the signing key is revoked");
    return revoked;
}

// Walks the allowed signers of -f; a damaged line is told and passed over.
struct signers {
    const struct keygen *k;
    struct buf text;
    struct view rest;
    unsigned long number;
};

static bool signers_open(struct signers *w, const struct keygen *k) {
    *w = (struct signers){.k = k};
    if (k->file == NULL)
        return keygen_fail("%s needs a file of allowed signers (-f)", k->operation) == 0;
    if (!keygen_read_file(k->file, LIMIT_ALLOWED_SIGNERS, &w->text))
        return false;
    w->rest = buf_view(&w->text);
    return true;
}

static bool signers_next(struct signers *w, struct allowed_signer *s) {
    struct view line;
    while (keygen_next_line(&w->rest, &line)) {
        struct fault f = {0};
        w->number++;
        enum err e = allowed_signer_parse(s, line, w->k->file, w->number, &f);
        if (e == OK) {
            s->after_s = s->has_after ? clock_date_s(&s->after) : 0;
            s->before_s = s->has_before ? clock_date_s(&s->before) : UINT64_MAX;
            return true;
        }
        if (e != ERR_NOT_FOUND)
            keygen_fail("%s", f.text[0] != '\0' ? f.text : err_text(e));
    }
    return false;
}

static bool is_allowed(const struct keygen *k, const struct settings *s,
                       const struct key *key) {
    struct allowed_signer_want want = {key, k->identity, k->names, s->now_s};
    struct signers w;
    struct allowed_signer line;
    bool allowed = false;
    if (!signers_open(&w, k))
        return false;
    while (!allowed && signers_next(&w, &line)) {
        struct fault f = {0};
        allowed = allowed_signer_check(&line, &want, &f) == OK;
        if (!allowed && f.text[0] != '\0')
            fprintf(stderr, "%s:%lu: %s\n", k->file, w.number, f.text);
        allowed_signer_free(&line);
    }
    buf_free(&w.text);
    return allowed;
}

static void tell_good(const struct keygen *k, const struct settings *s,
                      const struct key *key) {
    char text[KEY_FINGERPRINT_SIZE], name_space[256], who[256];
    scoped_buf line;
    buf_init(&line, LIMIT_TEXT_LINE);
    if (!k->quiet)
        printf("Good \"%s\" signature%s%s with %s key %s\n",
               text_clean(name_space, sizeof name_space, view_text(k->names)),
               k->identity != NULL ? " for " : "",
               k->identity != NULL ? text_clean(who, sizeof who, view_text(k->identity))
                                   : "",
               key->type->short_name,
               key_fingerprint(text, sizeof text, key_plain_blob(key), k->hash));
    if (s->print_key && key_public_text(key, &line) == OK)
        printf("%.*s\n", (int)buf_len(&line), (const char *)buf_view(&line).p);
}

static bool verify_input(const struct keygen *k, const struct sshsig *sig) {
    uint8_t md[DIGEST_MAX];
    struct fault f = {0};
    enum err e = hash_fd(STDIN_FILENO, sig->hash, md);
    if (e != OK)
        return keygen_fail("standard input: %s", err_text(e)) == 0;
    e = sshsig_verify(sig, k->names, md, &f);
    return e == OK || keygen_fail("Signature verification failed: %s",
                                  f.text[0] != '\0' ? f.text : err_text(e)) == 0;
}

static int verify(const struct keygen *k, const struct settings *s) {
    struct sshsig sig;
    if (k->names == NULL || k->names[0] == '\0' || k->identity == NULL)
        return keygen_fail("verify needs a namespace (-n) and a signer (-I)");
    if (!read_signature(k, &sig))
        return KEYGEN_FAILED;
    bool good =
        verify_input(k, &sig) && !is_revoked(k, sig.key) && is_allowed(k, s, sig.key);
    if (good)
        tell_good(k, s, sig.key);
    else
        printf("Could not verify signature.\n");
    sshsig_free(&sig);
    return good ? 0 : KEYGEN_FAILED;
}

static int check_no_validate(const struct keygen *k, const struct settings *s) {
    struct keygen nobody = *k;
    struct sshsig sig;
    nobody.identity = NULL;
    if (k->names == NULL || k->names[0] == '\0')
        return keygen_fail("check-novalidate needs a namespace (-n)");
    if (!read_signature(k, &sig))
        return KEYGEN_FAILED;
    bool good = verify_input(k, &sig) && !is_revoked(k, sig.key);
    if (good)
        tell_good(&nobody, s, sig.key);
    else
        printf("Could not verify signature.\n");
    sshsig_free(&sig);
    return good ? 0 : KEYGEN_FAILED;
}

// --- principals
// --------------------------------------------------------------------------------

// The names of a certificate that the line allows, one a line of output.
static bool print_certified(const struct allowed_signer *line,
                            struct allowed_signer_want *want) {
    struct view list = want->key->certificate->principals, name;
    char text[1024], clean[1024];
    bool any = false;
    while (certificate_next(&list, &name)) {
        if (!text_copy(text, sizeof text, name))
            continue;
        want->principal = text;
        if (allowed_signer_check(line, want, NULL) == OK) {
            puts(text_clean(clean, sizeof clean, name));
            any = true;
        }
    }
    return any;
}

static bool print_listed(const struct allowed_signer *line,
                         const struct allowed_signer_want *want) {
    char clean[1024];
    if (allowed_signer_check(line, want, NULL) != OK)
        return false;
    for (const char *at = line->principals; *at != '\0';) {
        size_t n = strcspn(at, ",");
        puts(text_clean(clean, sizeof clean, view_of(at, n)));
        at += n + (at[n] == ',');
    }
    return true;
}

static int find_principals(const struct keygen *k, const struct settings *s) {
    struct sshsig sig;
    struct signers w;
    struct allowed_signer line;
    bool found = false;
    if (!read_signature(k, &sig))
        return KEYGEN_FAILED;
    struct allowed_signer_want want = {.key = sig.key, .now_s = s->now_s};
    if (!signers_open(&w, k)) {
        sshsig_free(&sig);
        return KEYGEN_FAILED;
    }
    while (!found && signers_next(&w, &line)) {
        found = sig.key->certificate != NULL ? print_certified(&line, &want)
                                             : print_listed(&line, &want);
        allowed_signer_free(&line);
    }
    buf_free(&w.text);
    sshsig_free(&sig);
    if (!found)
        fprintf(stderr, "No principal matched.\n");
    return found ? 0 : KEYGEN_FAILED;
}

static int match_principals(const struct keygen *k, const struct settings *s) {
    struct signers w;
    struct allowed_signer line;
    char clean[1024];
    bool found = false;
    (void)s;
    if (k->identity == NULL)
        return keygen_fail("match-principals needs a signer (-I)");
    if (!signers_open(&w, k))
        return KEYGEN_FAILED;
    while (signers_next(&w, &line)) {
        if (allowed_signer_names(&line, k->identity)) {
            puts(text_clean(clean, sizeof clean, view_text(line.principals)));
            found = true;
        }
        allowed_signer_free(&line);
    }
    buf_free(&w.text);
    if (!found)
        fprintf(stderr, "No principal matched.\n");
    return found ? 0 : KEYGEN_FAILED;
}

int keygen_signatures(struct keygen *k) {
    static const struct {
        const char *name;
        int (*run)(const struct keygen *k, const struct settings *s);
    } operations[] = {
        {"sign", sign},
        {"verify", verify},
        {"check-novalidate", check_no_validate},
        {"find-principals", find_principals},
        {"match-principals", match_principals},
    };
    struct settings s;
    if (!take_settings(k, &s))
        return KEYGEN_FAILED;
    for (size_t i = 0; i < sizeof operations / sizeof operations[0]; i++) {
        if (strcasecmp(k->operation, operations[i].name) == 0)
            return operations[i].run(k, &s);
    }
    return keygen_fail("Unsupported operation for -Y: \"%s\"", k->operation);
}
