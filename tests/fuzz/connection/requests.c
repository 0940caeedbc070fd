// Fields of opens and requests: what decodes encodes to the same bytes but for booleans;
// terminal modes. The first byte chooses the row.
#include "connection/requests.h"

#include <assert.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct {
    enum request_kind kind;
    const char *name;
} rows[] = {
    {REQUEST_OPEN, "session"},
    {REQUEST_OPEN, "direct-tcpip"},
    {REQUEST_OPEN, "direct-streamlocal@openssh.com"},
    {REQUEST_OPEN, "x11"},
    {REQUEST_OPEN, "forwarded-streamlocal@openssh.com"},
    {REQUEST_OPEN, "tun@openssh.com"},
    {REQUEST_CHANNEL, "pty-req"},
    {REQUEST_CHANNEL, "x11-req"},
    {REQUEST_CHANNEL, "env"},
    {REQUEST_CHANNEL, "exec"},
    {REQUEST_CHANNEL, "subsystem"},
    {REQUEST_CHANNEL, "window-change"},
    {REQUEST_CHANNEL, "signal"},
    {REQUEST_CHANNEL, "break"},
    {REQUEST_CHANNEL, "exit-status"},
    {REQUEST_CHANNEL, "exit-signal"},
    {REQUEST_CHANNEL, "xon-xoff"},
    {REQUEST_GLOBAL, "tcpip-forward"},
    {REQUEST_GLOBAL, "streamlocal-forward@openssh.com"},
    {REQUEST_GLOBAL, "hostkeys-00@openssh.com"},
};

static void walk_modes(struct view modes) {
    uint8_t opcode;
    uint32_t value;
    size_t steps = 0, most = modes.n / 5;
    while (pty_mode_next(&modes, &opcode, &value)) {
        assert(opcode > 0 && opcode < 160);
        steps++;
    }
    assert(steps <= most);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0)
        return 0;
    struct view fields = view_of(data + 1, size - 1);
    size_t row = data[0] % (sizeof rows / sizeof rows[0]);
    const struct request_type *type = request_find(
        rows[row].kind, REQUEST_BY_CLIENT | REQUEST_BY_SERVER, view_text(rows[row].name));
    uint8_t decoded[256] __attribute__((aligned(16)));
    struct fault fault = {0};
    assert(type != NULL && type->size <= sizeof decoded);
    walk_modes(fields);
    if (request_decode(type, fields, decoded, &fault) != OK) {
        assert(fault.code != OK);
        return 0;
    }
    scoped_buf out;
    buf_init(&out, 2 * size + 64);
    if (request_encode(type->kind, type->name, decoded, &out) != OK)
        abort();
    assert(buf_len(&out) == fields.n);
    if (rows[row].kind == REQUEST_CHANNEL && row == 6)
        walk_modes(((struct request_pty *)(void *)decoded)->modes);
    return 0;
}
