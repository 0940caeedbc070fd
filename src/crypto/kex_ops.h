// Inside of key agreement, for the files that implement one family of methods each.
#pragma once

#include <openssl/bn.h>

#include "crypto/fetched.h"
#include "crypto/kex.h"
#include "crypto/pq/mlkem768.h"
#include "crypto/pq/sntrup761.h"

struct kex_offer {
    const struct kex_alg *alg;
    EVP_PKEY *key;                        // of the curve
    uint8_t kem_secret[MLKEM768_SECRET];  // ML-KEM's, our own, or sntrup761's
    EVP_PKEY *kem_key;                    // libcrypto's ML-KEM
    BIGNUM *p, *x;                        // of the finite field
};

#define KEM_SHARED 32
#define CURVE_SHARED 32
#define X25519_LEN 32
#define P256_LEN 65

// The halves of a hybrid.
struct kem {
    size_t public_len, ciphertext_len;
    enum err (*offer)(struct kex_offer *o, uint8_t *public);
    enum err (*finish)(struct kex_offer *o, const uint8_t *c, uint8_t *shared);
    enum err (*answer)(const uint8_t *public, uint8_t *c, uint8_t *shared);
};

struct curve {
    size_t point_len;
    enum err (*make)(EVP_PKEY **key, uint8_t *point);
    enum err (*shared)(EVP_PKEY *key, const uint8_t *peer, uint8_t *shared);
};

extern const struct kem kem_mlkem768, kem_sntrup761;
extern const struct curve curve_x25519, curve_p256;

// Lengths of blobs were checked where the method has exact ones, and blob->n is set to
// them.
struct kex_ops {
    // Key and blob of a fresh offer.
    enum err (*start)(struct kex_offer *o, const struct kex_group *group,
                      struct span *blob);
    // The shared secret as it is hashed.
    enum err (*finish)(struct kex_offer *o, struct view server_blob, struct span *secret);
    enum err (*answer)(const struct kex_alg *alg, const struct kex_group *group,
                       struct view client_blob, struct span *blob, struct span *secret);
    // NIST: libcrypto's name of the curve, and the length of its points.
    const char *curve_name;
    size_t point_len;
    const struct kem *kem;  // hybrids
    const struct curve *curve;
    bool field;                  // finite field: blobs are numbers of any length
    BIGNUM *(*prime)(BIGNUM *);  // of a fixed group with generator 2
};

extern const struct kex_ops kex_curve25519_ops, kex_nistp256_ops, kex_nistp384_ops,
    kex_nistp521_ops, kex_mlkem768x25519_ops, kex_mlkem768nistp256_ops,
    kex_sntrup761x25519_ops, kex_group1_ops, kex_group14_ops, kex_group16_ops,
    kex_group18_ops, kex_group_exchange_ops;

// X25519 (RFC 7748) alone. The key is fresh; `point` gets its public half.
must_check enum err x25519_new(EVP_PKEY **key, uint8_t point[X25519_LEN]);
// ERR_KEX where the peer's point contributes nothing (RFC 7748 s.6.1, RFC 8731 s.3).
must_check enum err x25519_shared(EVP_PKEY *key, const uint8_t peer[X25519_LEN],
                                  uint8_t shared[X25519_LEN]);

// Puts K into *secret as mpint or as string (RFC 4251 s.5).
must_check enum err kex_secret_mpint(struct span *secret, const uint8_t *p, size_t n);
must_check enum err kex_secret_string(struct span *secret, const uint8_t *p, size_t n);
