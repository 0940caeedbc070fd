// Arithmetic of Streamlined NTRU Prime with p = 761, q = 4591 (NTRU Prime, round 3, s.3):
// the ring of polynomials modulo x^p - x - 1, over the integers modulo q ("rq") and
// modulo 3 ("r3"). Everything in time that does not depend on what is computed.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define SNTRUP_P 761
#define SNTRUP_Q 4591
#define SNTRUP_W 286

// Numbers modulo q lie in [-2295, 2295], numbers modulo 3 and "small" ones in [-1, 1].

void rq_times_small(int16_t out[SNTRUP_P], const int16_t a[SNTRUP_P],
                    const int8_t b[SNTRUP_P]);
// 1 / (3 * in) modulo q; `in` small and not 0.
void rq_third_inverse(int16_t out[SNTRUP_P], const int8_t in[SNTRUP_P]);
// 3 * a modulo q, then modulo 3.
void rq_triple_mod3(int8_t out[SNTRUP_P], const int16_t a[SNTRUP_P]);
// To the nearest multiples of 3.
void rq_round(int16_t a[SNTRUP_P]);

void r3_times(int8_t out[SNTRUP_P], const int8_t a[SNTRUP_P], const int8_t b[SNTRUP_P]);
// 0 where `in` has no inverse modulo 3.
uint32_t r3_inverse(int8_t out[SNTRUP_P], const int8_t in[SNTRUP_P]);

void sntrup_sort(uint32_t x[SNTRUP_P]);
