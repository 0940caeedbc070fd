// Encodings of sntrup761 (NTRU Prime, round 3): small polynomials two bits a number,
// others as mixed-radix numbers.
#pragma once

#include "crypto/pq/sntrup_poly.h"

#define SNTRUP_SMALL_LEN 191
#define SNTRUP_RQ_LEN 1158
#define SNTRUP_ROUNDED_LEN 1007

void small_encode(uint8_t out[SNTRUP_SMALL_LEN], const int8_t in[SNTRUP_P]);
void small_decode(int8_t out[SNTRUP_P], const uint8_t in[SNTRUP_SMALL_LEN]);

// Constant in time.
void rq_encode(uint8_t out[SNTRUP_RQ_LEN], const int16_t in[SNTRUP_P]);
// Numbers that are multiples of 3.
void rounded_encode(uint8_t out[SNTRUP_ROUNDED_LEN], const int16_t in[SNTRUP_P]);
// They divide: for public bytes only. Any bytes decode to something in range.
void rq_decode(int16_t out[SNTRUP_P], const uint8_t in[SNTRUP_RQ_LEN]);
void rounded_decode(int16_t out[SNTRUP_P], const uint8_t in[SNTRUP_ROUNDED_LEN]);
