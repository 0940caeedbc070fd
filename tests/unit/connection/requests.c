// The request table: every row there and back, cut at every byte; roles; ports; terminal
// modes.
#include "connection/requests.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "wire/messages.h"

static const struct {
    enum request_kind kind;
    unsigned by;
    const char *name;
} rows[] = {
    {REQUEST_OPEN, 1, "session"},
    {REQUEST_OPEN, 1, "direct-tcpip"},
    {REQUEST_OPEN, 1, "direct-streamlocal@openssh.com"},
    {REQUEST_OPEN, 1, "tun@openssh.com"},
    {REQUEST_OPEN, 2, "x11"},
    {REQUEST_OPEN, 2, "forwarded-tcpip"},
    {REQUEST_OPEN, 2, "forwarded-streamlocal@openssh.com"},
    {REQUEST_OPEN, 2, "auth-agent@openssh.com"},
    {REQUEST_CHANNEL, 1, "pty-req"},
    {REQUEST_CHANNEL, 1, "window-change"},
    {REQUEST_CHANNEL, 1, "x11-req"},
    {REQUEST_CHANNEL, 1, "auth-agent-req@openssh.com"},
    {REQUEST_CHANNEL, 1, "env"},
    {REQUEST_CHANNEL, 1, "shell"},
    {REQUEST_CHANNEL, 1, "exec"},
    {REQUEST_CHANNEL, 1, "subsystem"},
    {REQUEST_CHANNEL, 1, "signal"},
    {REQUEST_CHANNEL, 1, "break"},
    {REQUEST_CHANNEL, 2, "xon-xoff"},
    {REQUEST_CHANNEL, 2, "exit-status"},
    {REQUEST_CHANNEL, 2, "exit-signal"},
    {REQUEST_CHANNEL, 3, "eow@openssh.com"},
    {REQUEST_CHANNEL, 3, "keepalive@openssh.com"},
    {REQUEST_GLOBAL, 1, "tcpip-forward"},
    {REQUEST_GLOBAL, 1, "cancel-tcpip-forward"},
    {REQUEST_GLOBAL, 1, "streamlocal-forward@openssh.com"},
    {REQUEST_GLOBAL, 1, "cancel-streamlocal-forward@openssh.com"},
    {REQUEST_GLOBAL, 1, "no-more-sessions@openssh.com"},
    {REQUEST_GLOBAL, 1, "hostkeys-prove-00@openssh.com"},
    {REQUEST_GLOBAL, 2, "hostkeys-00@openssh.com"},
    {REQUEST_GLOBAL, 3, "keepalive@openssh.com"},
};
#define ROWS (sizeof rows / sizeof rows[0])

static void each_side_may_ask_for_its_own(void **state) {
    (void)state;
    for (size_t i = 0; i < ROWS; i++)
        for (unsigned by = 1; by <= 2; by++) {
            const struct request_type *type =
                request_find(rows[i].kind, by, view_text(rows[i].name));
            assert_int_equal(type != NULL, (rows[i].by & by) != 0);
        }
    assert_null(request_find(REQUEST_CHANNEL, 1, view_text("session")));
    assert_null(request_find(REQUEST_CHANNEL, 1,
                             view_text("winadj@putty.projects.tartarus.org")));
    assert_null(request_find(REQUEST_CHANNEL, 1, view_of("shell", 6)));
    assert_null(request_find(REQUEST_CHANNEL, 1, view_of(NULL, 0)));
}

// Fills the struct of a type with something different for each field.
static void fill(const struct request_type *type, uint8_t *out) {
    static const char *const texts[] = {"alpha", "b", "gamma ray", ""};
    uint32_t k = 0;
    memset(out, 0, type->size);
    for (const struct message_field *f = type->fields; f->kind != FIELD_END; f++, k++) {
        void *at = out + f->offset;
        if (f->kind == FIELD_BOOL)
            *(bool *)at = true;
        else if (f->kind == FIELD_U32 || f->kind == FIELD_PORT)
            *(uint32_t *)at = 1000 + k;
        else
            *(struct view *)at = view_text(texts[k % 4]);
    }
}

