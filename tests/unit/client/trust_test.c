// Host key decisions over every policy and verdict; what is remembered of hosts.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/hostkeys.h"
#include "client/remember.h"
#include "crypto/crypto.h"

static void test_decisions(void **state) {
    (void)state;
    enum {
        T = HOSTKEYS_TRUST,
        A = HOSTKEYS_TRUST_AND_ADD,
        Q = HOSTKEYS_ASK,
        R = HOSTKEYS_REFUSE,
        C = HOSTKEYS_TRUST_CHANGED
    };
    static const struct {
        int strict;
        bool batch;
        int of[5];  // by verdict: new, ok, changed, other type, revoked
    } rows[] = {
        {STRICT_HOST_KEY_ASK, false, {Q, T, R, R, R}},
        {STRICT_HOST_KEY_ASK, true, {R, T, R, R, R}},
        {STRICT_HOST_KEY_YES, false, {R, T, R, R, R}},
        {STRICT_HOST_KEY_YES, true, {R, T, R, R, R}},
        {STRICT_HOST_KEY_ACCEPT_NEW, false, {A, T, R, R, R}},
        {STRICT_HOST_KEY_ACCEPT_NEW, true, {A, T, R, R, R}},
        {STRICT_HOST_KEY_OFF, false, {A, T, C, C, R}},
        {STRICT_HOST_KEY_OFF, true, {A, T, C, C, R}},
    };
    static const enum known_hosts_result results[] = {
        KNOWN_HOSTS_NEW, KNOWN_HOSTS_OK, KNOWN_HOSTS_CHANGED, KNOWN_HOSTS_OTHER_TYPE,
        KNOWN_HOSTS_IS_REVOKED};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        for (size_t k = 0; k < 5; k++)
            assert_int_equal(hostkeys_decide(rows[i].strict, rows[i].batch, results[k]),
                             rows[i].of[k]);
    // A verdict that does not exist refuses.
    assert_int_equal(
        hostkeys_decide(STRICT_HOST_KEY_OFF, false, (enum known_hosts_result)99),
        HOSTKEYS_REFUSE);
}

static void test_remember(void **state) {
    (void)state;
    char home[] = "/tmp/bowline-remember-XXXXXX", path[128];
    assert_non_null(mkdtemp(home));
    unsetenv("XDG_STATE_HOME");
    assert_int_equal(remember_get(home, "a"), REMEMBER_NOTHING);
    remember_put(home, "a", REMEMBER_GUESS);
    remember_put(home, "[b]:22", REMEMBER_NO_GUESS);
    assert_int_equal(remember_get(home, "a"), REMEMBER_GUESS);
    assert_int_equal(remember_get(home, "[b]:22"), REMEMBER_NO_GUESS);
    assert_int_equal(remember_get(home, "c"), REMEMBER_NOTHING);
    remember_put(home, "a", REMEMBER_NO_GUESS);
    assert_int_equal(remember_get(home, "a"), REMEMBER_NO_GUESS);
    struct stat st;
    snprintf(path, sizeof path, "%s/.local/state/bowline/hosts", home);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(st.st_size, 3 * 19);
    // It never grows without end.
    for (int i = 0; i < 4000; i++)
        remember_put(home, "a", REMEMBER_GUESS);
    assert_int_equal(stat(path, &st), 0);
    assert_true(st.st_size <= 64 * 1024);
    assert_int_equal(remember_get(home, "a"), REMEMBER_GUESS);
    char command[160];
    snprintf(command, sizeof command, "rm -r %s", home);
    assert_int_equal(system(command), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decisions),
        cmocka_unit_test(test_remember),
    };
    return crypto_init() == OK ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
