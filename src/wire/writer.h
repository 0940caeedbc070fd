// Sticky writer of RFC 4251 s.5 types into a buf or into fixed room; writer_end() tells
// once whether everything fitted.
#pragma once

#include "base/buf.h"

struct writer {
    struct buf *buf;   // NULL: fixed room
    uint8_t *p, *end;  // fixed room
    size_t n;          // bytes written since the start
    enum err err;
};

struct writer writer_to_buf(struct buf *b);
struct writer writer_to_span(struct span s);

void write_u8(struct writer *w, uint8_t v);
void write_bool(struct writer *w, bool v);
void write_u32(struct writer *w, uint32_t v);
void write_u64(struct writer *w, uint64_t v);
void write_bytes(struct writer *w, struct view v);
void write_string(struct writer *w, struct view v);
void write_text(struct writer *w, const char *text);
// A big-endian magnitude; leading zeros are dropped and the sign byte put where it is
// needed.
void write_mpint(struct writer *w, struct view magnitude);

must_check enum err writer_end(const struct writer *w);
