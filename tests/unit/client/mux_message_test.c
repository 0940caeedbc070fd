// The control socket's messages: bytes as PROTOCOL.mux has them, and what is refused.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "client/mux_message.h"

static struct mux_message message;
static size_t taken;
static struct fault fault;

static enum err decode(const void *bytes, size_t n) {
    fault = (struct fault){0};
    return mux_decode(view_of(bytes, n), &message, &taken, &fault);
}

static void test_known_bytes(void **state) {
    (void)state;
    static const uint8_t hello[] = {0, 0, 0, 8, 0, 0, 0, 1, 0, 0, 0, 4};
    static const uint8_t alive[] = {0, 0, 0, 12, 0x80, 0, 0, 5, 0, 0, 0, 7, 0, 0, 1, 2};
    assert_int_equal(decode(hello, sizeof hello), OK);
    assert_int_equal(taken, sizeof hello);
    assert_int_equal(message.number, MUX_HELLO);
    assert_int_equal(message.hello.version, 4);
    assert_int_equal(message.hello.extensions.n, 0);
    assert_int_equal(decode(alive, sizeof alive), OK);
    assert_int_equal(message.id, 7);
    assert_int_equal(message.pair.value, 258);
    scoped_buf out;
    buf_init(&out, 64);
    assert_int_equal(mux_encode(&out, MUX_S_ALIVE, &(struct mux_pair){7, 258}), OK);
    assert_true(view_equal(buf_view(&out), view_of(alive, sizeof alive)));
}

static void test_session_round_trip(void **state) {
    (void)state;
    static const uint8_t variables[] = {0, 0, 0, 3, 'A', '=', 'b', 0, 0, 0, 2, 'C', '='};
    struct mux_new_session in = {
        .id = 3,
        .tty = 1,
        .agent = 1,
        .escape = '~',
        .term = view_text("xterm"),
        .command = view_text("ls"),
        .environment = view_of(variables, sizeof variables),
    };
    scoped_buf out;
    buf_init(&out, 1024);
    assert_int_equal(mux_encode(&out, MUX_C_NEW_SESSION, &in), OK);
    struct view v = buf_view(&out);
    // Nothing is taken before all of it is there.
    for (size_t n = 0; n < v.n; n++) {
        assert_int_equal(decode(v.p, n), OK);
        assert_int_equal(taken, 0);
    }
    assert_int_equal(decode(v.p, v.n), OK);
    assert_int_equal(taken, v.n);
    assert_int_equal(message.session.tty, 1);
    assert_int_equal(message.session.x11, 0);
    assert_true(view_is(message.session.command, "ls"));
    struct view rest = message.session.environment, one;
    assert_true(mux_next_string(&rest, &one) && view_is(one, "A=b"));
    assert_true(mux_next_string(&rest, &one) && view_is(one, "C="));
    assert_false(mux_next_string(&rest, &one));
}

static void test_refused(void **state) {
    (void)state;
    static const uint8_t huge[] = {0xff, 0xff, 0xff, 0xff, 0, 0, 0, 1};
    static const uint8_t tiny[] = {0, 0, 0, 3, 0, 0, 0};
    static const uint8_t trailing[] = {0, 0, 0, 9, 0x10, 0, 0, 4, 0, 0, 0, 1, 0};
    static const uint8_t cut[] = {0, 0, 0, 6, 0x10, 0, 0, 4, 0, 0};
    static const uint8_t unknown[] = {0, 0, 0, 8, 0x12, 0, 0, 4, 0, 0, 0, 9};
    assert_int_equal(decode(huge, sizeof huge), ERR_LIMIT);
    assert_int_equal(decode(tiny, sizeof tiny), ERR_LIMIT);
    assert_int_not_equal(decode(trailing, sizeof trailing), OK);
    assert_non_null(strstr(fault_text(&fault), "C_ALIVE_CHECK"));
    assert_int_not_equal(decode(cut, sizeof cut), OK);
    // It can be answered, and what follows it read.
    assert_int_equal(decode(unknown, sizeof unknown), ERR_UNSUPPORTED);
    assert_int_equal(taken, sizeof unknown);
    assert_int_equal(message.id, 9);
}

static void test_half_a_string(void **state) {
    (void)state;
    static const uint8_t half[] = {0, 0, 0, 9, 'x'};
    struct view rest = view_of(half, sizeof half), one;
    assert_false(mux_next_string(&rest, &one));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_bytes),
        cmocka_unit_test(test_session_round_trip),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_half_a_string),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
