// Buffers: growth, moving, the maximum; errors and faults.
#include "base/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/fault.h"

static void growth_keeps_the_bytes(void **state) {
    (void)state;
    scoped_buf b;
    buf_init(&b, 100000);
    for (unsigned i = 0; i < 50000; i++) {
        uint8_t byte[2] = {(uint8_t)i, (uint8_t)(i >> 8)};
        assert_int_equal(buf_append(&b, view_of(byte, 2)), OK);
    }
    assert_int_equal(buf_len(&b), 100000);
    assert_int_equal(buf_append(&b, view_of("", 1)), ERR_LIMIT);
    assert_int_equal(buf_len(&b), 100000);
    struct view v = buf_view(&b);
    for (unsigned i = 0; i < 50000; i++) {
        assert_int_equal(v.p[2 * i], (uint8_t)i);
        assert_int_equal(v.p[2 * i + 1], (uint8_t)(i >> 8));
    }
    assert_true(b.room <= b.max);
}

// A queue through a small buffer, in steps of all sizes, against a model.
static void a_queue_in_a_small_buffer(void **state) {
    (void)state;
    scoped_buf b;
    buf_init(&b, 1000);
    uint32_t random = 1, in = 0, out = 0;
    for (int i = 0; i < 200000; i++) {
        random = random * 1664525 + 1013904223;
        size_t n = (random >> 16) % 300;
        if ((random >> 8 & 1) != 0) {
            uint8_t bytes[300];
            for (size_t k = 0; k < n; k++)
                bytes[k] = (uint8_t)(in + k);
            enum err e = buf_append(&b, view_of(bytes, n));
            assert_int_equal(e, in - out + n <= 1000 ? OK : ERR_LIMIT);
            in += e == OK ? (uint32_t)n : 0;
        } else {
            struct view v = buf_view(&b);
            assert_int_equal(v.n, in - out);
            n = n < v.n ? n : v.n;
            for (size_t k = 0; k < n; k++)
                assert_int_equal(v.p[k], (uint8_t)(out + k));
            buf_taken(&b, n);
            out += (uint32_t)n;
        }
        assert_true(b.start <= b.end && b.end <= b.room && b.room <= 1000);
    }
}

static void reserve_offers_room(void **state) {
    (void)state;
    scoped_buf b;
    buf_init(&b, 64);
    struct span room;
    assert_int_equal(buf_reserve(&b, 65, &room), ERR_LIMIT);
    assert_int_equal(buf_reserve(&b, 0, &room), OK);
    assert_int_equal(buf_reserve(&b, 64, &room), OK);
    assert_int_equal(room.n, 64);
    memset(room.p, 'x', 64);
    buf_added(&b, 64);
    buf_taken(&b, 60);
    assert_int_equal(buf_reserve(&b, 61, &room), ERR_LIMIT);
    assert_int_equal(buf_reserve(&b, 60, &room), OK);
    assert_true(room.n >= 60);
    assert_true(view_is(buf_view(&b), "xxxx"));
    buf_release_if_empty(&b);
    assert_non_null(b.p);
    buf_clear(&b);
    buf_release_if_empty(&b);
    assert_null(b.p);
    assert_int_equal(b.max, 64);
    assert_int_equal(buf_reserve(&b, SIZE_MAX, &room), ERR_LIMIT);
}

static void errors_have_texts_and_reasons(void **state) {
    (void)state;
    assert_string_equal(err_text(OK), "success");
    for (int e = 1; e < ERR_COUNT; e++) {
        assert_true(strlen(err_text((enum err)e)) > 0);
        assert_in_range(err_disconnect_reason((enum err)e), 1, 15);
    }
    assert_string_equal(err_text((enum err)9999), "unknown error");
    assert_int_equal(err_disconnect_reason(ERR_MAC), DISCONNECT_MAC_ERROR);
}

static void the_first_fault_counts(void **state) {
    (void)state;
    struct fault f = {0};
    assert_int_equal(fault_set(NULL, ERR_IO, 0, "nobody hears"), ERR_IO);
    assert_int_equal(fault_set(&f, ERR_MAC, 7, "first %d", 1), ERR_MAC);
    assert_int_equal(fault_set(&f, ERR_IO, 8, "second"), ERR_IO);
    assert_string_equal(fault_text(&f), "first 1");
    assert_int_equal(f.code, ERR_MAC);
    assert_int_equal(f.message, 7);
    fault_clear(&f);
    char text[1000];
    memset(text, 'y', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    assert_int_equal(fault_set(&f, ERR_IO, 0, "%s", text), ERR_IO);
    assert_int_equal(strlen(f.text), FAULT_TEXT_SIZE - 1);
    fault_clear(&f);
    assert_int_equal(fault_set(&f, ERR_IO, 0, "%s", ""), ERR_IO);
    assert_string_equal(fault_text(&f), err_text(ERR_IO));
    fault_clear(&f);
    assert_int_equal(fault_set(&f, ERR_IO, 0, "/a/b: full"), ERR_IO);
    assert_string_equal(fault_reason(&f, "/a/b"), "full");
    assert_string_equal(fault_reason(&f, "/a"), "/a/b: full");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(growth_keeps_the_bytes),
        cmocka_unit_test(a_queue_in_a_small_buffer),
        cmocka_unit_test(reserve_offers_room),
        cmocka_unit_test(errors_have_texts_and_reasons),
        cmocka_unit_test(the_first_fault_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
