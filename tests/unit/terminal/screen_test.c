// A screen is painted from what a program wrote: what the painting shows is what the
// program showed.
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "server/screen_library.h"

static struct screen_library library;

static int load(void **state) {
    struct fault fault = {0};
    (void)state;
    if (screen_library_load(&library, &fault) != OK) {
        fprintf(stderr, "%s\n", fault_text(&fault));
        return -1;
    }
    return 0;
}

static void paint(struct view bytes, uint32_t rows, uint32_t columns,
                  enum screen_paint how, struct buf *out) {
    struct screen *s;
    assert_int_equal(screen_new(&s, &library, rows, columns), OK);
    assert_int_equal(screen_feed(s, bytes), OK);
    assert_int_equal(screen_paint(s, how, out), OK);
    screen_free(s);
}

// The painting of `text`, and the painting of that painting, which is the same.
static const char *painted(const char *text) {
    static char out[1 << 16];
    scoped_buf first = {.max = 1 << 20}, second = {.max = 1 << 20};
    paint(view_text(text), 4, 20, SCREEN_STATE, &first);
    paint(buf_view(&first), 4, 20, SCREEN_STATE, &second);
    assert_int_equal(buf_len(&first), buf_len(&second));
    if (buf_len(&first) > 0)
        assert_memory_equal(buf_view(&first).p, buf_view(&second).p, buf_len(&first));
    assert_true(buf_len(&first) < sizeof out);
    snprintf(out, sizeof out, "%.*s", (int)buf_len(&first), (char *)buf_view(&first).p);
    return out;
}

static void test_text(void **state) {
    (void)state;
    assert_string_equal(painted("one\r\ntwo"), "one\r\ntwo\r\n\r\n\x1b[2;4H\x1b[2;4H");
}

static void test_scrolled(void **state) {
    (void)state;
    assert_string_equal(painted("1\r\n2\r\n3\r\n4\r\n5\r\n6"),
                        "1\r\n2\r\n3\r\n4\r\n5\r\n6\x1b[4;2H\x1b[4;2H");
}

static void test_colours(void **state) {
    (void)state;
    assert_string_equal(
        painted("\x1b[1;31mred\x1b[0m \x1b[38;5;200mx\x1b[48;2;1;2;3my\x1b[0m"),
        "\x1b[0;1;31mred\x1b[0m \x1b[0;38;5;200mx\x1b[0;38;5;200;48;2;1;2;3my\x1b[0m"
        "\r\n\r\n\r\n\x1b[1;7H\x1b[1;7H");
}

// What libvterm has no attribute for.
static void test_faint_and_hidden(void **state) {
    (void)state;
    assert_string_equal(
        painted("\x1b[2mdim\x1b[1mb\x1b[22mn\x1b[38;5;2m\x1b[8mh\x1b[0m."),
        "\x1b[0;2mdim\x1b[0;1;2mb\x1b[0mn\x1b[0;8;32mh\x1b[0m."
        "\r\n\r\n\r\n\x1b[1;8H\x1b[1;8H");
    // Parameters of colours, of underlines and of what is no SGR are others.
    assert_string_equal(
        painted("\x1b[38;2;2;8;2ma\x1b[m\x1b[4:2mb\x1b[m\x1b[>4;2mc\x1b[11md"),
        "\x1b[0;38;2;2;8;2ma\x1b[0;21mb\x1b[0mcd\r\n\r\n\r\n\x1b[1;5H\x1b[>4;2m\x1b[1;"
        "5H");
    assert_non_null(strstr(painted("\x1b[2ma\x1b[!pb\x1b[2mc\x1b"
                                   "cd"),
                           "d\r\n"));
}

