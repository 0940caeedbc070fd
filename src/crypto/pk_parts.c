// Keys from raw numbers and back; everything about them is checked here, whatever file or
// message they came from.
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/param_build.h>
#include <stdlib.h>

#include "base/limits.h"
#include "crypto/pk_internal.h"

#define RSA_BYTES_MAX (LIMIT_RSA_MAX / 8)
#define RSA_EXPONENT_MAX 8  // bytes; larger ones only cost the verifier time
#define PARAMS_MAX 10

// A list for EVP_PKEY_fromdata(): numbers in the machine's byte order, in one place to
// wipe.
struct params {
    OSSL_PARAM list[PARAMS_MAX + 1];
    size_t count;
    uint8_t *room;
    size_t used, size;
    bool full;
};

static uint8_t *params_room(struct params *p, size_t n) {
    if (p->count == PARAMS_MAX || n > p->size - p->used) {
        p->full = true;
        return NULL;
    }
    uint8_t *at = p->room + p->used;
    p->used += n;
    return at;
}

static void params_number(struct params *p, const char *name, struct view v) {
    uint8_t *at = params_room(p, v.n);
    if (at == NULL)
        return;
    for (size_t i = 0; i < v.n; i++) {
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
        at[i] = v.p[v.n - 1 - i];
#else
        at[i] = v.p[i];
#endif
    }
    p->list[p->count++] = OSSL_PARAM_construct_BN(name, at, v.n);
}

static void params_bn(struct params *p, const char *name, const BIGNUM *bn) {
    int n = BN_num_bytes(bn);
    uint8_t *at = params_room(p, (size_t)n);
    if (at == NULL)
        return;
    if (BN_bn2nativepad(bn, at, n) != n)
        p->full = true;
    else
        p->list[p->count++] = OSSL_PARAM_construct_BN(name, at, (size_t)n);
}

static enum err pkey_from_params(EVP_PKEY **out, const char *type, struct params *p,
                                 bool secret) {
    if (p->full)
        return ERR_LIMIT;
    p->list[p->count] = OSSL_PARAM_construct_end();
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    *out = NULL;
    bool ok = ctx != NULL && EVP_PKEY_fromdata_init(ctx) == 1 &&
              EVP_PKEY_fromdata(ctx, out, secret ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY,
                                p->list) == 1;
    EVP_PKEY_CTX_free(ctx);
    return ok ? OK : ERR_KEY;
}

static enum err ed25519_from(EVP_PKEY **out, const struct pk_parts *parts, bool secret) {
    if (parts->ed_public.n != PK_ED25519_SIZE)
        return ERR_KEY;
    if (!secret) {
        *out = EVP_PKEY_new_raw_public_key_ex(NULL, "ED25519", NULL, parts->ed_public.p,
                                              PK_ED25519_SIZE);
        return *out != NULL ? OK : ERR_KEY;
    }
    if (parts->ed_secret.n != PK_ED25519_SIZE)
        return ERR_KEY;
    EVP_PKEY *pkey = EVP_PKEY_new_raw_private_key_ex(NULL, "ED25519", NULL,
                                                     parts->ed_secret.p, PK_ED25519_SIZE);
    uint8_t made[PK_ED25519_SIZE];
    size_t n = sizeof made;
    // Signing with a foreign public half would give the secret away.
    if (pkey == NULL || EVP_PKEY_get_raw_public_key(pkey, made, &n) != 1 ||
        n != sizeof made || memcmp(made, parts->ed_public.p, n) != 0) {
        EVP_PKEY_free(pkey);
        return ERR_KEY;
    }
    *out = pkey;
    return OK;
}

static enum err ec_matches(EVP_PKEY *pkey) {
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, pkey, NULL);
    bool ok = ctx != NULL && EVP_PKEY_private_check(ctx) == 1 &&
              EVP_PKEY_pairwise_check(ctx) == 1;
    EVP_PKEY_CTX_free(ctx);
    return ok ? OK : ERR_KEY;
}

