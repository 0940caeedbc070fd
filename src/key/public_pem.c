// SEQUENCE { SEQUENCE { OID of the kind, parameters }, BIT STRING of the key }; of RSA
// also the key alone: SEQUENCE { INTEGER n, INTEGER e }.
#include "key/public_pem.h"

#include "base/limits.h"
#include "key/base64.h"

enum {
    TAG_INTEGER = 0x02,
    TAG_BITS = 0x03,
    TAG_OID = 0x06,
    TAG_SEQUENCE = 0x30,
};

#define OID(text)                                                                        \
    { (const uint8_t *)(text), sizeof(text) - 1 }
static const struct view oid_rsa = OID("\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01"),
                         oid_ec = OID("\x2a\x86\x48\xce\x3d\x02\x01"),
                         oid_ed25519 = OID("\x2b\x65\x70");
static const struct {
    struct view oid;
    enum pk_curve curve;
} curves[] = {
    {OID("\x2a\x86\x48\xce\x3d\x03\x01\x07"), PK_P256},
    {OID("\x2b\x81\x04\x00\x22"), PK_P384},
    {OID("\x2b\x81\x04\x00\x23"), PK_P521},
};

// Takes one element off the front; its length in the shortest form, as DER has it.
static bool take(struct view *in, uint8_t tag, struct view *out) {
    if (in->n < 2 || in->p[0] != tag)
        return false;
    size_t head = 2, n = in->p[1];
    if (n == 0x81 && in->n >= 3) {
        n = in->p[2];
        head = 3;
        if (n < 0x80)
            return false;
    } else if (n == 0x82 && in->n >= 4) {
        n = (size_t)in->p[2] << 8 | in->p[3];
        head = 4;
        if (n < 0x100)
            return false;
    } else if (n >= 0x80) {
        return false;
    }
    if (n > in->n - head)
        return false;
    *out = view_of(in->p + head, n);
    *in = view_of(in->p + head + n, in->n - head - n);
    return true;
}

// A positive number's bytes without the one of its sign.
static bool take_number(struct view *in, struct view *out) {
    if (!take(in, TAG_INTEGER, out) || out->n == 0 || (out->p[0] & 0x80) != 0)
        return false;
    if (out->p[0] == 0 && out->n > 1)
        *out = view_of(out->p + 1, out->n - 1);
    return true;
}

static enum err rsa_key(struct pk **pk, struct view der) {
    struct view sequence;
    struct pk_parts parts = {0};
    if (!take(&der, TAG_SEQUENCE, &sequence) || der.n != 0 ||
        !take_number(&sequence, &parts.rsa_n) || !take_number(&sequence, &parts.rsa_e) ||
        sequence.n != 0)
        return ERR_FORMAT;
    return pk_from_parts(pk, PK_RSA, &parts, false);
}

static enum err ec_key(struct pk **pk, struct view parameters, struct view point) {
    struct view oid;
    struct pk_parts parts = {.ec_point = point};
    if (!take(&parameters, TAG_OID, &oid) || parameters.n != 0)
        return ERR_UNSUPPORTED;  // a curve spelt out
    for (size_t i = 0; i < sizeof curves / sizeof curves[0]; i++) {
        if (!view_equal(oid, curves[i].oid))
            continue;
        parts.curve = curves[i].curve;
        return pk_from_parts(pk, PK_ECDSA, &parts, false);
    }
    return ERR_UNSUPPORTED;
}

static enum err any_key(struct pk **pk, struct view der) {
    struct view outer, kind, oid, bits;
    if (!take(&der, TAG_SEQUENCE, &outer) || der.n != 0 ||
        !take(&outer, TAG_SEQUENCE, &kind) || !take(&kind, TAG_OID, &oid) ||
        !take(&outer, TAG_BITS, &bits) || outer.n != 0 || bits.n < 1 || bits.p[0] != 0)
        return ERR_FORMAT;
    struct view key = view_of(bits.p + 1, bits.n - 1);
    struct pk_parts parts = {.ed_public = key};
    if (view_equal(oid, oid_rsa))
        return rsa_key(pk, key);
    if (view_equal(oid, oid_ec))
        return ec_key(pk, kind, key);
    return view_equal(oid, oid_ed25519) ? pk_from_parts(pk, PK_ED25519, &parts, false)
                                        : ERR_UNSUPPORTED;
}

static const struct form {
    const char *begin, *end;
    enum err (*key)(struct pk **pk, struct view der);
} forms[] = {
    {"-----BEGIN PUBLIC KEY-----", "-----END PUBLIC KEY-----", any_key},
    {"-----BEGIN RSA PUBLIC KEY-----", "-----END RSA PUBLIC KEY-----", rsa_key},
};

static const uint8_t *find(struct view v, const char *text) {
    return v.n > 0 ? memmem(v.p, v.n, text, strlen(text)) : NULL;
}

static enum err parse(struct pk **pk, struct view text, const struct form *form) {
    const uint8_t *begin = find(text, form->begin);
    scoped_buf der;
    buf_init(&der, LIMIT_KEY_FILE);
    begin += strlen(form->begin);
    struct view rest = view_of(begin, (size_t)(text.p + text.n - begin));
    const uint8_t *end = find(rest, form->end);
    if (end == NULL || base64_decode_lines(&der, view_of(begin, (size_t)(end - begin))))
        return ERR_FORMAT;
    return form->key(pk, buf_view(&der));
}

enum err public_pem_parse(struct key **out, struct view text, struct fault *fault) {
    if (text.n > LIMIT_KEY_FILE)
        return fault_set(fault, ERR_LIMIT, 0, "the key file is too large");
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        struct pk *pk;
        if (find(text, forms[i].begin) == NULL)
            continue;
        enum err e = parse(&pk, text, &forms[i]);
        return e == OK ? key_from_pk(out, pk)
                       : fault_set(fault, e, 0, "the public key in the PEM file: %s",
                                   err_text(e));
    }
    return fault_set(fault, ERR_FORMAT, 0, "no public key in PEM");
}
