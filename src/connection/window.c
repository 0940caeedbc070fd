#include "connection/window.h"

#include <assert.h>

// Shorter waits are noise of the clock and the scheduler; and a path this short needs no
// more.
#define WAIT_MIN_MS 5
// So many waits in a row make a path; fewer are a busy machine. A window grown for
// nothing costs peers that buffer as much as it takes.
#define WAITS_IN_A_ROW 4
// Longer than any path's round trip: then the peer had nothing to send.
#define WAIT_MAX_MS 1500
// A wait of less than this part of the time between two grants is not worth a larger
// window.
#define WAIT_SHARE 16

void window_init(struct window *w, uint32_t start, uint32_t max) {
    if (max < start)
        max = start;
    *w = (struct window){.left = start, .size = start, .max = max};
}

static uint32_t grant_credit(struct window *w, uint64_t now) {
    uint32_t n = w->credit;
    if (w->fresh == 0)
        w->granted = now;
    w->credit = 0;
    w->left += n;
    w->fresh += n;
    return n;
}

// How many times larger the window should be, now that the peer uses the last grant.
static unsigned growth(struct window *w, uint64_t now) {
    uint64_t since = w->last > w->granted ? w->last : w->granted;
    uint64_t waited = now > since ? now - since : 0;
    uint64_t cycle = now > w->granted ? now - w->granted : 0;
    bool reader_idle = w->unread <= w->size / 8;
    if (!reader_idle || waited < WAIT_MIN_MS || waited > WAIT_MAX_MS ||
        waited * WAIT_SHARE < cycle) {
        w->waits = 0;
        return 1;
    }
    if (++w->waits < WAITS_IN_A_ROW)
        return 1;
    w->waits = WAITS_IN_A_ROW;
    return waited * 2 >= cycle ? 4 : 2;
}

bool window_take(struct window *w, uint32_t n, uint64_t now, uint32_t *grant) {
    *grant = 0;
    if (n > w->left)
        return false;
    bool uses_grant = w->fresh > 0 && w->left - n < w->fresh;
    unsigned times = uses_grant ? growth(w, now) : 1;
    w->left -= n;
    w->unread += n;
    w->last = now;
    if (uses_grant)
        w->fresh = 0;
    if (times > 1 && w->size < w->max) {
        uint32_t size = w->size > w->max / times ? w->max : w->size * times;
        w->credit += size - w->size;
        w->size = size;
        *grant = grant_credit(w, now);
    }
    return true;
}

uint32_t window_consume(struct window *w, uint32_t n, uint64_t now) {
    assert(n <= w->unread);
    w->unread -= n;
    w->credit += n;
    return w->credit >= w->size / 2 && w->credit > 0 ? grant_credit(w, now) : 0;
}