static enum err ec_from(EVP_PKEY **out, const struct pk_parts *parts, bool secret) {
    if ((unsigned)parts->curve >= PK_CURVES)
        return ERR_UNSUPPORTED;
    const struct pk_curve_info *curve = &pk_curves[parts->curve];
    // Uncompressed points only (RFC 5656 s.3.1 lets us); libcrypto checks that it is on
    // the curve, and with a cofactor of 1 nothing more is to check.
    if (parts->ec_point.n != 1 + 2 * curve->size || parts->ec_point.p[0] != 4)
        return ERR_KEY;
    if (secret && (parts->ec_scalar.n == 0 || parts->ec_scalar.n > curve->size))
        return ERR_KEY;
    uint8_t room[PK_EC_SIZE_MAX];
    struct params p = {.room = room, .size = sizeof room};
    p.list[p.count++] = OSSL_PARAM_construct_utf8_string(
        OSSL_PKEY_PARAM_GROUP_NAME, (char *)(uintptr_t)curve->group, 0);
    p.list[p.count++] = OSSL_PARAM_construct_octet_string(
        OSSL_PKEY_PARAM_PUB_KEY, (void *)(uintptr_t)parts->ec_point.p, parts->ec_point.n);
    if (secret)
        params_number(&p, OSSL_PKEY_PARAM_PRIV_KEY, parts->ec_scalar);
    enum err e = pkey_from_params(out, "EC", &p, secret);
    secret_wipe(room, sizeof room);
    if (e == OK && secret && (e = ec_matches(*out)) != OK) {
        EVP_PKEY_free(*out);
        *out = NULL;
    }
    return e;
}

static size_t bit_length(struct view v) {
    while (v.n > 0 && v.p[0] == 0) {
        v.p++;
        v.n--;
    }
    return v.n == 0 ? 0 : v.n * 8 - (size_t)__builtin_clz(v.p[0]) + 24;
}

static enum err rsa_check_public(const struct pk_parts *parts) {
    size_t bits = bit_length(parts->rsa_n), e_bits = bit_length(parts->rsa_e);
    if (bits < LIMIT_RSA_MIN || bits > LIMIT_RSA_MAX || parts->rsa_n.n > RSA_BYTES_MAX)
        return ERR_KEY;
    if (e_bits < 2 || parts->rsa_e.n > RSA_EXPONENT_MAX)
        return ERR_KEY;
    bool odd = (parts->rsa_n.p[parts->rsa_n.n - 1] & parts->rsa_e.p[parts->rsa_e.n - 1] &
                1) != 0;
    return odd ? OK : ERR_KEY;
}

// Numbers of a secret key while they are checked; all cleared when dropped.
struct rsa_numbers {
    BN_CTX *ctx;
    BIGNUM *n, *e, *d, *p, *q, *iqmp, *dp, *dq, *t, *u;
};

static void rsa_numbers_drop(struct rsa_numbers *r) {
    BIGNUM *all[] = {r->n, r->e, r->d, r->p, r->q, r->iqmp, r->dp, r->dq, r->t, r->u};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        BN_clear_free(all[i]);
    BN_CTX_free(r->ctx);
}

static BIGNUM *secret_number(struct view v) {
    BIGNUM *bn = v.n > 0 && v.n <= RSA_BYTES_MAX ? BN_bin2bn(v.p, (int)v.n, NULL) : NULL;
    if (bn != NULL)
        BN_set_flags(bn, BN_FLG_CONSTTIME);
    return bn;
}

static bool rsa_numbers_take(struct rsa_numbers *r, const struct pk_parts *parts) {
    r->ctx = BN_CTX_secure_new();
    r->n = secret_number(parts->rsa_n);
    r->e = secret_number(parts->rsa_e);
    r->d = secret_number(parts->rsa_d);
    r->p = secret_number(parts->rsa_p);
    r->q = secret_number(parts->rsa_q);
    r->iqmp = secret_number(parts->rsa_iqmp);
    r->dp = BN_new();
    r->dq = BN_new();
    r->t = BN_new();
    r->u = BN_new();
    return r->ctx != NULL && r->n != NULL && r->e != NULL && r->d != NULL &&
           r->p != NULL && r->q != NULL && r->iqmp != NULL && r->dp != NULL &&
           r->dq != NULL && r->t != NULL && r->u != NULL;
}

