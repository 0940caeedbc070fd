// Signatures (RFC 8709, RFC 5656, RFC 8332) over libcrypto's provider interface.
//
// A struct pk is immutable after it is made; signing and verifying keep nothing in it, so
// it may be used on both sides of a fork.
#include "crypto/pk_internal.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/rsa.h>
#include <stdlib.h>

#include "base/limits.h"

const struct pk_curve_info pk_curves[] = {
    [PK_P256] = {"P-256", 32, 256},
    [PK_P384] = {"P-384", 48, 384},
    [PK_P521] = {"P-521", 66, 521},
};

static const struct {
    const char *name;
    enum pk_kind kind;
} kinds[] = {
    {"ED25519", PK_ED25519},
    {"EC", PK_ECDSA},
    {"RSA", PK_RSA},
};

static bool kind_of_pkey(const EVP_PKEY *pkey, enum pk_kind *kind) {
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (EVP_PKEY_is_a(pkey, kinds[i].name)) {
            *kind = kinds[i].kind;
            return true;
        }
    }
    return false;
}

static bool curve_of_pkey(const EVP_PKEY *pkey, enum pk_curve *curve) {
    // In the order of enum pk_curve, as libcrypto reports them.
    static const char *const reported[] = {"prime256v1", "secp384r1", "secp521r1"};
    char group[64];
    if (EVP_PKEY_get_group_name(pkey, group, sizeof group, NULL) != 1)
        return false;
    for (unsigned i = 0; i < PK_CURVES; i++) {
        if (strcmp(group, reported[i]) == 0 || strcmp(group, pk_curves[i].group) == 0) {
            *curve = (enum pk_curve)i;
            return true;
        }
    }
    return false;
}

static enum err measure(struct pk *k) {
    switch (k->kind) {
    case PK_ED25519:
        k->bits = 256;
        k->size = PK_ED25519_SIZE;
        return OK;
    case PK_ECDSA:
        if (!curve_of_pkey(k->pkey, &k->curve))
            return ERR_UNSUPPORTED;
        k->bits = pk_curves[k->curve].bits;
        k->size = pk_curves[k->curve].size;
        return OK;
    case PK_RSA:
        k->bits = (unsigned)EVP_PKEY_get_bits(k->pkey);
        k->size = (size_t)EVP_PKEY_get_size(k->pkey);
        return k->bits < LIMIT_RSA_MIN || k->bits > LIMIT_RSA_MAX ? ERR_KEY : OK;
    }
    return ERR_UNSUPPORTED;
}

enum err pk_adopt(struct pk **out, EVP_PKEY *pkey, bool secret) {
    struct pk *k = calloc(1, sizeof *k);
    if (k == NULL) {
        EVP_PKEY_free(pkey);
        return ERR_MEMORY;
    }
    k->pkey = pkey;
    k->secret = secret;
    enum err e = kind_of_pkey(pkey, &k->kind) ? measure(k) : ERR_UNSUPPORTED;
    if (e != OK) {
        pk_free(k);
        return e;
    }
    *out = k;
    return OK;
}

enum err pk_init(void) {
    static const char *const signatures[] = {"ED25519", "ECDSA", "RSA"};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        // Found once, they stay in libcrypto's store.
        EVP_KEYMGMT *keys = EVP_KEYMGMT_fetch(NULL, kinds[i].name, NULL);
        EVP_SIGNATURE *signature = EVP_SIGNATURE_fetch(NULL, signatures[i], NULL);
        bool ok = keys != NULL && signature != NULL;
        EVP_KEYMGMT_free(keys);
        EVP_SIGNATURE_free(signature);
        if (!ok)
            return ERR_CRYPTO;
    }
    return OK;
}

void pk_free(struct pk *k) {
    if (k == NULL)
        return;
    EVP_PKEY_free(k->pkey);
    secret_wipe(k, sizeof *k);
    free(k);
}

enum err pk_generate(struct pk **out, enum pk_kind kind, enum pk_curve curve,
                     unsigned bits) {
    EVP_PKEY *pkey = NULL;
    switch (kind) {
    case PK_ED25519:
        pkey = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
        break;
    case PK_ECDSA:
        pkey = EVP_PKEY_Q_keygen(NULL, NULL, "EC", pk_curves[curve].group);
        break;
    case PK_RSA:
        if (bits < LIMIT_RSA_MIN || bits > LIMIT_RSA_MAX)
            return ERR_KEY;
        pkey = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)bits);
        break;
    }
    if (pkey == NULL) {
        ERR_clear_error();
        return ERR_CRYPTO;
    }
    return pk_adopt(out, pkey, true);
}