// Controls of two bytes, with which libvterm writes beyond the screen in insert mode.
static void test_controls_of_unicode(void **state) {
    (void)state;
    for (unsigned c = 0x80; c < 0xc0; c++) {
        char text[32];
        snprintf(text, sizeof text, "\x1b[4h\xc2%cb\x1b[4l\xc2\xa9", (int)c);
        assert_non_null(strstr(painted(text), c < 0xa0 ? "b\xc2\xa9\r\n" : "b\xc2\xa9"));
    }
    assert_non_null(strstr(painted("a\xc2z"), "a\xef\xbf\xbdz"));
    // Nor in pieces.
    assert_non_null(strstr(painted("\x1b[4ha\xc2\x1b[m\x81"
                                   "b"),
                           "a\xef\xbf\xbd"));
    assert_non_null(strstr(painted("\x1b[4ha\xc2\x1b[b\x81"
                                   "b"),
                           "a\xef\xbf\xbd"));
}

static void test_pen_stays(void **state) {
    (void)state;
    assert_non_null(strstr(painted("a\x1b[7;92m"), "\x1b[1;2H\x1b[0;7;92m"));
}

static void test_alternate(void **state) {
    (void)state;
    const char *out =
        painted("$ vi\r\n\x1b[?1049h\x1b[?1h\x1b=\x1b[2J\x1b[1;1Hfile\x1b[4;1H:q");
    assert_string_equal(out, "$ vi\r\n\r\n\r\n\x1b[2;1H\x1b[?1049h\x1b[H"
                             "file\r\n\r\n\r\n:q\x1b[?1h\x1b=\x1b[4;3H");
}

static void test_title_and_modes(void **state) {
    (void)state;
    const char *out = painted("\x1b]0;my title\a\x1b[?2004h\x1b[?1006;1002h\x1b[?25lx");
    assert_non_null(strstr(out, "\x1b]2;my title\a"));
    assert_non_null(strstr(out, "\x1b[?25l"));
    assert_non_null(strstr(out, "\x1b[?1002h"));
    assert_non_null(strstr(out, "\x1b[?1006h"));
    assert_non_null(strstr(out, "\x1b[?2004h"));
}

static void test_wide_and_combined(void **state) {
    (void)state;
    assert_non_null(strstr(painted("\xe6\xbc\xa2\xe5\xad\x97 e\xcc\x81"),
                           "\xe6\xbc\xa2\xe5\xad\x97 e\xcc\x81\r\n"));
}

// An unfinished sequence is finished by what the program writes next.
static void test_unfinished(void **state) {
    (void)state;
    const char *out = painted("x\x1b[3");
    assert_string_equal(out + strlen(out) - 3, "\x1b[3");
    out = painted("x\xe6\xbc");
    assert_string_equal(out + strlen(out) - 2, "\xe6\xbc");
}

static void test_margins(void **state) {
    (void)state;
    assert_non_null(
        strstr(painted("\x1b[2;3r\x1b[?6h\x1b[2;5H"), "\x1b[2;3r\x1b[?6h\x1b[2;5H"));
}

static void test_resized(void **state) {
    (void)state;
    struct screen *s;
    scoped_buf out = {.max = 1 << 20};
    assert_int_equal(screen_new(&s, &library, 4, 20), OK);
    assert_int_equal(screen_feed(s, view_text("1\r\n2\r\n3\r\n4")), OK);
    screen_resize(s, 2, 40);
    assert_int_equal(screen_paint(s, SCREEN_STATE, &out), OK);
    screen_free(s);
    assert_memory_equal(buf_view(&out).p, "1\r\n2\r\n3\r\n4\x1b[2;2H", 16);
}

// 10,000 lines, the newest.
static void test_lines(void **state) {
    (void)state;
    struct screen *s;
    scoped_buf out = {.max = 1 << 22};
    assert_int_equal(screen_new(&s, &library, 4, 20), OK);
    for (unsigned i = 0; i < 12000; i++) {
        char line[32];
        snprintf(line, sizeof line, "line %u\r\n", i);
        assert_int_equal(screen_feed(s, view_text(line)), OK);
    }
    assert_int_equal(screen_paint(s, SCREEN_STATE, &out), OK);
    screen_free(s);
    // 12,000 lines and an empty one: 3 and that are on the screen.
    static const char first[] = "line 1997\r\nline 1998\r\n";
    assert_memory_equal(buf_view(&out).p, first, sizeof first - 1);
    assert_non_null(memmem(buf_view(&out).p, buf_len(&out), "line 11999", 10));
}