// d mod (prime - 1) into out, and does it undo e there?
static bool rsa_half(struct rsa_numbers *r, const BIGNUM *prime, BIGNUM *out) {
    return BN_copy(r->t, prime) != NULL && BN_sub_word(r->t, 1) == 1 &&
           !BN_is_zero(r->t) && BN_mod(out, r->d, r->t, r->ctx) == 1 &&
           BN_mod_mul(r->u, out, r->e, r->t, r->ctx) == 1 && BN_is_one(r->u);
}

static bool rsa_numbers_match(struct rsa_numbers *r) {
    if (!BN_is_odd(r->p) || !BN_is_odd(r->q) || BN_is_one(r->p) || BN_is_one(r->q))
        return false;
    if (BN_mul(r->t, r->p, r->q, r->ctx) != 1 || BN_cmp(r->t, r->n) != 0)
        return false;
    if (BN_mod_mul(r->t, r->q, r->iqmp, r->p, r->ctx) != 1 || !BN_is_one(r->t))
        return false;
    return rsa_half(r, r->p, r->dp) && rsa_half(r, r->q, r->dq);
}

static enum err rsa_add_secret(struct params *p, const struct pk_parts *parts) {
    struct rsa_numbers r = {0};
    enum err e = rsa_numbers_take(&r, parts) && rsa_numbers_match(&r) ? OK : ERR_KEY;
    if (e == OK) {
        params_bn(p, OSSL_PKEY_PARAM_RSA_D, r.d);
        params_bn(p, OSSL_PKEY_PARAM_RSA_FACTOR1, r.p);
        params_bn(p, OSSL_PKEY_PARAM_RSA_FACTOR2, r.q);
        params_bn(p, OSSL_PKEY_PARAM_RSA_EXPONENT1, r.dp);
        params_bn(p, OSSL_PKEY_PARAM_RSA_EXPONENT2, r.dq);
        params_bn(p, OSSL_PKEY_PARAM_RSA_COEFFICIENT1, r.iqmp);
    }
    rsa_numbers_drop(&r);
    return e;
}

static enum err rsa_from(EVP_PKEY **out, const struct pk_parts *parts, bool secret) {
    TRY(rsa_check_public(parts));
    // n, d, two halves of p, q, dp, dq, iqmp, and e; primes may be uneven, hence some
    // more.
    uint8_t room[8 * RSA_BYTES_MAX];
    struct params p = {.room = room, .size = sizeof room};
    params_number(&p, OSSL_PKEY_PARAM_RSA_N, parts->rsa_n);
    params_number(&p, OSSL_PKEY_PARAM_RSA_E, parts->rsa_e);
    enum err e = secret ? rsa_add_secret(&p, parts) : OK;
    if (e == OK)
        e = pkey_from_params(out, "RSA", &p, secret);
    secret_wipe(room, p.used);
    return e;
}

enum err pk_from_parts(struct pk **out, enum pk_kind kind, const struct pk_parts *parts,
                       bool secret) {
    EVP_PKEY *pkey = NULL;
    enum err e = ERR_UNSUPPORTED;
    switch (kind) {
    case PK_ED25519:
        e = ed25519_from(&pkey, parts, secret);
        break;
    case PK_ECDSA:
        e = ec_from(&pkey, parts, secret);
        break;
    case PK_RSA:
        e = rsa_from(&pkey, parts, secret);
        break;
    }
    if (e != OK) {
        ERR_clear_error();
        return e;
    }
    return pk_adopt(out, pkey, secret);
}

// --- and back
// --------------------------------------------------------------------------------

static enum err part_bytes(struct secret_arena *a, size_t n, uint8_t **out) {
    *out = secret_alloc(a, n);
    return *out != NULL ? OK : ERR_LIMIT;
}

