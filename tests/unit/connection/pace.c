// A sender behind its pace, on paths made up of a speed, a delay and a queue in the peer.
#include "connection/pace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

struct path {
    uint64_t delay_us;      // there and back
    uint64_t bytes_per_ms;  // that the peer deals with
};

struct world {
    struct pace pace;
    uint64_t now, peer_free;  // when the peer is done with all that was sent
    struct {
        uint64_t at;
    } answers[64];
    unsigned first, n;
    uint64_t settled;  // the limit has found its size
    uint64_t longest_queue_us, delivered;
};

static void answer_due(struct world *w) {
    while (w->n > 0 && w->answers[w->first].at <= w->now) {
        pace_answered(&w->pace, w->answers[w->first].at);
        w->first = (w->first + 1) % 64;
        w->n--;
    }
}

static void send_some(struct world *w, const struct path *p) {
    uint64_t room;
    while ((room = pace_room(&w->pace)) > 0) {
        size_t n = room < 32768 ? (size_t)room : 32768;
        if (w->peer_free < w->now)
            w->peer_free = w->now;
        w->peer_free += n * 1000 / p->bytes_per_ms;
        w->delivered += n;
        if (w->now > w->settled && w->peer_free - w->now > w->longest_queue_us)
            w->longest_queue_us = w->peer_free - w->now;
        if (!pace_sent(&w->pace, n))
            continue;
        pace_probed(&w->pace, w->now);
        assert_true(w->n < 64);
        w->answers[(w->first + w->n++) % 64].at = w->peer_free + p->delay_us;
    }
}

// Sends for so long; the share of what the path could have carried.
static double run(struct world *w, const struct path *p, uint64_t us) {
    memset(w, 0, sizeof *w);
    w->settled = us / 2;
    pace_init(&w->pace);
    for (w->now = 1000; w->now < us; w->now += 50) {
        answer_due(w);
        send_some(w, p);
    }
    return (double)w->delivered / ((double)p->bytes_per_ms * (double)us / 1000);
}

static void near_peer_has_a_short_queue(void **state) {
    (void)state;
    struct world w;
    struct path p = {100, 400000};  // 400 MB/s
    assert_true(run(&w, &p, 2000000) > 0.9);
    assert_true(w.longest_queue_us < 2500);
}

static void far_peer_is_kept_busy(void **state) {
    (void)state;
    struct world w;
    struct path p = {100000, 50000};  // 100 ms, 50 MB/s
    assert_true(run(&w, &p, 10000000) > 0.75);
    assert_true(w.longest_queue_us < 100000);
}

static void slow_peer_gets_the_least(void **state) {
    (void)state;
    struct world w;
    struct path p = {1000, 1000};  // 1 MB/s: PACE_LEAST is 0.2 s of it
    assert_true(run(&w, &p, 5000000) > 0.9);
    assert_true(w.longest_queue_us <= 200000);
}

static void silent_peer_is_let_go(void **state) {
    (void)state;
    struct pace p;
    pace_init(&p);
    while (pace_room(&p) > 0)
        if (pace_sent(&p, 32768))
            pace_probed(&p, 1000);
    assert_true(p.sent <= PACE_LEAST);
    pace_tick(&p, 1000 + PACE_PATIENCE);
    assert_int_equal(pace_room(&p), 0);
    pace_tick(&p, 1001 + PACE_PATIENCE);
    assert_true(pace_room(&p) == UINT64_MAX);
    assert_false(pace_sent(&p, 1u << 20));
    pace_answered(&p, 99);
}

static void answers_without_a_probe_are_nothing(void **state) {
    (void)state;
    struct pace p;
    pace_init(&p);
    pace_answered(&p, 5);
    assert_int_equal(pace_room(&p), PACE_LEAST);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(near_peer_has_a_short_queue),
        cmocka_unit_test(far_peer_is_kept_busy),
        cmocka_unit_test(slow_peer_gets_the_least),
        cmocka_unit_test(silent_peer_is_let_go),
        cmocka_unit_test(answers_without_a_probe_are_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
