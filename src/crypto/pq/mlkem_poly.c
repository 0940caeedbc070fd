#include "crypto/pq/mlkem_poly.h"

#define Q MLKEM_Q
#define Q_INVERSE (-3327)  // modulo 2^16
#define MONT_SQUARED 1353  // 2^32 mod q
#define MONT_SQUARED_BY_128 1441

// 17^bitreverse7(i) * 2^16 mod q (s.4.3, appendix A).
static const int16_t zetas[128] = {
    -1044, -758,  -359,  -1517, 1493,  1422,  287,   202,   -171,  622,   1577,  182,
    962,   -1202, -1474, 1468,  573,   -1325, 264,   383,   -829,  1458,  -1602, -130,
    -681,  1017,  732,   608,   -1542, 411,   -205,  -1571, 1223,  652,   -552,  1015,
    -1293, 1491,  -282,  -1544, 516,   -8,    -320,  -666,  -1618, -1162, 126,   1469,
    -853,  -90,   -271,  830,   107,   -1421, -247,  -951,  -398,  961,   -1508, -725,
    448,   -1065, 677,   -1275, -1103, 430,   555,   843,   -1251, 871,   1550,  105,
    422,   587,   177,   -235,  -291,  -460,  1574,  1653,  -246,  778,   1159,  -147,
    -777,  1483,  -602,  1119,  -1590, 644,   -872,  349,   418,   329,   -156,  -75,
    817,   1097,  603,   610,   1322,  -1285, -1465, 384,   -1215, -136,  1218,  -1335,
    -874,  220,   -1187, -1659, -1185, -1530, -1278, 794,   -1510, -854,  -870,  478,
    -108,  -308,  996,   991,   958,   -1460, 1522,  1628,
};

// a * 2^-16 mod q, in (-q, q), of |a| < q * 2^15.
static inline int16_t montgomery(int32_t a) {
    int16_t t = (int16_t)((int16_t)a * Q_INVERSE);
    return (int16_t)((a - (int32_t)t * Q) >> 16);
}

static inline int16_t multiply(int16_t a, int16_t b) {
    return montgomery((int32_t)a * b);
}

// To |a| <= q/2. 20159 is 2^26 / q, rounded.
static inline int16_t barrett(int16_t a) {
    int16_t t = (int16_t)((20159 * (int32_t)a + (1 << 25)) >> 26);
    return (int16_t)(a - t * Q);
}

// One layer of butterflies; returns the next layer's zetas. Each layer adds at most q to
// a number, seven of them stay below 2^15.
static inline const int16_t *ntt_layer(int16_t *c, size_t len, const int16_t *zeta) {
    for (size_t start = 0; start < MLKEM_N; start += 2 * len) {
        int16_t z = *zeta++;
        for (size_t j = start; j < start + len; j++) {
            int16_t t = multiply(z, c[j + len]);
            c[j + len] = (int16_t)(c[j] - t);
            c[j] = (int16_t)(c[j] + t);
        }
    }
    return zeta;
}

void poly_ntt(struct poly *p) {
    const int16_t *zeta = zetas + 1;
    for (size_t len = 128; len >= 2; len /= 2)
        zeta = ntt_layer(p->c, len, zeta);
    for (size_t i = 0; i < MLKEM_N; i++)
        p->c[i] = barrett(p->c[i]);
}

static inline const int16_t *ntt_back_layer(int16_t *c, size_t len, const int16_t *zeta) {
    for (size_t start = 0; start < MLKEM_N; start += 2 * len) {
        int16_t z = *zeta--;
        for (size_t j = start; j < start + len; j++) {
            int16_t t = c[j];
            c[j] = barrett((int16_t)(t + c[j + len]));
            c[j + len] = multiply(z, (int16_t)(c[j + len] - t));
        }
    }
    return zeta;
}

