// Fingerprints of public keys, in figures and as a picture.
#include <stdio.h>

#include "key/base64.h"
#include "key/key.h"

static const char hex[] = "0123456789abcdef";

static size_t put_hex(char *out, size_t size, const uint8_t *md, size_t n) {
    size_t at = 0;
    for (size_t i = 0; i < n && at + 3 < size; i++) {
        if (i > 0)
            out[at++] = ':';
        out[at++] = hex[md[i] >> 4];
        out[at++] = hex[md[i] & 15];
    }
    return at;
}

static size_t put_base64(char *out, size_t size, const uint8_t *md, size_t n) {
    if (base64_encoded_len(n) >= size)
        return 0;
    base64_encode_to((uint8_t *)out, view_of(md, n));
    size_t at = base64_encoded_len(n);
    while (at > 0 && out[at - 1] == '=')
        at--;
    return at;
}

static void upper_name(char *out, size_t size, const char *name) {
    size_t i = 0;
    for (; name[i] != '\0' && i + 1 < size; i++)
        out[i] = (char)(name[i] >= 'a' && name[i] <= 'z' ? name[i] - 'a' + 'A' : name[i]);
    out[i] = '\0';
}

const char *key_fingerprint(char *out, size_t size, struct view blob,
                            const struct digest_alg *hash) {
    uint8_t md[DIGEST_MAX];
    char name[16];
    out[0] = '\0';
    if (digest_parts(hash, &blob, 1, md) != OK)
        return out;
    upper_name(name, sizeof name, hash->name);
    int n = snprintf(out, size, "%s:", name);
    if (n < 0 || (size_t)n >= size)
        return out;
    size_t at = (size_t)n;
    at +=
        (hash == &digest_md5 ? put_hex : put_base64)(out + at, size - at, md, hash->size);
    out[at] = '\0';
    return out;
}

// The walk of the "drunken bishop" (Loss, Limmer, von Gernler 2009): two bits of the hash
// for each diagonal step on a board of 17 by 9 squares, each square counts its visits.
#define BOARD_W 17
#define BOARD_H 9
static const char marks[] = " .o+=*BOX@%&#/^";
#define MARK_LAST (sizeof marks - 2)
#define MARK_START 'S'
#define MARK_END 'E'

struct board {
    char square[BOARD_H][BOARD_W];
    unsigned x, y;
};

static unsigned step(unsigned at, unsigned forward, unsigned size) {
    if (forward != 0)
        return at + 1 < size ? at + 1 : at;
    return at > 0 ? at - 1 : 0;
}

static void board_walk(struct board *b, const uint8_t *md, size_t n) {
    uint8_t visits[BOARD_H][BOARD_W] = {0};
    b->x = BOARD_W / 2;
    b->y = BOARD_H / 2;
    for (size_t i = 0; i < n; i++) {
        for (unsigned bit = 0; bit < 8; bit += 2) {
            b->x = step(b->x, md[i] >> bit & 1, BOARD_W);
            b->y = step(b->y, md[i] >> (bit + 1) & 1, BOARD_H);
            if (visits[b->y][b->x] < MARK_LAST)
                visits[b->y][b->x]++;
        }
    }
    for (unsigned y = 0; y < BOARD_H; y++) {
        for (unsigned x = 0; x < BOARD_W; x++)
            b->square[y][x] = marks[visits[y][x]];
    }
    b->square[BOARD_H / 2][BOARD_W / 2] = MARK_START;
    b->square[b->y][b->x] = MARK_END;
}

// A border with a title in its middle.
static char *border(char *at, const char *title) {
    size_t n = strlen(title);
    if (n > BOARD_W)
        n = BOARD_W;
    size_t left = (BOARD_W - n) / 2;
    *at++ = '+';
    memset(at, '-', BOARD_W);
    memcpy(at + left, title, n);
    at += BOARD_W;
    *at++ = '+';
    return at;
}

const char *key_art(char *out, const struct key *k, const struct digest_alg *hash) {
    uint8_t md[DIGEST_MAX];
    struct view blob = key_plain_blob(k);
    struct board b;
    char title[BOARD_W + 8], name[16];
    out[0] = '\0';
    if (digest_parts(hash, &blob, 1, md) != OK)
        return out;
    board_walk(&b, md, hash->size);
    // The size is left out where it does not fit.
    int n = snprintf(title, sizeof title, "[%s %u]", k->type->short_name, pk_bits(k->pk));
    if (n < 0 || n > BOARD_W)
        snprintf(title, sizeof title, "[%s]", k->type->short_name);
    char *at = border(out, title);
    for (unsigned y = 0; y < BOARD_H; y++) {
        *at++ = '\n';
        *at++ = '|';
        memcpy(at, b.square[y], BOARD_W);
        at += BOARD_W;
        *at++ = '|';
    }
    *at++ = '\n';
    upper_name(name, sizeof name, hash->name);
    snprintf(title, sizeof title, "[%s]", name);
    at = border(at, title);
    *at = '\0';
    return out;
}
