// Polynomials of sntrup761. Inverses are Bernstein's and Yang's division steps ("Fast
// constant-time gcd computation and modular inversion"): 2p - 1 of them, each the same
// work whatever the polynomials are.
//
// Modulo q the steps run over 16-bit lanes with Montgomery products (2^-16 a step, on
// both sides of each fraction alike, so that it cancels). Modulo 3 a polynomial is two
// planes of bits, +1 and -1, and a step is logic on words.
#include "crypto/pq/sntrup_poly.h"

#include <string.h>

#include "base/secret.h"

#define P SNTRUP_P
#define Q SNTRUP_Q
#define Q_INVERSE 15631  // 1/q modulo 2^16
#define STEPS (2 * P - 1)

static inline int16_t low16(int32_t x) {
    return (int16_t)(uint16_t)(uint32_t)x;
}

// The number in [-2295, 2295] that is x modulo q; |x| < 2^24. Two quotients by
// multiplication: 57 / 2^18 and 29235 / 2^27 are just over and under 1 / q.
static inline int16_t freeze(int32_t x) {
    x -= Q * ((57 * x) >> 18);
    x -= Q * ((29235 * x + (1 << 26)) >> 27);
    return (int16_t)x;
}

// a modulo 3, |a| <= 2295.
static inline int16_t freeze3(int16_t a) {
    return (int16_t)(a - 3 * ((10923 * a + 16384) >> 15));
}

// All ones where x is not 0.
static inline int16_t nonzero_mask(int16_t x) {
    uint32_t u = (uint16_t)x;
    return (int16_t) - (int32_t)((0u - u) >> 31);
}

// ---- products modulo q ----

// Rows whose 16-bit sum cannot overflow: 14 * 2295 < 2^15.
#define ROWS 14
#define BLOCKS ((P + ROWS - 1) / ROWS)

static void add_rows(int32_t *sum, const int16_t *a, const int16_t b[ROWS]) {
    for (int k = 0; k < P + ROWS - 1; k++) {
        int16_t s = 0;
        for (int t = 0; t < ROWS; t++)
            s = low16(s + low16(b[t] * a[k - t]));
        sum[k] += s;
    }
}

void rq_times_small(int16_t out[P], const int16_t a[P], const int8_t b[P]) {
    int16_t padded[ROWS + P + ROWS] = {0}, rows[BLOCKS * ROWS] = {0};
    int32_t sum[2 * P + 2 * ROWS] = {0};
    memcpy(padded + ROWS, a, P * sizeof *a);
    for (int i = 0; i < P; i++)
        rows[i] = b[i];
    for (int i = 0; i < BLOCKS; i++)
        add_rows(sum + i * ROWS, padded + ROWS, rows + i * ROWS);
    for (int i = 2 * P - 2; i >= P; i--) {  // x^p = x + 1
        sum[i - P] += sum[i];
        sum[i - P + 1] += sum[i];
    }
    for (int i = 0; i < P; i++)
        out[i] = freeze(sum[i]);
    secret_wipe(rows, sizeof rows);
    secret_wipe(padded, sizeof padded);
    secret_wipe(sum, sizeof sum);
}

void rq_triple_mod3(int8_t out[P], const int16_t a[P]) {
    for (int i = 0; i < P; i++)
        out[i] = (int8_t)freeze3(freeze(3 * a[i]));
}

void rq_round(int16_t a[P]) {
    for (int i = 0; i < P; i++)
        a[i] = (int16_t)(a[i] - freeze3(a[i]));
}

// a^(q-2)
static int16_t inverse_of_number(int16_t a) {
    int16_t r = 1;
    for (int bit = 12; bit >= 0; bit--) {
        r = freeze(r * r);
        if (((Q - 2) >> bit & 1) != 0)
            r = freeze(r * a);
    }
    return r;
}

// ---- inverses modulo q ----

// A factor and what Montgomery's product needs of it.
struct factor {
    int16_t value, low;
};

static struct factor factor_of(int16_t value) {
    return (struct factor){value, low16(value * Q_INVERSE)};
}

// a * b / 2^16 modulo q; |result| < 2617 where |a| <= 2295 and |b| < 5235.
static inline int16_t montgomery(struct factor a, int16_t b) {
    int16_t m = low16(a.low * b);
    return (int16_t)(low16(a.value * b >> 16) - low16(m * Q >> 16));
}

struct fraction_q {
    // f and g with their lowest coefficient first; v and r with their highest, so that
    // all that moves moves one place down. One place is always 0.
    int16_t f[P + 2], g[P + 2], v[P + 2], r[P + 2];
    int32_t delta;
};

