// Text: hostile bytes, patterns, numbers, words.
#include "base/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static const char *cleaned(const char *bytes, size_t n) {
    static char out[1024];
    return text_clean(out, sizeof out, view_of(bytes, n));
}
#define CLEANED(literal) cleaned(literal, sizeof(literal) - 1)

static void foreign_text_is_made_harmless(void **state) {
    (void)state;
    assert_string_equal(CLEANED("plain, caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\xaa\xa2"),
                        "plain, caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\xaa\xa2");
    assert_string_equal(CLEANED("a\nb\tc\033[31m\a\x7f\0z"),
                        "a\\012b\\011c\\033[31m\\007\\177\\000z");
    assert_string_equal(CLEANED("back\\slash"), "back\\\\slash");
    // overlong, surrogate, above U+10FFFF, stray continuation, cut short
    assert_string_equal(CLEANED("\xc0\xaf"), "\\300\\257");
    assert_string_equal(CLEANED("\xe0\x80\xaf"), "\\340\\200\\257");
    assert_string_equal(CLEANED("\xed\xa0\x80"), "\\355\\240\\200");
    assert_string_equal(CLEANED("\xf4\x90\x80\x80"), "\\364\\220\\200\\200");
    assert_string_equal(CLEANED("\x80x"), "\\200x");
    assert_string_equal(CLEANED("\xe2\x82"), "\\342\\202");
    assert_string_equal(CLEANED("\xff\xfe"), "\\377\\376");
    // C1 control, right-to-left override, zero width, line separator, byte order mark,
    // tag
    assert_string_equal(CLEANED("\xc2\x9b"), "\\302\\233");
    assert_string_equal(CLEANED("\xe2\x80\xae"), "\\342\\200\\256");
    assert_string_equal(CLEANED("\xd8\x9c"), "\\330\\234");
    assert_string_equal(CLEANED("\xe2\x80\x8b"), "\\342\\200\\213");
    assert_string_equal(CLEANED("\xe2\x80\xa8"), "\\342\\200\\250");
    assert_string_equal(CLEANED("\xef\xbb\xbf"), "\\357\\273\\277");
    assert_string_equal(CLEANED("\xf3\xa0\x81\x81"), "\\363\\240\\201\\201");
}

static void cleaning_never_overruns_and_never_splits(void **state) {
    (void)state;
    static const char bytes[] = "ab\n\xc3\xa9\\\xe2\x82\xac\xff\033 xyz";
    for (size_t size = 0; size < 64; size++) {
        char *out = malloc(size + 1);
        out[size] = '!';
        if (size > 0)
            memset(out, '?', size);
        text_clean(out, size, view_of(bytes, sizeof bytes - 1));
        assert_int_equal(out[size], '!');
        if (size > 0)
            assert_true(strlen(out) < size);
        if (size >= 8 && size < 20)
            assert_string_equal(out + strlen(out) - 3, "...");
        char again[256];
        // What is left is clean but for its backslashes.
        if (size > 0)
            assert_string_equal(text_one_line(again, sizeof again, view_text(out)), out);
        free(out);
    }
    char all[1024], every[256];
    for (int i = 0; i < 256; i++)
        every[i] = (char)i;
    size_t n = text_clean_lines(all, sizeof all, view_of(every, 256));
    assert_int_equal(n, strlen(all));
    for (size_t i = 0; i < n; i++)
        assert_true(all[i] == '\n' || all[i] == '\t' ||
                    (all[i] >= 0x20 && all[i] < 0x7f));
}

static void copies_end(void **state) {
    (void)state;
    char out[4];
    assert_true(text_copy(out, 4, view_text("abc")));
    assert_false(text_copy(out, 4, view_text("abcd")));
    assert_string_equal(out, "abc");
    assert_false(text_copy(out, 0, view_text("")));
    assert_true(text_copy(out, 1, view_of(NULL, 0)));
}

