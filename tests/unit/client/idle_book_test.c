// The file of idle limits: what is written is read, what is damaged is not believed.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "client/idle_book.h"

#define KEY "0123456789abcdef0123456789abcdef"

static const char *key_of(unsigned i) {
    static char key[IDLE_BOOK_KEY + 1];
    snprintf(key, sizeof key, "%032x", i);
    return key;
}

static void goes_round(void **state) {
    (void)state;
    static struct idle_book b, back;
    unsigned line;
    scoped_buf text;
    buf_init(&text, IDLE_BOOK_TEXT);
    for (unsigned i = 0; i < IDLE_BOOK_MAX; i++) {
        struct idle_limit l = {15 + i, i % 2, UINT16_MAX, 86400, INT64_MAX};
        idle_book_put(&b, key_of(i), &l);
    }
    // The fullest book fits.
    assert_int_equal(idle_book_format(&b, &text), OK);
    assert_true(idle_book_parse(&back, buf_view(&text), &line));
    assert_memory_equal(&b, &back, sizeof b);
}

static void the_oldest_goes(void **state) {
    (void)state;
    static struct idle_book b;
    struct idle_limit l;
    idle_limit_init(&l);
    for (unsigned i = 0; i < IDLE_BOOK_MAX; i++)
        idle_book_put(&b, key_of(i), &l);
    idle_book_put(&b, key_of(0), &l);
    assert_int_equal(b.n, IDLE_BOOK_MAX);
    idle_book_put(&b, key_of(1000), &l);
    assert_int_equal(b.n, IDLE_BOOK_MAX);
    assert_null(idle_book_find(&b, key_of(1)));
    assert_non_null(idle_book_find(&b, key_of(0)));
    assert_non_null(idle_book_find(&b, key_of(1000)));
}

static void check(const char *text, bool good, size_t n, unsigned at) {
    static struct idle_book b;
    unsigned line;
    assert_int_equal(idle_book_parse(&b, view_text(text), &line), good);
    assert_int_equal(b.n, n);
    if (!good)
        assert_int_equal(line, at);
}

static void damage_is_told(void **state) {
    (void)state;
#define HEAD "bowline-idle 1\n"
    check("", true, 0, 0);
    check(HEAD, true, 0, 0);
    check(HEAD KEY " 60 0 60 0 0\n", true, 1, 0);
    check("bowline-idle 2\n", false, 0, 1);
    check("bowline-idle 1", false, 0, 1);
    check(HEAD KEY " 60 0 60 0 0", false, 0, 2);
    check(HEAD KEY " 60 0 60 0 0\n\n", false, 0, 3);
    check(HEAD KEY " 60 0 60 0 0\n" KEY " 60 0 60 0 0\n", false, 0, 3);
    check(HEAD KEY " 60 0 60 0\n", false, 0, 2);
    check(HEAD KEY " 60 0 60 0 0 0\n", false, 0, 2);
    check(HEAD KEY " 60 0  60 0 0\n", false, 0, 2);
    check(HEAD KEY " 14 0 60 0 0\n", false, 0, 2);
    check(HEAD KEY " 211 0 60 0 0\n", false, 0, 2);
    check(HEAD KEY " 60 2 60 0 0\n", false, 0, 2);
    check(HEAD KEY " 60 0 86401 0 0\n", false, 0, 2);
    check(HEAD KEY " -60 0 60 0 0\n", false, 0, 2);
    check(HEAD KEY " 60 0 60 0 99999999999999999999\n", false, 0, 2);
    check(HEAD "g123456789abcdef0123456789abcdef 60 0 60 0 0\n", false, 0, 2);
    check(HEAD "0" KEY " 60 0 60 0 0\n", false, 0, 2);
    check(HEAD KEY "\t60 0 60 0 0\n", false, 0, 2);
    check("\n" HEAD, false, 0, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(goes_round),
        cmocka_unit_test(the_oldest_goes),
        cmocka_unit_test(damage_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
