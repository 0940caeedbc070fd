#include "io_test.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "io/fd.h"
#include "io/ring.h"
#include "io/unix_socket.h"

static uint32_t next_random(uint32_t *seed) {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 17;
    return *seed ^= *seed << 5;
}

static uint8_t next_byte(uint32_t *stream) {
    *stream = *stream * 1664525u + 1013904223u;
    return (uint8_t)(*stream >> 24);
}

static void open_both(struct ring *producer, struct ring *consumer, size_t size) {
    int fd;
    assert_int_equal(ring_create(size, &fd), OK);
    assert_int_equal(ring_map(producer, fd, size, RING_PRODUCER), OK);
    assert_int_equal(ring_map(consumer, fd, size, RING_CONSUMER), OK);
    close(fd);
}

static void put(struct ring *r, size_t n, uint8_t fill, uint32_t tag) {
    struct span room;
    assert_int_equal(ring_room(r, n, n, &room), OK);
    assert_int_equal(room.n, n);
    assert_int_equal((uintptr_t)room.p % 64, 0);
    memset(room.p, fill, n);
    ring_publish(r, n, tag);
}

static void records_in_order(void **state) {
    (void)state;
    struct ring p, c;
    struct span got;
    uint32_t tag = 0;
    open_both(&p, &c, 4096);
    assert_int_equal(ring_peek(&c, &got, &tag), OK);
    assert_int_equal(got.n, 0);
    put(&p, 100, 1, 10);
    put(&p, 1, 2, 20);
    assert_int_equal(ring_peek(&c, &got, &tag), OK);
    assert_int_equal(got.n, 100);
    assert_int_equal(got.p[99], 1);
    assert_int_equal(tag, 10);
    // What belongs to the consumer around the payload may be written without harm to the
    // next.
    memset(got.p - RING_HEADROOM, 0xee, RING_HEADROOM);
    memset(got.p + got.n, 0xee, RING_TAILROOM);
    assert_int_equal(ring_peek(&c, &got, &tag), OK);
    assert_int_equal(got.n, 100);
    ring_consume(&c);
    assert_int_equal(ring_peek(&c, &got, &tag), OK);
    assert_int_equal(got.n, 1);
    assert_int_equal(tag, 20);
    assert_int_equal(got.p[0], 2);
    ring_consume(&c);
    assert_true(ring_tail(&c) == ring_head(&p));
    ring_unmap(&p);
    ring_unmap(&c);
    assert_false(ring_mapped(&c));
    ring_unmap(&c);
}

static void full_and_largest(void **state) {
    (void)state;
    struct ring p, c;
    struct span room, got;
    open_both(&p, &c, 8192);
    size_t most = ring_payload_max(&p);
    assert_int_equal(ring_room(&p, most + 1, most + 1, &room), ERR_LIMIT);
    // The largest always fits an empty ring, wherever its positions are.
    for (size_t step = 1; step < 200; step++) {
        put(&p, 1 + step * 7 % 1000, 3, 0);
        assert_int_equal(ring_peek(&c, &got, NULL), OK);
        ring_consume(&c);
        assert_int_equal(ring_room(&p, most, most, &room), OK);
        assert_int_equal(room.n, most);
    }
    put(&p, most, 4, 0);
    size_t filled = 0;
    for (;; filled++) {
        assert_int_equal(ring_room(&p, 64, 64, &room), OK);
        if (room.n == 0)
            break;
        ring_publish(&p, 64, 0);
    }
    assert_true(filled < 16);
    assert_false(ring_idle(&p));
    // Less than wanted is given where the end is near; never less than `least`.
    ring_unmap(&p);
    ring_unmap(&c);
    open_both(&p, &c, 4096);
    assert_int_equal(ring_room(&p, 1, 100000, &room), OK);
    assert_int_equal(room.n, ring_payload_max(&p));
    ring_unmap(&p);
    ring_unmap(&c);
}