enum pk_kind pk_kind_of(const struct pk *k) {
    return k->kind;
}

enum pk_curve pk_curve_of(const struct pk *k) {
    return k->curve;
}

unsigned pk_bits(const struct pk *k) {
    return k->bits;
}

bool pk_has_secret(const struct pk *k) {
    return k->secret;
}

static bool alg_fits(const struct pk *k, const struct signature_alg *alg) {
    return alg->kind == k->kind && (k->kind != PK_ECDSA || alg->curve == k->curve);
}

// --- Ed25519
// -------------------------------------------------------------------------------

static enum err ed25519_sign(const struct pk *k, struct view data, uint8_t *out,
                             size_t *n) {
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool ok = ctx != NULL &&
              EVP_DigestSignInit_ex(ctx, NULL, NULL, NULL, NULL, k->pkey, NULL) == 1 &&
              EVP_DigestSign(ctx, out, n, data.p, data.n) == 1;
    EVP_MD_CTX_free(ctx);
    return ok ? OK : ERR_CRYPTO;
}

// RFC 8032 s.5.1.7: S < L, else signatures could be changed without the key.
static bool ed25519_s_in_range(const uint8_t *s) {
    static const uint8_t order[PK_ED25519_SIZE] = {
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7,
        0xa2, 0xde, 0xf9, 0xde, 0x14, 0,    0,    0,    0,    0,    0,
        0,    0,    0,    0,    0,    0,    0,    0,    0,    0x10};
    for (size_t i = PK_ED25519_SIZE; i-- > 0;) {
        if (s[i] != order[i])
            return s[i] < order[i];
    }
    return false;
}

static enum err ed25519_verify(const struct pk *k, struct view data, struct view sig) {
    if (sig.n != 64 || !ed25519_s_in_range(sig.p + 32))
        return ERR_SIGNATURE;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool ok = ctx != NULL &&
              EVP_DigestVerifyInit_ex(ctx, NULL, NULL, NULL, NULL, k->pkey, NULL) == 1 &&
              EVP_DigestVerify(ctx, sig.p, sig.n, data.p, data.n) == 1;
    EVP_MD_CTX_free(ctx);
    return ok ? OK : ERR_SIGNATURE;
}

// --- over a hash: ECDSA and RSA
// --------------------------------------------------------------

struct hashed {
    uint8_t md[DIGEST_MAX];
    size_t n;
};

static enum err hash_data(const struct signature_alg *alg, struct view data,
                          struct hashed *h) {
    h->n = alg->hash->size;
    return digest_parts(alg->hash, &data, 1, h->md);
}

static EVP_PKEY_CTX *hash_context(const struct pk *k, const struct signature_alg *alg,
                                  bool sign) {
    char pkcs1[] = OSSL_PKEY_RSA_PAD_MODE_PKCSV15;
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_SIGNATURE_PARAM_PAD_MODE, pkcs1, 0),
        OSSL_PARAM_construct_utf8_string(OSSL_SIGNATURE_PARAM_DIGEST,
                                         (char *)(uintptr_t)alg->hash->name, 0),
        OSSL_PARAM_construct_end(),
    };
    // ECDSA takes the bare hash and no parameters.
    const OSSL_PARAM *use = k->kind == PK_RSA ? params : NULL;
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, k->pkey, NULL);
    if (ctx == NULL)
        return NULL;
    if ((sign ? EVP_PKEY_sign_init_ex(ctx, use) : EVP_PKEY_verify_init_ex(ctx, use)) !=
        1) {
        EVP_PKEY_CTX_free(ctx);
        return NULL;
    }
    return ctx;
}

static enum err hash_verify(const struct pk *k, const struct signature_alg *alg,
                            const struct hashed *h, struct view sig) {
    EVP_PKEY_CTX *ctx = hash_context(k, alg, false);
    if (ctx == NULL)
        return ERR_CRYPTO;
    bool ok = EVP_PKEY_verify(ctx, sig.p, sig.n, h->md, h->n) == 1;
    EVP_PKEY_CTX_free(ctx);
    return ok ? OK : ERR_SIGNATURE;
}

static enum err hash_sign(const struct pk *k, const struct signature_alg *alg,
                          const struct hashed *h, uint8_t *out, size_t *n) {
    EVP_PKEY_CTX *ctx = hash_context(k, alg, true);
    if (ctx == NULL)
        return ERR_CRYPTO;
    bool ok = EVP_PKEY_sign(ctx, out, n, h->md, h->n) == 1;
    EVP_PKEY_CTX_free(ctx);
    return ok ? OK : ERR_CRYPTO;
}

// DER of two integers of 66 bytes: 2 * (2 + 67) and the header.
#define ECDSA_DER_MAX 144

