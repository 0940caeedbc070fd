// curve25519-sha256 (RFC 8731) over X25519 (RFC 7748).
#include "crypto/kex_ops.h"
#include "crypto/random.h"

enum err x25519_new(EVP_PKEY **key, uint8_t point[X25519_LEN]) {
    uint8_t scalar[X25519_LEN];
    random_bytes(scalar, sizeof scalar);
    *key = EVP_PKEY_new_raw_private_key_ex(NULL, "X25519", NULL, scalar, sizeof scalar);
    secret_wipe(scalar, sizeof scalar);
    size_t n = X25519_LEN;
    if (*key == NULL || EVP_PKEY_get_raw_public_key(*key, point, &n) != 1 ||
        n != X25519_LEN)
        return ERR_CRYPTO;
    return OK;
}

static bool x25519_derive(EVP_PKEY *key, EVP_PKEY *peer, uint8_t *shared) {
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
    size_t n = X25519_LEN;
    bool good = ctx != NULL && EVP_PKEY_derive_init(ctx) == 1 &&
                EVP_PKEY_derive_set_peer_ex(ctx, peer, 0) == 1 &&
                EVP_PKEY_derive(ctx, shared, &n) == 1 && n == X25519_LEN;
    EVP_PKEY_CTX_free(ctx);
    return good;
}

enum err x25519_shared(EVP_PKEY *key, const uint8_t peer[X25519_LEN],
                       uint8_t shared[X25519_LEN]) {
    static const uint8_t zeros[X25519_LEN];
    EVP_PKEY *p = EVP_PKEY_new_raw_public_key_ex(NULL, "X25519", NULL, peer, X25519_LEN);
    bool good = p != NULL && x25519_derive(key, p, shared) &&
                !secret_equal(shared, zeros, X25519_LEN);
    EVP_PKEY_free(p);
    return good ? OK : ERR_KEX;
}

const struct curve curve_x25519 = {X25519_LEN, x25519_new, x25519_shared};

static enum err curve25519_start(struct kex_offer *o, const struct kex_group *group,
                                 struct span *blob) {
    (void)group;
    return x25519_new(&o->key, blob->p);
}

static enum err curve25519_secret(EVP_PKEY *key, const uint8_t *peer,
                                  struct span *secret) {
    uint8_t shared[X25519_LEN];
    enum err e = x25519_shared(key, peer, shared);
    if (e == OK)
        e = kex_secret_mpint(secret, shared, sizeof shared);
    secret_wipe(shared, sizeof shared);
    return e;
}

static enum err curve25519_finish(struct kex_offer *o, struct view server_blob,
                                  struct span *secret) {
    return curve25519_secret(o->key, server_blob.p, secret);
}

static enum err curve25519_answer(const struct kex_alg *alg,
                                  const struct kex_group *group, struct view client_blob,
                                  struct span *blob, struct span *secret) {
    (void)alg, (void)group;
    EVP_PKEY *key = NULL;
    enum err e = x25519_new(&key, blob->p);
    if (e == OK)
        e = curve25519_secret(key, client_blob.p, secret);
    EVP_PKEY_free(key);
    return e;
}

const struct kex_ops kex_curve25519_ops = {
    .start = curve25519_start, .finish = curve25519_finish, .answer = curve25519_answer};