static void sleeping_and_waking(void **state) {
    (void)state;
    struct ring p, c;
    struct span got;
    open_both(&p, &c, 4096);
    put(&p, 10, 1, 0);
    assert_false(ring_wake(&p));      // nobody sleeps
    assert_false(ring_sleep(&c, 0));  // there is a record
    assert_int_equal(ring_peek(&c, &got, NULL), OK);
    ring_consume(&c);
    assert_true(ring_sleep(&c, 0));
    put(&p, 10, 1, 0);
    put(&p, 10, 1, 0);
    assert_true(ring_wake(&p));
    assert_false(ring_wake(&p));  // once
    for (struct span room;;) {
        assert_int_equal(ring_room(&p, 500, 500, &room), OK);
        if (room.n == 0)
            break;
        ring_publish(&p, 500, 0);
    }
    assert_false(ring_sleep(&p, 1));  // a small one still fits, or not: then it may sleep
    assert_true(ring_sleep(&p, 500));
    assert_false(ring_wake(&c));  // still full
    bool woken = false;
    size_t taken = 0;
    for (;; taken++) {
        assert_int_equal(ring_peek(&c, &got, NULL), OK);
        if (got.n == 0)
            break;
        ring_consume(&c);
        if (ring_wake(&c)) {
            assert_false(woken);
            woken = true;
            assert_true(taken > 0);
        }
    }
    assert_true(woken);
    assert_false(ring_sleep(&p, 500));
    assert_true(ring_idle(&p));
    put(&p, 500, 9, 0);
    assert_int_equal(ring_peek(&c, &got, NULL), OK);
    assert_int_equal(got.n, 500);
    assert_int_equal(got.p[499], 9);
    ring_unmap(&p);
    ring_unmap(&c);
}

static void only_sealed_rings(void **state) {
    (void)state;
    struct ring r;
    int fd;
    assert_int_equal(ring_create(4097, &fd), ERR_LIMIT);
    assert_int_equal(ring_create(1u << 30, &fd), ERR_LIMIT);
    assert_int_equal(ring_create(4096, &fd), OK);
    assert_int_equal(ftruncate(fd, 100), -1);
    assert_int_equal(ftruncate(fd, 100000), -1);
    assert_int_equal(ring_map(&r, fd, 8192, RING_CONSUMER), ERR_PROTOCOL);
    close(fd);
    fd = memfd_create("loose", MFD_ALLOW_SEALING);
    assert_int_equal(ftruncate(fd, 8192), 0);
    assert_int_equal(ring_map(&r, fd, 4096, RING_CONSUMER), ERR_PROTOCOL);
    close(fd);
    fd = open("/etc/passwd", O_RDONLY);
    assert_int_equal(ring_map(&r, fd, 4096, RING_CONSUMER), ERR_PROTOCOL);
    close(fd);
    assert_false(ring_mapped(&r));
}

#define TOTAL (24u * 1024u * 1024u)

// The other process: produces TOTAL bytes of a known stream in records of random sizes,
// sleeping on the socket whenever the ring is full.
static int produce(struct ring *r, int wake) {
    uint32_t seed = 77, stream = 1;
    size_t done = 0;
    while (done < TOTAL) {
        size_t want = 1 + next_random(&seed) % 40000, least = want < 256 ? want : 256;
        struct span room;
        uint8_t byte;
        if (ring_room(r, least, want, &room) != OK)
            return 2;
        if (room.n == 0) {
            if (ring_wake(r) && write(wake, "w", 1) != 1)
                return 4;
            if (ring_sleep(r, least) && read(wake, &byte, 1) != 1)
                return 3;
            continue;
        }
        for (size_t i = 0; i < room.n; i++)
            room.p[i] = next_byte(&stream);
        ring_publish(r, room.n, (uint32_t)room.n ^ 0x5a5a5a5au);
        done += room.n;
        if (next_random(&seed) % 3 == 0 && ring_wake(r) && write(wake, "w", 1) != 1)
            return 4;
    }
    if (ring_wake(r))
        (void)!write(wake, "w", 1);
    return 0;
}

