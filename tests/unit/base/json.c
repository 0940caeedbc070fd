// The JSON writer: structure, hostile strings, misuse.
#include "base/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void a_document(void **state) {
    (void)state;
    scoped_buf b;
    buf_init(&b, 4096);
    struct json j = json_to_buf(&b);
    json_object(&j);
    json_member_text(&j, "user", "root");
    json_member_u64(&j, "bytes", UINT64_MAX);
    json_member_bool(&j, "pty", true);
    json_name(&j, "list");
    json_array(&j);
    json_null(&j);
    json_object(&j);
    json_object_end(&j);
    json_array(&j);
    json_array_end(&j);
    json_bool(&j, false);
    json_array_end(&j);
    json_member_text(&j, "none", NULL);
    json_object_end(&j);
    assert_int_equal(json_end(&j), OK);
    assert_true(view_is(buf_view(&b),
                        "{\"user\":\"root\",\"bytes\":18446744073709551615,\"pty\":true,"
                        "\"list\":[null,{},[],false],"
                        "\"none\":null}"));
}

static void strings_of_strangers(void **state) {
    (void)state;
    static const struct {
        const char *bytes;
        size_t n;
        const char *json;
    } rows[] = {
        {"", 0, "\"\""},
        {"a\"b\\c", 5, "\"a\\\"b\\\\c\""},
        {"\n\t\r\0\x1b\x7f", 6, "\"\\n\\t\\r\\u0000\\u001b\\u007f\""},
        {"caf\xc3\xa9 \xf0\x9f\xaa\xa2", 10, "\"caf\xc3\xa9 \xf0\x9f\xaa\xa2\""},
        {"\xff\xc0\xaf", 3, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},
        {"x\xe2\x82", 3, "\"x\xef\xbf\xbd\xef\xbf\xbd\""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        scoped_buf b;
        buf_init(&b, 256);
        struct json j = json_to_buf(&b);
        json_string(&j, view_of(rows[i].bytes, rows[i].n));
        assert_int_equal(json_end(&j), OK);
        assert_true(view_is(buf_view(&b), rows[i].json));
    }
}

// o { O }  a [ A ]  n name  v value
static enum err write_moves(const char *moves) {
    scoped_buf b;
    buf_init(&b, 4096);
    struct json j = json_to_buf(&b);
    for (; *moves != '\0'; moves++) {
        if (*moves == 'o')
            json_object(&j);
        else if (*moves == 'O')
            json_object_end(&j);
        else if (*moves == 'a')
            json_array(&j);
        else if (*moves == 'A')
            json_array_end(&j);
        else if (*moves == 'n')
            json_name(&j, "n");
        else
            json_u64(&j, 1);
    }
    return json_end(&j);
}

static void misuse_is_found(void **state) {
    (void)state;
    static const char *const good[] = {"v", "oO", "aA", "onvnvO", "aoOavvAA", "onaAnoOO"};
    static const char *const bad[] = {"",    "o",     "a",   "oA", "aO",  "ovO",
                                      "onO", "onnvO", "anA", "vv", "oOv", "O",
                                      "A",   "n",     "nv",  "oOO"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_int_equal(write_moves(good[i]), OK);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(write_moves(bad[i]), ERR_FORMAT);
    char deep[2 * JSON_DEPTH_MAX + 3];
    memset(deep, 'a', JSON_DEPTH_MAX);
    memset(deep + JSON_DEPTH_MAX, 'A', JSON_DEPTH_MAX);
    deep[2 * JSON_DEPTH_MAX] = '\0';
    assert_int_equal(write_moves(deep), OK);
    memset(deep, 'a', JSON_DEPTH_MAX + 1);
    assert_int_equal(write_moves(deep), ERR_LIMIT);
}

static void a_full_buffer_is_told(void **state) {
    (void)state;
    for (size_t max = 0; max < 9; max++) {
        scoped_buf b;
        buf_init(&b, max);
        struct json j = json_to_buf(&b);
        json_object(&j);
        json_member_u64(&j, "a", 123);
        json_object_end(&j);
        assert_int_equal(json_end(&j), ERR_LIMIT);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_document),
        cmocka_unit_test(strings_of_strangers),
        cmocka_unit_test(misuse_is_found),
        cmocka_unit_test(a_full_buffer_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