void poly_ntt_back(struct poly *p) {
    const int16_t *zeta = zetas + 127;
    for (size_t len = 2; len <= 128; len *= 2)
        zeta = ntt_back_layer(p->c, len, zeta);
    for (size_t i = 0; i < MLKEM_N; i++)
        p->c[i] = multiply(p->c[i], MONT_SQUARED_BY_128);
}

// Products of pairs modulo X^2 - gamma, where gamma is zetas[64 + i/4] with alternating
// sign (s.4.3.1). Sums of three are below 2^15 * q, so that one reduction is enough for
// all.
void poly_dot(struct poly *out, const struct poly a[MLKEM_K],
              const struct poly b[MLKEM_K]) {
    for (size_t i = 0; i < MLKEM_N; i += 2) {
        int16_t gamma = zetas[64 + i / 4];
        if (i % 4 != 0)
            gamma = (int16_t)-gamma;
        int32_t even = 0, odd = 0;
        for (size_t k = 0; k < MLKEM_K; k++) {
            int16_t a0 = a[k].c[i], a1 = a[k].c[i + 1];
            int16_t b0 = b[k].c[i], b1 = b[k].c[i + 1];
            even += (int32_t)a0 * b0 + (int32_t)a1 * multiply(b1, gamma);
            odd += (int32_t)a0 * b1 + (int32_t)a1 * b0;
        }
        out->c[i] = montgomery(even);
        out->c[i + 1] = montgomery(odd);
    }
}

void poly_times_r(struct poly *p) {
    for (size_t i = 0; i < MLKEM_N; i++)
        p->c[i] = multiply(p->c[i], MONT_SQUARED);
}

void poly_add(struct poly *a, const struct poly *b) {
    for (size_t i = 0; i < MLKEM_N; i++)
        a->c[i] = (int16_t)(a->c[i] + b->c[i]);
}

void poly_sub(struct poly *a, const struct poly *b) {
    for (size_t i = 0; i < MLKEM_N; i++)
        a->c[i] = (int16_t)(a->c[i] - b->c[i]);
}

void poly_reduce(struct poly *p) {
    for (size_t i = 0; i < MLKEM_N; i++) {
        int16_t t = barrett(p->c[i]);
        p->c[i] = (int16_t)(t + (t >> 15 & Q));
    }
}

void poly_encode12(uint8_t out[384], const struct poly *p) {
    for (size_t i = 0; i < MLKEM_N / 2; i++) {
        unsigned a = (unsigned)p->c[2 * i], b = (unsigned)p->c[2 * i + 1];
        out[3 * i] = (uint8_t)a;
        out[3 * i + 1] = (uint8_t)(a >> 8 | b << 4);
        out[3 * i + 2] = (uint8_t)(b >> 4);
    }
}

void poly_decode12(struct poly *p, const uint8_t in[384]) {
    for (size_t i = 0; i < MLKEM_N / 2; i++) {
        unsigned a = in[3 * i], b = in[3 * i + 1], c = in[3 * i + 2];
        p->c[2 * i] = (int16_t)((a | b << 8) & 0xfff);
        p->c[2 * i + 1] = (int16_t)(b >> 4 | c << 4);
    }
}

// round(2^d / q * x) mod 2^d by a product with 2^s / q: a division could take its time
// from x. The factors are exact for every x below q.
static inline unsigned compress10(int16_t x) {
    return (unsigned)((((uint64_t)(uint16_t)x << 10) + (Q + 1) / 2) * 1290167 >> 32) &
           0x3ff;
}

static inline unsigned compress4(int16_t x) {
    return ((((uint32_t)(uint16_t)x << 4) + (Q + 1) / 2) * 80635 >> 28) & 0xf;
}

static inline unsigned compress1(int16_t x) {
    return ((((uint32_t)(uint16_t)x << 1) + (Q + 1) / 2) * 80635 >> 28) & 1;
}

