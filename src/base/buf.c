#include "base/buf.h"

#include <assert.h>
#include <stdlib.h>

void buf_init(struct buf *b, size_t max) {
    *b = (struct buf){.max = max};
}

void buf_free(struct buf *b) {
    free(b->p);
    *b = (struct buf){.max = b->max};
}

static enum err buf_grow(struct buf *b, size_t want) {
    size_t room = b->room < 256 ? 256 : b->room;
    while (room < want)
        room = room > b->max / 2 ? b->max : room * 2;
    if (room > b->max)
        room = b->max;  // want is not above it
    uint8_t *p = realloc(b->p, room);
    if (p == NULL)
        return ERR_MEMORY;
    b->p = p;
    b->room = room;
    return OK;
}

enum err buf_reserve(struct buf *b, size_t n, struct span *room) {
    size_t len = buf_len(b);
    if (n > b->max || len > b->max - n)
        return ERR_LIMIT;
    if (b->room - b->end < n) {
        // Moving pays only when it frees as much as it copies; else grow.
        if (b->start > 0 && (b->start >= len || b->room >= b->max)) {
            memmove(b->p, b->p + b->start, len);
            b->start = 0;
            b->end = len;
        }
        if (b->room - b->end < n && b->end + n > b->max) {
            memmove(b->p, b->p + b->start, len);
            b->start = 0;
            b->end = len;
        }
        if (b->room - b->end < n)
            TRY(buf_grow(b, b->end + n));
    }
    if (b->p == NULL && n == 0)
        TRY(buf_grow(b, 1));
    *room = (struct span){b->p + b->end, b->room - b->end};
    return OK;
}

void buf_added(struct buf *b, size_t n) {
    assert(n <= b->room - b->end);
    b->end += n;
}

enum err buf_append(struct buf *b, struct view v) {
    if (v.n == 0)
        return OK;
    struct span room;
    TRY(buf_reserve(b, v.n, &room));
    memcpy(room.p, v.p, v.n);
    b->end += v.n;
    return OK;
}

void buf_taken(struct buf *b, size_t n) {
    assert(n <= buf_len(b));
    b->start += n;
    if (b->start == b->end)
        b->start = b->end = 0;
}

void buf_clear(struct buf *b) {
    b->start = b->end = 0;
}

void buf_release_if_empty(struct buf *b) {
    if (b->start == b->end)
        buf_free(b);
}
