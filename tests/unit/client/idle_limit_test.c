// What is learned of idle limits, with a clock of the test's own: hours and days of
// sessions behind boxes that forget.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "client/idle_limit.h"

#define DAY_S (24u * 3600u)

struct outcome {
    unsigned probes, cuts;
    uint64_t last_cut;  // s
};

// A session that is idle for so long, behind a box that forgets after limit_s (0: never).
static struct outcome idle(struct idle_limit *l, uint32_t limit_s, uint64_t wall_s,
                           uint64_t seconds) {
    struct outcome o = {0};
    for (uint64_t at = 0; at < seconds;) {
        uint32_t silence = l->interval_s;
        at += silence;
        o.probes++;
        assert_true(idle_limit_is_valid(l));
        if (limit_s == 0 || silence < limit_s) {
            (void)idle_limit_bears(l, silence, wall_s + at);
            continue;
        }
        (void)idle_limit_fails(l, silence, wall_s + at);
        o.cuts++;
        o.last_cut = at;
    }
    return o;
}

static void common_limits_never_cut(void **state) {
    static const uint32_t limits[] = {0, 240, 350, 600, 3600};
    (void)state;
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        struct idle_limit l;
        idle_limit_init(&l);
        assert_int_equal(l.interval_s, 60);
        struct outcome first = idle(&l, limits[i], 1000, DAY_S);
        assert_int_equal(first.cuts, 0);
        assert_int_equal(l.interval_s, IDLE_LIMIT_MOST_S);
        // PING, PONG and an acknowledgement: under one packet a minute.
        struct outcome year = idle(&l, limits[i], 1000 + DAY_S, 365ull * DAY_S);
        assert_int_equal(year.cuts, 0);
        assert_true(year.probes * 3ull * 60 < 365ull * DAY_S);
    }
}

static void short_limits_are_learned(void **state) {
    (void)state;
    for (uint32_t limit = 2 * IDLE_LIMIT_LEAST_S; limit < 240; limit++) {
        struct idle_limit l;
        idle_limit_init(&l);
        struct outcome day = idle(&l, limit, 1000, DAY_S);
        assert_in_range(day.cuts, 0, 3);
        assert_true(day.cuts == 0 || day.last_cut < 3600);
        assert_true(l.interval_s < limit);
        assert_true(l.interval_s > limit / 4);
        // Later sessions of the same network begin with what was learned.
        assert_int_equal(idle(&l, limit, 1000 + DAY_S, 20ull * DAY_S).cuts, 0);
    }
}

static void a_limit_is_forgotten(void **state) {
    (void)state;
    struct idle_limit l;
    idle_limit_init(&l);
    (void)idle(&l, 100, 1000, DAY_S);
    assert_true(l.interval_s < 100 && l.fails_s >= 100);
    (void)idle(&l, 0, 1000 + DAY_S, IDLE_LIMIT_KEPT_S + DAY_S);
    assert_int_equal(l.interval_s, IDLE_LIMIT_MOST_S);
    assert_int_equal(l.fails_s, 0);
}

static void a_failure_halves(void **state) {
    (void)state;
    struct idle_limit l;
    idle_limit_init(&l);
    l.interval_s = 200;
    l.bears_s = 200;
    assert_true(idle_limit_fails(&l, 200, 5000));
    assert_int_equal(l.interval_s, 100);
    assert_int_equal(l.fails_s, 200);
    assert_true(l.bears_s < 200);
    assert_int_equal(l.failed_at, 5000);
    // No silence at all is no limit's doing.
    struct idle_limit before = l;
    assert_false(idle_limit_fails(&l, 0, 6000));
    assert_memory_equal(&l, &before, sizeof l);
    for (int i = 0; i < 10; i++)
        (void)idle_limit_fails(&l, l.interval_s, 7000);
    assert_int_equal(l.interval_s, IDLE_LIMIT_LEAST_S);
    // What bears more than what failed has changed.
    (void)idle_limit_bears(&l, 300, 8000);
    assert_int_equal(l.fails_s, 0);
}

static void short_silences_tell_little(void **state) {
    (void)state;
    struct idle_limit l;
    idle_limit_init(&l);
    (void)idle_limit_bears(&l, 5, 1000);
    for (int i = 0; i < 100; i++)
        assert_false(idle_limit_bears(&l, 5, 1000));
    assert_int_equal(l.interval_s, 60);
    // Nor does a clock that was set back.
    (void)idle_limit_fails(&l, 60, UINT64_MAX / 2);
    (void)idle_limit_bears(&l, 30, 1000);
    assert_int_equal(l.fails_s, 60);
    assert_int_equal(l.interval_s, 30);
    // Nor one without end.
    (void)idle_limit_bears(&l, UINT64_MAX, 1000);
    assert_true(idle_limit_is_valid(&l));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(common_limits_never_cut),
        cmocka_unit_test(short_limits_are_learned),
        cmocka_unit_test(a_limit_is_forgotten),
        cmocka_unit_test(a_failure_halves),
        cmocka_unit_test(short_silences_tell_little),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
