// RFC 4251 s.5: reading and writing each type; what is malformed, and that failure
// sticks.
#include "wire/reader.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/limits.h"
#include "wire/writer.h"

static void there_and_back(void **state) {
    (void)state;
    for (int fixed = 0; fixed < 2; fixed++) {
        uint8_t room[256];
        scoped_buf b;
        buf_init(&b, 256);
        struct writer w =
            fixed ? writer_to_span((struct span){room, sizeof room}) : writer_to_buf(&b);
        write_u8(&w, 200);
        write_bool(&w, true);
        write_u32(&w, 0xdeadbeef);
        write_u64(&w, 0x0123456789abcdef);
        write_string(&w, view_of("a\0b", 3));
        write_text(&w, "text");
        write_text(&w, "a,b");
        write_mpint(&w, view_of("\0\0\x80", 3));
        write_bytes(&w, view_text("rest"));
        assert_int_equal(writer_end(&w), OK);
        struct reader r = reader_of(fixed ? view_of(room, w.n) : buf_view(&b));
        assert_int_equal(read_u8(&r), 200);
        assert_true(read_bool(&r));
        assert_int_equal(read_u32(&r), 0xdeadbeef);
        assert_int_equal(read_u64(&r), 0x0123456789abcdef);
        assert_true(view_equal(read_string(&r), view_of("a\0b", 3)));
        assert_true(view_is(read_text(&r), "text"));
        assert_true(view_is(read_name_list(&r), "a,b"));
        assert_true(view_is(read_mpint(&r), "\x80"));
        assert_int_equal(reader_left(&r), 4);
        assert_int_equal(reader_end(&r), ERR_TRAILING);
        assert_true(view_is(read_rest(&r), "rest"));
        assert_int_equal(reader_end(&r), OK);
    }
}

static void failure_sticks(void **state) {
    (void)state;
    static const uint8_t bytes[] = {0, 0, 0, 9, 'x', 0, 0, 0, 1};
    struct reader r = reader_of(view_of(bytes, sizeof bytes));
    assert_int_equal(read_string(&r).n, 0);
    assert_int_equal(r.err, ERR_SHORT);
    assert_int_equal(read_u8(&r), 0);
    assert_int_equal(read_u32(&r), 0);
    assert_int_equal(read_u64(&r), 0);
    assert_false(read_bool(&r));
    assert_int_equal(read_rest(&r).n, 0);
    assert_int_equal(read_name_list(&r).n, 0);
    assert_int_equal(read_mpint(&r).n, 0);
    assert_int_equal(reader_left(&r), 0);
    assert_int_equal(reader_end(&r), ERR_SHORT);
    struct reader huge = reader_of(view_of("\xff\xff\xff\xff", 4));
    assert_int_equal(read_string(&huge).n, 0);
    assert_int_equal(reader_end(&huge), ERR_SHORT);
    struct reader none = reader_of(view_of(NULL, 0));
    assert_int_equal(reader_end(&none), OK);
    assert_int_equal(read_rest(&none).n, 0);
    assert_int_equal(reader_end(&none), OK);
}

static void writing_sticks_too(void **state) {
    (void)state;
    uint8_t room[6];
    struct writer w = writer_to_span((struct span){room, sizeof room});
    write_u32(&w, 1);
    write_u32(&w, 2);
    write_u8(&w, 3);
    assert_int_equal(writer_end(&w), ERR_LIMIT);
    assert_int_equal(w.n, 4);
    scoped_buf b;
    buf_init(&b, 6);
    w = writer_to_buf(&b);
    write_u32(&w, 1);
    write_u32(&w, 2);
    write_u8(&w, 3);
    assert_int_equal(writer_end(&w), ERR_LIMIT);
    assert_int_equal(buf_len(&b), 4);
}

static enum err list_error(const char *text, size_t n, struct view *list) {
    uint8_t room[8192];
    struct writer w = writer_to_span((struct span){room, sizeof room});
    write_string(&w, view_of(text, n));
    struct reader r = reader_of(view_of(room, w.n));
    *list = read_name_list(&r);
    return reader_end(&r);
}

