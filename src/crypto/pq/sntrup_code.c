// The mixed-radix encoding: neighbours are put together into one number whose radix is
// the product of theirs, and while that is 2^14 or more a byte is split off; then the
// same again with half as many. All radixes follow from the first one, so nothing but
// values is secret.
#include "crypto/pq/sntrup_code.h"

#include "base/secret.h"

#define P SNTRUP_P
#define Q12 ((SNTRUP_Q - 1) / 2)
#define ROUNDED_RADIX ((SNTRUP_Q + 2) / 3)
#define SPLIT 16384u

void small_encode(uint8_t out[SNTRUP_SMALL_LEN], const int8_t in[P]) {
    for (int i = 0; i < SNTRUP_SMALL_LEN; i++) {
        unsigned byte = 0;
        for (int j = 0; j < 4 && 4 * i + j < P; j++)
            byte |= (unsigned)(in[4 * i + j] + 1) << 2 * j;
        out[i] = (uint8_t)byte;
    }
}

void small_decode(int8_t out[P], const uint8_t in[SNTRUP_SMALL_LEN]) {
    for (int i = 0; i < P; i++)
        out[i] = (int8_t)((in[i / 4] >> 2 * (i % 4) & 3) - 1);
}

// One round over n numbers, in place; the next count.
static int encode_round(uint32_t *value, uint32_t *radix, int n, uint8_t **out) {
    int next = 0;
    for (int i = 0; i + 1 < n; i += 2) {
        uint32_t v = value[i] + radix[i] * value[i + 1], m = radix[i] * radix[i + 1];
        for (; m >= SPLIT; m = (m + 255) >> 8, v >>= 8)
            *(*out)++ = (uint8_t)v;
        value[next] = v;
        radix[next++] = m;
    }
    if (n % 2 != 0) {
        value[next] = value[n - 1];
        radix[next++] = radix[n - 1];
    }
    return next;
}

static void encode(uint8_t *out, uint32_t value[P], uint32_t first_radix) {
    uint32_t radix[P];
    for (int i = 0; i < P; i++)
        radix[i] = first_radix;
    for (int n = P; n > 1;)
        n = encode_round(value, radix, n, &out);
    for (; radix[0] > 1; radix[0] = (radix[0] + 255) >> 8, value[0] >>= 8)
        *out++ = (uint8_t)value[0];
}

void rq_encode(uint8_t out[SNTRUP_RQ_LEN], const int16_t in[P]) {
    uint32_t value[P];
    for (int i = 0; i < P; i++)
        value[i] = (uint32_t)(in[i] + Q12);
    encode(out, value, SNTRUP_Q);
    secret_wipe(value, sizeof value);
}

void rounded_encode(uint8_t out[SNTRUP_ROUNDED_LEN], const int16_t in[P]) {
    uint32_t value[P];
    for (int i = 0; i < P; i++)
        value[i] = (uint32_t)(in[i] + Q12) * 10923 >> 15;  // a third
    encode(out, value, ROUNDED_RADIX);
    secret_wipe(value, sizeof value);
}

// What was split off a number, and by what the rest counts.
struct split {
    uint32_t low, unit, radix;
};

static struct split split_of(uint32_t radix, const uint8_t **in) {
    struct split s = {0, 1, radix};
    for (; s.radix >= SPLIT; s.radix = (s.radix + 255) >> 8, s.unit <<= 8)
        s.low += *(*in)++ * s.unit;
    return s;
}

static void decode(uint32_t *value, const uint32_t *radix, int n, const uint8_t *in) {
    struct split splits[(P + 1) / 2];
    uint32_t next_radix[(P + 1) / 2] = {0}, next[(P + 1) / 2];
    if (n == 1) {
        uint32_t v = in[0];
        if (radix[0] > 256)
            v |= (uint32_t)in[1] << 8;
        value[0] = v % radix[0];
        return;
    }
    int pairs = n / 2;
    for (int i = 0; i < pairs; i++) {
        splits[i] = split_of(radix[2 * i] * radix[2 * i + 1], &in);
        next_radix[i] = splits[i].radix;
    }
    if (n % 2 != 0)
        next_radix[pairs] = radix[n - 1];
    decode(next, next_radix, (n + 1) / 2, in);
    for (int i = 0; i < pairs; i++) {
        uint32_t v = splits[i].low + splits[i].unit * next[i];
        value[2 * i] = v % radix[2 * i];
        value[2 * i + 1] = v / radix[2 * i] % radix[2 * i + 1];
    }
    if (n % 2 != 0)
        value[n - 1] = next[pairs];
}

static void decode_all(uint32_t value[P], uint32_t first_radix, const uint8_t *in) {
    uint32_t radix[P];
    for (int i = 0; i < P; i++)
        radix[i] = first_radix;
    decode(value, radix, P, in);
}

void rq_decode(int16_t out[P], const uint8_t in[SNTRUP_RQ_LEN]) {
    uint32_t value[P];
    decode_all(value, SNTRUP_Q, in);
    for (int i = 0; i < P; i++)
        out[i] = (int16_t)((int)value[i] - Q12);
}

void rounded_decode(int16_t out[P], const uint8_t in[SNTRUP_ROUNDED_LEN]) {
    uint32_t value[P];
    decode_all(value, ROUNDED_RADIX, in);
    for (int i = 0; i < P; i++)
        out[i] = (int16_t)((int)value[i] * 3 - Q12);
}
