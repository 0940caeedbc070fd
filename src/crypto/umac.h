// UMAC (RFC 4418) with AES-128, for tags of 8 and 16 bytes: the MAC of umac-64 and
// umac-128. For this folder.
#pragma once

#include <openssl/evp.h>

#include "base/bytes.h"
#include "base/err.h"

#define UMAC_KEY 16
#define UMAC_NONCE 8
#define UMAC_TAG_MAX 16
// UHASH's second layer changes its modulus at 2^24 bytes of message (s.5.4); packets are
// far from it, and longer messages are refused.
#define UMAC_MESSAGE_MAX (1u << 24)

struct umac;

// tag_len: 8 or 16.
must_check enum err umac_new(struct umac **out, const uint8_t key[UMAC_KEY],
                             size_t tag_len);
void umac_free(struct umac *u);  // wipes; also of NULL

// The tag of n bytes at p (tag_len of it). A nonce is used once with a key.
must_check enum err umac_tag(struct umac *u, const uint8_t nonce[UMAC_NONCE],
                             const uint8_t *p, size_t n, uint8_t *tag);
