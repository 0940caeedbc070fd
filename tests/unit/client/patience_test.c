// How long silent links are waited for, with a clock and a path of the test's own.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "client/patience.h"

#define MINUTE 60000u

// 100 ms there and back, 200 segments, and nobody answers since the last of them.
static const struct patience_path GOOD = {
    .rtt_ms = 100, .rto_ms = 305, .heard_ms = 3000, .sent = 200, .again = 4, .row = 3};
// 500 ms, and a third of all sent again.
static const struct patience_path POOR = {
    .rtt_ms = 600, .rto_ms = 1500, .heard_ms = 3000, .sent = 300, .again = 100, .row = 1};

static void a_dead_link_is_given_up_after_three_seconds(void **state) {
    (void)state;
    struct patience p = {0};
    patience_begin(&p, &GOOD, MINUTE);
    assert_int_equal(patience_ms(&p, &GOOD), PATIENCE_LEAST_MS);
    assert_int_equal(patience_due(&p, &GOOD, MINUTE, MINUTE + 3000), MINUTE + 3000);
    assert_int_equal(patience_pause_ms(&p, &GOOD), 0);
    assert_int_equal(patience_attempt_s(&p, 0), 5);
    assert_int_equal(patience_attempt_s(&p, 1), 10);
    assert_int_equal(patience_attempt_s(&p, 100), 15);
    // The last confirmation came behind the last data.
    struct patience_path behind = GOOD;
    behind.heard_ms = 2800;
    assert_int_equal(patience_due(&p, &behind, MINUTE, MINUTE + 3000), MINUTE + 3000);
    // Neither does a link that no TCP tells of wait longer.
    struct patience_path none = {0};
    assert_int_equal(patience_due(&p, &none, MINUTE, MINUTE + 3000), MINUTE + 3000);
}

// So that a network that comes back is noticed by the next dial.
static void nobody_answers(void **state) {
    (void)state;
    struct patience p = {0};
    assert_int_equal(patience_dial_ms(&p, &GOOD, 1, 5000), 500);
    assert_int_equal(patience_dial_ms(&p, &GOOD, 4, 59999), 500);
    assert_int_equal(patience_dial_ms(&p, &GOOD, 6, 60000), 1000);
    // The way may be another one by now.
    assert_int_equal(patience_dial_ms(&p, &GOOD, 5, 5000), 3500);
    assert_int_equal(patience_dial_ms(&p, &GOOD, 20, 5000), 0);
    assert_int_equal(patience_dial_ms(&p, &GOOD, 1, 10 * MINUTE), 0);
    struct patience_path far = {.rtt_ms = 700};
    assert_int_equal(patience_dial_ms(&p, &far, 1, 5000), 2800);
    // What is lost is sent again by the system.
    p.loss = 1;
    assert_int_equal(patience_dial_ms(&p, &GOOD, 1, 5000), 0);
}

static void a_slow_path_has_its_time(void **state) {
    (void)state;
    struct patience p = {0};
    struct patience_path far = {.rtt_ms = 2000, .rto_ms = 2200, .heard_ms = 20000};
    patience_begin(&p, &far, MINUTE);
    assert_int_equal(patience_ms(&p, &far), 7 * 2200);
    far.rtt_ms = 5000;
    assert_int_equal(patience_ms(&p, &far), 20000);
    far.rtt_ms = far.rto_ms = UINT32_MAX;
    assert_int_equal(patience_ms(&p, &far), 30000);
    p.doubled = 4;
    assert_int_equal(patience_ms(&p, &far), 60000);
}

static void loss_makes_patient(void **state) {
    (void)state;
    struct patience p = {0};
    struct patience_path some = {.rtt_ms = 100, .rto_ms = 300, .sent = 100, .again = 6};
    patience_begin(&p, &some, MINUTE);
    assert_int_equal(patience_ms(&p, &some), 15 * 300);
    patience_begin(&p, &POOR, MINUTE);
    assert_int_equal(patience_ms(&p, &POOR), 30000);
    assert_int_equal(patience_attempt_s(&p, 0), 30);
    assert_int_equal(patience_pause_ms(&p, &POOR), 27000);
    // What is known of a path outlives its link, and a silence in which nothing was lost.
    patience_linked(&p);
    patience_begin(&p, &GOOD, MINUTE + 1000);
    assert_int_equal(p.loss, 2);
    struct patience elsewhere = p;
    patience_changed(&elsewhere, MINUTE + 1000);
    assert_int_equal(patience_ms(&elsewhere, &GOOD), PATIENCE_LEAST_MS);
    // Quiet minutes have it forgotten step by step.
    patience_begin(&p, &GOOD, 6 * MINUTE + 1);
    assert_int_equal(p.loss, 1);
    patience_begin(&p, &GOOD, 16 * MINUTE);
    assert_int_equal(p.loss, 0);
}

// What was sent again into silence tells nothing: neither while it lasts nor later.
static void silence_is_no_loss(void **state) {
    (void)state;
    struct patience p = {0};
    struct patience_path path = GOOD;
    for (unsigned i = 1; i <= 20; i++) {
        path.sent += 30;
        path.row = 8;
        path.again += 9;
        patience_begin(&p, &path, i * MINUTE);
        patience_spoke(&p, &path, true, i * MINUTE + 5000);
        // All that it has swallowed.
        path.row = 0;
        path.sent += 40;
        path.again += 40;
        patience_begin(&p, &path, i * MINUTE + 6000);
        patience_spoke(&p, &path, true, i * MINUTE + 10000);
        assert_false(patience_is_calm(&p, i * MINUTE + 11000));
        assert_true(patience_is_calm(&p, i * MINUTE + 13000));
        patience_calm(&p, &path);
        assert_false(patience_is_calm(&p, i * MINUTE + 20000));
        assert_int_equal(p.loss, 0);
        assert_int_equal(p.doubled, 0);
    }
    assert_int_equal(patience_ms(&p, &path), PATIENCE_LEAST_MS);
}

