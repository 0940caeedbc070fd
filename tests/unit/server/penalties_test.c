// PerSourcePenalties with a clock of the test's own.
#include "server/penalties.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
// cmocka wants those before it.
#include <cmocka.h>

static const struct penalty_rules standard = {
    .enabled = true,
    .ms = {90000, 5000, 5000, 1000, 10000, 10000},
    .max_ms = 600000,
    .min_ms = 15000,
    .max_sources = {65536, 65536},
    .bits = {32, 128},
};

static bool add(struct penalties *p, const char *address, enum penalty_reason reason,
                uint64_t now) {
    uint64_t left;
    return penalties_add(p, address, reason, now, &left);
}

static void times_add_up(void **state) {
    (void)state;
    struct penalties p;
    penalties_init(&p, &standard, 1);
    assert_null(penalties_refuse(&p, "192.0.2.1", 0));
    assert_false(add(&p, "192.0.2.1", PENALTY_AUTHFAIL, 0));
    assert_false(add(&p, "192.0.2.1", PENALTY_AUTHFAIL, 0));
    assert_null(penalties_refuse(&p, "192.0.2.1", 1));  // 10 s are below min
    assert_true(add(&p, "192.0.2.1", PENALTY_INVALIDUSER, 0));
    assert_string_equal(penalties_refuse(&p, "192.0.2.1", 1), "invalid user");
    assert_null(penalties_refuse(&p, "192.0.2.2", 1));
    // Refused until the whole time is over, not only while more than min is left.
    assert_non_null(penalties_refuse(&p, "192.0.2.1", 14999));
    assert_null(penalties_refuse(&p, "192.0.2.1", 15000));
    // And then from the beginning.
    assert_false(add(&p, "192.0.2.1", PENALTY_AUTHFAIL, 15000));
    assert_null(penalties_refuse(&p, "192.0.2.1", 15001));
    penalties_free(&p);
}

static void every_reason(void **state) {
    (void)state;
    for (int r = 0; r < PENALTY_REASON_COUNT; r++) {
        struct penalty_rules rules = standard;
        struct penalties p;
        rules.ms[r] = 20000;
        penalties_init(&p, &rules, 2);
        assert_true(add(&p, "2001:db8::1", (enum penalty_reason)r, 5));
        assert_string_equal(penalties_refuse(&p, "2001:db8::1", 6),
                            penalty_reason_text((enum penalty_reason)r));
        assert_null(penalties_refuse(&p, "2001:db8::2", 6));
        penalties_free(&p);
        rules.ms[r] = 0;
        penalties_init(&p, &rules, 2);
        for (int i = 0; i < 10; i++)
            assert_false(add(&p, "192.0.2.1", (enum penalty_reason)r, 5));
        penalties_free(&p);
    }
}

static void never_over_max(void **state) {
    (void)state;
    struct penalties p;
    uint64_t left = 0;
    penalties_init(&p, &standard, 3);
    for (int i = 0; i < 100; i++)
        penalties_add(&p, "192.0.2.1", PENALTY_CRASH, 1000, &left);
    assert_int_equal(left, 600000);
    assert_non_null(penalties_refuse(&p, "192.0.2.1", 600999));
    assert_null(penalties_refuse(&p, "192.0.2.1", 601000));
    penalties_free(&p);
}

static void networks_and_exemptions(void **state) {
    (void)state;
    struct penalty_rules rules = standard;
    struct penalties p;
    char text[64];
    rules.bits[PENALTY_IP4] = 24;
    rules.bits[PENALTY_IP6] = 64;
    rules.exempt = "198.51.100.0/24,192.0.2.77,2001:db8:1::/48";
    penalties_init(&p, &rules, 4);
    assert_true(add(&p, "192.0.2.1", PENALTY_CRASH, 0));
    assert_non_null(penalties_refuse(&p, "192.0.2.200", 1));
    assert_null(penalties_refuse(&p, "192.0.2.77", 1));
    assert_null(penalties_refuse(&p, "192.0.3.1", 1));
    assert_non_null(penalties_refuse(&p, "::ffff:192.0.2.9", 1));
    assert_true(add(&p, "2001:db8::1", PENALTY_CRASH, 0));
    assert_non_null(penalties_refuse(&p, "2001:db8::ffff:1:2:3", 1));
    assert_null(penalties_refuse(&p, "2001:db8:0:1::1", 1));
    assert_false(add(&p, "198.51.100.3", PENALTY_CRASH, 0));
    assert_false(add(&p, "2001:db8:1::5", PENALTY_CRASH, 0));
    assert_false(add(&p, "UNKNOWN", PENALTY_CRASH, 0));
    assert_null(penalties_refuse(&p, "UNKNOWN", 1));
    assert_string_equal(penalty_source_text(&rules, "192.0.2.9", text, sizeof text),
                        "192.0.2.0/24");
    penalties_free(&p);
}

