// Modes are read from a program's output, and undone for the shell that follows.
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "terminal/modes.h"

static struct terminal_modes fed(const char *text) {
    struct terminal_modes m, bytewise;
    terminal_modes_init(&m);
    terminal_modes_init(&bytewise);
    terminal_modes_feed(&m, view_text(text));
    for (const char *p = text; *p != '\0'; p++)
        terminal_modes_feed(&bytewise, view_of(p, 1));
    assert_memory_equal(&m, &bytewise, sizeof m);
    return m;
}

static const char *written(enum err (*write)(const struct terminal_modes *, struct buf *),
                           const char *text) {
    static char out[1024];
    scoped_buf b = {.max = 4096};
    struct terminal_modes m = fed(text);
    assert_int_equal(write(&m, &b), OK);
    snprintf(out, sizeof out, "%.*s", (int)buf_len(&b),
             buf_len(&b) > 0 ? (char *)buf_view(&b).p : "");
    return out;
}

static void test_restore(void **state) {
    (void)state;
    assert_string_equal(written(terminal_modes_restore, "text\x1b[1mbold\x1b]0;t\a"), "");
    assert_string_equal(written(terminal_modes_restore, "\x1b[?7l\x1b[?1;2004h"),
                        "\x1b[?1h\x1b[?7l\x1b[?2004h");
    assert_string_equal(written(terminal_modes_restore, "\x1b[?7l\x1b[?7h"), "");
    assert_string_equal(written(terminal_modes_restore, "\x1b(0\x0e"), "\x1b(0\x0e");
    assert_string_equal(written(terminal_modes_restore, "\x1b[4 q\x1b[>4;2m"),
                        "\x1b[4 q\x1b[>4;2m");
    assert_string_equal(written(terminal_modes_restore, "\x1b[2;9r"), "\x1b[2;9r");
}

static void test_leave(void **state) {
    (void)state;
    assert_string_equal(written(terminal_modes_leave, ""), "\x1b[0m");
    assert_string_equal(
        written(terminal_modes_leave, "\x1b[?1049h\x1b[?25l\x1b[?1000h\x1b="),
        "\x1b[?25h\x1b[?1000l\x1b>\x1b[?1049l\x1b[0m");
    assert_string_equal(written(terminal_modes_leave, "\x1b]2;unfinish"), "\x18\x1b[0m");
}

static void test_resets(void **state) {
    (void)state;
    assert_string_equal(written(terminal_modes_restore, "\x1b[?1;2004h\x1b=\x1b"
                                                        "c"),
                        "");
    assert_string_equal(written(terminal_modes_restore, "\x1b[?1;2004h\x1b[!p"), "");
    struct terminal_modes m = fed("\x1b[?1049h\x1b[!p");
    assert_true(terminal_modes_alternate(&m));
    m = fed("\x1b[?1049h\x1b[?47l");
    assert_false(terminal_modes_alternate(&m));
}

// In strings, and in sequences that are too long, nothing is a mode.
static void test_strings(void **state) {
    (void)state;
    assert_string_equal(written(terminal_modes_restore, "\x1b]0;[?2004h\a"), "");
    assert_string_equal(written(terminal_modes_restore, "\x1bPq[?2004h\x1b\\\x1b[?1h"),
                        "\x1b[?1h");
    // Controls within a sequence do not end it.
    assert_string_equal(written(terminal_modes_restore, "\x1b\x03[?1h"), "\x1b[?1h");
    assert_string_equal(written(terminal_modes_restore, "\x1b\r\n]0;[?2004h\a"), "");
    char text[300] = "\x1b[?";
    memset(text + 3, '1', 200);
    memcpy(text + 203, "h\x1b[?1h", 7);
    assert_string_equal(written(terminal_modes_restore, text), "\x1b[?1h");
}

static void test_plain(void **state) {
    (void)state;
    assert_true(terminal_is_plain(view_text("a\r\n\x1b[1;32mb\x1b[m\tc\n"), 2));
    assert_false(terminal_is_plain(view_text("a\n"), 2));
    assert_false(terminal_is_plain(view_text("a\n\n\x1b[2J"), 2));
    assert_false(terminal_is_plain(view_text("a\n\n\x1b"), 2));
    assert_false(terminal_is_plain(view_text("a\n\n\x1b"
                                             "7"),
                                   2));
    assert_false(terminal_is_plain(view_text("a\n\n\x1b[?25h"), 2));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_restore), cmocka_unit_test(test_leave),
        cmocka_unit_test(test_resets),  cmocka_unit_test(test_strings),
        cmocka_unit_test(test_plain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
