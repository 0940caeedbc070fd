// -l: no more than so many bytes a second, both ways together.
#pragma once

#include <stddef.h>
#include <stdint.h>

struct throttle {
    uint64_t rate;   // bytes a second; 0: as many as there are
    uint64_t ahead;  // clock_us() up to which what has passed may take
};

// From a number of Kbit/s.
void throttle_init(struct throttle *t, uint64_t kbits);
// So many bytes have passed: waits as long as they may take.
void throttle_passed(struct throttle *t, size_t bytes);
// Bytes that may be moved at a time, so that waits stay short.
size_t throttle_piece(const struct throttle *t, size_t most);
