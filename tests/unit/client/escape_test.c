// Escapes: only at the start of a line, split anywhere, the character itself by typing it
// twice.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "client/escape.h"

// What is sent and which escapes are seen, as one string; `step` bytes at a time.
static void run(const char *typed, size_t step, char *sent, char *actions) {
    struct escape e;
    escape_init(&e, '~');
    size_t n = strlen(typed), out = 0, acts = 0;
    for (size_t i = 0; i < n; i += step) {
        struct view v = view_of(typed + i, i + step > n ? n - i : step);
        while (v.n > 0) {
            uint8_t bytes[64];
            size_t got = 0;
            enum escape_action a = escape_filter(&e, &v, bytes, &got);
            memcpy(sent + out, bytes, got);
            out += got;
            if (a != ESCAPE_NOTHING)
                actions[acts++] = (char)('a' + a);
        }
    }
    sent[out] = actions[acts] = 0;
}

static void check(const char *typed, const char *want_sent, const char *want_actions) {
    for (size_t step = 1; step <= strlen(typed); step++) {
        char sent[128], actions[32];
        run(typed, step, sent, actions);
        assert_string_equal(sent, want_sent);
        assert_string_equal(actions, want_actions);
    }
}

static void test_at_line_start_only(void **state) {
    (void)state;
    check("~.", "", "b");
    check("ls ~.\r", "ls ~.\r", "");
    check("ls\r~.", "ls\r", "b");
    check("ls\n~?x", "ls\nx", "f");
}

static void test_twice_is_itself(void **state) {
    (void)state;
    check("~~", "~", "");
    check("~~.", "~.", "");
    check("\r~~~.", "\r~~.", "");
}

static void test_unknown_goes_through(void **state) {
    (void)state;
    check("~x", "~x", "");
    check("~\r~.", "~\r", "b");
}

static void test_escapes_in_a_row(void **state) {
    (void)state;
    check("~?~?~.", "", "ffb");
    check("~\x1a~&~#~B~R~v~V~I~C", "", "cdeghijkl");
}

static void test_none(void **state) {
    (void)state;
    struct escape e;
    escape_init(&e, -1);
    struct view v = view_text("~.\r~.");
    uint8_t out[16];
    size_t n = 0;
    assert_int_equal(escape_filter(&e, &v, out, &n), ESCAPE_NOTHING);
    assert_int_equal(n, 5);
}

static void test_help_names_all(void **state) {
    (void)state;
    struct escape e;
    char text[2048], small[16];
    escape_init(&e, '^');
    size_t n = escape_help(&e, true, text, sizeof text);
    assert_int_equal(n, strlen(text));
    assert_non_null(strstr(text, "^."));
    assert_non_null(strstr(text, "^^Z"));
    assert_true(escape_help(&e, true, small, sizeof small) < sizeof small);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_at_line_start_only),
        cmocka_unit_test(test_twice_is_itself),
        cmocka_unit_test(test_unknown_goes_through),
        cmocka_unit_test(test_escapes_in_a_row),
        cmocka_unit_test(test_none),
        cmocka_unit_test(test_help_names_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
