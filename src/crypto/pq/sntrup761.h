// sntrup761: Streamlined NTRU Prime (round 3 of NIST's competition). Constant time: no
// branch, index or division depends on a secret.
#pragma once

#include "base/err.h"

#define SNTRUP761_PUBLIC 1158
#define SNTRUP761_SECRET 1763
#define SNTRUP761_CIPHERTEXT 1039
#define SNTRUP761_SHARED 32
#define SNTRUP761_DRAW 3044  // four random bytes for each coefficient
#define SNTRUP761_RHO 191

// g, f and rho as random bytes, secret. ERR_KEX where g has no inverse modulo 3, which
// is rare: draw again.
must_check enum err sntrup761_keygen(uint8_t pk[SNTRUP761_PUBLIC],
                                     uint8_t sk[SNTRUP761_SECRET],
                                     const uint8_t g[SNTRUP761_DRAW],
                                     const uint8_t f[SNTRUP761_DRAW],
                                     const uint8_t rho[SNTRUP761_RHO]);

// r: random bytes, secret. Every pk is one: coefficients are taken modulo q.
must_check enum err sntrup761_encaps(uint8_t c[SNTRUP761_CIPHERTEXT],
                                     uint8_t shared[SNTRUP761_SHARED],
                                     const uint8_t pk[SNTRUP761_PUBLIC],
                                     const uint8_t r[SNTRUP761_DRAW]);

// With a key of sntrup761_keygen(). A wrong ciphertext is no error: it gives a secret
// nobody else has (implicit rejection).
must_check enum err sntrup761_decaps(uint8_t shared[SNTRUP761_SHARED],
                                     const uint8_t sk[SNTRUP761_SECRET],
                                     const uint8_t c[SNTRUP761_CIPHERTEXT]);