static enum err ecdsa_sign(const struct pk *k, const struct signature_alg *alg,
                           const struct hashed *h, uint8_t *out, size_t *n) {
    uint8_t der[ECDSA_DER_MAX];
    size_t len = sizeof der;
    TRY(hash_sign(k, alg, h, der, &len));
    const uint8_t *p = der;
    ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &p, (long)len);
    if (sig == NULL)
        return ERR_CRYPTO;
    const BIGNUM *r, *s;
    ECDSA_SIG_get0(sig, &r, &s);
    bool ok = BN_bn2binpad(r, out, (int)k->size) == (int)k->size &&
              BN_bn2binpad(s, out + k->size, (int)k->size) == (int)k->size;
    ECDSA_SIG_free(sig);
    *n = 2 * k->size;
    return ok ? OK : ERR_CRYPTO;
}

// One DER integer; returns the bytes used.
static size_t der_integer(uint8_t *out, const uint8_t *p, size_t n) {
    while (n > 1 && p[0] == 0) {
        p++;
        n--;
    }
    size_t pad = (p[0] & 0x80) != 0;
    out[0] = 0x02;
    out[1] = (uint8_t)(n + pad);
    out[2] = 0;
    memcpy(out + 2 + pad, p, n);
    return 2 + pad + n;
}

static bool all_zero(const uint8_t *p, size_t n) {
    uint8_t seen = 0;
    for (size_t i = 0; i < n; i++)
        seen |= p[i];
    return seen == 0;
}

// r and s of n or above are refused by libcrypto itself, like any other wrong signature.
static enum err ecdsa_verify(const struct pk *k, const struct signature_alg *alg,
                             const struct hashed *h, struct view sig) {
    if (sig.n != 2 * k->size || all_zero(sig.p, k->size) ||
        all_zero(sig.p + k->size, k->size))
        return ERR_SIGNATURE;
    uint8_t body[ECDSA_DER_MAX], der[ECDSA_DER_MAX + 3];
    size_t n = der_integer(body, sig.p, k->size);
    n += der_integer(body + n, sig.p + k->size, k->size);
    size_t at = 0;
    der[at++] = 0x30;
    if (n >= 0x80)
        der[at++] = 0x81;
    der[at++] = (uint8_t)n;
    memcpy(der + at, body, n);
    return hash_verify(k, alg, h, view_of(der, at + n));
}

// A faulty computation (a flipped bit under CRT) would give the secret key away: look
// first.
static enum err rsa_sign(const struct pk *k, const struct signature_alg *alg,
                         const struct hashed *h, uint8_t *out, size_t *n) {
    TRY(hash_sign(k, alg, h, out, n));
    if (*n == k->size && hash_verify(k, alg, h, view_of(out, *n)) == OK)
        return OK;
    secret_wipe(out, *n);
    return ERR_CRYPTO;
}

static size_t signature_size(const struct pk *k) {
    return k->kind == PK_RSA ? k->size : 2 * k->size;
}

static enum err sign(const struct pk *k, const struct signature_alg *alg,
                     struct view data, uint8_t *out, size_t *n) {
    if (k->kind == PK_ED25519)
        return ed25519_sign(k, data, out, n);
    struct hashed h;
    TRY(hash_data(alg, data, &h));
    return k->kind == PK_RSA ? rsa_sign(k, alg, &h, out, n)
                             : ecdsa_sign(k, alg, &h, out, n);
}

enum err pk_sign(const struct pk *k, const struct signature_alg *alg, struct view data,
                 uint8_t *out, size_t *n) {
    if (!k->secret || !alg_fits(k, alg))
        return ERR_KEY;
    if (*n < signature_size(k))
        return ERR_LIMIT;
    enum err e = sign(k, alg, data, out, n);
    if (e != OK)
        ERR_clear_error();
    return e;
}

static enum err verify(const struct pk *k, const struct signature_alg *alg,
                       struct view data, struct view sig) {
    if (k->kind == PK_ED25519)
        return ed25519_verify(k, data, sig);
    struct hashed h;
    TRY(hash_data(alg, data, &h));
    if (k->kind == PK_ECDSA)
        return ecdsa_verify(k, alg, &h, sig);
    return sig.n == k->size ? hash_verify(k, alg, &h, sig) : ERR_SIGNATURE;
}

enum err pk_verify(const struct pk *k, const struct signature_alg *alg, struct view data,
                   struct view sig) {
    if (!alg_fits(k, alg))
        return ERR_KEY;
    enum err e = verify(k, alg, data, sig);
    if (e != OK)
        ERR_clear_error();
    return e;
}