static void a_needless_dial_doubles_for_a_while(void **state) {
    (void)state;
    struct patience p = {0};
    struct patience_path path = {.rtt_ms = 100, .rto_ms = 300, .sent = 100, .again = 6};
    uint64_t now = MINUTE;
    patience_begin(&p, &path, now);
    for (uint32_t i = 1; i <= 10; i++) {
        patience_spoke(&p, &path, true, now);
        uint64_t want = 4500ull << i;
        assert_int_equal(patience_ms(&p, &path), want < 60000 ? want : 60000);
    }
    patience_spoke(&p, &path, false, now);  // nobody was dialled
    assert_int_equal(p.doubled, 4);
    for (unsigned i = 1; i <= 4; i++) {
        patience_begin(&p, &GOOD, now + i * 5ull * MINUTE);
        assert_int_equal(p.doubled, 4 - i);
    }
    assert_int_equal(patience_ms(&p, &GOOD), PATIENCE_LEAST_MS);
}

// The other end's TCP answers: the path lives, only nothing of ours comes through.
static void a_path_that_lives_is_waited_for(void **state) {
    (void)state;
    struct patience p = {0};
    struct patience_path path = GOOD;
    path.heard_ms = 200;
    uint64_t since = MINUTE, now = since + 3000;
    patience_begin(&p, &path, now);
    unsigned looks = 0;
    for (uint64_t due; (due = patience_due(&p, &path, since, now)) > now; now = due) {
        assert_true(due >= now + 300 && due <= now + 3000);
        looks++;
    }
    assert_int_equal(now, since + 12000);  // and no longer: nobody stands behind it
    assert_in_range(looks, 3, 6);
    // It dies meanwhile.
    path.heard_ms = 2500;
    now = since + 5500;
    assert_int_equal(patience_due(&p, &path, since, now), now);
}

static void a_link_replaced_while_it_lived_doubles(void **state) {
    (void)state;
    struct patience p = {0};
    struct patience_path path = GOOD;
    path.heard_ms = 3400;
    patience_replaced(&p, &path, MINUTE, MINUTE + 3450);
    assert_int_equal(p.doubled, 0);
    path.heard_ms = 500;
    patience_replaced(&p, &path, MINUTE, MINUTE + 3450);
    assert_int_equal(p.doubled, 1);
    patience_replaced(&p, &(struct patience_path){0}, MINUTE, MINUTE + 3450);
    assert_int_equal(p.doubled, 1);
}

// ---- an hour of a poor path ----

static uint64_t random_state;

static bool chance(unsigned percent) {
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (random_state >> 33) % 100 < percent;
}

// One try of TCP after the other, each twice as long after the one before; the ms until
// one comes through.
static uint64_t tries(uint32_t rto_ms, unsigned loss, uint32_t *row) {
    uint64_t ms = 0;
    for (*row = 0; chance(loss); ++*row)
        ms += (uint64_t)rto_ms << (*row < 6 ? *row : 6);
    return ms + 600;
}

// Both ends have something to say, and 30 % are lost on each way: what we say has to be
// answered, what they say has only to come.
static uint64_t silence_of(uint32_t rto_ms, uint32_t *row) {
    uint32_t theirs_row;
    uint64_t ours = tries(rto_ms, 51, row), theirs = tries(rto_ms, 30, &theirs_row);
    return ours < theirs ? ours : theirs;
}

static unsigned dials_in_an_hour(void) {
    struct patience p = {0};
    struct patience_path path = {.rtt_ms = 100, .rto_ms = 300};  // of before
    unsigned dials = 0;
    for (uint64_t now = 0; now < 60ull * MINUTE;) {
        uint64_t silence = silence_of(path.rto_ms, &path.row);
        path.sent += 1 + path.row;
        path.again += path.row;
        path.heard_ms = (uint32_t)silence;
        bool dialled = false;
        if (silence > PATIENCE_LEAST_MS) {
            patience_begin(&p, &path, now + PATIENCE_LEAST_MS);
            dialled = patience_due(&p, &path, now, now + silence) < now + silence;
            dials += dialled;
            patience_spoke(&p, &path, dialled, now + silence);
        }
        path.rtt_ms = 600;
        path.rto_ms = 1500;
        now += silence;
        if (patience_is_calm(&p, now))
            patience_calm(&p, &path);
    }
    return dials;
}

static void a_poor_path_is_no_storm(void **state) {
    (void)state;
    unsigned all = 0;
    for (unsigned i = 0; i < 200; i++) {
        random_state = i;
        all += dials_in_an_hour();
    }
    assert_true(all / 200 <= 12);  // one in five minutes
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_dead_link_is_given_up_after_three_seconds),
        cmocka_unit_test(nobody_answers),
        cmocka_unit_test(a_slow_path_has_its_time),
        cmocka_unit_test(loss_makes_patient),
        cmocka_unit_test(silence_is_no_loss),
        cmocka_unit_test(a_needless_dial_doubles_for_a_while),
        cmocka_unit_test(a_path_that_lives_is_waited_for),
        cmocka_unit_test(a_link_replaced_while_it_lived_doubles),
        cmocka_unit_test(a_poor_path_is_no_storm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
