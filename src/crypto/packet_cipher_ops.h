// Inside of struct packet_cipher, for the files that implement one kind of cipher each.
//
// A packet takes no allocation, no fetch and no look-up: contexts are keyed once and get
// a new nonce for each packet. EVP_Cipher() is used on purpose: it is the cipher's own
// function without EVP_CipherUpdate()'s bookkeeping for partial blocks, which none of
// these ciphers has.
#pragma once

#include <openssl/core_names.h>

#include "base/secret.h"
#include "crypto/fetched.h"
#include "crypto/packet_cipher.h"
#include "crypto/umac.h"

#define CIPHER_BLOCK_MAX 16
#define CIPHER_TAG_MAX 64

struct packet_cipher_ops {
    // Makes the contexts; tag_len, aad and head of the object are preset and may be
    // corrected.
    enum err (*start)(struct packet_cipher *c, struct view key, struct view iv,
                      struct view mac_key);
    enum err (*seal)(struct packet_cipher *c, uint32_t sequence, const uint8_t *plain,
                     size_t n, uint8_t *out);
    enum err (*length)(struct packet_cipher *c, uint32_t sequence, const uint8_t *in,
                       uint32_t *packet_length);
    // n is 4 + packet_length
    enum err (*open)(struct packet_cipher *c, uint32_t sequence, const uint8_t *in,
                     size_t n, uint8_t *out);
};

struct packet_cipher {
    const struct packet_cipher_ops *ops;
    const struct cipher_alg *alg;  // NULL: the null cipher
    const struct mac_alg *mac_alg;
    size_t tag_len, block, aad, head;
    bool seal;
    EVP_CIPHER_CTX *body;
    EVP_CIPHER_CTX *length;   // chacha20: the key for lengths
    EVP_MAC_CTX *mac;         // keyed HMAC, or Poly1305
    struct umac *umac;        // instead of the HMAC
    OSSL_PARAM tag_param[2];  // gcm
    uint8_t iv[16];           // gcm: of the next packet; chacha20: counter and nonce
    uint8_t first[CIPHER_BLOCK_MAX];  // encrypt-and-mac: first block of the
                                      // packet, plain
};

extern const struct packet_cipher_ops cipher_null_ops, cipher_gcm_ops, cipher_chacha_ops,
    cipher_block_ops;

// A new context with key and IV (NULL: later).
must_check enum err cipher_context(EVP_CIPHER_CTX **out, enum fetched_cipher id,
                                   const uint8_t *key, const uint8_t *iv, bool encrypt);

// n bytes through the cipher; a packet's n always fits (LIMIT_PACKET).
static inline bool cipher_run(EVP_CIPHER_CTX *ctx, uint8_t *out, const uint8_t *in,
                              size_t n) {
    return n == 0 || EVP_Cipher(ctx, out, in, (unsigned)n) >= 0;
}

// The MAC of sequence number and n bytes (RFC 4253 s.6.4), mac_alg->tag_len bytes to tag.
must_check enum err cipher_mac_start(struct packet_cipher *c, struct view key);
must_check enum err cipher_mac(struct packet_cipher *c, uint32_t sequence,
                               const uint8_t *p, size_t n, uint8_t *tag);
