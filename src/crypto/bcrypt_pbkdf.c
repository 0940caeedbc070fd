// bcrypt_pbkdf over our own Blowfish.
//
// Blocks of the output are independent chains, and one chain waits for its table look-ups
// most of the time: two are computed at once where there are two.
#include "crypto/bcrypt_pbkdf.h"

#include <stdlib.h>

#include "base/secret.h"
#include "crypto/blowfish.h"
#include "crypto/digest.h"

#define HASH_WORDS 8  // bytes / 4 of one bcrypt hash
#define HASH_SIZE (4 * HASH_WORDS)
#define KEY_WORDS (64 / 4)  // a SHA-512 hash as key stream
#define COST_ROUNDS 64
#define SALT_MAX (1u << 20)
#define LANES 2

// One chain of hashes: the block `count` of the output.
struct lane {
    struct blowfish state;
    uint32_t salt[KEY_WORDS];
    uint8_t tmp[HASH_SIZE];
    uint8_t sum[HASH_SIZE];
};

#define INLINE __attribute__((always_inline)) static inline

INLINE uint32_t feistel(const struct blowfish *b, uint32_t x) {
    return ((b->s[0][x >> 24] + b->s[1][x >> 16 & 0xff]) ^ b->s[2][x >> 8 & 0xff]) +
           b->s[3][x & 0xff];
}

// All sixteen rounds, written out: the loop costs a tenth, and two lanes in one loop,
// kept in arrays, would cost what they gain.
#define ROUNDS(TWO) TWO(1) TWO(3) TWO(5) TWO(7) TWO(9) TWO(11) TWO(13) TWO(15)

INLINE void encipher_one(const struct blowfish *b, uint32_t *left, uint32_t *right) {
    uint32_t l = *left ^ b->p[0], r = *right;
#define TWO_ROUNDS(i)                                                                    \
    r ^= feistel(b, l) ^ b->p[i];                                                        \
    l ^= feistel(b, r) ^ b->p[i + 1];
    ROUNDS(TWO_ROUNDS)
#undef TWO_ROUNDS
    *left = r ^ b->p[BLOWFISH_ROUNDS + 1];
    *right = l;
}

INLINE void encipher_two(const struct blowfish *a, const struct blowfish *b,
                         uint32_t *left, uint32_t *right) {
    uint32_t l = left[0] ^ a->p[0], r = right[0];
    uint32_t m = left[1] ^ b->p[0], s = right[1];
#define TWO_ROUNDS(i)                                                                    \
    r ^= feistel(a, l) ^ a->p[i];                                                        \
    s ^= feistel(b, m) ^ b->p[i];                                                        \
    l ^= feistel(a, r) ^ a->p[i + 1];                                                    \
    m ^= feistel(b, s) ^ b->p[i + 1];
    ROUNDS(TWO_ROUNDS)
#undef TWO_ROUNDS
    left[0] = r ^ a->p[BLOWFISH_ROUNDS + 1];
    right[0] = l;
    left[1] = s ^ b->p[BLOWFISH_ROUNDS + 1];
    right[1] = m;
}

// Enciphers one block of each lane; `lanes` is a constant wherever this is inlined.
INLINE void encipher(const struct lane *lane, unsigned lanes, uint32_t *l, uint32_t *r) {
    if (lanes == 2)
        encipher_two(&lane[0].state, &lane[1].state, l, r);
    else
        encipher_one(&lane[0].state, l, r);
}

INLINE void xor_subkeys(struct lane *lane, const uint32_t *key) {
    for (unsigned i = 0; i < BLOWFISH_ROUNDS + 2; i++)
        lane->state.p[i] ^= key[i % KEY_WORDS];
}

// Replaces the state by a chain of cipher texts; `salted`: the lane's salt is mixed in,
// from its start and round and round.
INLINE void restate(struct lane *lane, unsigned lanes, bool salted) {
    uint32_t l[LANES] = {0}, r[LANES] = {0};
    unsigned at = 0;
    for (unsigned i = 0; i < BLOWFISH_ROUNDS + 2 + 4 * 256; i += 2) {
        for (unsigned k = 0; salted && k < lanes; k++) {
            l[k] ^= lane[k].salt[at % KEY_WORDS];
            r[k] ^= lane[k].salt[(at + 1) % KEY_WORDS];
        }
        at += 2;
        encipher(lane, lanes, l, r);
        for (unsigned k = 0; k < lanes; k++) {
            uint32_t *to = i < BLOWFISH_ROUNDS + 2
                               ? &lane[k].state.p[i]
                               : &lane[k].state.s[0][0] + (i - (BLOWFISH_ROUNDS + 2));
            to[0] = l[k];
            to[1] = r[k];
        }
    }
}

