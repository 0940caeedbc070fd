// A linear byte queue with a mandatory maximum: written at its end, read from its front.
//
// Invariants: start <= end <= room <= max. It grows geometrically, never past `max`; it
// is not shrunk or wiped when emptied (steady state allocates nothing). For secrets see
// base/secret.h.
#pragma once

#include "base/bytes.h"
#include "base/err.h"

struct buf {
    uint8_t *p;
    size_t start, end;  // what is unread lies in [start, end)
    size_t room;        // allocated bytes
    size_t max;         // limit for room
};

void buf_init(struct buf *b, size_t max);
void buf_free(struct buf *b);  // also of a zeroed one

static inline size_t buf_len(const struct buf *b) {
    return b->end - b->start;
}

static inline struct view buf_view(const struct buf *b) {
    return b->p != NULL ? view_of(b->p + b->start, b->end - b->start) : view_of(NULL, 0);
}

// At least n bytes of room at the end, for buf_added(); the unread bytes may move.
// ERR_LIMIT past the maximum, ERR_MEMORY; then nothing has changed.
must_check enum err buf_reserve(struct buf *b, size_t n, struct span *room);

// n bytes of the reserved room were filled.
void buf_added(struct buf *b, size_t n);

must_check enum err buf_append(struct buf *b, struct view v);

// n bytes at the front were read.
void buf_taken(struct buf *b, size_t n);

void buf_clear(struct buf *b);  // keeps the memory

// Gives the memory back when nothing is unread.
void buf_release_if_empty(struct buf *b);

#define scoped_buf __attribute__((cleanup(buf_free))) struct buf
