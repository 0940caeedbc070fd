// UMAC, RFC 4418: NH over kilobytes, a polynomial over what it gives, an inner product
// over that, each done for every four bytes of the tag with keys of its own; the sum is
// hidden by AES of the nonce.
//
// Words of the message are little-endian, as s.5.2 has it in effect (ENDIAN-SWAP), words
// of keys big-endian.
#include "crypto/umac.h"

#include <stdlib.h>

#include "base/secret.h"
#include "crypto/packet_cipher_ops.h"

#define ITERS_MAX (UMAC_TAG_MAX / 4)
#define NH_BYTES 1024
#define NH_WORDS (NH_BYTES / 4)
#define NH_STEP 4  // words by which the key of the next iteration begins later
#define GROUP 32   // bytes of one round of NH
#define AES_BLOCK 16

#define P64 UINT64_C(0xffffffffffffffc5)  // 2^64 - 59
#define P64_OFFSET 59u
#define P64_WORDS UINT64_C(0xffffffff00000000)  // words from here on take two steps
#define P64_KEY_MASK UINT64_C(0x01ffffff01ffffff)
#define P36 UINT64_C(0xffffffffb)  // 2^36 - 5

struct umac {
    size_t tag_len, iters;
    EVP_CIPHER_CTX *pad;  // AES under the key for pads
    uint32_t nh[NH_WORDS + NH_STEP * (ITERS_MAX - 1)];
    uint64_t poly[ITERS_MAX];
    uint64_t inner[ITERS_MAX][4];  // for 64 bits: the upper half of s.5.4's 16 bytes is 0
    uint32_t mask[ITERS_MAX];
};

// KDF(K, index, n) of s.3.2.1.
static bool derive(EVP_CIPHER_CTX *aes, uint64_t index, uint8_t *out, size_t n) {
    uint8_t in[AES_BLOCK], block[AES_BLOCK];
    store_u64(in, index);
    bool good = true;
    for (size_t done = 0; good && done < n; done += AES_BLOCK) {
        store_u64(in + 8, done / AES_BLOCK + 1);
        good = cipher_run(aes, block, in, AES_BLOCK);
        memcpy(out + done, block, n - done < AES_BLOCK ? n - done : AES_BLOCK);
    }
    secret_wipe(block, sizeof block);
    return good;
}

static bool derive_nh(struct umac *u, EVP_CIPHER_CTX *aes) {
    uint8_t bytes[sizeof u->nh];
    size_t words = NH_WORDS + NH_STEP * (u->iters - 1);
    bool good = derive(aes, 1, bytes, 4 * words);
    for (size_t i = 0; good && i < words; i++)
        u->nh[i] = load_u32(bytes + 4 * i);
    secret_wipe(bytes, sizeof bytes);
    return good;
}

static bool derive_rest(struct umac *u, EVP_CIPHER_CTX *aes) {
    uint8_t poly[ITERS_MAX * 24], inner[ITERS_MAX * 64], mask[ITERS_MAX * 4];
    bool good = derive(aes, 2, poly, u->iters * 24) &&
                derive(aes, 3, inner, u->iters * 64) &&
                derive(aes, 4, mask, u->iters * 4);
    for (size_t i = 0; good && i < u->iters; i++) {
        u->poly[i] = load_u64(poly + 24 * i) & P64_KEY_MASK;
        for (size_t j = 0; j < 4; j++)
            u->inner[i][j] = load_u64(inner + 64 * i + 32 + 8 * j) % P36;
        u->mask[i] = load_u32(mask + 4 * i);
    }
    secret_wipe(poly, sizeof poly);
    secret_wipe(inner, sizeof inner);
    secret_wipe(mask, sizeof mask);
    return good;
}

static enum err schedule(struct umac *u, const uint8_t *key) {
    uint8_t pad_key[UMAC_KEY];
    EVP_CIPHER_CTX *aes = NULL;
    enum err e = cipher_context(&aes, FETCHED_AES_128_ECB, key, NULL, true);
    if (e == OK && (!derive(aes, 0, pad_key, sizeof pad_key) || !derive_nh(u, aes) ||
                    !derive_rest(u, aes)))
        e = ERR_CRYPTO;
    if (e == OK)
        e = cipher_context(&u->pad, FETCHED_AES_128_ECB, pad_key, NULL, true);
    secret_wipe(pad_key, sizeof pad_key);
    EVP_CIPHER_CTX_free(aes);
    return e;
}

enum err umac_new(struct umac **out, const uint8_t key[UMAC_KEY], size_t tag_len) {
    if (tag_len != 8 && tag_len != 16)
        return ERR_CRYPTO;
    struct umac *u = calloc(1, sizeof *u);
    if (u == NULL)
        return ERR_MEMORY;
    u->tag_len = tag_len;
    u->iters = tag_len / 4;
    enum err e = schedule(u, key);
    if (e != OK) {
        umac_free(u);
        return fetched_failed(e);
    }
    *out = u;
    return OK;
}

