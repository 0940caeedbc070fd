#include "base/text.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

size_t text_utf8(struct view v, uint32_t *rune) {
    const uint8_t *p = v.p;
    if (v.n == 0)
        return 0;
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t len = p[0] < 0x80           ? 1
                 : (p[0] >> 5) == 0x06 ? 2
                 : (p[0] >> 4) == 0x0e ? 3
                 : (p[0] >> 3) == 0x1e ? 4
                                       : 0;
    if (len == 0 || len > v.n)
        return 0;
    uint32_t r = len == 1 ? p[0] : p[0] & (0x7fu >> len);
    for (size_t i = 1; i < len; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
        r = r << 6 | (p[i] & 0x3f);
    }
    if (r < least[len] || r > 0x10ffff || (r >= 0xd800 && r <= 0xdfff))
        return 0;
    *rune = r;
    return len;
}

// Code points that move text about or hide it: controls, bidi marks and overrides,
// joiners, soft hyphens, interlinear annotation, tags.
static bool rune_is_trouble(uint32_t r) {
    static const uint32_t ranges[][2] = {
        {0x00, 0x1f},     {0x7f, 0x9f},     {0xad, 0xad},       {0x61c, 0x61c},
        {0x180e, 0x180e}, {0x200b, 0x200f}, {0x2028, 0x202e},   {0x2060, 0x206f},
        {0xfeff, 0xfeff}, {0xfff9, 0xfffb}, {0xe0000, 0xe0fff},
    };
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++)
        if (r >= ranges[i][0] && r <= ranges[i][1])
            return true;
    return false;
}

enum clean_flag {
    CLEAN_KEEP_LINES = 1,      // newline and tab pass
    CLEAN_KEEP_BACKSLASH = 2,  // backslash passes
};

static bool passes(uint32_t rune, unsigned flags) {
    if (rune == '\n' || rune == '\t')
        return (flags & CLEAN_KEEP_LINES) != 0;
    if (rune == '\\')
        return (flags & CLEAN_KEEP_BACKSLASH) != 0;
    return !rune_is_trouble(rune);
}

static void escape_byte(char *out, uint8_t c) {
    out[0] = '\\';
    out[1] = (char)('0' + (c >> 6));
    out[2] = (char)('0' + (c >> 3 & 7));
    out[3] = (char)('0' + (c & 7));
}

static size_t clean(char *out, size_t size, struct view v, unsigned flags) {
    size_t o = 0;
    if (size < 8) {
        if (size > 0)
            out[0] = '\0';
        return 0;
    }
    for (size_t i = 0; i < v.n;) {
        uint32_t rune = 0;
        size_t len = text_utf8(view_of(v.p + i, v.n - i), &rune);
        bool plain = len > 0 && passes(rune, flags);
        bool backslash = !plain && len > 0 && rune == '\\';
        size_t take = len > 0 ? len : 1;
        size_t need = plain ? take : backslash ? 2 : 4 * take;
        if (need > size - 4 - o) {
            memcpy(out + o, "...", 3);
            o += 3;
            break;
        }
        if (plain)
            memcpy(out + o, v.p + i, take);
        else if (backslash)
            memcpy(out + o, "\\\\", 2);
        else
            for (size_t k = 0; k < take; k++)
                escape_byte(out + o + 4 * k, v.p[i + k]);
        o += need;
        i += take;
    }
    out[o] = '\0';
    return o;
}

const char *text_clean(char *out, size_t size, struct view foreign) {
    clean(out, size, foreign, 0);
    return out;
}

const char *text_one_line(char *out, size_t size, struct view mixed) {
    clean(out, size, mixed, CLEAN_KEEP_BACKSLASH);
    return out;
}

size_t text_clean_lines(char *out, size_t size, struct view foreign) {
    return clean(out, size, foreign, CLEAN_KEEP_LINES | CLEAN_KEEP_BACKSLASH);
}

bool text_copy(char *out, size_t size, struct view v) {
    if (size == 0)
        return false;
    size_t n = v.n < size - 1 ? v.n : size - 1;
    if (n > 0)
        memcpy(out, v.p, n);
    out[n] = '\0';
    return n == v.n;
}

static bool is_blank(uint8_t c) {
    return c == ' ' || c == '\t' || c == '\r';
}

struct view text_next_word(struct view *line) {
    size_t from = 0, to;
    while (from < line->n && is_blank(line->p[from]))
        from++;
    for (to = from; to < line->n && !is_blank(line->p[to]);)
        to++;
    struct view word = view_of(line->p + from, to - from);
    *line = view_of(line->p + to, line->n - to);
    return word;
}

struct view text_trimmed(struct view v) {
    while (v.n > 0 && (is_blank(v.p[0]) || v.p[0] == '\n'))
        v = view_of(v.p + 1, v.n - 1);
    while (v.n > 0 && (is_blank(v.p[v.n - 1]) || v.p[v.n - 1] == '\n'))
        v.n--;
    return v;
}

bool text_number(const char *s, uint64_t min, uint64_t max, uint64_t *value) {
    uint64_t v = 0;
    if (*s == '\0')
        return false;
    for (; *s != '\0'; s++) {
        if (*s < '0' || *s > '9')
            return false;
        uint64_t digit = (uint64_t)(*s - '0');
        if (v > (UINT64_MAX - digit) / 10)
            return false;
        v = v * 10 + digit;
    }
    if (v < min || v > max)
        return false;
    *value = v;
    return true;
}

