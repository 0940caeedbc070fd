// Key agreement methods with one blob each way (RFC 5656, RFC 8731,
// draft-ietf-sshm-mlkem-hybrid): const objects; the transport does the messages.
#pragma once

#include "base/secret.h"
#include "crypto/digest.h"

#define KEX_BLOB_MAX 1216   // ML-KEM-768 public key and X25519 point
#define KEX_SECRET_MAX 160  // K as it is hashed, type prefix included

struct kex_alg {
    const char *name;
    const struct digest_alg *hash;
    size_t client_blob_len, server_blob_len;  // exact; another length is refused
    bool post_quantum;
    const struct kex_ops *ops;
};

// An ephemeral key of the client's between its message and the reply.
struct kex_offer;

// Makes Q_C into blob (client_blob_len bytes).
must_check enum err kex_offer_new(struct kex_offer **out, const struct kex_alg *alg,
                                  uint8_t *blob);
// The shared secret from Q_S. `secret` gets K exactly as it enters the exchange hash and
// key derivation: mpint for the plain methods, string for hybrids; secret->n bytes used.
// Contributory check, point validity and lengths included.
must_check enum err kex_offer_finish(struct kex_offer *o, struct view server_blob,
                                     struct span *secret);
void kex_offer_free(struct kex_offer *o);  // wipes; also of NULL

// The server's side in one step: Q_S and K from Q_C.
must_check enum err kex_answer(const struct kex_alg *alg, struct view client_blob,
                               uint8_t *blob, struct span *secret);

// RFC 4253 s.7.2: HASH(K || H || letter || session_id), extended to n bytes.
must_check enum err kex_derive(const struct digest_alg *hash, struct view secret,
                               struct view h, char letter, struct view session_id,
                               uint8_t *out, size_t n);
