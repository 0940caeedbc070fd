// The shared memory of a ring, as a hostile peer would have it: the input is laid over
// the indices and the records, again and again while our side reads and writes. Nothing
// outside may be touched.
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "io/ring.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SIZE 4096u
#define HEADER 192u  // the page in front of the data: indices and flags lie here

static void check(const struct ring *r, struct span s) {
    if (s.n > 0 &&
        (s.p < r->data + RING_HEADROOM || s.p + s.n + RING_TAILROOM > r->data + SIZE))
        abort();
}

// Takes 4 bytes {where, value}: one 16-bit store anywhere.
static size_t scribble(struct ring *r, const uint8_t *data, size_t size) {
    if (size < 4)
        return size;
    uint32_t where = ((uint32_t)data[0] << 8 | data[1]) % (HEADER + SIZE);
    uint8_t *at =
        where < HEADER ? (uint8_t *)r->shared + where : r->data + (where - HEADER);
    at[0] = data[2];
    if (where + 1 != HEADER && where + 1 != HEADER + SIZE)
        at[1] = data[3];
    return 4;
}

static enum err consume(struct ring *r, uint8_t step) {
    struct span s;
    uint32_t tag;
    enum err e = ring_peek(r, &s, &tag);
    check(r, s);
    if (e != OK || s.n == 0)
        return e;
    // The whole of it is ours to read and its surroundings to write.
    volatile uint8_t sum = 0;
    for (size_t i = 0; i < s.n; i++)
        sum = (uint8_t)(sum + s.p[i]);
    s.p[-(ptrdiff_t)RING_HEADROOM] = sum;
    s.p[s.n + RING_TAILROOM - 1] = sum;
    if ((step & 16) != 0)
        ring_consume(r);
    (void)ring_wake(r);
    (void)ring_sleep(r, 0);
    return OK;
}

static enum err produce(struct ring *r, uint8_t step) {
    struct span s;
    enum err e = ring_room(r, 1, 1 + (size_t)step * 8, &s);
    check(r, s);
    if (e != OK || s.n == 0)
        return e;
    memset(s.p, step, s.n);
    ring_publish(r, 1 + step % s.n, step);
    (void)ring_wake(r);
    (void)ring_sleep(r, 100);
    if ((step & 32) != 0)
        (void)ring_idle(r);
    return OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static int fd = -1;
    struct ring p, c;
    if (fd < 0 && ring_create(SIZE, &fd) != OK)
        abort();
    if (ring_map(&p, fd, SIZE, RING_PRODUCER) != OK ||
        ring_map(&c, fd, SIZE, RING_CONSUMER) != OK)
        abort();
    memset(p.shared, 0, HEADER);
    bool p_lives = true, c_lives = true;
    while (size > 0) {
        uint8_t step = *data++;
        size--;
        if (step % 3 == 0) {
            size_t n = scribble(&c, data, size);
            data += n;
            size -= n;
        } else if (step % 3 == 1) {
            p_lives = p_lives && produce(&p, step) == OK;
        } else {
            c_lives = c_lives && consume(&c, step) == OK;
        }
    }
    ring_unmap(&p);
    ring_unmap(&c);
    return 0;
}
