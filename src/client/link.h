// The link under a transport: a connected socket, and the pumping of bytes between the
// two. What is queued leaves in as few writes as can be: nothing is written before
// somebody waits.
#pragma once

#include "transport/transport.h"

struct pollfd;

struct link {
    int fd;
    // Who waits in poll(2)'s place, NULL: that itself. OK: one of them is ready (revents
    // are filled in). ERR_TIMEOUT; others: give up.
    enum err (*wait)(void *arg, struct pollfd *p, size_t n, uint64_t deadline);
    void *wait_arg;
    struct transport *transport;
    bool blocked;          // the socket took not all: wait for room
    bool ended;            // the stream's end was read
    uint64_t heard, read;  // clock_ms() of the last bytes; bytes in all
    int error;             // errno of what ended it; 0: nothing, or the stream's end
};

// Writes what the transport has queued, as far as the socket takes it.
must_check enum err link_flush(struct link *l);
// Reads once into the transport's room; nothing there is OK too.
must_check enum err link_fill(struct link *l);
// Flushes, then waits until bytes came or left, or the deadline (clock_ms()) is over:
// ERR_TIMEOUT.
must_check enum err link_wait(struct link *l, uint64_t deadline);
// Waits for any of these: as above.
must_check enum err link_poll(struct link *l, struct pollfd *p, size_t n,
                              uint64_t deadline);
// Flushes for at most `ms`, then closes.
void link_close(struct link *l, unsigned ms);
