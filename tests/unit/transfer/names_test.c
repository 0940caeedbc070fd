// scp and sftp: addresses, names that servers may give, words of commands.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
// cmocka wants the above
#include <cmocka.h>

#include "transfer/address.h"
#include "transfer/rcp.h"
#include "transfer/sftp.h"

static void addresses(void **state) {
    static const struct {
        const char *text, *user, *host, *path;
        uint16_t port;
    } rows[] = {
        {"host:", NULL, "host", "", 0},
        {"u@host:a b", "u", "host", "a b", 0},
        {"u@d@host:x", "u@d", "host", "x", 0},
        {"[::1]:x:y", NULL, "::1", "x:y", 0},
        {"u@[fe80::1%eth0]:", "u", "fe80::1%eth0", "", 0},
        {"scp://host", NULL, "host", "", 0},
        {"scp://u;p=1@host:22/a%20b", "u", "host", "a b", 22},
        {"scp://[::1]:2222//abs", NULL, "::1", "/abs", 2222},
    };
    static const char *const local[] = {"file", ":file", "./a:b", "/a:b", "a/b:c", ""};
    static const char *const bad[] = {"@host:x",        "scp://",         "scp://h:0/x",
                                      "scp://h:65536/", "scp://h:/x",     "scp://h/%0",
                                      "scp://h/%00",    "scp://u%zz@h/x", "[]:x"};
    struct address a;
    char why[128];
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_true(address_parse(&a, rows[i].text, "scp://", true, why));
        assert_true(a.remote);
        assert_string_equal(a.host, rows[i].host);
        assert_string_equal(a.path, rows[i].path);
        assert_int_equal(a.port, rows[i].port);
        assert_true((a.user == NULL) == (rows[i].user == NULL));
        if (a.user != NULL)
            assert_string_equal(a.user, rows[i].user);
        address_free(&a);
    }
    for (size_t i = 0; i < sizeof local / sizeof local[0]; i++) {
        assert_true(address_parse(&a, local[i], "scp://", true, why));
        assert_false(a.remote);
        address_free(&a);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(address_parse(&a, bad[i], "scp://", true, why));
        address_free(&a);
    }
}

static void names(void **state) {
    char out[NAME_PATH];
    (void)state;
    assert_true(name_is_plain("a") && name_is_plain("..a") && name_is_plain("a b"));
    assert_false(name_is_plain("") || name_is_plain(".") || name_is_plain("..") ||
                 name_is_plain("a/b") || name_is_plain("/") || name_is_plain("../a"));
    assert_false(name_copy(out, view_of("a\0b", 3)) || name_copy(out, view_of("", 0)));
    static const char *const last[][2] = {{"a/b/", "b"}, {"/", "/"},  {"", "."},
                                          {"a", "a"},    {"//", "/"}, {"/a//", "a"}};
    for (size_t i = 0; i < sizeof last / sizeof last[0]; i++) {
        assert_true(path_last(out, last[i][0]));
        assert_string_equal(out, last[i][1]);
    }
    static const char *const into[][2] = {{"x/y", "to/y"}, {"/", "to/."},
                                          {"..", "to/."},  {"a/..", "to/."},
                                          {".", "to/."},   {"a/b//", "to/b"}};
    for (size_t i = 0; i < sizeof into / sizeof into[0]; i++) {
        assert_true(path_into(out, "to", into[i][0]));
        assert_string_equal(out, into[i][1]);
    }
    assert_true(path_join(out, "a", "b") && strcmp(out, "a/b") == 0);
    assert_true(path_join(out, "a/", "b") && strcmp(out, "a/b") == 0);
    assert_true(path_join(out, "a", "/b") && strcmp(out, "/b") == 0);
    assert_true(path_join(out, "", "b") && strcmp(out, "b") == 0);
}

static void names_asked_for(void **state) {
    (void)state;
    assert_true(rcp_name_fits("dir/file", "file"));
    assert_true(rcp_name_fits("*.c", "a.c"));
    assert_true(rcp_name_fits("{a,b}/{c,d{1,2}}", "d2"));
    assert_true(rcp_name_fits("/x/y{,z}", "y"));
    assert_true(rcp_name_fits("a[1]", "a[1]"));
    assert_false(rcp_name_fits("dir/file", "other"));
    assert_false(rcp_name_fits("*.c", "a.h"));
    assert_false(rcp_name_fits("{a,b}", "c"));
    // Not more than a bounded number of alternatives is tried.
    assert_false(rcp_name_fits("{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{"
                               "a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}",
                               "x"));
}

static void words(void **state) {
    static const struct {
        const char *line, *words[4];
    } rows[] = {
        {"get  a\tb", {"get", "a", "b"}},
        {"get \"a b\" 'c d'", {"get", "a b", "c d"}},
        {"a\\ b c#d #e", {"a b", "c#d"}},
        {"a\"*\"b *", {"a\\*b", "*"}},
        {"\\* '\\\\' \"\\\"\"", {"\\*", "\\\\", "\""}},
        {"'a\\b' x\\", {"a\\\\b", "x\\\\"}},
        {"\"\" # comment", {""}},
        {"  ", {NULL}},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        scoped_words w = {0};
        size_t n = 0;
        assert_true(sftp_words(rows[i].line, &w));
        for (; n < 4 && rows[i].words[n] != NULL; n++) {
            assert_true(n < w.n);
            assert_string_equal(w.list[n], rows[i].words[n]);
        }
        assert_int_equal(w.n, n);
    }
    scoped_words open = {0};
    assert_false(sftp_words("get \"a", &open));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses),
        cmocka_unit_test(names),
        cmocka_unit_test(names_asked_for),
        cmocka_unit_test(words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
