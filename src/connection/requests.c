#include "connection/requests.h"

#include <assert.h>

static const struct message_field empty_fields[] = {FIELDS_END};

static const struct message_field open_x11_fields[] = {
    FIELD(TEXT, open_x11, originator), FIELD(U32, open_x11, originator_port), FIELDS_END};
static const struct message_field open_tcpip_fields[] = {
    FIELD(TEXT, open_tcpip, host), FIELD(PORT, open_tcpip, port),
    FIELD(TEXT, open_tcpip, originator), FIELD(U32, open_tcpip, originator_port),
    FIELDS_END};
static const struct message_field open_streamlocal_fields[] = {
    FIELD(TEXT, open_streamlocal, path), FIELD(STRING, open_streamlocal, reserved),
    FIELD(U32, open_streamlocal, reserved_port), FIELDS_END};
static const struct message_field open_forwarded_streamlocal_fields[] = {
    FIELD(TEXT, open_forwarded_streamlocal, path),
    FIELD(STRING, open_forwarded_streamlocal, reserved), FIELDS_END};
static const struct message_field open_tun_fields[] = {
    FIELD(U32, open_tun, mode), FIELD(U32, open_tun, unit), FIELDS_END};

static const struct message_field pty_fields[] = {FIELD(TEXT, request_pty, term),
                                                  FIELD(U32, request_pty, columns),
                                                  FIELD(U32, request_pty, rows),
                                                  FIELD(U32, request_pty, width),
                                                  FIELD(U32, request_pty, height),
                                                  FIELD(STRING, request_pty, modes),
                                                  FIELDS_END};
static const struct message_field window_change_fields[] = {
    FIELD(U32, request_window_change, columns), FIELD(U32, request_window_change, rows),
    FIELD(U32, request_window_change, width), FIELD(U32, request_window_change, height),
    FIELDS_END};
static const struct message_field x11_fields[] = {
    FIELD(BOOL, request_x11, single), FIELD(TEXT, request_x11, protocol),
    FIELD(TEXT, request_x11, cookie), FIELD(U32, request_x11, screen), FIELDS_END};
static const struct message_field env_fields[] = {
    FIELD(TEXT, request_env, name), FIELD(TEXT, request_env, value), FIELDS_END};
static const struct message_field exec_fields[] = {FIELD(TEXT, request_exec, command),
                                                   FIELDS_END};
static const struct message_field subsystem_fields[] = {
    FIELD(TEXT, request_subsystem, name), FIELDS_END};
static const struct message_field flow_fields[] = {
    FIELD(BOOL, request_flow, client_can_do), FIELDS_END};
static const struct message_field signal_fields[] = {FIELD(TEXT, request_signal, name),
                                                     FIELDS_END};
static const struct message_field exit_status_fields[] = {
    FIELD(U32, request_exit_status, status), FIELDS_END};
static const struct message_field exit_signal_fields[] = {
    FIELD(TEXT, request_exit_signal, name), FIELD(BOOL, request_exit_signal, core_dumped),
    FIELD(STRING, request_exit_signal, message),
    FIELD(STRING, request_exit_signal, language), FIELDS_END};
static const struct message_field break_fields[] = {
    FIELD(U32, request_break, milliseconds), FIELDS_END};

static const struct message_field session_name_fields[] = {
    FIELD(TEXT, request_session_name, name), FIELD(U32, request_session_name, flags),
    FIELDS_END};
static const struct message_field session_left_fields[] = {
    FIELD(TEXT, request_session_left, name), FIELD(U32, request_session_left, grace),
    FIELDS_END};
static const struct message_field session_waiting_fields[] = {
    FIELD(TEXT, request_session_waiting, text), FIELDS_END};

static const struct message_field forward_fields[] = {
    FIELD(TEXT, request_forward, address), FIELD(PORT, request_forward, port),
    FIELDS_END};
static const struct message_field forward_reply_fields[] = {
    FIELD(PORT, request_forward_reply, port), FIELDS_END};
static const struct message_field streamlocal_fields[] = {
    FIELD(TEXT, request_streamlocal, path), FIELDS_END};
static const struct message_field blobs_fields[] = {FIELD(REST, request_blobs, blobs),
                                                    FIELDS_END};