static void words_of_a_line(void **state) {
    (void)state;
    struct view line = view_text(" \tone  two\r");
    assert_true(view_is(text_next_word(&line), "one"));
    assert_true(view_is(text_next_word(&line), "two"));
    assert_int_equal(text_next_word(&line).n, 0);
    assert_int_equal(line.n, 0);
    line = view_of(NULL, 0);
    assert_int_equal(text_next_word(&line).n, 0);
    assert_true(view_is(text_trimmed(view_text("\n a b\t\r\n")), "a b"));
    assert_int_equal(text_trimmed(view_text(" \r\n")).n, 0);
}

static void numbers(void **state) {
    (void)state;
    uint64_t v;
    assert_true(text_number("0", 0, 9, &v) && v == 0);
    assert_true(text_number("18446744073709551615", 0, UINT64_MAX, &v) &&
                v == UINT64_MAX);
    static const char *const bad[] = {"",
                                      "-1",
                                      "+1",
                                      " 1",
                                      "1 ",
                                      "0x1",
                                      "1a",
                                      "18446744073709551616",
                                      "99999999999999999999999"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(text_number(bad[i], 0, UINT64_MAX, &v));
    assert_false(text_number("65536", 1, 65535, &v));
    assert_false(text_number("0", 1, 65535, &v));
}

static void durations(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int64_t seconds;
    } rows[] = {
        {"0", 0},           {"90", 90},
        {"90s", 90},        {"1h30m", 5400},
        {"1H30M", 5400},    {"2w3d4h5m6s", 1483506},
        {"1m30", 90},       {"2147483647", 2147483647},
        {"2147483648", -1}, {"99999999999999999999", -1},
        {"3551w", -1},      {"", -1},
        {"m", -1},          {"1x", -1},
        {"-1", -1},         {"1 m", -1},
        {"1mm", -1},        {"1.5h", -1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint32_t s = 77;
        assert_int_equal(text_duration(rows[i].text, &s), rows[i].seconds >= 0);
        assert_int_equal(s, rows[i].seconds >= 0 ? rows[i].seconds : 77);
    }
}

static void sizes(void **state) {
    (void)state;
    uint64_t v;
    assert_true(text_size("500", &v) && v == 500);
    assert_true(text_size("4K", &v) && v == 4096);
    assert_true(text_size("1g", &v) && v == 1u << 30);
    assert_true(text_size("1073741824", &v) && v == 1u << 30);
    assert_true(text_size("500000000000", &v) && v == 500000000000);
    assert_true(text_size("17179869183G", &v) && v == 17179869183u * (1ull << 30));
    assert_false(text_size("17179869184G", &v));
    assert_false(text_size("18446744073709551616", &v));
    assert_false(text_size("", &v));
    assert_false(text_size("K", &v));
    assert_false(text_size("4KK", &v));
    assert_false(text_size("4T", &v));
    assert_false(text_size("-4", &v));
}

static void patterns(void **state) {
    (void)state;
    static const struct {
        const char *pattern, *text;
        bool match;
    } rows[] = {
        {"", "", true},
        {"", "a", false},
        {"*", "", true},
        {"*", "anything", true},
        {"?", "", false},
        {"?", "a", true},
        {"a*c", "abbc", true},
        {"a*c", "abcb", false},
        {"*.example.com", "www.example.com", true},
        {"*.example.com", "example.com", false},
        {"a**b", "ab", true},
        {"*a*b*c*", "xxaxxbxxcxx", true},
        {"*ab", "aab", true},
        {"A", "a", false},
        {"a?", "a", false},
        {"*?", "", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_int_equal(text_match(rows[i].pattern, rows[i].text), rows[i].match);
    // Patterns that are exponential for those who try everything.
    char pattern[256], text[4096];
    for (int i = 0; i < 100; i++)
        memcpy(pattern + 2 * i, "*a", 2);
    memcpy(pattern + 200, "*b", 3);
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    struct timespec start, end;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &start);
    for (int i = 0; i < 100; i++)
        assert_false(text_match(pattern, text));
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &end);
    assert_true(end.tv_sec - start.tv_sec < 20);
}

static void pattern_lists(void **state) {
    (void)state;
    assert_int_equal(text_match_list("a,b,c", "b", false), 1);
    assert_int_equal(text_match_list("a,b,c", "d", false), 0);
    assert_int_equal(text_match_list("*,!b", "b", false), -1);
    assert_int_equal(text_match_list("!b,*", "b", false), -1);
    assert_int_equal(text_match_list("!b", "a", false), 0);
    assert_int_equal(text_match_list("*.Example.com", "WWW.example.COM", true), 1);
    assert_int_equal(text_match_list("*.Example.com", "www.example.com", false), 0);
    assert_int_equal(text_match_list("", "", false), 0);
    assert_int_equal(text_match_list("ab", "a", false), 0);
}

static const char *name_at(size_t i, const void *arg) {
    (void)arg;
    static const char *const names[] = {"Port", "PermitRootLogin",
                                        "PasswordAuthentication", "Protocol", NULL};
    return names[i];
}

static void suggestions(void **state) {
    (void)state;
    assert_string_equal(text_suggest("PermitRotLogin", name_at, NULL), "PermitRootLogin");
    assert_string_equal(text_suggest("passwordauthentification", name_at, NULL),
                        "PasswordAuthentication");
    assert_string_equal(text_suggest("port", name_at, NULL), "Port");
    assert_null(text_suggest("Zebra", name_at, NULL));
    assert_null(text_suggest("", name_at, NULL));
    char longer[300];
    memset(longer, 'P', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    assert_null(text_suggest(longer, name_at, NULL));
}

// Splits a line and joins the words with |, "!" behind an open quote.
static const char *words(const char *line, bool equals) {
    static char out[256];
    char copy[256];
    snprintf(copy, sizeof copy, "%s", line);
    char *cursor = copy, *word;
    bool bad, any_bad = false;
    size_t n = 0;
    out[0] = '\0';
    while ((word = text_word(&cursor, equals, &bad)) != NULL) {
        n += (size_t)snprintf(out + n, sizeof out - n, "%s%s", n > 0 ? "|" : "", word);
        any_bad |= bad;
        equals = false;
    }
    if (any_bad)
        snprintf(out + n, sizeof out - n, "!");
    return out;
}

static void lines_fall_into_words(void **state) {
    (void)state;
    assert_string_equal(words("  Host  a b\t c \r\n", true), "Host|a|b|c");
    assert_string_equal(words("Port=22", true), "Port|22");
    assert_string_equal(words("Port = 22", true), "Port|22");
    assert_string_equal(words("Port= 22", true), "Port|22");
    assert_string_equal(words("Port 22=3", true), "Port|22=3");
    assert_string_equal(words("a=b", false), "a=b");
    assert_string_equal(words("say \"two words\" end", true), "say|two words|end");
    assert_string_equal(words("x \"quo\\\"te\" b\\\\c d\\e", true),
                        "x|quo\"te|b\\c|d\\e");
    assert_string_equal(words("x \"open", true), "x|open!");
    assert_string_equal(words("x 'a \"b' c\\ d \"it's\"", true), "x|a \"b|c d|it's");
    assert_string_equal(words("x 'open\"", true), "x|open\"!");
    assert_string_equal(words("x \"\" y", true), "x||y");
    assert_string_equal(words("# all comment", true), "");
    assert_string_equal(words("x y # rest", true), "x|y");
    assert_string_equal(words("x y#z", true), "x|y#z");
    assert_string_equal(words("", true), "");
    assert_string_equal(words("\\", true), "\\");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_of_a_line),
        cmocka_unit_test(foreign_text_is_made_harmless),
        cmocka_unit_test(cleaning_never_overruns_and_never_splits),
        cmocka_unit_test(copies_end),
        cmocka_unit_test(numbers),
        cmocka_unit_test(durations),
        cmocka_unit_test(sizes),
        cmocka_unit_test(patterns),
        cmocka_unit_test(pattern_lists),
        cmocka_unit_test(suggestions),
        cmocka_unit_test(lines_fall_into_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
