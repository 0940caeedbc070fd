// sntrup761 (NTRU Prime, round 3, s.4): keys, encapsulation with confirmation hash,
// decapsulation that encapsulates again and rejects in silence.
//
// The secret key is f, 1/g, the public key, rho and the public key's hash. What depends
// on random bytes is secret until it is sent; where it becomes public is marked with
// now_public(), so that a test under valgrind can prove the rest constant in time.
#include "crypto/pq/sntrup761.h"

#include <string.h>

#include "base/secret.h"
#include "crypto/digest.h"
#include "crypto/pq/sntrup_code.h"

#ifndef now_public
#define now_public(p, n) ((void)(p), (void)(n))
#endif

#define P SNTRUP_P
#define W SNTRUP_W
#define HASH 32

// Prefixes of the hashes.
#define HASH_REJECTED 0
#define HASH_SESSION 1
#define HASH_CONFIRM 2
#define HASH_INPUT 3
#define HASH_KEY 4

// The secret key's parts.
#define SK_F 0
#define SK_G_INVERSE SNTRUP_SMALL_LEN
#define SK_PUBLIC (2 * SNTRUP_SMALL_LEN)
#define SK_RHO (SK_PUBLIC + SNTRUP761_PUBLIC)
#define SK_HASH (SK_RHO + SNTRUP761_RHO)

// The first half of SHA-512 of prefix and two parts.
static enum err hash(uint8_t out[HASH], uint8_t prefix, struct view a, struct view b) {
    uint8_t whole[64];
    struct view parts[] = {view_of(&prefix, 1), a, b};
    enum err e = digest_parts(&digest_sha512, parts, 3, whole);
    memcpy(out, whole, HASH);
    secret_wipe(whole, sizeof whole);
    return e;
}

static uint32_t load_le32(const uint8_t *p) {
    return __builtin_bswap32(load_u32(p));
}

// Uniform in [-1, 1], but for 2^-30.
static void draw_small(int8_t out[P], const uint8_t *random) {
    for (int i = 0; i < P; i++)
        out[i] = (int8_t)((int)((load_le32(random + 4 * i) & 0x3fffffff) * 3 >> 30) - 1);
}

// W numbers of [-1, 1] that are not 0, in places that sorting by random bits finds.
static void draw_short(int8_t out[P], const uint8_t *random) {
    uint32_t x[P];
    for (int i = 0; i < P; i++) {
        uint32_t bits = load_le32(random + 4 * i);
        x[i] = i < W ? bits & ~1u : (bits & ~3u) | 1;
    }
    sntrup_sort(x);
    for (int i = 0; i < P; i++)
        out[i] = (int8_t)((int)(x[i] & 3) - 1);
    secret_wipe(x, sizeof x);
}

enum err sntrup761_keygen(uint8_t pk[SNTRUP761_PUBLIC], uint8_t sk[SNTRUP761_SECRET],
                          const uint8_t g_random[SNTRUP761_DRAW],
                          const uint8_t f_random[SNTRUP761_DRAW],
                          const uint8_t rho[SNTRUP761_RHO]) {
    int8_t g[P], g_inverse[P], f[P];
    int16_t f_inverse[P], h[P];
    draw_small(g, g_random);
    uint32_t good = r3_inverse(g_inverse, g);
    now_public(&good, sizeof good);
    if (!good)
        return ERR_KEX;
    draw_short(f, f_random);
    rq_third_inverse(f_inverse, f);
    rq_times_small(h, f_inverse, g);
    rq_encode(pk, h);
    now_public(pk, SNTRUP761_PUBLIC);
    small_encode(sk + SK_F, f);
    small_encode(sk + SK_G_INVERSE, g_inverse);
    memcpy(sk + SK_PUBLIC, pk, SNTRUP761_PUBLIC);
    memcpy(sk + SK_RHO, rho, SNTRUP761_RHO);
    secret_wipe(g, sizeof g);
    secret_wipe(g_inverse, sizeof g_inverse);
    secret_wipe(f, sizeof f);
    secret_wipe(f_inverse, sizeof f_inverse);
    return hash(sk + SK_HASH, HASH_KEY, view_of(pk, SNTRUP761_PUBLIC), view_of(NULL, 0));
}

