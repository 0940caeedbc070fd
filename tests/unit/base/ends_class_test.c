// Classes of ends: names there and back, and in front of a text.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka wants the above
#include <cmocka.h>

#include "base/ends_class.h"

static void names_there_and_back(void **state) {
    (void)state;
    for (unsigned i = 0; i < ENDS_CLASSES; i++) {
        enum ends_class class = ENDS_CLASSES;
        const char *name = ends_class_name((enum ends_class)i);
        assert_non_null(name);
        assert_true(ends_class_of(view_text(name), &class));
        assert_int_equal(class, i);
    }
}

static void in_front_of_a_text(void **state) {
    (void)state;
    enum ends_class class;
    struct view rest;
    assert_true(ends_class_in(view_text("grace over: it ended: so"), &class, &rest));
    assert_int_equal(class, ENDS_GRACE);
    assert_true(view_is(rest, "it ended: so"));
    assert_true(ends_class_in(view_text("idle:"), &class, &rest));
    assert_int_equal(rest.n, 0);
    assert_true(ends_class_in(view_text("reset: x"), &class, NULL));
    static const char *const none[] = {
        "", ":", "idle", " idle: x", "Idle: x", "idle over: x", "idl: x", "unknown: x"};
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++)
        assert_false(ends_class_in(view_text(none[i]), &class, &rest));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_there_and_back),
        cmocka_unit_test(in_front_of_a_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