static void test_lines_have_a_cap(void **state) {
    (void)state;
    struct screen *s;
    scoped_buf out = {.max = 1 << 24};
    static char line[1001];
    assert_int_equal(screen_new(&s, &library, 4, 1000), OK);
    for (size_t i = 0; i < 8000; i++) {
        memset(line, 'a' + (int)(i % 26), 998);
        memcpy(line + 998, "\r\n", 3);
        assert_int_equal(screen_feed(s, view_text(line)), OK);
    }
    assert_int_equal(screen_paint(s, SCREEN_STATE, &out), OK);
    screen_free(s);
    assert_true(buf_len(&out) < SCREEN_LINES_BYTES + 16384);
    assert_true(buf_len(&out) > SCREEN_LINES_BYTES / 2);
}

// REP: what libvterm alone would do for ever, without a character or with one that has no
// width. A painting that hangs is a failure, too.
static void test_repeated(void **state) {
    (void)state;
    static const struct {
        const char *text, *line;
    } rows[] = {
        {"a\x1b[3b", "aaaa\r"},
        {"ab\x1b[b.", "abb.\r"},
        {"\xc3\xa4\x1b[2b", "\xc3\xa4\xc3\xa4\xc3\xa4\r"},
        {"\x1b[5bx", "x\r"},
        {"\x1b[\x01\x05"
         "bx",
         "x\r"},
        {"\x1b\x01[5bx", "x\r"},
        {"\x1b\xeb[5bx", "x\r"},
        {"\x1b![5bx", "x\r"},
        {"a\x1b[?5bx", "ax\r"},
        {"a\x1b[2 bx", "ax\r"},
        {"a\x1b[2\x18"
         "bx",
         "abx\r"},
        {"\r\xcc\x81\x1b[9b\r\x1b[2Kx", "x\r"},
        {"\x1b[99999999999bx", "x\r"},
        {"\x1b[::::::::::::::::::::::::::::::::1hx", "x\r"},
        {"\x1b[1;1;1;1;1;1;1;1;1;1;1;1;1;1;1;1;1;1;1;1;1;1;1mx", "x\r"},
    };
    alarm(60);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *out = painted(rows[i].text);
        assert_memory_equal(out, rows[i].line, strlen(rows[i].line));
    }
    // No more than a line of it.
    assert_null(strstr(painted("a\x1b[99999b"), "aaaaaaaaaaaaaaaaaaaaaa"));
    alarm(0);
}

// What a person's terminal shows goes to its own memory of lines first.
static void test_for_a_person(void **state) {
    (void)state;
    scoped_buf out = {.max = 1 << 20};
    paint(view_text("x"), 3, 20, SCREEN_TERMINAL, &out);
    static const char start[] = "\x1b[?1049l\x1b[!p\x1b[?7h\x1b[0m\x1b[3;1H\n\n\n\x1b[Hx";
    assert_memory_equal(buf_view(&out).p, start, sizeof start - 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_scrolled),
        cmocka_unit_test(test_colours),
        cmocka_unit_test(test_faint_and_hidden),
        cmocka_unit_test(test_controls_of_unicode),
        cmocka_unit_test(test_pen_stays),
        cmocka_unit_test(test_alternate),
        cmocka_unit_test(test_title_and_modes),
        cmocka_unit_test(test_wide_and_combined),
        cmocka_unit_test(test_unfinished),
        cmocka_unit_test(test_margins),
        cmocka_unit_test(test_resized),
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_lines_have_a_cap),
        cmocka_unit_test(test_repeated),
        cmocka_unit_test(test_for_a_person),
    };
    return cmocka_run_group_tests(tests, load, NULL);
}
