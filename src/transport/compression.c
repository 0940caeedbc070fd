// Compression of payloads by zlib. Each payload is flushed, so that it can be inflated by
// itself; whatever a packet inflates to is bounded before it is written anywhere, and the
// room for it doubles, so that the work is in proportion to what comes out.
#include "transport/compression.h"

#include <stdlib.h>
#include <zlib.h>

#include "base/limits.h"

#define LEVEL 6  // zlib's own default, and OpenSSH's
#define ROOM_MIN 4096u

struct compression {
    z_stream z;
    bool deflates;
};

enum err compression_new(struct compression **out, bool deflates) {
    struct compression *c = calloc(1, sizeof *c);
    if (c == NULL)
        return ERR_MEMORY;
    c->deflates = deflates;
    if ((deflates ? deflateInit(&c->z, LEVEL) : inflateInit(&c->z)) != Z_OK) {
        free(c);
        return ERR_MEMORY;
    }
    *out = c;
    return OK;
}

void compression_free(struct compression *c) {
    if (c == NULL)
        return;
    if (c->deflates)
        deflateEnd(&c->z);
    else
        inflateEnd(&c->z);
    free(c);
}

static enum err step(struct compression *c) {
    int e = c->deflates ? deflate(&c->z, Z_PARTIAL_FLUSH) : inflate(&c->z, Z_SYNC_FLUSH);
    if (e == Z_OK || e == Z_BUF_ERROR)  // the latter: nothing left to do
        return OK;
    return e == Z_MEM_ERROR ? ERR_MEMORY : ERR_FORMAT;
}

// zlib is done when it leaves room.
enum err compression_run(struct compression *c, struct view payload, struct buf *out) {
    c->z.next_in = (uint8_t *)(uintptr_t)payload.p;  // zlib does not write there
    c->z.avail_in = (unsigned)payload.n;
    buf_clear(out);
    do {
        struct span room;
        size_t have = buf_len(out), want = have < ROOM_MIN ? ROOM_MIN : have;
        // One byte more than may be used tells that there was more.
        if (want > LIMIT_PACKET + 1 - have)
            want = LIMIT_PACKET + 1 - have;
        TRY(buf_reserve(out, want, &room));
        c->z.next_out = room.p;
        c->z.avail_out = (unsigned)want;
        TRY(step(c));
        buf_added(out, want - c->z.avail_out);
        if (buf_len(out) > LIMIT_PACKET)
            return ERR_LIMIT;
    } while (c->z.avail_out == 0);
    return c->z.avail_in == 0 && buf_len(out) > 0 ? OK : ERR_FORMAT;
}