INLINE void hash_out(struct lane *lane, unsigned lanes) {
    static const uint8_t magic[HASH_SIZE + 1] = "OxychromaticBlowfishSwatDynamite";
    for (unsigned i = 0; i < HASH_WORDS; i += 2) {
        uint32_t l[LANES], r[LANES];
        for (unsigned k = 0; k < lanes; k++) {
            l[k] = load_u32(magic + 4 * i);
            r[k] = load_u32(magic + 4 * i + 4);
        }
        for (unsigned j = 0; j < COST_ROUNDS; j++)
            encipher(lane, lanes, l, r);
        for (unsigned k = 0; k < lanes; k++) {
            // The words leave with their lowest byte first.
            store_u32(lane[k].tmp + 4 * i, __builtin_bswap32(l[k]));
            store_u32(lane[k].tmp + 4 * i + 4, __builtin_bswap32(r[k]));
        }
    }
}

INLINE void hash(struct lane *lane, unsigned lanes, const uint32_t *pass) {
    for (unsigned k = 0; k < lanes; k++) {
        lane[k].state = blowfish_pi;
        xor_subkeys(&lane[k], pass);
    }
    restate(lane, lanes, true);
    for (unsigned i = 0; i < COST_ROUNDS; i++) {
        for (unsigned k = 0; k < lanes; k++)
            xor_subkeys(&lane[k], lane[k].salt);
        restate(lane, lanes, false);
        for (unsigned k = 0; k < lanes; k++)
            xor_subkeys(&lane[k], pass);
        restate(lane, lanes, false);
    }
    hash_out(lane, lanes);
}

static void hash_one(struct lane *lane, const uint32_t *pass) {
    hash(lane, 1, pass);
}

static void hash_two(struct lane *lane, const uint32_t *pass) {
    hash(lane, 2, pass);
}

static enum err key_words(const struct view *parts, size_t count, uint32_t *words) {
    uint8_t md[64];
    TRY(digest_parts(&digest_sha512, parts, count, md));
    for (unsigned i = 0; i < KEY_WORDS; i++)
        words[i] = load_u32(md + 4 * i);
    secret_wipe(md, sizeof md);
    return OK;
}

// Runs `lanes` chains for blocks `first` and on.
static enum err run_chains(struct lane *lane, unsigned lanes, uint32_t first,
                           struct view salt, uint32_t rounds, const uint32_t *pass) {
    for (unsigned k = 0; k < lanes; k++) {
        uint8_t number[4];
        store_u32(number, first + k);
        struct view parts[] = {salt, view_of(number, 4)};
        TRY(key_words(parts, 2, lane[k].salt));
    }
    for (uint32_t round = 0; round < rounds; round++) {
        for (unsigned k = 0; round > 0 && k < lanes; k++) {
            struct view last = view_of(lane[k].tmp, HASH_SIZE);
            TRY(key_words(&last, 1, lane[k].salt));
        }
        if (lanes == 2)
            hash_two(lane, pass);
        else
            hash_one(lane, pass);
        for (unsigned k = 0; k < lanes; k++) {
            for (unsigned i = 0; i < HASH_SIZE; i++)
                lane[k].sum[i] =
                    round == 0 ? lane[k].tmp[i] : lane[k].sum[i] ^ lane[k].tmp[i];
        }
    }
    return OK;
}

enum err bcrypt_pbkdf(struct view pass, struct view salt, uint32_t rounds, uint8_t *out,
                      size_t n) {
    if (rounds == 0 || n == 0 || n > BCRYPT_PBKDF_KEY_MAX || pass.n == 0 || salt.n == 0 ||
        salt.n > SALT_MAX)
        return ERR_LIMIT;
    uint32_t key[KEY_WORDS];
    TRY(key_words(&pass, 1, key));
    struct lane *lane = calloc(LANES, sizeof *lane);
    if (lane == NULL)
        return ERR_MEMORY;
    // The bytes of a block do not stand together: byte i of block b is byte i * blocks +
    // b.
    size_t blocks = (n + HASH_SIZE - 1) / HASH_SIZE;
    enum err e = OK;
    for (size_t b = 0; b < blocks && e == OK; b += LANES) {
        unsigned lanes = blocks - b >= LANES ? LANES : 1;
        e = run_chains(lane, lanes, (uint32_t)b + 1, salt, rounds, key);
        for (unsigned k = 0; k < lanes && e == OK; k++) {
            for (size_t i = 0; i * blocks + b + k < n && i < HASH_SIZE; i++)
                out[i * blocks + b + k] = lane[k].sum[i];
        }
    }
    secret_wipe(lane, LANES * sizeof *lane);
    free(lane);
    secret_wipe(key, sizeof key);
    return e;
}
