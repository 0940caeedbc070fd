// Diffie-Hellman over finite fields (RFC 4253 s.8, RFC 4419, RFC 8268).
//
// The moduli are safe primes, so exponents of twice the strength are enough and several
// times faster than full ones; 512 bits serve every group there is. What the peer sends
// must lie in 2 … p - 2: 0, 1 and p - 1 give a secret that anybody knows.
#include "crypto/kex_ops.h"
#include "crypto/random.h"

#define EXPONENT_LEN 64

static BIGNUM *exponent_new(void) {
    uint8_t bytes[EXPONENT_LEN];
    random_bytes(bytes, sizeof bytes);
    bytes[0] |= 0x80;
    BIGNUM *x = BN_bin2bn(bytes, sizeof bytes, BN_secure_new());
    secret_wipe(bytes, sizeof bytes);
    if (x != NULL)
        BN_set_flags(x, BN_FLG_CONSTTIME);
    return x;
}

// base^x modulo p
static bool power(BIGNUM *out, const BIGNUM *base, const BIGNUM *x, const BIGNUM *p) {
    BN_CTX *ctx = BN_CTX_secure_new();
    bool good = ctx != NULL && BN_mod_exp_mont_consttime(out, base, x, p, ctx, NULL) == 1;
    BN_CTX_free(ctx);
    return good;
}

// The contents of an mpint.
static enum err number_out(struct span *blob, const BIGNUM *n) {
    size_t len = (size_t)BN_num_bytes(n), sign = BN_num_bits(n) % 8 == 0 ? 1 : 0;
    if (sign + len > blob->n)
        return ERR_LIMIT;
    blob->p[0] = 0;
    BN_bn2bin(n, blob->p + sign);
    blob->n = sign + len;
    return OK;
}

// A positive number in its shortest form (RFC 4251 s.5), 2 … p - 2.
static BIGNUM *number_in(struct view blob, const BIGNUM *p) {
    bool shortest = (blob.p[0] & 0x80) == 0 &&
                    (blob.p[0] != 0 || (blob.n > 1 && (blob.p[1] & 0x80) != 0));
    BIGNUM *n = shortest ? BN_bin2bn(blob.p, (int)blob.n, NULL) : NULL;
    BIGNUM *top = BN_dup(p);
    bool good = n != NULL && top != NULL && BN_sub_word(top, 1) == 1 &&
                BN_cmp(n, BN_value_one()) > 0 && BN_cmp(n, top) < 0;
    BN_free(top);
    if (good)
        return n;
    BN_free(n);
    return NULL;
}

static BIGNUM *prime_of(const struct kex_alg *alg, const struct kex_group *group) {
    return group != NULL ? BN_bin2bn(group->p, (int)group->p_len, NULL)
                         : alg->ops->prime(NULL);
}

static BIGNUM *generator_of(const struct kex_group *group) {
    static const uint8_t two = 2;
    return group != NULL ? BN_bin2bn(group->g, (int)group->g_len, NULL)
                         : BN_bin2bn(&two, 1, NULL);
}

// g^x as what is sent.
static enum err public_out(const struct kex_group *group, const BIGNUM *x,
                           const BIGNUM *p, struct span *blob) {
    BIGNUM *g = generator_of(group), *e = BN_new();
    enum err result =
        g != NULL && e != NULL && power(e, g, x, p) ? number_out(blob, e) : ERR_CRYPTO;
    BN_free(g);
    BN_free(e);
    return result;
}

// The peer's number to the power of x, as it is hashed.
static enum err shared_out(struct view peer, const BIGNUM *x, const BIGNUM *p,
                           struct span *secret) {
    uint8_t bytes[KEX_GROUP_MAX];
    BIGNUM *number = number_in(peer, p), *k = BN_secure_new();
    int n = BN_num_bytes(p);
    enum err e = ERR_KEX;
    if (number != NULL && k != NULL && n <= (int)sizeof bytes && power(k, number, x, p) &&
        BN_bn2binpad(k, bytes, n) == n)
        e = kex_secret_mpint(secret, bytes, (size_t)n);
    secret_wipe(bytes, sizeof bytes);
    BN_free(number);
    BN_clear_free(k);
    return e;
}

static enum err dh_start(struct kex_offer *o, const struct kex_group *group,
                         struct span *blob) {
    o->p = prime_of(o->alg, group);
    o->x = exponent_new();
    if (o->p == NULL || o->x == NULL)
        return ERR_MEMORY;
    return public_out(group, o->x, o->p, blob);
}

static enum err dh_finish(struct kex_offer *o, struct view server_blob,
                          struct span *secret) {
    return shared_out(server_blob, o->x, o->p, secret);
}

static enum err dh_answer(const struct kex_alg *alg, const struct kex_group *group,
                          struct view client_blob, struct span *blob,
                          struct span *secret) {
    BIGNUM *p = prime_of(alg, group), *x = exponent_new();
    enum err e = p != NULL && x != NULL ? OK : ERR_MEMORY;
    if (e == OK)
        e = shared_out(client_blob, x, p, secret);
    if (e == OK)
        e = public_out(group, x, p, blob);
    BN_free(p);
    BN_clear_free(x);
    return e;
}

#define OPS(function)                                                                    \
    {                                                                                    \
        .start = dh_start, .finish = dh_finish, .answer = dh_answer, .field = true,      \
        .prime = (function)                                                              \
    }

const struct kex_ops kex_group1_ops = OPS(BN_get_rfc2409_prime_1024);
const struct kex_ops kex_group14_ops = OPS(BN_get_rfc3526_prime_2048);
const struct kex_ops kex_group16_ops = OPS(BN_get_rfc3526_prime_4096);
const struct kex_ops kex_group18_ops = OPS(BN_get_rfc3526_prime_8192);
const struct kex_ops kex_group_exchange_ops = OPS(NULL);
