// Bubble Babble (Huima 2000): a hash as words that can be spoken.
#include "key/key.h"

static const char vowels[] = "aeiouy";
static const char consonants[] = "bcdfghklmnprstvzx";

struct babble {
    char *out;
    size_t at, size;
};

static void put(struct babble *b, char c) {
    if (b->at + 1 < b->size)
        b->out[b->at++] = c;
}

static void put_three(struct babble *b, unsigned v1, unsigned c, unsigned v2) {
    put(b, vowels[v1]);
    put(b, consonants[c]);
    put(b, vowels[v2]);
}

const char *key_bubblebabble(char *out, size_t size, struct view blob) {
    const struct digest_alg *hash = &digest_sha1;
    struct babble b = {.out = out, .size = size};
    uint8_t md[DIGEST_MAX];
    out[0] = '\0';
    if (digest_parts(hash, &blob, 1, md) != OK)
        return out;
    unsigned seed = 1;
    put(&b, 'x');
    for (size_t i = 0; i + 1 < hash->size; i += 2) {
        unsigned x = md[i], y = md[i + 1];
        put_three(&b, ((x >> 6) + seed) % 6, x >> 2 & 15, ((x & 3) + seed / 6) % 6);
        put(&b, consonants[y >> 4]);
        put(&b, '-');
        put(&b, consonants[y & 15]);
        seed = (seed * 5 + x * 7 + y) % 36;
    }
    put_three(&b, seed % 6, 16, seed / 6);
    put(&b, 'x');
    out[b.at] = '\0';
    return out;
}
