// A receiving window (RFC 4254 s.5.2) that grows with the path.
//
// Bytes are in one of three places: the peer may still send them (left), they were
// delivered and are not consumed yet (unread), or they were consumed and not granted
// again (credit). Invariant: left + unread + credit == size <= max.
//
// Consumed bytes are granted again when they are half the window: rare, large adjusts.
// The window grows only when it is what holds the peer back. That shows when the first
// byte comes that only the last grant allowed: if the peer had waited for it, and the
// reader had nothing left to do meanwhile, then a larger window would have been filled. A
// slow reader, a near peer and a peer with little to say leave it as it is.
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct window {
    uint32_t left, unread, credit;
    uint32_t size, max;
    uint32_t fresh;    // of left: what the peer was not yet seen to know of
    uint64_t last;     // when data came last, ms
    uint64_t granted;  // when the oldest part of fresh was granted, ms
    unsigned waits;    // of the peer, one after another
};

void window_init(struct window *w, uint32_t start, uint32_t max);

// n bytes came. False: more than the peer may send; nothing has changed. *grant: bytes to
// grant the peer in an adjust at once, mostly 0.
bool window_take(struct window *w, uint32_t n, uint64_t now, uint32_t *grant);

// n bytes were consumed, n <= unread. Returns the bytes to grant in an adjust, mostly 0.
uint32_t window_consume(struct window *w, uint32_t n, uint64_t now);