// Swaps where the mask says so, g = (f0 g - g0 f) / x; n coefficients are of interest.
static void step_fg(struct fraction_q *s, int n, int16_t swap, struct factor f0,
                    struct factor g0) {
    int16_t *restrict f = s->f, *restrict g = s->g;
    f[0] = low16(f[0] ^ (swap & (f[0] ^ g[0])));
    for (int i = 1; i < n; i++) {
        int16_t t = low16(swap & (f[i] ^ g[i]));
        int16_t a = low16(f[i] ^ t), b = low16(g[i] ^ t);
        f[i] = a;
        g[i - 1] = (int16_t)(montgomery(f0, b) - montgomery(g0, a));
    }
    g[n - 1] = 0;
}

// v = x v, swaps, r = f0 r - g0 v; from place `from` on they can be other than 0.
static void step_vr(struct fraction_q *s, int from, int16_t swap, struct factor f0,
                    struct factor g0) {
    int16_t *restrict v = s->v, *restrict r = s->r;
    for (int i = from; i <= P; i++) {
        int16_t t = low16(swap & (v[i + 1] ^ r[i]));
        int16_t a = low16(v[i + 1] ^ t), b = low16(r[i] ^ t);
        v[i] = a;
        r[i] = (int16_t)(montgomery(f0, b) - montgomery(g0, a));
    }
}

static void step_q(struct fraction_q *s, int n) {
    int16_t f0 = freeze(s->f[0]), g0 = freeze(s->g[0]);
    int32_t positive = (-s->delta) >> 31;
    int16_t swap = low16(positive & nonzero_mask(g0));
    int16_t t = low16(swap & (f0 ^ g0));
    s->delta ^= swap & (s->delta ^ -s->delta);
    s->delta++;
    struct factor f = factor_of(low16(f0 ^ t)), g = factor_of(low16(g0 ^ t));
    step_fg(s, STEPS - n < P + 1 ? STEPS - n : P + 1, swap, f, g);
    step_vr(s, P - n - 1 > 0 ? P - n - 1 : 0, swap, f, g);
}

void rq_third_inverse(int16_t out[P], const int8_t in[P]) {
    struct fraction_q s = {.delta = 1};
    s.f[0] = 1;
    s.f[P - 1] = s.f[P] = -1;
    s.r[P] = 1;
    for (int i = 0; i < P; i++)
        s.g[i] = in[P - 1 - i];
    for (int n = 0; n < STEPS; n++)
        step_q(&s, n);
    int16_t scale = inverse_of_number(freeze(3 * freeze(s.f[0])));
    // out[i] is v's coefficient p - 1 - i, which lies at p minus that.
    for (int i = 0; i < P; i++)
        out[i] = freeze(scale * s.v[i + 1]);
    secret_wipe(&s, sizeof s);
}

// ---- modulo 3 ----

#define WORDS 12  // 768 bits

struct planes {
    uint64_t plus[WORDS + 1], minus[WORDS + 1];  // one word more, always 0
};

static inline uint64_t bit_mask(uint64_t x, int bit) {
    return 0 - (x >> bit & 1);
}

// A number modulo 3 as two masks.
struct trit {
    uint64_t plus, minus;
};

static struct trit trit_at(const struct planes *a, int i) {
    return (struct trit){bit_mask(a->plus[i / 64], i % 64),
                         bit_mask(a->minus[i / 64], i % 64)};
}

static void planes_of(struct planes *out, const int8_t *in, bool backwards) {
    memset(out, 0, sizeof *out);
    for (int i = 0; i < P; i++) {
        uint8_t c = (uint8_t)in[backwards ? P - 1 - i : i];
        out->plus[i / 64] |= (uint64_t)(c & ~(c >> 7) & 1) << i % 64;
        out->minus[i / 64] |= (uint64_t)(c >> 7) << i % 64;
    }
}

// a += c * b
static inline void add_times(struct planes *restrict a, const struct planes *restrict b,
                             struct trit c) {
    for (int i = 0; i < WORDS; i++) {
        uint64_t bp = (b->plus[i] & c.plus) | (b->minus[i] & c.minus);
        uint64_t bm = (b->minus[i] & c.plus) | (b->plus[i] & c.minus);
        uint64_t ap = a->plus[i], am = a->minus[i];
        uint64_t t = (ap | bm) ^ (am | bp);
        a->plus[i] = (am | bm) ^ t;
        a->minus[i] = (ap | bp) ^ t;
    }
}

static inline void swap_planes(struct planes *restrict a, struct planes *restrict b,
                               uint64_t mask) {
    for (int i = 0; i < WORDS; i++) {
        uint64_t p = mask & (a->plus[i] ^ b->plus[i]);
        uint64_t m = mask & (a->minus[i] ^ b->minus[i]);
        a->plus[i] ^= p, b->plus[i] ^= p;
        a->minus[i] ^= m, b->minus[i] ^= m;
    }
}