static void there_and_back(void **state) {
    (void)state;
    for (size_t i = 0; i < ROWS; i++) {
        const struct request_type *type =
            request_find(rows[i].kind, 3, view_text(rows[i].name));
        uint8_t in[256] __attribute__((aligned(16))),
            out[256] __attribute__((aligned(16)));
        assert_true(type->size <= sizeof in);
        fill(type, in);
        scoped_buf b;
        buf_init(&b, 4096);
        assert_int_equal(request_encode(type->kind, type->name, in, &b), OK);
        struct view v = buf_view(&b);
        assert_int_equal(request_decode(type, v, out, NULL), OK);
        scoped_buf again;
        buf_init(&again, 4096);
        assert_int_equal(request_encode(type->kind, type->name, out, &again), OK);
        assert_true(view_equal(v, buf_view(&again)));
        // Cut anywhere, it is refused by name and leaves nothing behind. (Blobs end
        // anywhere.)
        bool open_ended = type->fields[0].kind == FIELD_REST;
        for (size_t n = 0; n < v.n && !open_ended; n++) {
            struct fault fault = {0};
            assert_int_equal(request_decode(type, view_of(v.p, n), out, &fault),
                             ERR_SHORT);
            assert_int_equal(strncmp(fault.text, type->name, strlen(type->name)), 0);
            for (size_t k = 0; k < type->size; k++)
                assert_int_equal(out[k], 0);
        }
        if (!open_ended) {
            assert_int_equal(buf_append(&b, view_of("", 1)), OK);
            assert_int_equal(request_decode(type, buf_view(&b), out, NULL), ERR_TRAILING);
        }
    }
}

static void ports_over_65535_are_refused(void **state) {
    (void)state;
    static const uint8_t fields[] = {0, 0, 0, 0, 0, 1, 0x11, 0x70};  // "", 70000
    struct request_forward forward;
    struct fault fault = {0};
    const struct request_type *type =
        request_find(REQUEST_GLOBAL, REQUEST_BY_CLIENT, view_text("tcpip-forward"));
    assert_int_equal(request_decode(type, view_of(fields, 8), &forward, &fault),
                     ERR_FORMAT);
    assert_string_equal(fault.text, "tcpip-forward: field port: malformed");
    assert_int_equal(forward.port, 0);
    uint32_t port;
    assert_int_equal(request_decode_forward_reply(view_of(fields + 4, 4), &port, NULL),
                     ERR_FORMAT);
    static const uint8_t good[] = {0, 0, 0xff, 0xff};
    assert_int_equal(request_decode_forward_reply(view_of(good, 4), &port, NULL), OK);
    assert_int_equal(port, 65535);
    assert_int_equal(request_decode_forward_reply(view_of(good, 3), &port, NULL),
                     ERR_SHORT);
}

static void nul_in_a_command_is_refused(void **state) {
    (void)state;
    static const uint8_t fields[] = {0, 0, 0, 3, 'a', 0, 'b'};
    struct request_exec exec;
    const struct request_type *type =
        request_find(REQUEST_CHANNEL, REQUEST_BY_CLIENT, view_text("exec"));
    assert_int_equal(request_decode(type, view_of(fields, 7), &exec, NULL), ERR_FORMAT);
    assert_int_equal(exec.command.n, 0);
}

static void terminal_modes(void **state) {
    (void)state;
    static const uint8_t opcodes[] = {1, 18, 42, 93, 129};
    const size_t count = sizeof opcodes;
    uint8_t room[1024];
    struct writer w = writer_to_span((struct span){room, sizeof room});
    for (size_t i = 0; i < count; i++)
        pty_mode_write(&w, opcodes[i], (uint32_t)(7 * i));
    pty_mode_write_end(&w);
    pty_mode_write(&w, 1, 1);  // behind the end: not read
    struct view modes = view_of(room, w.n);
    uint8_t opcode;
    uint32_t value;
    for (size_t i = 0; i < count; i++) {
        assert_true(pty_mode_next(&modes, &opcode, &value));
        assert_int_equal(opcode, opcodes[i]);
        assert_int_equal(value, 7 * i);
    }
    assert_false(pty_mode_next(&modes, &opcode, &value));
    assert_false(pty_mode_next(&modes, &opcode, &value));
    // Unknown opcodes pass (the caller skips them), those of unknown form end the list.
    static const uint8_t strange[] = {99, 0, 0, 0, 5, 160, 0, 0, 0, 1, 1, 0, 0, 0, 1};
    modes = view_of(strange, sizeof strange);
    assert_true(pty_mode_next(&modes, &opcode, &value));
    assert_int_equal(opcode, 99);
    assert_int_equal(value, 5);
    assert_false(pty_mode_next(&modes, &opcode, &value));
    modes = view_of(strange, 4);
    assert_false(pty_mode_next(&modes, &opcode, &value));
    modes = view_of(NULL, 0);
    assert_false(pty_mode_next(&modes, &opcode, &value));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_side_may_ask_for_its_own),
        cmocka_unit_test(there_and_back),
        cmocka_unit_test(ports_over_65535_are_refused),
        cmocka_unit_test(nul_in_a_command_is_refused),
        cmocka_unit_test(terminal_modes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
