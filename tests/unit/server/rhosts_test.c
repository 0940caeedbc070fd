// Lines of hosts.equiv and its like: whom they let in, whom they refuse, what is no line.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "server/rhosts.h"

// One group of hosts, one of users.
static bool netgroup(const char *group, const char *host, const char *user) {
    if (host != NULL)
        return strcmp(group, "hosts") == 0 && strcmp(host, "far.example") == 0;
    return strcmp(group, "users") == 0 && strcmp(user, "ann") == 0;
}

static enum rhosts_result search(const char *text, const char *client_user) {
    struct rhosts_case c = {"far.example", "192.0.2.7", client_user, "ann", netgroup};
    unsigned long number;
    return rhosts_search(view_text(text), &c, &number);
}

static void who_is_let_in(void **state) {
    (void)state;
    const struct {
        const char *text, *user;
        enum rhosts_result expected;
    } rows[] = {
        {"", "ann", RHOSTS_NOTHING},
        {"far.example", "ann", RHOSTS_ALLOWED},
        {"far.example\n", "bob", RHOSTS_NOTHING},
        {"far.example bob\n", "bob", RHOSTS_ALLOWED},
        {"FAR.example\tbob\r\n", "bob", RHOSTS_ALLOWED},
        {"192.0.2.7 bob\n", "bob", RHOSTS_ALLOWED},
        {"far.example bob # the one\n", "bob", RHOSTS_NOTHING},
        {"far.example # all\n", "ann", RHOSTS_NOTHING},
        {"far.example bob more\n", "bob", RHOSTS_NOTHING},
        {"+\n+ +\n+ bob\nfar.example +\n", "bob", RHOSTS_NOTHING},
        {"+far.example +bob\n", "bob", RHOSTS_ALLOWED},
        {"-far.example bob\nfar.example bob\n", "bob", RHOSTS_REFUSED},
        {"far.example -bob\nfar.example bob\n", "bob", RHOSTS_REFUSED},
        {"far.example -bob\nfar.example ann\n", "ann", RHOSTS_ALLOWED},
        {"@hosts bob\n", "bob", RHOSTS_ALLOWED},
        {"@other bob\n", "bob", RHOSTS_NOTHING},
        {"far.example @users\n", "ann", RHOSTS_ALLOWED},
        {"far.example @users\n", "bob", RHOSTS_NOTHING},
        {"-@hosts\nfar.example ann\n", "ann", RHOSTS_REFUSED},
        {"NO_PLUS\n\n  \n#far.example\n", "ann", RHOSTS_NOTHING},
        {"far.exam", "ann", RHOSTS_NOTHING},
        {"far.example.org ann\n", "ann", RHOSTS_NOTHING},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_int_equal(search(rows[i].text, rows[i].user), rows[i].expected);
}

static void lines_have_numbers(void **state) {
    (void)state;
    struct rhosts_scan scan =
        rhosts_scan_of(view_text("# one\n+\n\nhost user\n- x\nlast"));
    struct rhosts_line line;
    assert_true(rhosts_next(&scan, &line));
    assert_int_equal(line.number, 4);
    assert_true(view_is(line.host, "host") && view_is(line.user, "user"));
    assert_true(rhosts_next(&scan, &line));
    assert_int_equal(line.number, 6);
    assert_false(rhosts_next(&scan, &line));
    assert_int_equal(scan.ignored, 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_is_let_in),
        cmocka_unit_test(lines_have_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