static void up_one(uint64_t *w) {
    for (int i = WORDS - 1; i > 0; i--)
        w[i] = w[i] << 1 | w[i - 1] >> 63;
    w[0] <<= 1;
}

static void down_one(uint64_t *w) {
    for (int i = 0; i < WORDS; i++)
        w[i] = w[i] >> 1 | w[i + 1] << 63;
}

static void times_x(struct planes *a) {
    up_one(a->plus);
    up_one(a->minus);
}

// Multiplies b by x, with x^p = x + 1.
static void times_x_reduced(struct planes *a) {
    times_x(a);
    struct planes low = {.plus = {3}};
    struct trit top = trit_at(a, P);
    a->plus[P / 64] &= ~(UINT64_C(1) << P % 64);
    a->minus[P / 64] &= ~(UINT64_C(1) << P % 64);
    add_times(a, &low, top);
}

static void small_of(int8_t *out, const struct planes *a, bool backwards) {
    for (int i = 0; i < P; i++) {
        int at = backwards ? P - 1 - i : i;
        out[i] = (int8_t)((int)(a->plus[at / 64] >> at % 64 & 1) -
                          (int)(a->minus[at / 64] >> at % 64 & 1));
    }
}

void r3_times(int8_t out[P], const int8_t a[P], const int8_t b[P]) {
    struct planes x, y, sum = {.plus = {0}};
    planes_of(&x, a, false);
    planes_of(&y, b, false);
    for (int i = P - 1; i >= 0; i--) {
        times_x_reduced(&sum);
        add_times(&sum, &y, trit_at(&x, i));
    }
    small_of(out, &sum, false);
    secret_wipe(&x, sizeof x);
    secret_wipe(&y, sizeof y);
    secret_wipe(&sum, sizeof sum);
}

struct fraction_3 {
    struct planes f, g, v, r;
    int32_t delta;
};

static void step_3(struct fraction_3 *s) {
    struct trit g0 = trit_at(&s->g, 0);
    int32_t positive = (-s->delta) >> 31;
    uint64_t swap = (uint64_t)(int64_t)positive & (g0.plus | g0.minus);
    times_x(&s->v);
    s->delta ^= (int32_t)swap & (s->delta ^ -s->delta);
    s->delta++;
    swap_planes(&s->f, &s->g, swap);
    swap_planes(&s->v, &s->r, swap);
    struct trit f = trit_at(&s->f, 0), g = trit_at(&s->g, 0);
    struct trit c = {(g.plus & f.minus) | (g.minus & f.plus),  // -f0 g0
                     (g.plus & f.plus) | (g.minus & f.minus)};
    add_times(&s->g, &s->f, c);
    add_times(&s->r, &s->v, c);
    down_one(s->g.plus);
    down_one(s->g.minus);
}

uint32_t r3_inverse(int8_t out[P], const int8_t in[P]) {
    struct fraction_3 s = {.delta = 1};
    struct planes result = {.plus = {0}};
    s.f.plus[0] = 1;
    s.f.minus[(P - 1) / 64] |= UINT64_C(1) << (P - 1) % 64;
    s.f.minus[P / 64] |= UINT64_C(1) << P % 64;
    s.r.plus[0] = 1;
    planes_of(&s.g, in, true);
    for (int n = 0; n < STEPS; n++)
        step_3(&s);
    add_times(&result, &s.v, trit_at(&s.f, 0));
    small_of(out, &result, true);
    uint32_t delta = (uint32_t)s.delta;
    secret_wipe(&s, sizeof s);
    secret_wipe(&result, sizeof result);
    return 1 ^ ((delta | (0u - delta)) >> 31);
}

// ---- sorting ----

static inline void order(uint32_t *a, uint32_t *b) {
    uint32_t less = (uint32_t)(((uint64_t)*b - *a) >> 32);  // all ones where b < a
    uint32_t x = (*a ^ *b) & less;
    *a ^= x;
    *b ^= x;
}

// The pairs (i, i + d) with bit p of i as in r, which come in runs of p.
static void order_runs(uint32_t *x, int p, int r, int d) {
    for (int start = r; start + d < P; start += 2 * p) {
        int n = P - d - start < p ? P - d - start : p;
        for (int i = start; i < start + n; i++)
            order(&x[i], &x[i + d]);
    }
}

// Batcher's merge exchange (Knuth, volume 3, 5.2.2, algorithm M).
void sntrup_sort(uint32_t x[P]) {
    for (int p = 512; p > 0; p /= 2) {
        order_runs(x, p, 0, p);
        for (int q = 512; q > p; q /= 2)
            order_runs(x, p, p, q - p);
    }
}
