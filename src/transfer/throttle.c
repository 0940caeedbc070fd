#include "transfer/throttle.h"

#include <time.h>

#include "io/clock.h"

#define BURST_US 50000u  // what may pass at once after a pause
#define PIECE_LEAST 1024u

void throttle_init(struct throttle *t, uint64_t kbits) {
    *t = (struct throttle){.rate = kbits * 1024 / 8};
}

void throttle_passed(struct throttle *t, size_t bytes) {
    if (t->rate == 0 || bytes == 0)
        return;
    uint64_t now = clock_us();
    if (t->ahead + BURST_US < now)
        t->ahead = now - BURST_US;
    t->ahead += bytes * UINT64_C(1000000) / t->rate;
    if (t->ahead <= now)
        return;
    uint64_t wait = t->ahead - now;
    struct timespec pause = {(time_t)(wait / 1000000u), (long)(wait % 1000000u) * 1000};
    nanosleep(&pause, NULL);
}

size_t throttle_piece(const struct throttle *t, size_t most) {
    if (t->rate == 0)
        return most;
    size_t piece = t->rate / 10 < PIECE_LEAST ? PIECE_LEAST : (size_t)(t->rate / 10);
    return piece < most ? piece : most;
}
