// ecdh-sha2-nistp256, -nistp384, -nistp521 (RFC 5656 s.4).
//
// Points are uncompressed (SEC1 2.3.3: 0x04, X, Y). libcrypto checks that a decoded point
// lies on the curve; the cofactor is 1, so that every such point but infinity, which has
// another encoding, is a valid public key.
#include <openssl/core_names.h>

#include "crypto/kex_ops.h"

#define FIELD_MAX 66

static enum err nist_new(const struct kex_ops *ops, EVP_PKEY **key, uint8_t *point) {
    *key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", ops->curve_name);
    size_t n = 0;
    if (*key == NULL ||
        EVP_PKEY_get_octet_string_param(*key, OSSL_PKEY_PARAM_PUB_KEY, point,
                                        ops->point_len, &n) != 1 ||
        n != ops->point_len)
        return ERR_CRYPTO;
    return OK;
}

static EVP_PKEY *nist_peer(const struct kex_ops *ops, EVP_PKEY *key,
                           const uint8_t *point) {
    EVP_PKEY *peer = EVP_PKEY_new();
    if (peer == NULL || point[0] != 0x04 || EVP_PKEY_copy_parameters(peer, key) != 1 ||
        EVP_PKEY_set1_encoded_public_key(peer, point, ops->point_len) != 1) {
        EVP_PKEY_free(peer);
        return NULL;
    }
    return peer;
}

static bool nist_derive(EVP_PKEY *key, EVP_PKEY *peer, uint8_t *x, size_t len) {
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
    size_t n = len;
    bool good = ctx != NULL && EVP_PKEY_derive_init(ctx) == 1 &&
                EVP_PKEY_derive_set_peer_ex(ctx, peer, 0) == 1 &&
                EVP_PKEY_derive(ctx, x, &n) == 1 && n == len;
    EVP_PKEY_CTX_free(ctx);
    return good;
}

// The point's X, as long as the field.
static enum err nist_shared(const struct kex_ops *ops, EVP_PKEY *key,
                            const uint8_t *point, uint8_t *x) {
    EVP_PKEY *peer = nist_peer(ops, key, point);
    bool good = peer != NULL && nist_derive(key, peer, x, ops->point_len / 2);
    EVP_PKEY_free(peer);
    return good ? OK : ERR_KEX;
}

static enum err nist_secret(const struct kex_ops *ops, EVP_PKEY *key,
                            const uint8_t *point, struct span *secret) {
    uint8_t x[FIELD_MAX];
    enum err e = nist_shared(ops, key, point, x);
    if (e == OK)
        e = kex_secret_mpint(secret, x, ops->point_len / 2);
    secret_wipe(x, sizeof x);
    return e;
}

static enum err nist_start(struct kex_offer *o, const struct kex_group *group,
                           struct span *blob) {
    (void)group;
    return nist_new(o->alg->ops, &o->key, blob->p);
}

static enum err nist_finish(struct kex_offer *o, struct view server_blob,
                            struct span *secret) {
    return nist_secret(o->alg->ops, o->key, server_blob.p, secret);
}

static enum err nist_answer(const struct kex_alg *alg, const struct kex_group *group,
                            struct view client_blob, struct span *blob,
                            struct span *secret) {
    (void)group;
    EVP_PKEY *key = NULL;
    enum err e = nist_new(alg->ops, &key, blob->p);
    if (e == OK)
        e = nist_secret(alg->ops, key, client_blob.p, secret);
    EVP_PKEY_free(key);
    return e;
}

static enum err p256_new(EVP_PKEY **key, uint8_t *point) {
    return nist_new(&kex_nistp256_ops, key, point);
}

static enum err p256_shared(EVP_PKEY *key, const uint8_t *peer, uint8_t *shared) {
    return nist_shared(&kex_nistp256_ops, key, peer, shared);
}

const struct curve curve_p256 = {P256_LEN, p256_new, p256_shared};

#define OPS(name, len)                                                                   \
    {                                                                                    \
        .start = nist_start, .finish = nist_finish, .answer = nist_answer,               \
        .curve_name = name, .point_len = len                                             \
    }

const struct kex_ops kex_nistp256_ops = OPS("P-256", P256_LEN);
const struct kex_ops kex_nistp384_ops = OPS("P-384", 97);
const struct kex_ops kex_nistp521_ops = OPS("P-521", 133);