static void two_processes(void **state) {
    (void)state;
    int fd, pair[2], status;
    struct ring r;
    assert_int_equal(ring_create(256 * 1024, &fd), OK);
    assert_int_equal(unix_pair(pair, 0), OK);
    for (int i = 0; i < 2; i++)
        assert_int_equal(fd_set_nonblock(pair[i], false), OK);
    pid_t pid = fork();
    if (pid == 0) {
        close(pair[0]);
        alarm(60);
        _exit(ring_map(&r, fd, 256 * 1024, RING_PRODUCER) != OK ? 1
                                                                : produce(&r, pair[1]));
    }
    close(pair[1]);
    assert_int_equal(ring_map(&r, fd, 256 * 1024, RING_CONSUMER), OK);
    close(fd);
    uint32_t stream = 1, seed = 5;
    size_t done = 0;
    alarm(60);
    while (true) {
        struct span got;
        uint32_t tag;
        uint8_t byte;
        assert_int_equal(ring_peek(&r, &got, &tag), OK);
        if (got.n == 0) {
            // The end of the stream is the end of the process: no wake-up may be lost
            // before it.
            if (ring_sleep(&r, 0) && read(pair[0], &byte, 1) <= 0)
                break;
            continue;
        }
        assert_int_equal(tag, (uint32_t)got.n ^ 0x5a5a5a5au);
        bool good = true;
        for (size_t i = 0; i < got.n; i++) {
            uint8_t expected = next_byte(&stream);
            good &= got.p[i] == expected;
        }
        assert_true(good);
        memset(got.p - RING_HEADROOM, 0xff, RING_HEADROOM);
        memset(got.p + got.n, 0xff, RING_TAILROOM);
        done += got.n;
        ring_consume(&r);
        if (next_random(&seed) % 4 == 0 && ring_wake(&r))
            (void)!send(pair[0], "w", 1, MSG_NOSIGNAL);
        if (ring_wake(&r))
            (void)!send(pair[0], "w", 1, MSG_NOSIGNAL);
    }
    alarm(0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_true(done >= TOTAL);
    ring_unmap(&r);
    close(pair[0]);
}

// The other side scribbles over all of the shared memory; ours must stay inside, and say
// so.
static void hostile_peer(void **state) {
    (void)state;
    uint32_t seed = 4711;
    int refused = 0;
    for (int round = 0; round < 3000; round++) {
        struct ring p, c;
        struct span span;
        open_both(&p, &c, 4096);
        put(&p, 1 + next_random(&seed) % 900, 1, 0);
        put(&p, 1 + next_random(&seed) % 900, 1, 0);
        // First 192 bytes of the header page, first 2 KiB of the data.
        uint8_t *header = (uint8_t *)c.shared;
        for (int i = 0; i < 24; i++) {
            uint32_t where = next_random(&seed) % (i % 2 == 0 ? 192 : 2240);
            uint8_t *at = where < 192 ? header + where : c.data + (where - 192);
            *at = (uint8_t)next_random(&seed);
        }
        for (int i = 0; i < 20; i++) {
            uint32_t tag;
            enum err e = ring_peek(&c, &span, &tag);
            if (e != OK) {
                refused++;
                break;
            }
            if (span.n == 0)
                break;
            assert_true(span.p >= c.data &&
                        span.p + span.n + RING_TAILROOM <= c.data + 4096);
            ring_consume(&c);
            (void)ring_wake(&c);
        }
        for (int i = 0; i < 20; i++) {
            if (ring_room(&p, 1, 1000, &span) != OK || span.n == 0)
                break;
            assert_true(span.p >= p.data &&
                        span.p + span.n + RING_TAILROOM <= p.data + 4096);
            ring_publish(&p, span.n, 0);
            (void)ring_wake(&p);
        }
        ring_unmap(&p);
        ring_unmap(&c);
    }
    assert_true(refused > 1000);
}

static void take(struct ring *r, uint8_t fill) {
    struct span got;
    assert_int_equal(ring_peek(r, &got, NULL), OK);
    assert_true(got.n > 0);
    assert_int_equal(got.p[0], fill);
    assert_int_equal(got.p[got.n - 1], fill);
    ring_consume(r);
}

// What is kept is not written over although it was consumed, and there is room again
// record by record as it is given up.
static void kept_records_stay(void **state) {
    (void)state;
    struct ring p, c;
    struct span room, first = {NULL, 0};
    uint64_t at[64];
    uint8_t n = 0;
    open_both(&p, &c, 16384);
    for (;; n++) {
        assert_int_equal(ring_room(&p, 500, 500, &room), OK);
        if (room.n == 0)
            break;
        at[n] = ring_head(&p);
        if (n == 0)
            first = room;
        put(&p, 500, n, 0);
        ring_keep(&p, at[0]);
        take(&c, n);
    }
    assert_true(n > 8 && ring_tail(&c) == ring_head(&p));
    assert_false(ring_sleep(&p, 500));  // its owner may give something up
    assert_false(ring_idle(&p));
    for (uint8_t i = 0; i + 1 < n; i++) {
        assert_int_equal(first.p[0], i == 0 ? 0 : 100);
        ring_keep(&p, at[i + 1]);
        put(&p, 500, 100, 0);
        assert_int_equal(ring_room(&p, 500, 500, &room), OK);
        assert_int_equal(room.n, 0);
        take(&c, 100);
    }
    ring_keep(&p, UINT64_MAX);
    assert_true(ring_idle(&p));
    ring_unmap(&p);
    ring_unmap(&c);
}

#define LARGE (16u * 1024u * 1024u)

// A large ring goes round in little more memory than what is kept, wherever the consumer
// is; and what is kept stays as it was.
static void keeps_to_little_memory(void **state) {
    (void)state;
    enum {
        KEPT = 40,
        SIZE = 32000
    };
    struct ring p, c;
    struct span room;
    uint8_t *body[KEPT];
    uint64_t at[KEPT];
    size_t furthest = 0;
    uint32_t seed = 11;
    open_both(&p, &c, LARGE);
    for (unsigned i = 0; i < 20000; i++) {
        assert_int_equal(ring_room(&p, SIZE, SIZE, &room), OK);
        assert_int_equal(room.n, SIZE);
        size_t offset = (size_t)(room.p - p.data);
        furthest = offset > furthest ? offset : furthest;
        body[i % KEPT] = room.p;
        at[i % KEPT] = ring_head(&p);
        room.p[0] = room.p[SIZE - 1] = (uint8_t)i;
        ring_publish(&p, SIZE, 0);
        unsigned oldest = i < KEPT ? 0 : i - KEPT + 1;
        assert_int_equal(body[oldest % KEPT][0], (uint8_t)oldest);
        assert_int_equal(body[oldest % KEPT][SIZE - 1], (uint8_t)oldest);
        if (i % 8 == 7)
            ring_keep(&p, at[oldest % KEPT]);
        while (ring_tail(&c) < ring_head(&p) && next_random(&seed) % 8 != 0) {
            struct span got;
            assert_int_equal(ring_peek(&c, &got, NULL), OK);
            ring_consume(&c);
        }
    }
    assert_true(ring_head(&p) > 8 * (uint64_t)LARGE);
    assert_true(furthest < 4u * 1024u * 1024u);
    ring_unmap(&p);
    ring_unmap(&c);
}

// The pieces of one room follow each other, whatever is given up meanwhile.
static void pieces_stay_together(void **state) {
    (void)state;
    struct ring p, c;
    struct span room, piece;
    open_both(&p, &c, LARGE);
    for (unsigned i = 0; i < 3000; i++) {
        uint64_t from = ring_head(&p);
        assert_int_equal(ring_room(&p, 100000, 100000, &room), OK);
        assert_int_equal(room.n, 100000);
        for (size_t at = 0; at + 20000 < room.n; at += ring_stride(20000)) {
            assert_int_equal(ring_room(&p, 20000, 20000, &piece), OK);
            assert_ptr_equal(piece.p, room.p + at);
            memset(piece.p, (int)i, 20000);
            ring_publish(&p, 20000, 0);
            ring_keep(&p, from);
            take(&c, (uint8_t)i);
        }
        ring_keep(&p, i % 3 == 0 ? UINT64_MAX : ring_head(&p));
    }
    ring_unmap(&p);
    ring_unmap(&c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_in_order),     cmocka_unit_test(full_and_largest),
        cmocka_unit_test(sleeping_and_waking),  cmocka_unit_test(only_sealed_rings),
        cmocka_unit_test(two_processes),        cmocka_unit_test(hostile_peer),
        cmocka_unit_test(kept_records_stay),    cmocka_unit_test(keeps_to_little_memory),
        cmocka_unit_test(pieces_stay_together),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
