// What crypto_init() fetched from libcrypto, for the files of this folder alone.
//
// Fetching by name takes locks and allocates; a fetched object is used without either.
// The objects are made once, before any fork, and never change afterwards.
#pragma once

#include <openssl/evp.h>

#include "crypto/digest.h"

// In the order of struct digest_alg's id, the first five.
#define FETCHED_MDS(X)                                                                   \
    X(FETCHED_MD5, "MD5")                                                                \
    X(FETCHED_SHA1, "SHA1")                                                              \
    X(FETCHED_SHA256, "SHA2-256")                                                        \
    X(FETCHED_SHA384, "SHA2-384")                                                        \
    X(FETCHED_SHA512, "SHA2-512")                                                        \
    X(FETCHED_SHA3_256, "SHA3-256")                                                      \
    X(FETCHED_SHA3_512, "SHA3-512")                                                      \
    X(FETCHED_SHAKE128, "SHAKE128")                                                      \
    X(FETCHED_SHAKE256, "SHAKE256")

#define FETCHED_CIPHERS(X)                                                               \
    X(FETCHED_CHACHA20, "ChaCha20")                                                      \
    X(FETCHED_AES_128_ECB, "AES-128-ECB")                                                \
    X(FETCHED_AES_128_GCM, "AES-128-GCM")                                                \
    X(FETCHED_AES_256_GCM, "AES-256-GCM")                                                \
    X(FETCHED_AES_128_CTR, "AES-128-CTR")                                                \
    X(FETCHED_AES_192_CTR, "AES-192-CTR")                                                \
    X(FETCHED_AES_256_CTR, "AES-256-CTR")                                                \
    X(FETCHED_AES_128_CBC, "AES-128-CBC")                                                \
    X(FETCHED_AES_192_CBC, "AES-192-CBC")                                                \
    X(FETCHED_AES_256_CBC, "AES-256-CBC")                                                \
    X(FETCHED_DES_EDE3_CBC, "DES-EDE3-CBC")

#define X(id, name) id,
enum fetched_md {
    FETCHED_MDS(X) FETCHED_MD_COUNT
};
enum fetched_cipher {
    FETCHED_CIPHERS(X) FETCHED_CIPHER_COUNT
};
#undef X

// Digests that HMAC is made of: those of struct digest_alg.
#define FETCHED_HMACS (FETCHED_SHA512 + 1)

struct fetched {
    EVP_MD *md[FETCHED_MD_COUNT];
    EVP_CIPHER *cipher[FETCHED_CIPHER_COUNT];
    EVP_MAC_CTX *hmac[FETCHED_HMACS];  // digest set, no key: to be duplicated
    EVP_MAC *poly1305;
    bool ml_kem;  // libcrypto has ML-KEM-768 (OpenSSL 3.5)
    bool aes_in_hardware;
};

const struct fetched *fetched(void);

// NULL: libcrypto has none.
const EVP_CIPHER *fetched_cipher(enum fetched_cipher id);
// Digest object of a public-key signature or of an HMAC.
const EVP_MD *fetched_md(const struct digest_alg *alg);

// A fresh ML-KEM-768 key of libcrypto's, or NULL.
EVP_PKEY *fetched_ml_kem_key(void);

// Empties libcrypto's error queue and returns `e`: nothing else reads that queue.
enum err fetched_failed(enum err e);
