// ecdh-sha2-nistp256, -nistp384, -nistp521 (RFC 5656 s.4).
//
// Points are uncompressed (SEC1 2.3.3: 0x04, X, Y). libcrypto checks that a decoded point
// lies on the curve; the cofactor is 1, so that every such point but infinity, which has
// another encoding, is a valid public key.
#include <openssl/core_names.h>

#include "crypto/kex_ops.h"

#define FIELD_MAX 66

static enum err nist_new(const struct kex_ops *ops, EVP_PKEY **key, uint8_t *point) {
    *key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", ops->group);
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

static enum err nist_secret(const struct kex_ops *ops, EVP_PKEY *key,
                            const uint8_t *point, struct span *secret) {
    uint8_t x[FIELD_MAX];
    size_t len = ops->point_len / 2;
    EVP_PKEY *peer = nist_peer(ops, key, point);
    enum err e = peer != NULL && nist_derive(key, peer, x, len) ? OK : ERR_KEX;
    if (e == OK)
        e = kex_secret_mpint(secret, x, len);
    EVP_PKEY_free(peer);
    secret_wipe(x, sizeof x);
    return e;
}

static enum err nist_start(struct kex_offer *o, uint8_t *blob) {
    return nist_new(o->alg->ops, &o->key, blob);
}

static enum err nist_finish(struct kex_offer *o, const uint8_t *server_blob,
                            struct span *secret) {
    return nist_secret(o->alg->ops, o->key, server_blob, secret);
}

static enum err nist_answer(const struct kex_ops *ops, const uint8_t *client_blob,
                            uint8_t *blob, struct span *secret) {
    EVP_PKEY *key = NULL;
    enum err e = nist_new(ops, &key, blob);
    if (e == OK)
        e = nist_secret(ops, key, client_blob, secret);
    EVP_PKEY_free(key);
    return e;
}

const struct kex_ops kex_nistp256_ops = {nist_start, nist_finish, nist_answer, "P-256",
                                         65};
const struct kex_ops kex_nistp384_ops = {nist_start, nist_finish, nist_answer, "P-384",
                                         97};
const struct kex_ops kex_nistp521_ops = {nist_start, nist_finish, nist_answer, "P-521",
                                         133};
