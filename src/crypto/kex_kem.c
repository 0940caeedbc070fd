// The key encapsulations of hybrids: ML-KEM-768, libcrypto's where it has one (3.5) and
// ours where not, and sntrup761.
#include "crypto/kex_ops.h"
#include "crypto/random.h"

static enum err mlkem_offer_libcrypto(struct kex_offer *o, uint8_t *ek) {
    size_t n = MLKEM768_PUBLIC;
    o->kem_key = fetched_ml_kem_key();
    return o->kem_key != NULL && EVP_PKEY_get_raw_public_key(o->kem_key, ek, &n) == 1 &&
                   n == MLKEM768_PUBLIC
               ? OK
               : ERR_CRYPTO;
}

static enum err mlkem_offer(struct kex_offer *o, uint8_t *ek) {
    if (fetched()->ml_kem)
        return mlkem_offer_libcrypto(o, ek);
    uint8_t seeds[2 * MLKEM768_SEED];
    random_bytes(seeds, sizeof seeds);
    enum err e = mlkem768_keygen(ek, o->kem_secret, seeds, seeds + MLKEM768_SEED);
    secret_wipe(seeds, sizeof seeds);
    return e;
}

static enum err mlkem_finish(struct kex_offer *o, const uint8_t *c, uint8_t *shared) {
    if (o->kem_key == NULL)
        return mlkem768_decaps(shared, o->kem_secret, c);
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, o->kem_key, NULL);
    size_t n = MLKEM768_SHARED;
    bool good = ctx != NULL && EVP_PKEY_decapsulate_init(ctx, NULL) == 1 &&
                EVP_PKEY_decapsulate(ctx, shared, &n, c, MLKEM768_CIPHERTEXT) == 1 &&
                n == MLKEM768_SHARED;
    EVP_PKEY_CTX_free(ctx);
    return good ? OK : ERR_KEX;
}

// libcrypto checks the key's modulus (FIPS 203 s.7.2) when it takes it in.
static enum err mlkem_answer_libcrypto(const uint8_t *ek, uint8_t *c, uint8_t *shared) {
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

static enum err mlkem_answer(const uint8_t *ek, uint8_t *c, uint8_t *shared) {
    if (fetched()->ml_kem)
        return mlkem_answer_libcrypto(ek, c, shared);
    uint8_t m[MLKEM768_SEED];
    random_bytes(m, sizeof m);
    enum err e = mlkem768_encaps(c, shared, ek, m);
    secret_wipe(m, sizeof m);
    return e;
}

const struct kem kem_mlkem768 = {MLKEM768_PUBLIC, MLKEM768_CIPHERTEXT, mlkem_offer,
                                 mlkem_finish, mlkem_answer};

static enum err sntrup_offer(struct kex_offer *o, uint8_t *pk) {
    uint8_t random[2 * SNTRUP761_DRAW + SNTRUP761_RHO];
    enum err e = ERR_KEX;
    for (int tries = 0; e == ERR_KEX && tries < 100; tries++) {
        random_bytes(random, sizeof random);
        e = sntrup761_keygen(pk, o->kem_secret, random, random + SNTRUP761_DRAW,
                             random + 2 * SNTRUP761_DRAW);
    }
    secret_wipe(random, sizeof random);
    return e;
}

static enum err sntrup_finish(struct kex_offer *o, const uint8_t *c, uint8_t *shared) {
    return sntrup761_decaps(shared, o->kem_secret, c);
}

static enum err sntrup_answer(const uint8_t *pk, uint8_t *c, uint8_t *shared) {
    uint8_t random[SNTRUP761_DRAW];
    random_bytes(random, sizeof random);
    enum err e = sntrup761_encaps(c, shared, pk, random);
    secret_wipe(random, sizeof random);
    return e;
}

const struct kem kem_sntrup761 = {SNTRUP761_PUBLIC, SNTRUP761_CIPHERTEXT, sntrup_offer,
                                  sntrup_finish, sntrup_answer};
