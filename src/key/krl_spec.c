// Lines of a specification of what to revoke: "serial: 1-9", "id: name", "key: …",
// "sha1: …", "sha256: …", "hash: SHA256:…", or a public key alone.
#include "base/limits.h"
#include "base/text.h"
#include "key/base64.h"
#include "key/krl.h"
#include "key/krl_format.h"

struct line {
    struct krl_maker *maker;
    struct view value;
    const struct view *ca;
    struct fault *fault;
};

static struct view trim(struct view v) {
    while (v.n > 0 && (v.p[0] == ' ' || v.p[0] == '\t'))
        v = view_of(v.p + 1, v.n - 1);
    while (v.n > 0 && (v.p[v.n - 1] == ' ' || v.p[v.n - 1] == '\t' ||
                       v.p[v.n - 1] == '\r' || v.p[v.n - 1] == '\n'))
        v.n--;
    return v;
}

static enum err need_ca(const struct line *l) {
    return l->ca != NULL ? OK
                         : fault_set(l->fault, ERR_CONFIG, 0,
                                     "serials and ids need an authority's key (-s)");
}

static int digit_of(char c) {
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : 16;
}

// Decimal, 0x hexadecimal or 0 octal; not 0.
static bool take_serial(const char *text, uint64_t *n) {
    unsigned base = text[0] != '0' ? 10 : text[1] == 'x' || text[1] == 'X' ? 16 : 8;
    text += base == 16 ? 2 : 0;
    *n = 0;
    for (const char *p = text; *p != '\0'; p++) {
        unsigned digit = (unsigned)digit_of(*p);
        if (digit >= base || *n > (UINT64_MAX - digit) / base)
            return false;
        *n = *n * base + digit;
    }
    return text[0] != '\0' && *n != 0;
}

static enum err add_serials(const struct line *l) {
    char text[64];
    struct krl_entry e = {.kind = KRL_SERIALS};
    TRY(need_ca(l));
    e.ca = *l->ca;
    bool ok = text_copy(text, sizeof text, l->value);
    char *dash = strchr(text, '-');
    if (dash != NULL)
        *dash = '\0';
    ok = ok && take_serial(text, &e.lo);
    e.hi = e.lo;
    if (dash != NULL)
        ok = ok && take_serial(dash + 1, &e.hi) && e.hi >= e.lo;
    return ok ? krl_maker_add(l->maker, &e)
              : fault_set(l->fault, ERR_CONFIG, 0, "bad serial number");
}

static enum err add_id(const struct line *l) {
    TRY(need_ca(l));
    struct krl_entry e = {.kind = KRL_KEY_ID, .data = l->value, .ca = *l->ca};
    return l->value.n > 0 ? krl_maker_add(l->maker, &e)
                          : fault_set(l->fault, ERR_CONFIG, 0, "an empty id");
}

static enum err add_as(const struct line *l, enum krl_kind kind,
                       const struct digest_alg *hash) {
    struct key *key;
    uint8_t md[DIGEST_MAX];
    TRY(key_from_public_text(&key, l->value, l->fault));
    struct view blob = key_plain_blob(key);
    struct krl_entry e = {.kind = kind, .data = blob};
    enum err err = OK;
    if (hash != NULL) {
        err = digest_parts(hash, &blob, 1, md);
        e.data = view_of(md, hash->size);
    }
    if (err == OK)
        err = krl_maker_add(l->maker, &e);
    key_free(key);
    return err;
}

static enum err add_key(const struct line *l) {
    return add_as(l, KRL_KEY, NULL);
}

static enum err add_sha1(const struct line *l) {
    return add_as(l, KRL_SHA1, &digest_sha1);
}

static enum err add_sha256(const struct line *l) {
    return add_as(l, KRL_SHA256, &digest_sha256);
}

// A fingerprint as people see it: base64 without its padding.
static enum err add_hash(const struct line *l) {
    static const char prefix[] = "SHA256:";
    size_t n = sizeof prefix - 1;
    scoped_buf text, hash;
    struct krl_entry e = {.kind = KRL_SHA256};
    buf_init(&text, 128);
    buf_init(&hash, 128);
    if (l->value.n < n || memcmp(l->value.p, prefix, n) != 0 ||
        buf_append(&text, view_of(l->value.p + n, l->value.n - n)) != OK)
        return fault_set(l->fault, ERR_CONFIG, 0, "no hash: \"SHA256:…\" expected");
    while (buf_len(&text) % 4 != 0)
        TRY(buf_append(&text, view_text("=")));
    if (base64_decode(&hash, buf_view(&text)) != OK || buf_len(&hash) != KRL_SHA256_SIZE)
        return fault_set(l->fault, ERR_CONFIG, 0, "the hash is not one of SHA-256");
    e.data = buf_view(&hash);
    return krl_maker_add(l->maker, &e);
}

static enum err add_bare(const struct line *l) {
    struct key *key;
    TRY(key_from_public_text(&key, l->value, l->fault));
    enum err e = krl_maker_add_key(l->maker, key);
    key_free(key);
    return e;
}

static const struct {
    const char *word;
    enum err (*add)(const struct line *l);
} words[] = {
    {"serial:", add_serials}, {"id:", add_id},         {"key:", add_key},
    {"sha1:", add_sha1},      {"sha256:", add_sha256}, {"hash:", add_hash},
};

enum err krl_maker_add_line(struct krl_maker *m, struct view text, const struct view *ca,
                            struct fault *fault) {
    struct line l = {m, trim(text), ca, fault};
    if (l.value.n == 0 || l.value.p[0] == '#')
        return OK;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        size_t n = strlen(words[i].word);
        if (l.value.n >= n && memcmp(l.value.p, words[i].word, n) == 0) {
            l.value = trim(view_of(l.value.p + n, l.value.n - n));
            return words[i].add(&l);
        }
    }
    return add_bare(&l);
}
