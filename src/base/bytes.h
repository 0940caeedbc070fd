// Byte ranges, passed by value. Neither kind owns what it points to.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

// Bytes to read.
struct view {
    const uint8_t *p;
    size_t n;
};

// Room to write into.
struct span {
    uint8_t *p;
    size_t n;
};

static inline struct view view_of(const void *p, size_t n) {
    return (struct view){p, n};
}

// The bytes of a C string, without its NUL.
static inline struct view view_text(const char *text) {
    return (struct view){(const uint8_t *)text, strlen(text)};
}

// What stands before the first `end`; all of it when there is none.
static inline struct view view_until(struct view v, char end) {
    const uint8_t *at = v.n > 0 ? (const uint8_t *)memchr(v.p, end, v.n) : NULL;
    return at != NULL ? view_of(v.p, (size_t)(at - v.p)) : v;
}

// What stands behind the first `mark`; nothing when there is none.
static inline struct view view_after(struct view v, char mark) {
    size_t n = view_until(v, mark).n;
    return n < v.n ? view_of(v.p + n + 1, v.n - n - 1) : view_of(v.p, 0);
}

// Not for secrets: see secret_equal().
static inline bool view_equal(struct view a, struct view b) {
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static inline bool view_is(struct view a, const char *text) {
    return view_equal(a, view_text(text));
}

// Big-endian numbers, as RFC 4251 s.5 has them.
static inline uint32_t load_u32(const uint8_t *p) {
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static inline uint64_t load_u64(const uint8_t *p) {
    return (uint64_t)load_u32(p) << 32 | load_u32(p + 4);
}

static inline void store_u32(uint8_t *p, uint32_t v) {
    p[0] = (uint8_t)(v >> 24);
    p[1] = (uint8_t)(v >> 16);
    p[2] = (uint8_t)(v >> 8);
    p[3] = (uint8_t)v;
}

static inline void store_u64(uint8_t *p, uint64_t v) {
    store_u32(p, (uint32_t)(v >> 32));
    store_u32(p + 4, (uint32_t)v);
}
