// Signature blobs (RFC 4253 s.6.6, RFC 5656 s.3.1.2, RFC 8332 s.3, RFC 8709 s.6).
#include "base/limits.h"
#include "key/key.h"
#include "key/security_key.h"
#include "wire/reader.h"
#include "wire/writer.h"

#define RAW_MAX (LIMIT_RSA_MAX / 8)
#define EC_SIZE_MAX 66

bool key_can_sign_with(const struct key *k, const struct signature_alg *alg) {
    return alg->kind == k->type->kind && strcmp(alg->key_type, k->type->name) == 0 &&
           (alg->kind != PK_ECDSA || alg->curve == k->type->curve);
}

bool key_can_make(const struct key *k, const struct signature_alg *alg) {
    const struct key_type *type = key_type_find(view_text(alg->key_type));
    return key_can_sign_with(k, alg) ||
           (type != NULL && key_type_plain(type) == k->type &&
            alg->kind == k->type->kind);
}

const struct signature_alg *key_signature_alg(struct view signature_blob) {
    struct reader r = reader_of(signature_blob);
    const struct alg *a = alg_find(ALG_SIGNATURE, read_string(&r));
    // The names of certificates' algorithms stand in no signature.
    return r.err == OK && a != NULL && strcmp(a->signature->signature_name, a->name) == 0
               ? a->signature
               : NULL;
}

static size_t ec_size(enum pk_curve curve) {
    static const size_t sizes[] = {[PK_P256] = 32, [PK_P384] = 48, [PK_P521] = 66};
    return sizes[curve];
}

// string of: mpint r, mpint s
static void write_ecdsa(struct writer *w, const uint8_t *raw, size_t n) {
    uint8_t room[2 * (4 + 1 + EC_SIZE_MAX)];
    struct writer inner = writer_to_span((struct span){room, sizeof room});
    write_mpint(&inner, view_of(raw, n / 2));
    write_mpint(&inner, view_of(raw + n / 2, n / 2));
    if (inner.err != OK)
        w->err = inner.err;
    else
        write_string(w, view_of(room, inner.n));
}

enum err key_sign(const struct key *k, const struct signature_alg *alg, struct view data,
                  struct buf *out) {
    if (!key_can_make(k, alg) || k->type->security_key)
        return ERR_KEY;
    uint8_t raw[RAW_MAX];
    size_t n = sizeof raw;
    TRY(pk_sign(k->pk, alg, data, raw, &n));
    struct writer w = writer_to_buf(out);
    write_text(&w, alg->signature_name);
    if (alg->kind == PK_ECDSA)
        write_ecdsa(&w, raw, n);
    else
        write_string(&w, view_of(raw, n));
    return writer_end(&w);
}

// Right-aligned in n bytes, zeros in front.
static bool align(uint8_t *out, size_t n, struct view v) {
    if (v.n > n)
        return false;
    memset(out, 0, n - v.n);
    memcpy(out + n - v.n, v.p, v.n);
    return true;
}

static enum err read_ecdsa(struct view text, enum pk_curve curve, uint8_t *raw) {
    struct reader r = reader_of(text);
    struct view a = read_mpint(&r), b = read_mpint(&r);
    TRY(reader_end(&r));
    size_t n = ec_size(curve);
    return align(raw, n, a) && align(raw + n, n, b) ? OK : ERR_SIGNATURE;
}

// RFC 8332 s.3 gives the modulus' length; some signers drop leading zeros.
static enum err read_rsa(struct view text, size_t n, uint8_t *raw) {
    return align(raw, n, text) ? OK : ERR_SIGNATURE;
}

// The signature text of a blob in the form that pk_verify() wants.
static enum err verify_text(const struct key *k, const struct signature_alg *alg,
                            struct view text, struct view data) {
    uint8_t raw[RAW_MAX];
    struct view signature = text;
    if (alg->kind == PK_ECDSA) {
        TRY(read_ecdsa(text, alg->curve, raw));
        signature = view_of(raw, 2 * ec_size(alg->curve));
    } else if (alg->kind == PK_RSA) {
        size_t n = (pk_bits(k->pk) + 7) / 8;
        TRY(read_rsa(text, n, raw));
        signature = view_of(raw, n);
    }
    return pk_verify(k->pk, alg, data, signature);
}

static enum err verify_security_key(const struct key *k, const struct signature_alg *alg,
                                    struct reader *r, struct view data,
                                    struct key_touch *touch) {
    struct security_signature s;
    struct buf signed_data;
    buf_init(&signed_data, LIMIT_PACKET);
    TRY(security_signature_read(&s, alg, r));
    enum err e = security_signature_data(&s, k->application, data, &signed_data);
    if (e == OK)
        e = verify_text(k, alg, s.text, buf_view(&signed_data));
    buf_free(&signed_data);
    if (e == OK)
        *touch = security_signature_touch(&s);
    return e;
}

enum err key_verify_touch(const struct key *k, const struct signature_alg *alg,
                          struct view signature_blob, struct view data,
                          struct key_touch *touch) {
    *touch = (struct key_touch){0};
    if (!key_can_sign_with(k, alg))
        return ERR_KEY;
    struct reader r = reader_of(signature_blob);
    struct view name = read_string(&r);
    if (r.err == OK && !view_is(name, alg->signature_name))
        return ERR_SIGNATURE;
    if (k->type->security_key)
        return verify_security_key(k, alg, &r, data, touch);
    struct view text = read_string(&r);
    TRY(reader_end(&r));
    return verify_text(k, alg, text, data);
}

enum err key_verify(const struct key *k, const struct signature_alg *alg,
                    struct view signature_blob, struct view data) {
    struct key_touch touch;
    TRY(key_verify_touch(k, alg, signature_blob, data, &touch));
    return touch.security_key && !touch.present ? ERR_REFUSED : OK;
}
