#include "key/base64.h"

static const uint8_t alphabet[65] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

#define NOT_BASE64 0xff

static uint8_t value_of(uint8_t c) {
    if (c >= 'A' && c <= 'Z')
        return (uint8_t)(c - 'A');
    if (c >= 'a' && c <= 'z')
        return (uint8_t)(c - 'a' + 26);
    if (c >= '0' && c <= '9')
        return (uint8_t)(c - '0' + 52);
    return c == '+' ? 62 : c == '/' ? 63 : NOT_BASE64;
}

void base64_encode_to(uint8_t *out, struct view v) {
    size_t at = 0;
    for (size_t i = 0; i < v.n; i += 3) {
        size_t left = v.n - i;
        uint32_t bits = (uint32_t)v.p[i] << 16;
        bits |= left > 1 ? (uint32_t)v.p[i + 1] << 8 : 0;
        bits |= left > 2 ? v.p[i + 2] : 0;
        out[at++] = alphabet[bits >> 18];
        out[at++] = alphabet[bits >> 12 & 63];
        out[at++] = left > 1 ? alphabet[bits >> 6 & 63] : '=';
        out[at++] = left > 2 ? alphabet[bits & 63] : '=';
    }
}

enum err base64_encode(struct buf *out, struct view v) {
    size_t n = base64_encoded_len(v.n);
    struct span room;
    TRY(buf_reserve(out, n, &room));
    base64_encode_to(room.p, v);
    buf_added(out, n);
    return OK;
}

static bool is_blank(uint8_t c) {
    return c == '\n' || c == '\r' || c == ' ' || c == '\t';
}

// A group of four on its way.
struct group {
    uint32_t bits;
    unsigned have;  // characters, pads included
    unsigned pads;
};

// False: not base64. The bytes of a full group go to out.
static bool group_add(struct group *g, uint8_t c, uint8_t *out, size_t *n) {
    uint8_t v = value_of(c);
    if (c == '=' && g->have >= 2)
        g->pads++;
    else if (v == NOT_BASE64 || g->pads > 0)
        return false;
    g->bits = g->bits << 6 | (c == '=' ? 0u : v);
    if (++g->have < 4)
        return true;
    // What the pads cut off has to be zero: one text for each value.
    if ((g->pads == 1 && (g->bits & 0xff) != 0) ||
        (g->pads == 2 && (g->bits & 0xffff) != 0))
        return false;
    for (unsigned i = 0; i < 3 - g->pads; i++)
        out[(*n)++] = (uint8_t)(g->bits >> (16 - 8 * i));
    g->bits = 0;
    g->have = 0;
    return true;
}

static enum err decode(struct buf *out, struct view text, bool blanks) {
    struct span room;
    TRY(buf_reserve(out, text.n / 4 * 3 + 3, &room));
    struct group g = {0};
    size_t n = 0;
    for (size_t i = 0; i < text.n; i++) {
        if (blanks && is_blank(text.p[i]))
            continue;
        // Behind a padded group nothing may follow: its pads are still counted.
        if (!group_add(&g, text.p[i], room.p, &n))
            return ERR_FORMAT;
    }
    if (g.have != 0)
        return ERR_FORMAT;
    buf_added(out, n);
    return OK;
}

enum err base64_decode(struct buf *out, struct view text) {
    return decode(out, text, false);
}

enum err base64_decode_lines(struct buf *out, struct view text) {
    return decode(out, text, true);
}
