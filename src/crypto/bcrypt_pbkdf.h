// bcrypt_pbkdf: the key derivation of openssh-key-v1 files (PBKDF2's shape around a
// bcrypt hash of 64 rounds; after the description of Provos, Mazières and Unangst).
#pragma once

#include "base/bytes.h"
#include "base/err.h"

#define BCRYPT_PBKDF_KEY_MAX 1024  // bytes of output

// Derives n bytes. The time grows with `rounds` (bounded by the caller: LIMIT_KDF_ROUNDS)
// and with n / 32 rounded up. ERR_LIMIT for rounds 0, n of 0 or too large, empty pass or
// salt.
must_check enum err bcrypt_pbkdf(struct view pass, struct view salt, uint32_t rounds,
                                 uint8_t *out, size_t n);
