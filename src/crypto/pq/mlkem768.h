// ML-KEM-768 (FIPS 203), for a libcrypto that has none. Constant time: no branch, index
// or division depends on a secret.
#pragma once

#include "base/err.h"

#define MLKEM768_PUBLIC 1184
#define MLKEM768_SECRET 2400
#define MLKEM768_CIPHERTEXT 1088
#define MLKEM768_SHARED 32
#define MLKEM768_SEED 32

// ML-KEM.KeyGen_internal (s.6.1). d and z: 32 random bytes each, secret.
must_check enum err mlkem768_keygen(uint8_t ek[MLKEM768_PUBLIC],
                                    uint8_t dk[MLKEM768_SECRET],
                                    const uint8_t d[MLKEM768_SEED],
                                    const uint8_t z[MLKEM768_SEED]);

// The modulus check of s.7.2 and ML-KEM.Encaps_internal (s.6.2). m: 32 random bytes,
// secret. ERR_KEX when the key is no encoding of numbers below q.
must_check enum err mlkem768_encaps(uint8_t c[MLKEM768_CIPHERTEXT],
                                    uint8_t shared[MLKEM768_SHARED],
                                    const uint8_t ek[MLKEM768_PUBLIC],
                                    const uint8_t m[MLKEM768_SEED]);

// ML-KEM.Decaps_internal (s.6.3) with a key of mlkem768_keygen(). A wrong ciphertext is
// no error: it gives a secret nobody else has (implicit rejection).
must_check enum err mlkem768_decaps(uint8_t shared[MLKEM768_SHARED],
                                    const uint8_t dk[MLKEM768_SECRET],
                                    const uint8_t c[MLKEM768_CIPHERTEXT]);
