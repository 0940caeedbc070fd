// Flat JSON objects: what the writer writes is read back; what is none is none.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/json.h"
#include "base/json_flat.h"

static void what_is_written_is_read(void **state) {
    (void)state;
    scoped_buf b;
    char text[64];
    buf_init(&b, 4096);
    struct json j = json_to_buf(&b);
    json_object(&j);
    json_member_text(&j, "a", "x \"y\" \\ \n\t \x01 \x1b z");
    json_member_u64(&j, "n", UINT64_MAX);
    json_member_bool(&j, "yes", true);
    json_member_text(&j, "nothing", NULL);
    json_member_text(&j, "last", "\xc3\xa9");
    json_object_end(&j);
    assert_int_equal(json_end(&j), OK);
    struct view line = buf_view(&b);
    assert_true(json_flat_get(line, "a", text, sizeof text));
    assert_string_equal(text, "x \"y\" \\ \n\t \x01 \x1b z");
    assert_true(json_flat_u64(line, "n", 0) == UINT64_MAX);
    assert_true(json_flat_get(line, "yes", text, sizeof text));
    assert_string_equal(text, "true");
    assert_true(json_flat_get(line, "nothing", text, sizeof text));
    assert_string_equal(text, "null");
    assert_true(json_flat_get(line, "last", text, sizeof text));
    assert_string_equal(text, "\xc3\xa9");
    assert_false(json_flat_get(line, "none", text, sizeof text));
    assert_int_equal(json_flat_u64(line, "a", 7), 7);
}

static void malformed_lines_have_nothing(void **state) {
    (void)state;
    static const char *const rows[] = {
        "",
        "x",
        "{",
        "{}",
        "{\"b\":1}",
        "{\"a\"",
        "{\"a\":",
        "{\"a\":}",
        "{\"a\":\"",
        "{\"a\":\"x",
        "{\"a\" 1}",
        "{\"b\":[1],\"a\":1}",
        "{\"b\":{\"a\":1}}",
        "{\"b\":1 \"a\":1}",
        "{\"a\":\"\\q\"}",
        "{\"a\":\"\\u12\"}",
        "{\"a\":\"\\u0100\"}",
        "{\"a\":\"longer than the room\"}",
    };
    char text[8];
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_false(json_flat_get(view_text(rows[i]), "a", text, sizeof text));
        assert_string_equal(text, "");
    }
    assert_true(json_flat_get(view_text(" { \"b\" : \"x\" , \"a\" : 1 }"), "a", text, 8));
    assert_string_equal(text, "1");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(malformed_lines_have_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
