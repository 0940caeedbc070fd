// Standard input, output and error: terminal, pipe, socket, file or nothing. Reads and
// writes do not wait where the kind allows it, and the descriptions shared with our
// parent keep their flags: pipes and terminals are opened anew for that.
#pragma once

#include "base/buf.h"

struct stream {
    int fd;      // what is read or written; -1: closed
    bool owned;  // fd is ours alone, non-blocking
    bool socket;
    bool waits;       // may block: only once after each poll, in small pieces
    bool broken;      // writing failed for good: what comes is thrown away
    bool ended;       // reading came to the end
    struct buf left;  // not written yet
};

// `fd` is 0, 1 or 2. max_left: bytes that may wait to be written.
void stream_open(struct stream *s, int fd, bool writes, size_t max_left);
void stream_close(struct stream *s);

// OK with *n = 0: nothing there now. ERR_CLOSED: the end.
must_check enum err stream_read(struct stream *s, struct span room, size_t *n);
// Writes what goes, keeps the rest; *done is what needs no more waiting for. A broken
// stream takes all. ERR_LIMIT, ERR_MEMORY: it cannot be kept.
must_check enum err stream_write(struct stream *s, struct view v, size_t *done);
// Some of what is left; *done as above.
void stream_flush(struct stream *s, size_t *done);
