// What goes inside opens, global requests and channel requests (RFC 4254 s.4 to s.7, RFC
// 4335, OpenSSH's PROTOCOL): one table {kind, name, who may ask, fields}, which decodes
// with exact end, encodes, and says what the other role may never ask for.
//
// Decoded structs hold views into the fields that they were decoded from.
#pragma once

#include "base/buf.h"
#include "base/fault.h"
#include "wire/fields.h"

enum request_kind {
    REQUEST_OPEN,     // the channel type of CHANNEL_OPEN
    REQUEST_CHANNEL,  // CHANNEL_REQUEST
    REQUEST_GLOBAL,   // GLOBAL_REQUEST
};

// Who may ask.
#define REQUEST_BY_CLIENT 1u
#define REQUEST_BY_SERVER 2u

struct request_type {
    enum request_kind kind;
    const char *name;
    unsigned by;
    size_t size;  // of the struct
    const struct message_field *fields;
};

// For "session", "shell" and others without fields.
struct request_empty {
    uint8_t unused;
};

// ---- opens (s.6.3.2, s.7.2) ----
struct open_x11 {
    struct view originator;
    uint32_t originator_port;
};
struct open_tcpip {          // direct-tcpip, forwarded-tcpip
    struct view host;        // to connect to; forwarded: that was connected to
    uint32_t port;           // at most 65535
    struct view originator;  // an address
    uint32_t originator_port;
};
struct open_streamlocal {  // direct-streamlocal@openssh.com
    struct view path;
    struct view reserved;
    uint32_t reserved_port;
};
struct open_forwarded_streamlocal {  // forwarded-streamlocal@openssh.com
    struct view path;
    struct view reserved;
};
struct open_tun {  // tun@openssh.com
    uint32_t mode, unit;
};

// ---- channel requests (s.6) ----
struct request_pty {
    struct view term;
    uint32_t columns, rows, width, height;  // the latter two in pixels
    struct view modes;                      // see pty_mode_next()
};
struct request_window_change {
    uint32_t columns, rows, width, height;
};
struct request_x11 {
    bool single;
    struct view protocol, cookie;  // cookie in hexadecimal
    uint32_t screen;
};
struct request_env {
    struct view name, value;
};
struct request_exec {
    struct view command;  // no NUL in it
};
struct request_subsystem {
    struct view name;
};
struct request_flow {  // xon-xoff
    bool client_can_do;
};
struct request_signal {
    struct view name;  // without "SIG"
};
struct request_exit_status {
    uint32_t status;
};
struct request_exit_signal {
    struct view name;
    bool core_dumped;
    struct view message, language;
};
// Sessions that can be left and taken up again (doc/attach.md).
struct request_session_name {
    struct view name;  // empty: none in particular
    uint32_t flags;    // 0
};
struct request_session_left {
    struct view name;
    uint32_t grace;  // seconds that it is kept
};
struct request_session_waiting {
    struct view text;  // names, for a person
};
struct request_break {
    uint32_t milliseconds;
};

// ---- global requests (s.7.1) ----
struct request_forward {  // tcpip-forward, cancel-tcpip-forward
    struct view address;
    uint32_t port;  // at most 65535
};
struct request_forward_reply {  // REQUEST_SUCCESS where port 0 was asked for
    uint32_t port;
};
struct request_streamlocal {  // streamlocal-forward@openssh.com and its cancel-
    struct view path;
};
struct request_blobs {  // hostkeys-00@openssh.com, hostkeys-prove-00@openssh.com
    struct view blobs;  // strings, one after the other
};

// The type of that name which that side may ask for, or NULL: then the answer is a
// failure.
const struct request_type *request_find(enum request_kind kind, unsigned by,
                                        struct view name);

// Decodes fields into the struct of the type. On failure the fault names request and
// field, and *out is all zero. A request that cannot be decoded is to be refused; it need
// not end the link.
must_check enum err request_decode(const struct request_type *type, struct view fields,
                                   void *out, struct fault *fault);

// Appends the fields of `in` to out. `name` must be in the table.
must_check enum err request_encode(enum request_kind kind, const char *name,
                                   const void *in, struct buf *out);

// The reply to tcpip-forward with port 0.
must_check enum err request_decode_forward_reply(struct view fields, uint32_t *port,
                                                 struct fault *fault);

// ---- terminal modes (s.8) ----
#define PTY_MODE_END 0

// Takes the next mode off an encoded string; false at its end: TTY_OP_END, an opcode
// whose form is not defined (160 and up), or where the string stops, also in the middle.
bool pty_mode_next(struct view *modes, uint8_t *opcode, uint32_t *value);
void pty_mode_write(struct writer *w, uint8_t opcode, uint32_t value);
void pty_mode_write_end(struct writer *w);
