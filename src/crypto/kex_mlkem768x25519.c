// mlkem768x25519-sha256 (draft-ietf-sshm-mlkem-hybrid-kex): ML-KEM-768 and X25519 side by
// side.
//
// C_INIT is encapsulation key || X25519 point, S_REPLY ciphertext || X25519 point; K is
// the string SHA256(ML-KEM's secret || X25519's). libcrypto's ML-KEM is used where it has
// one (3.5), ours where not.
#include "crypto/kex_ops.h"
#include "crypto/random.h"

// ---- the ML-KEM half ----

static enum err kem_offer_libcrypto(struct kex_offer *o, uint8_t *ek) {
    size_t n = MLKEM768_PUBLIC;
    o->mlkem = fetched_ml_kem_key();
    return o->mlkem != NULL && EVP_PKEY_get_raw_public_key(o->mlkem, ek, &n) == 1 &&
                   n == MLKEM768_PUBLIC
               ? OK
               : ERR_CRYPTO;
}

static enum err kem_offer(struct kex_offer *o, uint8_t *ek) {
    if (fetched()->ml_kem)
        return kem_offer_libcrypto(o, ek);
    uint8_t seeds[2 * MLKEM768_SEED];
    random_bytes(seeds, sizeof seeds);
    enum err e = mlkem768_keygen(ek, o->mlkem_secret, seeds, seeds + MLKEM768_SEED);
    secret_wipe(seeds, sizeof seeds);
    return e;
}

static enum err kem_finish(struct kex_offer *o, const uint8_t *c,
                           uint8_t shared[MLKEM768_SHARED]) {
    if (o->mlkem == NULL)
        return mlkem768_decaps(shared, o->mlkem_secret, c);
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, o->mlkem, NULL);
    size_t n = MLKEM768_SHARED;
    bool good = ctx != NULL && EVP_PKEY_decapsulate_init(ctx, NULL) == 1 &&
                EVP_PKEY_decapsulate(ctx, shared, &n, c, MLKEM768_CIPHERTEXT) == 1 &&
                n == MLKEM768_SHARED;
    EVP_PKEY_CTX_free(ctx);
    return good ? OK : ERR_KEX;
}

// libcrypto checks the key's modulus (FIPS 203 s.7.2) when it takes it in.
static enum err kem_answer_libcrypto(const uint8_t *ek, uint8_t *c, uint8_t *shared) {
    EVP_PKEY *peer =
        EVP_PKEY_new_raw_public_key_ex(NULL, "ML-KEM-768", NULL, ek, MLKEM768_PUBLIC);
    EVP_PKEY_CTX *ctx =
        peer != NULL ? EVP_PKEY_CTX_new_from_pkey(NULL, peer, NULL) : NULL;
    size_t c_len = MLKEM768_CIPHERTEXT, n = MLKEM768_SHARED;
    bool good = ctx != NULL && EVP_PKEY_encapsulate_init(ctx, NULL) == 1 &&
                EVP_PKEY_encapsulate(ctx, c, &c_len, shared, &n) == 1 &&
                c_len == MLKEM768_CIPHERTEXT && n == MLKEM768_SHARED;
    EVP_PKEY_CTX_free(ctx);
    EVP_PKEY_free(peer);
    return good ? OK : ERR_KEX;
}

static enum err kem_answer(const uint8_t *ek, uint8_t *c,
                           uint8_t shared[MLKEM768_SHARED]) {
    if (fetched()->ml_kem)
        return kem_answer_libcrypto(ek, c, shared);
    uint8_t m[MLKEM768_SEED];
    random_bytes(m, sizeof m);
    enum err e = mlkem768_encaps(c, shared, ek, m);
    secret_wipe(m, sizeof m);
    return e;
}

// ---- both halves ----

#define BOTH (MLKEM768_SHARED + X25519_LEN)

// K from both secrets; wipes them.
static enum err hybrid_secret(uint8_t both[BOTH], struct span *secret) {
    uint8_t digest[32];
    struct view part = view_of(both, BOTH);
    enum err e = digest_parts(&digest_sha256, &part, 1, digest);
    if (e == OK)
        e = kex_secret_string(secret, digest, sizeof digest);
    secret_wipe(both, BOTH);
    secret_wipe(digest, sizeof digest);
    return e;
}

static enum err hybrid_start(struct kex_offer *o, uint8_t *blob) {
    TRY(kem_offer(o, blob));
    return x25519_new(&o->key, blob + MLKEM768_PUBLIC);
}

static enum err hybrid_finish(struct kex_offer *o, const uint8_t *server_blob,
                              struct span *secret) {
    uint8_t both[BOTH];
    TRY(kem_finish(o, server_blob, both));
    enum err e =
        x25519_shared(o->key, server_blob + MLKEM768_CIPHERTEXT, both + MLKEM768_SHARED);
    if (e == OK)
        return hybrid_secret(both, secret);
    secret_wipe(both, sizeof both);
    return e;
}

static enum err hybrid_answer_curve(const uint8_t *client_point, uint8_t *point,
                                    uint8_t *shared) {
    EVP_PKEY *key = NULL;
    enum err e = x25519_new(&key, point);
    if (e == OK)
        e = x25519_shared(key, client_point, shared);
    EVP_PKEY_free(key);
    return e;
}

static enum err hybrid_answer(const struct kex_ops *ops, const uint8_t *client_blob,
                              uint8_t *blob, struct span *secret) {
    (void)ops;
    uint8_t both[BOTH];
    TRY(kem_answer(client_blob, blob, both));
    enum err e = hybrid_answer_curve(client_blob + MLKEM768_PUBLIC,
                                     blob + MLKEM768_CIPHERTEXT, both + MLKEM768_SHARED);
    if (e == OK)
        return hybrid_secret(both, secret);
    secret_wipe(both, sizeof both);
    return e;
}

const struct kex_ops kex_mlkem768x25519_ops = {
    .start = hybrid_start, .finish = hybrid_finish, .answer = hybrid_answer};
