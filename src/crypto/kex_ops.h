// Inside of key agreement, for the files that implement one family of methods each.
#pragma once

#include "crypto/fetched.h"
#include "crypto/kex.h"
#include "crypto/pq/mlkem768.h"

struct kex_offer {
    const struct kex_alg *alg;
    EVP_PKEY *key;                          // of the curve
    uint8_t mlkem_secret[MLKEM768_SECRET];  // mlkem768x25519-sha256, our own ML-KEM
    EVP_PKEY *mlkem;                        // libcrypto's
};

struct kex_ops {
    // Key and blob of a fresh offer.
    enum err (*start)(struct kex_offer *o, uint8_t *blob);
    // The shared secret as it is hashed.
    enum err (*finish)(struct kex_offer *o, const uint8_t *server_blob,
                       struct span *secret);
    enum err (*answer)(const struct kex_ops *ops, const uint8_t *client_blob,
                       uint8_t *blob, struct span *secret);
    const char
        *group;  // libcrypto's name of the curve, and the length of its points; NIST only
    size_t point_len;
};

extern const struct kex_ops kex_curve25519_ops, kex_nistp256_ops, kex_nistp384_ops,
    kex_nistp521_ops, kex_mlkem768x25519_ops;

#define X25519_LEN 32

// X25519 (RFC 7748) alone, also the second half of the hybrid. The key is fresh; `point`
// gets its public half.
must_check enum err x25519_new(EVP_PKEY **key, uint8_t point[X25519_LEN]);
// ERR_KEX where the peer's point contributes nothing (RFC 7748 s.6.1, RFC 8731 s.3).
must_check enum err x25519_shared(EVP_PKEY *key, const uint8_t peer[X25519_LEN],
                                  uint8_t shared[X25519_LEN]);

// Puts K into *secret as mpint or as string (RFC 4251 s.5).
must_check enum err kex_secret_mpint(struct span *secret, const uint8_t *p, size_t n);
must_check enum err kex_secret_string(struct span *secret, const uint8_t *p, size_t n);
