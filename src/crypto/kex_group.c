// Groups for the group exchange (RFC 4419, RFC 8270): out of a moduli file, out of RFC
// 3526, or from the peer.
#include "base/text.h"
#include "crypto/kex_ops.h"
#include "crypto/random.h"

// Columns of moduli(5).
enum column {
    TIME,
    TYPE,
    TESTS,
    TRIES,
    SIZE,
    GENERATOR,
    MODULUS,
    COLUMNS
};
#define TYPE_SAFE_PRIME 2
#define TEST_COMPOSITE 1u

// A line that can serve.
struct line {
    uint32_t bits;
    struct view generator, modulus;  // hexadecimal
};

// UINT32_MAX for what is no number below 2^31.
static uint32_t number_of(struct view word) {
    uint32_t v = 0;
    for (size_t i = 0; i < word.n; i++) {
        if (word.p[i] < '0' || word.p[i] > '9' || v >= UINT32_MAX / 20)
            return UINT32_MAX;
        v = v * 10 + (uint32_t)(word.p[i] - '0');
    }
    return word.n > 0 ? v : UINT32_MAX;
}

static int hex_digit(uint8_t c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

// Hexadecimal of any length into bytes without leading zeros.
static bool hex_bytes(struct view hex, uint8_t *out, size_t room, size_t *len) {
    while (hex.n > 0 && hex.p[0] == '0')
        hex = view_of(hex.p + 1, hex.n - 1);
    *len = (hex.n + 1) / 2;
    if (*len == 0 || *len > room)
        return false;
    memset(out, 0, *len);
    for (size_t i = 0; i < hex.n; i++) {
        size_t from_end = hex.n - 1 - i;
        int digit = hex_digit(hex.p[i]);
        if (digit < 0)
            return false;
        out[*len - 1 - from_end / 2] |= (uint8_t)(digit << from_end % 2 * 4);
    }
    return true;
}

static bool line_parse(struct view text, struct line *out) {
    struct view words[COLUMNS];
    if (text.n == 0 || text.p[0] == '#')
        return false;
    for (size_t i = 0; i < COLUMNS; i++)
        words[i] = text_next_word(&text);
    uint32_t tests = number_of(words[TESTS]), size = number_of(words[SIZE]);
    if (number_of(words[TYPE]) != TYPE_SAFE_PRIME || tests == UINT32_MAX ||
        (tests & TEST_COMPOSITE) != 0 || tests == 0 || size > KEX_GROUP_BITS_MAX)
        return false;
    *out = (struct line){size + 1, words[GENERATOR], words[MODULUS]};
    return true;
}

// The next line that can serve.
static bool line_next(struct view *text, struct line *out) {
    while (text->n > 0) {
        const uint8_t *end = memchr(text->p, '\n', text->n);
        size_t n = end != NULL ? (size_t)(end - text->p) : text->n;
        struct view line = view_of(text->p, n);
        *text = end != NULL ? view_of(end + 1, text->n - n - 1) : view_of(NULL, 0);
        if (line_parse(line, out))
            return true;
    }
    return false;
}

// The least size from n on, or else the greatest below.
static bool is_better(uint32_t bits, uint32_t best, uint32_t n) {
    if (best == 0)
        return true;
    if ((bits >= n) != (best >= n))
        return bits >= n;
    return bits >= n ? bits < best : bits > best;
}

static uint32_t best_size(struct view text, uint32_t min, uint32_t n, uint32_t max,
                          uint32_t *count) {
    struct line line;
    uint32_t best = 0;
    *count = 0;
    while (line_next(&text, &line)) {
        if (line.bits < min || line.bits > max)
            continue;
        if (line.bits != best && is_better(line.bits, best, n)) {
            best = line.bits;
            *count = 0;
        }
        *count += line.bits == best;
    }
    return best;
}

static bool take_line(struct kex_group *out, const struct line *line) {
    uint8_t p[KEX_GROUP_MAX], g[KEX_GROUP_MAX];
    size_t p_len, g_len;
    return hex_bytes(line->modulus, p, sizeof p, &p_len) &&
           hex_bytes(line->generator, g, sizeof g, &g_len) &&
           kex_group_set(out, view_of(p, p_len), view_of(g, g_len)) == OK &&
           kex_group_bits(out) == line->bits;
}

// Any one of the lines with the best size.
static bool choose_line(struct kex_group *out, struct view text, uint32_t min, uint32_t n,
                        uint32_t max) {
    struct line line;
    uint32_t count, pick, best = best_size(text, min, n, max, &count);
    if (best == 0)
        return false;
    random_bytes(&pick, sizeof pick);
    for (pick %= count; line_next(&text, &line);)
        if (line.bits == best && pick-- == 0)
            return take_line(out, &line);
    return false;
}

static enum err choose_fixed(struct kex_group *out, uint32_t min, uint32_t n,
                             uint32_t max) {
    static const struct {
        uint32_t bits;
        BIGNUM *(*prime)(BIGNUM *);
    } fixed[] = {{2048, BN_get_rfc3526_prime_2048},
                 {3072, BN_get_rfc3526_prime_3072},
                 {4096, BN_get_rfc3526_prime_4096},
                 {6144, BN_get_rfc3526_prime_6144},
                 {8192, BN_get_rfc3526_prime_8192}};
    BIGNUM *(*prime)(BIGNUM *) = NULL;
    uint32_t best = 0;
    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++)
        if (fixed[i].bits >= min && fixed[i].bits <= max &&
            is_better(fixed[i].bits, best, n)) {
            best = fixed[i].bits;
            prime = fixed[i].prime;
        }
    BIGNUM *p = prime != NULL ? prime(NULL) : NULL;
    if (p == NULL)
        return ERR_KEX;
    out->p_len = (size_t)BN_bn2bin(p, out->p);
    out->g[0] = 2;
    out->g_len = 1;
    BN_free(p);
    return OK;
}