#define BY_C REQUEST_BY_CLIENT
#define BY_S REQUEST_BY_SERVER
#define BY_BOTH (REQUEST_BY_CLIENT | REQUEST_BY_SERVER)
#define ROW(kind, name, by, type, fields)                                                \
    { REQUEST_##kind, name, by, sizeof(struct type), fields##_fields }

static const struct request_type types[] = {
    ROW(OPEN, "session", BY_C, request_empty, empty),
    ROW(OPEN, "direct-tcpip", BY_C, open_tcpip, open_tcpip),
    ROW(OPEN, "direct-streamlocal@openssh.com", BY_C, open_streamlocal, open_streamlocal),
    ROW(OPEN, "tun@openssh.com", BY_C, open_tun, open_tun),
    ROW(OPEN, "x11", BY_S, open_x11, open_x11),
    ROW(OPEN, "forwarded-tcpip", BY_S, open_tcpip, open_tcpip),
    ROW(OPEN, "forwarded-streamlocal@openssh.com", BY_S, open_forwarded_streamlocal,
        open_forwarded_streamlocal),
    ROW(OPEN, "auth-agent@openssh.com", BY_S, request_empty, empty),
    ROW(OPEN, "agent-connect", BY_S, request_empty, empty),  // RFC 9987

    ROW(CHANNEL, "pty-req", BY_C, request_pty, pty),
    ROW(CHANNEL, "window-change", BY_C, request_window_change, window_change),
    ROW(CHANNEL, "x11-req", BY_C, request_x11, x11),
    ROW(CHANNEL, "auth-agent-req@openssh.com", BY_C, request_empty, empty),
    ROW(CHANNEL, "agent-req", BY_C, request_empty, empty),  // RFC 9987
    ROW(CHANNEL, "env", BY_C, request_env, env),
    ROW(CHANNEL, "shell", BY_C, request_empty, empty),
    ROW(CHANNEL, "exec", BY_C, request_exec, exec),
    ROW(CHANNEL, "subsystem", BY_C, request_subsystem, subsystem),
    ROW(CHANNEL, "signal", BY_C, request_signal, signal),
    ROW(CHANNEL, "break", BY_C, request_break, break),
    ROW(CHANNEL, "xon-xoff", BY_S, request_flow, flow),
    ROW(CHANNEL, "exit-status", BY_S, request_exit_status, exit_status),
    ROW(CHANNEL, "exit-signal", BY_S, request_exit_signal, exit_signal),
    ROW(CHANNEL, "eow@openssh.com", BY_BOTH, request_empty, empty),
    ROW(CHANNEL, "keepalive@openssh.com", BY_BOTH, request_empty, empty),
    // doc/attach.md
    ROW(CHANNEL, "session@bowline", BY_C, request_session_name, session_name),
    ROW(CHANNEL, "leave@bowline", BY_C, request_empty, empty),
    ROW(CHANNEL, "left@bowline", BY_S, request_session_left, session_left),
    ROW(CHANNEL, "waiting@bowline", BY_S, request_session_waiting, session_waiting),

    ROW(GLOBAL, "tcpip-forward", BY_C, request_forward, forward),
    ROW(GLOBAL, "cancel-tcpip-forward", BY_C, request_forward, forward),
    ROW(GLOBAL, "streamlocal-forward@openssh.com", BY_C, request_streamlocal,
        streamlocal),
    ROW(GLOBAL, "cancel-streamlocal-forward@openssh.com", BY_C, request_streamlocal,
        streamlocal),
    ROW(GLOBAL, "no-more-sessions@openssh.com", BY_C, request_empty, empty),
    ROW(GLOBAL, "hostkeys-prove-00@openssh.com", BY_C, request_blobs, blobs),
    ROW(GLOBAL, "hostkeys-00@openssh.com", BY_S, request_blobs, blobs),
    ROW(GLOBAL, "keepalive@openssh.com", BY_BOTH, request_empty, empty),
};

const struct request_type *request_find(enum request_kind kind, unsigned by,
                                        struct view name) {
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (types[i].kind == kind && (types[i].by & by) != 0 &&
            view_is(name, types[i].name))
            return &types[i];
    return NULL;
}

enum err request_decode(const struct request_type *type, struct view fields, void *out,
                        struct fault *fault) {
    static const uint8_t messages[] = {
        [REQUEST_OPEN] = 90, [REQUEST_CHANNEL] = 98, [REQUEST_GLOBAL] = 80};
    struct fields_of of = {messages[type->kind], type->name, type->size, type->fields};
    struct reader r = reader_of(fields);
    return fields_decode(&of, &r, out, fault);
}

enum err request_encode(enum request_kind kind, const char *name, const void *in,
                        struct buf *out) {
    const struct request_type *type = request_find(kind, BY_BOTH, view_text(name));
    assert(type != NULL);
    struct writer w = writer_to_buf(out);
    fields_encode(&w, type->fields, in);
    return writer_end(&w);
}

enum err request_decode_forward_reply(struct view fields, uint32_t *port,
                                      struct fault *fault) {
    static const struct fields_of of = {81, "tcpip-forward reply",
                                        sizeof(struct request_forward_reply),
                                        forward_reply_fields};
    struct request_forward_reply reply;
    struct reader r = reader_of(fields);
    enum err e = fields_decode(&of, &r, &reply, fault);
    *port = reply.port;
    return e;
}

// ---- terminal modes ----

bool pty_mode_next(struct view *modes, uint8_t *opcode, uint32_t *value) {
    struct reader r = reader_of(*modes);
    uint8_t op = read_u8(&r);
    uint32_t v = read_u32(&r);
    if (r.err != OK || op == PTY_MODE_END || op >= 160)
        return false;
    *opcode = op;
    *value = v;
    *modes = read_rest(&r);
    return true;
}

void pty_mode_write(struct writer *w, uint8_t opcode, uint32_t value) {
    write_u8(w, opcode);
    write_u32(w, value);
}

void pty_mode_write_end(struct writer *w) {
    write_u8(w, PTY_MODE_END);
}