static void name_lists_have_rules(void **state) {
    (void)state;
    static const struct {
        const char *text;
        enum err err;
    } rows[] = {
        {"", OK},
        {"a", OK},
        {"a,b,c@d.e", OK},
        {",", ERR_FORMAT},
        {",a", ERR_FORMAT},
        {"a,", OK},
        {"a,,b", ERR_FORMAT},
        {"a b", ERR_FORMAT},
        {"a\n", ERR_FORMAT},
        {"\x7f", ERR_FORMAT},
        {"caf\xc3\xa9", ERR_FORMAT},
    };
    struct view list;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(list_error(rows[i].text, strlen(rows[i].text), &list),
                         rows[i].err);
        assert_int_equal(list.n, rows[i].err == OK ? strlen(rows[i].text) : 0);
    }
    assert_int_equal(list_error("a\0b", 3, &list), ERR_FORMAT);
    char many[2 * LIMIT_NAME_LIST + 2];
    for (int i = 0; i <= LIMIT_NAME_LIST; i++)
        memcpy(many + 2 * i, "x,", 2);
    assert_int_equal(list_error(many, 2 * LIMIT_NAME_LIST - 1, &list), OK);
    assert_int_equal(list_error(many, 2 * LIMIT_NAME_LIST + 1, &list), ERR_LIMIT);
    assert_int_equal(list.n, 0);
}

// RFC 4251 s.5's own examples, and what it forbids.
static void mpints_have_rules(void **state) {
    (void)state;
    static const struct {
        const char *wire;
        size_t n;
        enum err err;
        const char *magnitude;
        size_t size;
    } rows[] = {
        {"\0\0\0\0", 4, OK, "", 0},
        {"\0\0\0\x08\x09\xa3\x78\xf9\xb2\xe3\x32\xa7", 12, OK,
         "\x09\xa3\x78\xf9\xb2\xe3\x32\xa7", 8},
        {"\0\0\0\x02\x00\x80", 6, OK, "\x80", 1},
        {"\0\0\0\x02\xed\xcc", 6, ERR_FORMAT, "", 0},              // -1234
        {"\0\0\0\x05\xff\x21\x52\x41\x11", 9, ERR_FORMAT, "", 0},  // -deadbeef
        {"\0\0\0\x01\x00", 5, ERR_FORMAT, "", 0},
        {"\0\0\0\x02\x00\x7f", 6, ERR_FORMAT, "", 0},
        {"\0\0\0\x02\x00", 5, ERR_SHORT, "", 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct reader r = reader_of(view_of(rows[i].wire, rows[i].n));
        struct view m = read_mpint(&r);
        assert_int_equal(reader_end(&r), rows[i].err);
        assert_true(view_equal(m, view_of(rows[i].magnitude, rows[i].size)));
        if (rows[i].err != OK)
            continue;
        uint8_t room[32];
        struct writer w = writer_to_span((struct span){room, sizeof room});
        write_mpint(&w, m);
        assert_true(view_equal(view_of(room, w.n), view_of(rows[i].wire, rows[i].n)));
    }
}

static void text_has_no_nul(void **state) {
    (void)state;
    struct reader r = reader_of(view_of("\0\0\0\2a\0", 6));
    assert_int_equal(read_text(&r).n, 0);
    assert_int_equal(reader_end(&r), ERR_FORMAT);
    // Any byte but 0 is true.
    struct reader b = reader_of(view_of("\0\1\2\xff", 4));
    assert_false(read_bool(&b));
    assert_true(read_bool(&b) && read_bool(&b) && read_bool(&b));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(there_and_back),     cmocka_unit_test(failure_sticks),
        cmocka_unit_test(writing_sticks_too), cmocka_unit_test(name_lists_have_rules),
        cmocka_unit_test(mpints_have_rules),  cmocka_unit_test(text_has_no_nul),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