enum err kex_group_choose(struct kex_group *out, struct view moduli, uint32_t min,
                          uint32_t n, uint32_t max) {
    if (min > n || n > max)
        return ERR_KEX;
    if (min < KEX_GROUP_BITS_MIN)
        min = KEX_GROUP_BITS_MIN;
    if (max > KEX_GROUP_BITS_MAX)
        max = KEX_GROUP_BITS_MAX;
    if (min > max)
        return ERR_KEX;
    return choose_line(out, moduli, min, n, max) ? OK : choose_fixed(out, min, n, max);
}

enum err kex_group_set(struct kex_group *out, struct view p, struct view g) {
    if (p.n == 0 || p.n > KEX_GROUP_MAX || p.p[0] == 0 || (p.p[p.n - 1] & 1) == 0 ||
        g.n == 0 || g.n > p.n || g.p[0] == 0 || (g.n == 1 && g.p[0] == 1))
        return ERR_KEX;
    memcpy(out->p, p.p, p.n);
    memcpy(out->g, g.p, g.n);
    out->p_len = p.n;
    out->g_len = g.n;
    // p is odd, so p - 1 differs from it in the last byte alone.
    if (g.n == p.n) {
        int higher = memcmp(g.p, p.p, p.n - 1);
        if (higher > 0 || (higher == 0 && g.p[g.n - 1] + 1 >= p.p[p.n - 1]))
            return ERR_KEX;
    }
    uint32_t bits = kex_group_bits(out);
    return bits >= KEX_GROUP_BITS_MIN && bits <= KEX_GROUP_BITS_MAX ? OK : ERR_KEX;
}

uint32_t kex_group_bits(const struct kex_group *group) {
    uint32_t top = 0;
    for (uint8_t first = group->p[0]; first != 0; first >>= 1)
        top++;
    return (uint32_t)(group->p_len - 1) * 8 + top;
}
