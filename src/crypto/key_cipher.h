// Ciphers of private key files (openssh-key-v1): whole buffers at once, key and IV from
// the derivation. Packets have their own: crypto/packet_cipher.h.
#pragma once

#include "base/bytes.h"
#include "base/err.h"

#define KEY_CIPHER_MATERIAL_MAX 80  // key_len + iv_len of the largest

struct key_cipher {
    const char *name;               // "aes256-ctr"
    const char *fetch;              // libcrypto's name
    size_t key_len, iv_len, block;  // bytes
    size_t tag_len;                 // 0: not authenticated
};

const struct key_cipher *key_cipher_find(struct view name);  // NULL: unknown
const struct key_cipher *key_cipher_at(size_t index);        // NULL past the end

// material: key_len + iv_len bytes. n is a multiple of the block; in and out may be the
// same. The tag is written to or checked from `tag` (tag_len bytes); a wrong one is
// ERR_MAC, and then out holds nothing usable.
must_check enum err key_cipher_seal(const struct key_cipher *c, const uint8_t *material,
                                    const uint8_t *in, size_t n, uint8_t *out,
                                    uint8_t *tag);
must_check enum err key_cipher_open(const struct key_cipher *c, const uint8_t *material,
                                    const uint8_t *in, size_t n, uint8_t *out,
                                    const uint8_t *tag);
