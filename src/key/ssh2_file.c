// An armour, headers (RFC 4716 s.3.3), and base64 of a blob. That of a private RSA key is
//
//     uint32 0x3f6ff9eb  uint32 length  string type  string cipher
//     uint32 length  uint32 length  numbers e, d, n, u, p, q
//
// where a number is uint32 bits and as many bytes as they need, and u the inverse of p
// modulo q: with p and q exchanged what other formats call iqmp.
#include "key/ssh2_file.h"

#include "base/limits.h"
#include "base/secret.h"
#include "base/text.h"
#include "key/base64.h"
#include "wire/reader.h"

#define PUBLIC_BEGIN "---- BEGIN SSH2 PUBLIC KEY ----"
#define PUBLIC_END "---- END SSH2 PUBLIC KEY ----"
#define PRIVATE_BEGIN "---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----"
#define PRIVATE_END "---- END SSH2 ENCRYPTED PRIVATE KEY ----"
#define PRIVATE_MAGIC 0x3f6ff9ebu
#define RSA_TYPE "if-modn{"

static void wipe(struct buf *b) {
    secret_wipe(b->p, b->room);
    buf_free(b);
}
#define scoped_secret_buf __attribute__((cleanup(wipe))) struct buf

static enum err secret_room(struct buf *b) {
    struct span room;
    buf_init(b, LIMIT_KEY_FILE);
    return buf_reserve(b, LIMIT_KEY_FILE, &room);
}

// One kind of line end: a lone CR counts, CR LF becomes one and an empty line.
static void make_lines(struct buf *b) {
    for (size_t i = b->start; i < b->end; i++)
        if (b->p[i] == '\r')
            b->p[i] = '\n';
}

// Headers go on behind a backslash at the end of a line.
static struct view behind_headers(struct view v) {
    bool continued = false;
    while (v.n > 0) {
        struct view line = view_until(v, '\n');
        bool empty = line.n == 0;
        if (!empty && !continued && memchr(line.p, ':', line.n) == NULL)
            break;
        if (!empty)
            continued = line.p[line.n - 1] == '\\';
        size_t n = line.n < v.n ? line.n + 1 : line.n;
        v = view_of(v.p + n, v.n - n);
    }
    return v;
}

static enum err unarmour(struct view text, const char *begin, const char *end,
                         struct buf *out, struct fault *fault) {
    scoped_secret_buf lines = {0};
    if (text.n > LIMIT_KEY_FILE)
        return fault_set(fault, ERR_LIMIT, 0, "the key file is too large");
    TRY(secret_room(&lines));
    TRY(buf_append(&lines, text));
    make_lines(&lines);
    struct view v = buf_view(&lines);
    const uint8_t *from = memmem(v.p, v.n, begin, strlen(begin));
    const uint8_t *to = memmem(v.p, v.n, end, strlen(end));
    if (from == NULL || to == NULL || to < from + strlen(begin))
        return fault_set(fault, ERR_FORMAT, 0, "no key file of this format (RFC 4716)");
    from += strlen(begin);
    if (base64_decode_lines(out, behind_headers(view_of(from, (size_t)(to - from)))) !=
        OK)
        return fault_set(fault, ERR_FORMAT, 0, "the key file is damaged: no base64");
    return OK;
}

bool ssh2_file_is_private(struct view text) {
    return memmem(text.p, text.n, PRIVATE_BEGIN, strlen(PRIVATE_BEGIN)) != NULL;
}

enum err ssh2_file_public(struct key **out, struct view text, struct fault *fault) {
    scoped_secret_buf blob = {0};
    TRY(secret_room(&blob));
    TRY(unarmour(text, PUBLIC_BEGIN, PUBLIC_END, &blob, fault));
    return key_from_blob(out, buf_view(&blob), fault);
}

// ---- private ----

static struct view read_bits(struct reader *r) {
    uint32_t bits = read_u32(r);
    if (bits > LIMIT_RSA_MAX)
        r->err = ERR_LIMIT;
    struct view v = read_bytes(r, r->err == OK ? (bits + 7) / 8 : 0);
    while (v.n > 0 && v.p[0] == 0)
        v = view_of(v.p + 1, v.n - 1);
    return v;
}

static enum err read_rsa(struct reader *r, struct key **out) {
    struct pk_parts parts = {0};
    struct pk *pk;
    (void)read_u32(r);
    (void)read_u32(r);
    parts.rsa_e = read_bits(r);
    parts.rsa_d = read_bits(r);
    parts.rsa_n = read_bits(r);
    parts.rsa_iqmp = read_bits(r);
    parts.rsa_q = read_bits(r);
    parts.rsa_p = read_bits(r);
    TRY(r->err);
    TRY(pk_from_parts(&pk, PK_RSA, &parts, true));
    return key_from_pk(out, pk);
}

enum err ssh2_file_private(struct key **out, struct view text, struct fault *fault) {
    scoped_secret_buf blob = {0};
    char clean[80];
    TRY(secret_room(&blob));
    TRY(unarmour(text, PRIVATE_BEGIN, PRIVATE_END, &blob, fault));
    struct reader r = reader_of(buf_view(&blob));
    uint32_t magic = read_u32(&r);
    (void)read_u32(&r);
    struct view type = read_string(&r), cipher = read_string(&r);
    if (r.err != OK || magic != PRIVATE_MAGIC)
        return fault_set(fault, ERR_FORMAT, 0, "no private key file of ssh.com");
    if (!view_is(cipher, "none"))
        return fault_set(fault, ERR_UNSUPPORTED, 0,
                         "encrypted with \"%s\": remove the passphrase with the program "
                         "that made it",
                         text_clean(clean, sizeof clean, cipher));
    if (type.n < strlen(RSA_TYPE) || memcmp(type.p, RSA_TYPE, strlen(RSA_TYPE)) != 0)
        return fault_set(fault, ERR_UNSUPPORTED, 0, "a key of type \"%s\": only RSA",
                         text_clean(clean, sizeof clean, type));
    enum err e = read_rsa(&r, out);
    return e == OK ? OK
                   : fault_set(fault, e, 0, "the key file is damaged: %s", err_text(e));
}
