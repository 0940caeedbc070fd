// Polynomials of ML-KEM (FIPS 203 s.2.4.4 and s.4): 256 numbers modulo q = 3329.
//
// Numbers are 16-bit and signed, kept in a range and not always reduced; each function
// says which range it takes and gives. Products carry a factor 2^-16 (Montgomery) until
// it is taken out.
#pragma once

#include <stddef.h>
#include <stdint.h>

#define MLKEM_N 256
#define MLKEM_Q 3329
#define MLKEM_K 3  // of ML-KEM-768

struct poly {
    int16_t c[MLKEM_N];
};

// s.4.3: from [-q, q] to |c| <= q/2, in the NTT's order.
void poly_ntt(struct poly *p);
// Back, from |c| < 2q to |c| < q; multiplies by 2^16, which takes a product's 2^-16 out.
void poly_ntt_back(struct poly *p);
// out = sum of a[i] * b[i] * 2^-16 in NTT form; |a| <= q and |b| <= q/2 or the other way
// round; gives |c| < q.
void poly_dot(struct poly *out, const struct poly a[MLKEM_K],
              const struct poly b[MLKEM_K]);
// Takes 2^-16 out without a transform.
void poly_times_r(struct poly *p);
// a += b. No reduction: the sum must stay within 16 bits.
void poly_add(struct poly *a, const struct poly *b);
void poly_sub(struct poly *a, const struct poly *b);
// From any 16-bit numbers to [0, q).
void poly_reduce(struct poly *p);

// s.4.2.1, of numbers in [0, q): 384, 320, 128 and 32 bytes.
void poly_encode12(uint8_t out[384], const struct poly *p);
void poly_decode12(struct poly *p,
                   const uint8_t in[384]);  // numbers to 4095: not reduced
void poly_compress10(uint8_t out[320], const struct poly *p);
void poly_decompress10(struct poly *p, const uint8_t in[320]);
void poly_compress4(uint8_t out[128], const struct poly *p);
void poly_decompress4(struct poly *p, const uint8_t in[128]);
void poly_compress1(uint8_t out[32], const struct poly *p);
void poly_decompress1(struct poly *p, const uint8_t in[32]);

// SamplePolyCBD with eta 2 (s.4.2.2).
void poly_cbd2(struct poly *p, const uint8_t in[128]);
// SampleNTT (s.4.2.2) from n bytes: false where they hold too few numbers below q. Not
// constant in time; its input is public.
int poly_sample_ntt(struct poly *p, const uint8_t *in, size_t n);