// Seconds of a unit letter; 0 if there is no such unit.
static uint32_t duration_unit(char letter) {
    static const struct {
        char letter;
        uint32_t seconds;
    } units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}, {'w', 604800}};
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
        if (tolower((unsigned char)letter) == units[i].letter)
            return units[i].seconds;
    return 0;
}

bool text_duration(const char *s, uint32_t *seconds) {
    uint64_t total = 0;
    if (*s == '\0')
        return false;
    while (*s != '\0') {
        uint64_t v = 0;
        if (!isdigit((unsigned char)*s))
            return false;
        for (; isdigit((unsigned char)*s); s++) {
            v = v * 10 + (uint64_t)(*s - '0');
            if (v > INT32_MAX)
                return false;
        }
        uint32_t unit = *s == '\0' ? 1 : duration_unit(*s);
        if (unit == 0)
            return false;
        if (*s != '\0')
            s++;
        total += v * unit;
        if (total > INT32_MAX)
            return false;
    }
    *seconds = (uint32_t)total;
    return true;
}

bool text_size(const char *s, uint64_t *bytes) {
    uint64_t v = 0;
    if (!isdigit((unsigned char)*s))
        return false;
    for (; isdigit((unsigned char)*s); s++) {
        uint64_t digit = (uint64_t)(*s - '0');
        if (v > (UINT64_MAX - digit) / 10)
            return false;
        v = v * 10 + digit;
    }
    unsigned shift = 0;
    if (*s != '\0') {
        const char *at = strchr("KMG", toupper((unsigned char)*s));
        if (at == NULL || s[1] != '\0')
            return false;
        shift = (unsigned)(*at == 'K' ? 10 : *at == 'M' ? 20 : 30);
    }
    if (v > UINT64_MAX >> shift)
        return false;
    *bytes = v << shift;
    return true;
}

bool text_match(const char *pattern, const char *s) {
    // The last star is the only one worth coming back to, so this never grows
    // exponential.
    const char *star = NULL, *resume = NULL;
    while (*s != '\0') {
        if (*pattern == '*') {
            star = ++pattern;
            resume = s;
        } else if (*pattern == '?' || (*pattern != '\0' && *pattern == *s)) {
            pattern++;
            s++;
        } else if (star != NULL) {
            pattern = star;
            s = ++resume;
        } else {
            return false;
        }
    }
    while (*pattern == '*')
        pattern++;
    return *pattern == '\0';
}

static void lower_in_place(char *s) {
    for (; *s != '\0'; s++)
        *s = (char)tolower((unsigned char)*s);
}

int text_match_list(const char *patterns, const char *s, bool lower) {
    char one[1024], subject[1024];
    int found = 0;
    if (!text_copy(subject, sizeof subject, view_text(s)))
        return 0;
    if (lower)
        lower_in_place(subject);
    while (*patterns != '\0') {
        size_t n = strcspn(patterns, ",");
        const char *next = patterns + n + (patterns[n] == ',');
        bool negated = *patterns == '!';
        bool fits = text_copy(one, sizeof one, view_of(patterns + negated, n - negated));
        if (!fits)
            return negated ? -1 : 0;
        if (lower)
            lower_in_place(one);
        if (text_match(one, subject)) {
            if (negated)
                return -1;
            found = 1;
        }
        patterns = next;
    }
    return found;
}

static size_t edit_distance(const char *a, const char *b) {
    size_t row[64], n = strlen(b);
    if (n >= sizeof row / sizeof row[0] || strlen(a) >= 64)
        return SIZE_MAX;
    for (size_t j = 0; j <= n; j++)
        row[j] = j;
    for (size_t i = 1; a[i - 1] != '\0'; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= n; j++) {
            size_t up = row[j];
            size_t cost =
                tolower((unsigned char)a[i - 1]) != tolower((unsigned char)b[j - 1]);
            size_t best = diagonal + cost;
            if (up + 1 < best)
                best = up + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            row[j] = best;
            diagonal = up;
        }
    }
    return row[n];
}

const char *text_suggest(const char *s, const char *(*name_at)(size_t, const void *),
                         const void *arg) {
    const char *best = NULL, *name;
    size_t least = strlen(s) / 3 + 1;
    for (size_t i = 0; (name = name_at(i, arg)) != NULL; i++) {
        size_t d = edit_distance(s, name);
        if (d < least) {
            least = d;
            best = name;
        }
    }
    return best;
}

char *text_word(char **cursor, bool equals, bool *bad) {
    char *s = *cursor;
    s += strspn(s, " \t\r\n\f");
    *bad = false;
    if (*s == '\0' || *s == '#') {
        *cursor = s + strlen(s);
        return NULL;
    }
    char *word = s, *out = s;
    char quote = 0;
    for (; *s != '\0'; s++) {
        if (*s == '\\' &&
            (s[1] == '"' || s[1] == '\'' || s[1] == '\\' || (quote == 0 && s[1] == ' ')))
            *out++ = *++s;
        else if (quote == 0 && (*s == '"' || *s == '\''))
            quote = *s;
        else if (quote != 0 && *s == quote)
            quote = 0;
        else if (quote == 0 && (strchr(" \t\r\n\f", *s) != NULL || (equals && *s == '=')))
            break;
        else
            *out++ = *s;
    }
    *bad = quote != 0;
    if (*s != '\0') {
        bool at_equals = *s == '=';
        s++;
        if (equals && !at_equals) {
            s += strspn(s, " \t\r\n\f");
            if (*s == '=')
                s++;
        }
    }
    *out = '\0';
    *cursor = s;
    return word;
}