void umac_free(struct umac *u) {
    if (u == NULL)
        return;
    EVP_CIPHER_CTX_free(u->pad);
    secret_wipe(u, sizeof *u);
    free(u);
}

static inline uint32_t load_le32(const uint8_t *p) {
    uint32_t v;
    memcpy(&v, p, 4);
    return __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? v : __builtin_bswap32(v);
}

// NH (s.5.2.2) of whole groups.
static uint64_t nh(const uint32_t *k, const uint8_t *p, size_t groups) {
    uint64_t lane[4] = {0, 0, 0, 0};
    for (; groups > 0; groups--, p += GROUP, k += 8)
        for (size_t j = 0; j < 4; j++) {
            uint32_t a = load_le32(p + 4 * j) + k[j];
            uint32_t b = load_le32(p + 16 + 4 * j) + k[j + 4];
            lane[j] += (uint64_t)a * b;
        }
    return lane[0] + lane[1] + lane[2] + lane[3];
}

// L1-HASH of one block of up to a kilobyte (s.5.2): the last group is filled with zeros.
static uint64_t layer1(const uint32_t *k, const uint8_t *p, size_t n) {
    size_t whole = n / GROUP, rest = n % GROUP;
    uint64_t y = nh(k, p, whole) + 8 * n;
    if (rest == 0 && n > 0)
        return y;
    uint8_t last[GROUP] = {0};
    if (rest > 0)
        memcpy(last, p + GROUP * whole, rest);
    return y + nh(k + 8 * whole, last, 1);
}

// k * y + m modulo 2^64 - 59; y and m may be any 64 bits, k is below 2^57.
static uint64_t step64(uint64_t k, uint64_t y, uint64_t m) {
    unsigned __int128 x = (unsigned __int128)k * y + m;
    x = (x >> 64) * P64_OFFSET + (uint64_t)x;
    x = (x >> 64) * P64_OFFSET + (uint64_t)x;
    uint64_t v = (uint64_t)x;
    return v >= P64 ? v - P64 : v;
}

// One word of POLY (s.5.3.2).
static uint64_t layer2(uint64_t k, uint64_t y, uint64_t m) {
    if (m < P64_WORDS)
        return step64(k, y, m);
    return step64(k, step64(k, y, P64 - 1), m - P64_OFFSET);
}

// L3-HASH (s.5.4) of a number below 2^64.
static uint32_t layer3(const uint64_t k[4], uint32_t mask, uint64_t m) {
    uint64_t y = 0;
    for (size_t j = 0; j < 4; j++)
        y += (m >> (48 - 16 * j) & 0xffff) * k[j];
    return (uint32_t)(y % P36) ^ mask;
}

static uint32_t hash_one(const struct umac *u, size_t i, const uint8_t *p, size_t n) {
    const uint32_t *k = u->nh + NH_STEP * i;
    if (n <= NH_BYTES)
        return layer3(u->inner[i], u->mask[i], layer1(k, p, n));
    uint64_t y = 1;
    for (; n > 0; p += n < NH_BYTES ? n : NH_BYTES, n -= n < NH_BYTES ? n : NH_BYTES)
        y = layer2(u->poly[i], y, layer1(k, p, n < NH_BYTES ? n : NH_BYTES));
    return layer3(u->inner[i], u->mask[i], y);
}

// PDF (s.4): two tags of 8 bytes come out of one block.
static bool pad(struct umac *u, const uint8_t *nonce, uint8_t block[AES_BLOCK],
                size_t *at) {
    uint8_t in[AES_BLOCK] = {0};
    memcpy(in, nonce, UMAC_NONCE);
    *at = u->tag_len == 8 ? (size_t)(nonce[UMAC_NONCE - 1] & 1) * 8 : 0;
    if (u->tag_len == 8)
        in[UMAC_NONCE - 1] &= 0xfe;
    return cipher_run(u->pad, block, in, AES_BLOCK);
}

enum err umac_tag(struct umac *u, const uint8_t nonce[UMAC_NONCE], const uint8_t *p,
                  size_t n, uint8_t *tag) {
    uint8_t block[AES_BLOCK];
    size_t at;
    if (n > UMAC_MESSAGE_MAX)
        return ERR_LIMIT;
    if (!pad(u, nonce, block, &at))
        return fetched_failed(ERR_CRYPTO);
    for (size_t i = 0; i < u->iters; i++)
        store_u32(tag + 4 * i, hash_one(u, i, p, n) ^ load_u32(block + at + 4 * i));
    return OK;
}
