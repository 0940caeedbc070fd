// Safe primes p (p and (p - 1) / 2 are prime), the groups of RFC 4419: probabilistic
// tests over libcrypto's big numbers. Numbers are magnitudes, most significant byte
// first.
#pragma once

#include "base/bytes.h"
#include "base/err.h"

#define SAFE_PRIME_BYTES_MAX 2048  // of p: 16384 bits

// The number modulo a small one; m > 0.
uint32_t safe_prime_modulo(struct view number, uint32_t m);

// The generator, 2 or 5, that p has when it is a safe prime (RFC 4419 s.6.1 wants one of
// the order (p - 1) / 2 or p - 1); 0: neither.
unsigned safe_prime_generator(struct view p);

// At least `rounds` rounds of Miller and Rabin for each half; *safe is the verdict. What
// is no prime is mostly found out in the first round.
must_check enum err safe_prime_test(struct view p, unsigned rounds, bool *safe);