// What r is sent as: Round(h * r) and the confirmation hash; r_code becomes r's encoding.
static enum err hide(uint8_t c[SNTRUP761_CIPHERTEXT], uint8_t r_code[SNTRUP_SMALL_LEN],
                     const int8_t r[P], const uint8_t *pk, const uint8_t key_hash[HASH]) {
    int16_t h[P], hr[P];
    uint8_t input[HASH];
    rq_decode(h, pk);
    rq_times_small(hr, h, r);
    rq_round(hr);
    rounded_encode(c, hr);
    secret_wipe(hr, sizeof hr);
    small_encode(r_code, r);
    TRY(hash(input, HASH_INPUT, view_of(r_code, SNTRUP_SMALL_LEN), view_of(NULL, 0)));
    enum err e = hash(c + SNTRUP_ROUNDED_LEN, HASH_CONFIRM, view_of(input, HASH),
                      view_of(key_hash, HASH));
    secret_wipe(input, sizeof input);
    return e;
}

static enum err session(uint8_t shared[SNTRUP761_SHARED], uint8_t prefix,
                        const uint8_t r_code[SNTRUP_SMALL_LEN], const uint8_t *c) {
    uint8_t input[HASH];
    TRY(hash(input, HASH_INPUT, view_of(r_code, SNTRUP_SMALL_LEN), view_of(NULL, 0)));
    enum err e =
        hash(shared, prefix, view_of(input, HASH), view_of(c, SNTRUP761_CIPHERTEXT));
    secret_wipe(input, sizeof input);
    return e;
}

enum err sntrup761_encaps(uint8_t c[SNTRUP761_CIPHERTEXT],
                          uint8_t shared[SNTRUP761_SHARED],
                          const uint8_t pk[SNTRUP761_PUBLIC],
                          const uint8_t r_random[SNTRUP761_DRAW]) {
    int8_t r[P];
    uint8_t r_code[SNTRUP_SMALL_LEN], key_hash[HASH];
    TRY(hash(key_hash, HASH_KEY, view_of(pk, SNTRUP761_PUBLIC), view_of(NULL, 0)));
    draw_short(r, r_random);
    enum err e = hide(c, r_code, r, pk, key_hash);
    now_public(c, SNTRUP761_CIPHERTEXT);
    if (e == OK)
        e = session(shared, HASH_SESSION, r_code, c);
    secret_wipe(r, sizeof r);
    secret_wipe(r_code, sizeof r_code);
    return e;
}

// r from a ciphertext; where it has another weight than W, a fixed one that has.
static void reveal(int8_t r[P], const uint8_t *sk, const uint8_t *c) {
    int8_t f[P], g_inverse[P], e[P];
    int16_t rounded[P], fc[P];
    small_decode(f, sk + SK_F);
    small_decode(g_inverse, sk + SK_G_INVERSE);
    rounded_decode(rounded, c);
    rq_times_small(fc, rounded, f);
    rq_triple_mod3(e, fc);
    r3_times(r, e, g_inverse);
    uint32_t weight = 0;
    for (int i = 0; i < P; i++)
        weight += (uint8_t)r[i] & 1u;
    uint32_t off = weight ^ W;
    int good = (int)((off | (0u - off)) >> 31) - 1;  // all ones or 0
    for (int i = 0; i < P; i++)
        r[i] = (int8_t)((r[i] & good) | ((i < W ? 1 : 0) & ~good));
    secret_wipe(f, sizeof f);
    secret_wipe(g_inverse, sizeof g_inverse);
    secret_wipe(e, sizeof e);
    secret_wipe(fc, sizeof fc);
}

enum err sntrup761_decaps(uint8_t shared[SNTRUP761_SHARED],
                          const uint8_t sk[SNTRUP761_SECRET],
                          const uint8_t c[SNTRUP761_CIPHERTEXT]) {
    int8_t r[P];
    uint8_t r_code[SNTRUP_SMALL_LEN], again[SNTRUP761_CIPHERTEXT];
    reveal(r, sk, c);
    enum err e = hide(again, r_code, r, sk + SK_PUBLIC, sk + SK_HASH);
    uint32_t differ = 0;
    for (int i = 0; i < SNTRUP761_CIPHERTEXT; i++)
        differ |= (uint32_t)(again[i] ^ c[i]);
    uint8_t bad = (uint8_t)((0u - differ) >> 31), mask = (uint8_t)(0u - bad);
    for (int i = 0; i < SNTRUP_SMALL_LEN; i++)
        r_code[i] ^= mask & (r_code[i] ^ sk[SK_RHO + i]);
    if (e == OK)
        e = session(shared, (uint8_t)(HASH_SESSION - bad), r_code, c);
    secret_wipe(r, sizeof r);
    secret_wipe(r_code, sizeof r_code);
    secret_wipe(again, sizeof again);
    return e;
}