void poly_compress10(uint8_t out[320], const struct poly *p) {
    for (size_t i = 0; i < MLKEM_N / 4; i++, out += 5) {
        unsigned t[4];
        for (size_t j = 0; j < 4; j++)
            t[j] = compress10(p->c[4 * i + j]);
        out[0] = (uint8_t)t[0];
        out[1] = (uint8_t)(t[0] >> 8 | t[1] << 2);
        out[2] = (uint8_t)(t[1] >> 6 | t[2] << 4);
        out[3] = (uint8_t)(t[2] >> 4 | t[3] << 6);
        out[4] = (uint8_t)(t[3] >> 2);
    }
}

void poly_decompress10(struct poly *p, const uint8_t in[320]) {
    for (size_t i = 0; i < MLKEM_N / 4; i++, in += 5) {
        unsigned t[4] = {in[0] | (unsigned)in[1] << 8, in[1] >> 2 | (unsigned)in[2] << 6,
                         in[2] >> 4 | (unsigned)in[3] << 4,
                         in[3] >> 6 | (unsigned)in[4] << 2};
        for (size_t j = 0; j < 4; j++)
            p->c[4 * i + j] = (int16_t)(((t[j] & 0x3ff) * Q + 512) >> 10);
    }
}

void poly_compress4(uint8_t out[128], const struct poly *p) {
    for (size_t i = 0; i < MLKEM_N / 2; i++)
        out[i] = (uint8_t)(compress4(p->c[2 * i]) | compress4(p->c[2 * i + 1]) << 4);
}

void poly_decompress4(struct poly *p, const uint8_t in[128]) {
    for (size_t i = 0; i < MLKEM_N / 2; i++) {
        p->c[2 * i] = (int16_t)(((in[i] & 15u) * Q + 8) >> 4);
        p->c[2 * i + 1] = (int16_t)(((unsigned)(in[i] >> 4) * Q + 8) >> 4);
    }
}

void poly_compress1(uint8_t out[32], const struct poly *p) {
    for (size_t i = 0; i < MLKEM_N / 8; i++) {
        unsigned byte = 0;
        for (size_t j = 0; j < 8; j++)
            byte |= compress1(p->c[8 * i + j]) << j;
        out[i] = (uint8_t)byte;
    }
}

void poly_decompress1(struct poly *p, const uint8_t in[32]) {
    for (size_t i = 0; i < MLKEM_N; i++) {
        unsigned bit = in[i / 8] >> (i % 8) & 1u;
        // Hides from the compiler that it is one bit, lest it make a branch of the mask.
        __asm__("" : "+r"(bit));
        p->c[i] = (int16_t)(-bit & ((Q + 1) / 2));
    }
}

void poly_cbd2(struct poly *p, const uint8_t in[128]) {
    for (size_t i = 0; i < MLKEM_N / 8; i++) {
        uint32_t t = (uint32_t)in[4 * i] | (uint32_t)in[4 * i + 1] << 8 |
                     (uint32_t)in[4 * i + 2] << 16 | (uint32_t)in[4 * i + 3] << 24;
        uint32_t sums = (t & 0x55555555) + (t >> 1 & 0x55555555);
        for (size_t j = 0; j < 8; j++) {
            int a = (int)(sums >> (4 * j) & 3), b = (int)(sums >> (4 * j + 2) & 3);
            p->c[8 * i + j] = (int16_t)(a - b);
        }
    }
}

int poly_sample_ntt(struct poly *p, const uint8_t *in, size_t n) {
    size_t found = 0;
    for (size_t i = 0; i + 3 <= n && found < MLKEM_N; i += 3) {
        unsigned a = in[i] | (in[i + 1] & 15u) << 8,
                 b = in[i + 1] >> 4 | (unsigned)in[i + 2] << 4;
        if (a < Q)
            p->c[found++] = (int16_t)a;
        if (b < Q && found < MLKEM_N)
            p->c[found++] = (int16_t)b;
    }
    return found == MLKEM_N;
}