static const char *nth(char *out, size_t size, unsigned i) {
    snprintf(out, size, "10.%u.%u.%u", i >> 16 & 255, i >> 8 & 255, i & 255);
    return out;
}

static void full_and_permissive(void **state) {
    (void)state;
    struct penalty_rules rules = standard;
    struct penalties p;
    char a[32];
    rules.max_sources[PENALTY_IP4] = 1000;
    penalties_init(&p, &rules, 5);
    for (unsigned i = 0; i < 3000; i++)
        assert_true(add(&p, nth(a, sizeof a, i), PENALTY_CRASH, i));
    assert_int_equal(p.tables[PENALTY_IP4].n, 1000);
    assert_null(penalties_refuse(&p, nth(a, sizeof a, 1999), 3000));  // forgotten
    for (unsigned i = 2000; i < 3000; i++)
        assert_non_null(penalties_refuse(&p, nth(a, sizeof a, i), 3000));
    assert_null(penalties_refuse(&p, "192.0.2.1", 3000));
    penalties_free(&p);
}

static void full_and_deny_all(void **state) {
    (void)state;
    struct penalty_rules rules = standard;
    struct penalties p;
    char a[32];
    rules.max_sources[PENALTY_IP4] = 100;
    rules.deny_all[PENALTY_IP4] = true;
    penalties_init(&p, &rules, 6);
    for (unsigned i = 0; i < 200; i++)
        add(&p, nth(a, sizeof a, i), PENALTY_CRASH, 0);
    assert_non_null(penalties_refuse(&p, "192.0.2.1", 1));
    assert_null(penalties_refuse(&p, "2001:db8::1", 1));  // the other family is free
    assert_null(penalties_refuse(&p, "192.0.2.1", 90000));
    penalties_free(&p);
}

static void handed_over(void **state) {
    (void)state;
    struct penalties p, q;
    scoped_buf bytes;
    char a[32];
    buf_init(&bytes, 1 << 20);
    struct writer w = writer_to_buf(&bytes);
    penalties_init(&p, &standard, 7);
    for (unsigned i = 0; i < 500; i++)
        add(&p, nth(a, sizeof a, i), i % 2 ? PENALTY_CRASH : PENALTY_AUTHFAIL, 0);
    penalties_write(&p, 1, &w);
    assert_int_equal(writer_end(&w), OK);
    assert_int_equal(buf_len(&bytes), 500 * PENALTY_BYTES);
    assert_int_equal(penalties_until(&p), 90000);
    penalties_init(&q, &standard, 8);
    assert_int_equal(penalties_read(&q, buf_view(&bytes)), OK);
    for (unsigned i = 0; i < 500; i++)
        assert_int_equal(penalties_refuse(&q, nth(a, sizeof a, i), 2) != NULL, i % 2);
    // What is cut short is refused and nothing happens.
    struct view v = buf_view(&bytes);
    assert_int_not_equal(penalties_read(&q, view_of(v.p, v.n - 1)), OK);
    penalties_free(&p);
    penalties_free(&q);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(times_add_up),        cmocka_unit_test(every_reason),
        cmocka_unit_test(never_over_max),      cmocka_unit_test(networks_and_exemptions),
        cmocka_unit_test(full_and_permissive), cmocka_unit_test(full_and_deny_all),
        cmocka_unit_test(handed_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
