#include "base/json_flat.h"

#include <stdlib.h>

#include "base/text.h"

#define NAME_SIZE 64

struct scan {
    const uint8_t *p, *end;
};

static int peek(const struct scan *s) {
    return s->p < s->end ? *s->p : -1;
}

static void skip_blanks(struct scan *s) {
    while (peek(s) == ' ' || peek(s) == '\t')
        s->p++;
}

static bool take(struct scan *s, int c) {
    skip_blanks(s);
    if (peek(s) != c)
        return false;
    s->p++;
    return true;
}

// What is put somewhere of a bounded size, or nowhere (p NULL).
struct out {
    char *p;
    size_t n, size;
};

static bool put(struct out *o, const uint8_t *bytes, size_t n) {
    if (o->p == NULL)
        return true;
    if (n >= o->size - o->n)
        return false;
    memcpy(o->p + o->n, bytes, n);
    o->n += n;
    o->p[o->n] = '\0';
    return true;
}

// \uXXXX up to U+00FF: the writer escapes controls alone.
static bool take_unicode(struct scan *s, uint8_t *byte) {
    char hex[5] = "", *stop;
    if (s->end - s->p < 4)
        return false;
    memcpy(hex, s->p, 4);
    unsigned long v = strtoul(hex, &stop, 16);
    s->p += 4;
    *byte = (uint8_t)v;
    return *stop == '\0' && hex[0] != '-' && hex[0] != '+' && v < 0x80;
}

static bool take_escape(struct scan *s, uint8_t *byte) {
    static const char from[] = "\"\\/ntrbf", to[] = "\"\\/\n\t\r\b\f";
    if (s->p == s->end)
        return false;
    uint8_t c = *s->p++;
    if (c == 'u')
        return take_unicode(s, byte);
    const char *at = c != '\0' ? strchr(from, c) : NULL;
    if (at != NULL)
        *byte = (uint8_t)to[at - from];
    return at != NULL;
}

static bool take_string(struct scan *s, struct out *o) {
    if (!take(s, '"'))
        return false;
    while (s->p < s->end && *s->p != '"') {
        uint8_t byte = *s->p++;
        if (byte == '\\' && !take_escape(s, &byte))
            return false;
        if (!put(o, &byte, 1))
            return false;
    }
    return take(s, '"');
}

static bool is_bare(int c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || c == '-' || c == '+' ||
           c == '.' || c == 'E';
}

static bool take_value(struct scan *s, struct out *o) {
    skip_blanks(s);
    if (peek(s) == '"')
        return take_string(s, o);
    const uint8_t *from = s->p;
    while (is_bare(peek(s)))
        s->p++;
    return s->p > from && put(o, from, (size_t)(s->p - from));
}

bool json_flat_get(struct view line, const char *name, char *out, size_t size) {
    struct scan s = {line.p, line.p + line.n};
    out[0] = '\0';
    if (!take(&s, '{'))
        return false;
    do {
        char found[NAME_SIZE] = "";
        struct out to_name = {found, 0, sizeof found}, to_value = {NULL, 0, 0};
        if (!take_string(&s, &to_name) || !take(&s, ':'))
            return false;
        bool is = strcmp(found, name) == 0;
        if (is)
            to_value = (struct out){out, 0, size};
        if (!take_value(&s, &to_value)) {
            out[0] = '\0';
            return false;
        }
        if (is)
            return true;
    } while (take(&s, ','));
    return false;
}

uint64_t json_flat_u64(struct view line, const char *name, uint64_t otherwise) {
    char text[32];
    uint64_t v;
    return json_flat_get(line, name, text, sizeof text) &&
                   text_number(text, 0, UINT64_MAX, &v)
               ? v
               : otherwise;
}