// `pad` 0: as many bytes as the number has.
static enum err part_number(const struct pk *k, const char *name, size_t pad,
                            struct secret_arena *a, struct view *out) {
    BIGNUM *bn = NULL;
    if (EVP_PKEY_get_bn_param(k->pkey, name, &bn) != 1)
        return ERR_CRYPTO;
    size_t n = pad > 0 ? pad : (size_t)BN_num_bytes(bn);
    uint8_t *p = NULL;
    enum err e = part_bytes(a, n, &p);
    if (e == OK && BN_bn2binpad(bn, p, (int)n) != (int)n)
        e = ERR_CRYPTO;
    BN_clear_free(bn);
    if (e == OK)
        *out = view_of(p, n);
    return e;
}

static enum err ed25519_to(const struct pk *k, struct secret_arena *a,
                           struct pk_parts *parts) {
    uint8_t *p;
    size_t n = PK_ED25519_SIZE;
    TRY(part_bytes(a, n, &p));
    if (EVP_PKEY_get_raw_public_key(k->pkey, p, &n) != 1 || n != PK_ED25519_SIZE)
        return ERR_CRYPTO;
    parts->ed_public = view_of(p, n);
    if (!k->secret)
        return OK;
    TRY(part_bytes(a, n, &p));
    // EVP_PKEY_get_raw_private_key() would leave a copy behind in freed memory.
    if (EVP_PKEY_get_octet_string_param(k->pkey, OSSL_PKEY_PARAM_PRIV_KEY, p, n, &n) !=
            1 ||
        n != PK_ED25519_SIZE)
        return ERR_CRYPTO;
    parts->ed_secret = view_of(p, n);
    return OK;
}

static enum err ec_to(const struct pk *k, struct secret_arena *a,
                      struct pk_parts *parts) {
    parts->curve = k->curve;
    struct view x, y;
    uint8_t *p;
    // From the coordinates: a key read from a file may remember a compressed form.
    TRY(part_number(k, OSSL_PKEY_PARAM_EC_PUB_X, k->size, a, &x));
    TRY(part_number(k, OSSL_PKEY_PARAM_EC_PUB_Y, k->size, a, &y));
    TRY(part_bytes(a, 1 + 2 * k->size, &p));
    p[0] = 4;
    memcpy(p + 1, x.p, x.n);
    memcpy(p + 1 + x.n, y.p, y.n);
    parts->ec_point = view_of(p, 1 + 2 * k->size);
    if (!k->secret)
        return OK;
    return part_number(k, OSSL_PKEY_PARAM_PRIV_KEY, k->size, a, &parts->ec_scalar);
}

static enum err rsa_to(const struct pk *k, struct secret_arena *a,
                       struct pk_parts *parts) {
    TRY(part_number(k, OSSL_PKEY_PARAM_RSA_N, 0, a, &parts->rsa_n));
    TRY(part_number(k, OSSL_PKEY_PARAM_RSA_E, 0, a, &parts->rsa_e));
    if (!k->secret)
        return OK;
    TRY(part_number(k, OSSL_PKEY_PARAM_RSA_D, 0, a, &parts->rsa_d));
    TRY(part_number(k, OSSL_PKEY_PARAM_RSA_FACTOR1, 0, a, &parts->rsa_p));
    TRY(part_number(k, OSSL_PKEY_PARAM_RSA_FACTOR2, 0, a, &parts->rsa_q));
    return part_number(k, OSSL_PKEY_PARAM_RSA_COEFFICIENT1, 0, a, &parts->rsa_iqmp);
}

enum err pk_to_parts(const struct pk *k, struct secret_arena *arena,
                     struct pk_parts *parts) {
    *parts = (struct pk_parts){0};
    enum err e = ERR_UNSUPPORTED;
    switch (k->kind) {
    case PK_ED25519:
        e = ed25519_to(k, arena, parts);
        break;
    case PK_ECDSA:
        e = ec_to(k, arena, parts);
        break;
    case PK_RSA:
        e = rsa_to(k, arena, parts);
        break;
    }
    if (e != OK)
        ERR_clear_error();
    return e;
}
