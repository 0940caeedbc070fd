// The message table: every schema there and back, cut at every byte, with a byte too
// many.
#include "wire/messages.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void fill(const struct message_schema *schema, uint8_t *out) {
    static const char *const texts[] = {"one", "two,three", "", "x"};
    uint32_t k = 0;
    memset(out, 0, schema->size);
    for (const struct message_field *f = schema->fields; f->kind != FIELD_END; f++, k++) {
        void *at = out + f->offset;
        switch (f->kind) {
        case FIELD_BOOL:
            *(bool *)at = true;
            break;
        case FIELD_U32:
        case FIELD_PORT:
            *(uint32_t *)at = 0xfe00 + k;
            break;
        case FIELD_U64:
            *(uint64_t *)at = 0xfeedface0000 + k;
            break;
        case FIELD_BYTES16:
            *(struct view *)at = view_text("0123456789abcdef");
            break;
        default:
            *(struct view *)at = view_text(texts[k % 4]);
        }
    }
}

static bool has_rest(const struct message_schema *schema) {
    for (const struct message_field *f = schema->fields; f->kind != FIELD_END; f++)
        if (f->kind == FIELD_REST)
            return true;
    return false;
}

// Bytes of the fields before the rest: shorter than this cannot be right.
static size_t fixed_part(const struct message_schema *schema, const uint8_t *in) {
    scoped_buf b;
    buf_init(&b, 4096);
    struct writer w = writer_to_buf(&b);
    message_encode(&w, schema->number, in);
    for (const struct message_field *f = schema->fields; f->kind != FIELD_END; f++)
        if (f->kind == FIELD_REST)
            return w.n - ((const struct view *)(const void *)(in + f->offset))->n;
    return w.n;
}

static void every_schema_there_and_back(void **state) {
    (void)state;
    unsigned count = 0;
    for (unsigned number = 0; number < 256; number++) {
        const struct message_schema *schema = message_schema((uint8_t)number);
        if (schema == NULL) {
            assert_string_equal(message_name((uint8_t)number), "unknown");
            continue;
        }
        count++;
        uint8_t in[512] __attribute__((aligned(16))),
            out[512] __attribute__((aligned(16)));
        assert_true(schema->size <= sizeof in);
        fill(schema, in);
        scoped_buf b, again;
        buf_init(&b, 4096);
        buf_init(&again, 4096);
        struct writer w = writer_to_buf(&b);
        message_encode(&w, (uint8_t)number, in);
        assert_int_equal(writer_end(&w), OK);
        struct view v = buf_view(&b);
        assert_int_equal(v.p[0], number);
        assert_int_equal(message_decode((uint8_t)number, v, out, NULL), OK);
        w = writer_to_buf(&again);
        message_encode(&w, (uint8_t)number, out);
        assert_true(view_equal(v, buf_view(&again)));

        size_t least = fixed_part(schema, in);
        for (size_t n = 0; n < least; n++) {
            // exact-size copies, so that a sanitizer sees a read past the end
            uint8_t *copy = malloc(n > 0 ? n : 1);
            memcpy(copy, v.p, n);
            struct fault fault = {0};
            assert_int_equal(
                message_decode((uint8_t)number, view_of(copy, n), out, &fault),
                n == 0 ? ERR_UNEXPECTED : ERR_SHORT);
            assert_int_equal(fault.message, number);
            if (n > 0)
                assert_non_null(strstr(fault.text, schema->name));
            for (size_t k = 0; k < schema->size; k++)
                assert_int_equal(out[k], 0);
            char line[2048];
            message_trace(line, sizeof line, view_of(copy, n));
            free(copy);
        }
        assert_int_equal(buf_append(&b, view_of("", 1)), OK);
        assert_int_equal(message_decode((uint8_t)number, buf_view(&b), out, NULL),
                         has_rest(schema) ? OK : ERR_TRAILING);
        assert_int_equal(message_decode((uint8_t)number, view_of("\xfe", 1), out, NULL),
                         ERR_UNEXPECTED);
    }
    assert_int_equal(count, 43);
}

static void a_fault_names_the_field(void **state) {
    (void)state;
    struct msg_channel_open m;
    struct fault fault = {0};
    static const uint8_t bytes[] = {90, 0, 0, 0, 1, 'x', 0, 0, 0, 1, 0, 0};
    assert_int_equal(message_decode(90, view_of(bytes, sizeof bytes), &m, &fault),
                     ERR_SHORT);
    assert_string_equal(fault.text, "CHANNEL_OPEN: field window: ends too early");
    assert_int_equal(m.type.n, 0);
}

static void traces_are_one_clean_line(void **state) {
    (void)state;
    char line[256];
    static const uint8_t open[] = {90, 0, 0, 0, 3, 'a', '\n', 27, 0, 0,  0,
                                   1,  0, 0, 0, 2, 0,   0,    0,  3, 'r'};
    message_trace(line, sizeof line, view_of(open, sizeof open));
    assert_string_equal(
        line, "CHANNEL_OPEN (90, 21 bytes) type=\"a\\012\\033\" sender=1 window=2 "
              "max_packet=3 +1");
    static const uint8_t data[] = {94, 0,   0,   0,   7,   0,   0,  0,
                                   6,  's', 'e', 'c', 'r', 'e', 't'};
    message_trace(line, sizeof line, view_of(data, sizeof data));
    assert_string_equal(line, "CHANNEL_DATA (94, 15 bytes) recipient=7 data[6]");
    message_trace(line, sizeof line, view_of("\xc8", 1));
    assert_string_equal(line, "unknown (200, 1 bytes)");
    for (size_t size = 1; size < sizeof line; size++) {
        char *exact = malloc(size);
        message_trace(exact, size, view_of(open, sizeof open));
        assert_true(strlen(exact) < size);
        free(exact);
    }
}

static void name_lists(void **state) {
    (void)state;
    struct view list = view_text("curve25519-sha256,ecdh,x"), name;
    assert_true(name_list_has(list, "ecdh"));
    assert_true(name_list_has(list, "x"));
    assert_false(name_list_has(list, "ecd"));
    assert_false(name_list_has(list, "curve25519"));
    assert_false(name_list_has(list, ""));
    assert_false(name_list_has(view_of(NULL, 0), "x"));
    assert_true(name_list_next(&list, &name) && view_is(name, "curve25519-sha256"));
    assert_true(name_list_next(&list, &name) && view_is(name, "ecdh"));
    assert_true(name_list_next(&list, &name) && view_is(name, "x"));
    assert_false(name_list_next(&list, &name));
    // Ours decide the order.
    assert_true(
        view_is(name_list_first_common(view_text("a,b,c"), view_text("c,b")), "b"));
    assert_int_equal(name_list_first_common(view_text("a"), view_text("b")).n, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_schema_there_and_back),
        cmocka_unit_test(a_fault_names_the_field),
        cmocka_unit_test(traces_are_one_clean_line),
        cmocka_unit_test(name_lists),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
