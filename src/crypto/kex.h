// Key agreement methods with one blob each way (RFC 4253 s.8, RFC 4419, RFC 5656, RFC
// 8268, RFC 8731, draft-ietf-sshm-mlkem-hybrid, draft-ietf-sshm-ntruprime-ssh): const
// objects; the transport does the messages.
#pragma once

#include "base/secret.h"
#include "crypto/digest.h"

#define KEX_BLOB_MAX 1249         // ML-KEM-768 public key and P-256 point
#define KEX_SECRET_MAX 1029       // K as it is hashed, type prefix included: 8192 bits
#define KEX_GROUP_MAX 1024        // bytes of a modulus
#define KEX_GROUP_BITS_MIN 2048u  // of groups the peers agree on (RFC 8270)
#define KEX_GROUP_BITS_MAX 8192u

struct kex_alg {
    const char *name;
    const struct digest_alg *hash;
    // Exact, and another length is refused; for finite fields the most there can be.
    size_t client_blob_len, server_blob_len;
    bool post_quantum;
    bool group_exchange;  // RFC 4419: the server picks a group first
    const struct kex_ops *ops;
};

// May a blob have n bytes? len: the method's client_blob_len or server_blob_len. Numbers
// of a finite field are of any length up to it, the others exactly of it.
bool kex_blob_fits(const struct kex_alg *alg, size_t n, size_t len);

// A group of integers modulo p; both numbers without leading zeros.
struct kex_group {
    uint8_t p[KEX_GROUP_MAX], g[KEX_GROUP_MAX];
    size_t p_len, g_len;
};

// Picks a group of at least min and at most max bits, if possible not below n, out of the
// lines of a moduli file (moduli(5)), or where that has none one of RFC 3526's. ERR_KEX
// where bounds contradict each other, or leave nothing between 2048 and 8192.
must_check enum err kex_group_choose(struct kex_group *out, struct view moduli,
                                     uint32_t min, uint32_t n, uint32_t max);
// Takes a group from the peer: ERR_KEX unless 2048 to 8192 bits, p odd, 1 < g < p - 1.
must_check enum err kex_group_set(struct kex_group *out, struct view p, struct view g);
uint32_t kex_group_bits(const struct kex_group *group);

// An ephemeral key of the client's between its message and the reply.
struct kex_offer;

// Makes Q_C into *blob, which has room for client_blob_len bytes; its n becomes what was
// used. Finite fields: the contents of an mpint. group: for methods with group exchange,
// else NULL.
must_check enum err kex_offer_new(struct kex_offer **out, const struct kex_alg *alg,
                                  const struct kex_group *group, struct span *blob);
// The shared secret from Q_S. `secret` gets K exactly as it enters the exchange hash and
// key derivation: mpint for the plain methods, string for hybrids; secret->n bytes used.
// Contributory check, point validity and lengths included.
must_check enum err kex_offer_finish(struct kex_offer *o, struct view server_blob,
                                     struct span *secret);
void kex_offer_free(struct kex_offer *o);  // wipes; also of NULL

// The server's side in one step: Q_S and K from Q_C.
must_check enum err kex_answer(const struct kex_alg *alg, const struct kex_group *group,
                               struct view client_blob, struct span *blob,
                               struct span *secret);

// RFC 4253 s.7.2: HASH(K || H || label || session_id), extended to n bytes. label: one of
// its letters, or a name of one's own.
must_check enum err kex_derive(const struct digest_alg *hash, struct view secret,
                               struct view h, struct view label, struct view session_id,
                               uint8_t *out, size_t n);
