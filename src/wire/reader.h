// Sticky reader of RFC 4251 s.5 types: after the first failure every read gives zero or
// an empty view, and reader_end() is checked once. Views point into what is read.
#pragma once

#include "base/bytes.h"
#include "base/err.h"

struct reader {
    const uint8_t *p, *end;
    enum err err;
};

struct reader reader_of(struct view v);

uint8_t read_u8(struct reader *r);
bool read_bool(struct reader *r);  // any non-zero is true (RFC 4251 s.5)
uint32_t read_u32(struct reader *r);
uint64_t read_u64(struct reader *r);
struct view read_string(struct reader *r);
struct view read_bytes(struct reader *r, size_t n);
// A string without NUL bytes, UTF-8 not checked.
struct view read_text(struct reader *r);
// A name-list (RFC 4251 s.5): printable US-ASCII names, none empty, LIMIT_NAME_LIST at
// most.
struct view read_name_list(struct reader *r);
// The magnitude of a non-negative mpint without its leading zero; negative or padded:
// ERR_FORMAT.
struct view read_mpint(struct reader *r);
struct view read_rest(struct reader *r);

static inline size_t reader_left(const struct reader *r) {
    return r->err == OK ? (size_t)(r->end - r->p) : 0;
}

// The first error; ERR_TRAILING if something is left.
must_check enum err reader_end(const struct reader *r);
