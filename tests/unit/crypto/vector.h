// Hexadecimal test vectors.
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/bytes.h"

static inline unsigned vector_nibble(char c) {
    return (unsigned)(c >= 'a' ? c - 'a' + 10 : c - '0');
}

// Decodes into out; the number of bytes.
static inline size_t vector_bytes(uint8_t *out, size_t room, const char *hex) {
    size_t n = strlen(hex) / 2;
    assert_true(n <= room);
    for (size_t i = 0; i < n; i++)
        out[i] =
            (uint8_t)(vector_nibble(hex[2 * i]) << 4 | vector_nibble(hex[2 * i + 1]));
    return n;
}

static inline void assert_vector(const uint8_t *got, size_t n, const char *hex) {
    uint8_t want[4096];
    assert_int_equal(n, vector_bytes(want, sizeof want, hex));
    assert_memory_equal(got, want, n);
}

// Bytes without any pattern worth guessing: a, a + step, …
static inline void vector_fill(uint8_t *out, size_t n, unsigned a, unsigned step) {
    for (size_t i = 0; i < n; i++)
        out[i] = (uint8_t)(a + i * step);
}
