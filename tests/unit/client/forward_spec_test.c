// Forwarding specifications and jump hosts as ssh(1) has them.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "client/forward_spec.h"
#include "client/jump.h"

static void forwards(void **state) {
    (void)state;
    const struct {
        enum forward_kind kind;
        const char *text, *listen, *connect;
        bool host_given;
    } rows[] = {
        {FORWARD_LOCAL, "80:host:443", ":80", "host:443", false},
        {FORWARD_LOCAL, "80 host:443", ":80", "host:443", false},
        {FORWARD_LOCAL, "*:80:host:443", "*:80", "host:443", true},
        {FORWARD_LOCAL, ":80:host:443", ":80", "host:443", true},
        {FORWARD_LOCAL, "[::1]:80:[fe80::1]:443", "[::1]:80", "[fe80::1]:443", true},
        {FORWARD_LOCAL, "[::1]:80 [fe80::1]:443", "[::1]:80", "[fe80::1]:443", true},
        {FORWARD_LOCAL, "80:/run/s", ":80", "/run/s", false},
        {FORWARD_LOCAL, "a:80:/run/s", "a:80", "/run/s", true},
        {FORWARD_LOCAL, "/run/s:host:22", "/run/s", "host:22", false},
        {FORWARD_LOCAL, "/run/s:/run/t", "/run/s", "/run/t", false},
        {FORWARD_LOCAL, "/run/a\\:b:/run/t", "/run/a:b", "/run/t", false},
        {FORWARD_LOCAL, "[/run/a:b]:[/run/t]", "/run/a:b", "/run/t", false},
        {FORWARD_REMOTE, "80:[/run/s]", ":80", "/run/s", false},
        {FORWARD_REMOTE, "0:host:22", ":0", "host:22", false},
        {FORWARD_REMOTE, "8080", ":8080", ":0", false},
        {FORWARD_REMOTE, "a:8080", "a:8080", ":0", true},
        {FORWARD_REMOTE, "/run/s", "/run/s", ":0", false},
        {FORWARD_DYNAMIC, "1080", ":1080", ":0", false},
        {FORWARD_DYNAMIC, "[::1]:1080", "[::1]:1080", ":0", true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct forward_spec s;
        char text[FORWARD_TEXT + 16];
        assert_true(forward_spec_parse(&s, rows[i].kind, rows[i].text));
        assert_string_equal(forward_end_text(&s.listen, text, sizeof text),
                            rows[i].listen);
        assert_string_equal(forward_end_text(&s.connect, text, sizeof text),
                            rows[i].connect);
        assert_int_equal(s.host_given, rows[i].host_given);
        assert_int_equal(s.dynamic, rows[i].connect[0] == ':');
    }
}

static void bad_forwards(void **state) {
    (void)state;
    static const char *const rows[] = {
        "",         "80",      "80:host",    "80::22",    "0:host:22",
        "x:y:22",   "80:h:0",  "80:h:65536", "1:2:3:4:5", "[::1:80",
        "80:h:22x", "a:b:c:d", "[::1]x:80",  "/a:/b:c",   "80:h:22:/run"};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct forward_spec s;
        if (forward_spec_parse(&s, FORWARD_LOCAL, rows[i]))
            fail_msg("taken: %s", rows[i]);
    }
    struct forward_spec s;
    assert_false(forward_spec_parse(&s, FORWARD_DYNAMIC, "80:host:22"));
    assert_false(forward_spec_parse(&s, FORWARD_DYNAMIC, "0"));
}

static void halves(void **state) {
    (void)state;
    assert_int_equal(forward_spec_second("80:host:443"), 3);
    assert_int_equal(forward_spec_second("[::1]:80:h:22"), 9);
    assert_int_equal(forward_spec_second("/a\\:b:/c"), 6);
    assert_int_equal(forward_spec_second("8080"), 0);
}

static void ends(void **state) {
    (void)state;
    struct forward_end e;
    assert_true(forward_end_parse(&e, "[::1]:22"));
    assert_string_equal(e.host, "::1");
    assert_int_equal(e.port, 22);
    assert_true(forward_end_parse(&e, "/run/s"));
    assert_string_equal(e.path, "/run/s");
    static const char *const bad[] = {"", "22", "host", ":22", "host:0", "a:1:2", "h 22"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(forward_end_parse(&e, bad[i]));
}

static void jumps(void **state) {
    (void)state;
    const struct {
        const char *list, *before, *user, *host;
        uint16_t port;
    } rows[] = {
        {"gate", "", "", "gate", 0},
        {"me@gate:2222", "", "me", "gate", 2222},
        {"a,b:1,me@x@c", "a,b:1", "me@x", "c", 0},
        {"[::1]:22", "", "", "::1", 22},
        {"me@::1", "", "me", "::1", 0},
        {"a,ssh://me@b:22", "a", "", "ssh://me@b:22", 0},
    };
    struct jump j;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_true(jump_parse(&j, rows[i].list));
        assert_string_equal(j.before, rows[i].before);
        assert_string_equal(j.user, rows[i].user);
        assert_string_equal(j.host, rows[i].host);
        assert_int_equal(j.port, rows[i].port);
    }
    static const char *const bad[] = {"",     "a,",     "-x",     "a;b", "[::1",
                                      "[x]y", "gate:0", "gate:x", "@g",  "-l@g"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(jump_parse(&j, bad[i]));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forwards), cmocka_unit_test(bad_forwards),
        cmocka_unit_test(halves),   cmocka_unit_test(ends),
        cmocka_unit_test(jumps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
