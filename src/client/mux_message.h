// Messages of the control socket, version 4 (OpenSSH's PROTOCOL.mux): one table {number,
// name, fields}, for both sides. A pure codec.
//
// Each message stands as uint32 length, uint32 number, fields. Flags are uint32 there,
// and decoded structs hold views into what they were decoded from.
#pragma once

#include "base/buf.h"
#include "base/fault.h"

#define MUX_VERSION 4u
// In HELLO, value "1": this client is told why its session ends when the connection
// does, by a MUX_S_FAILURE with the session's number (doc/extensions.md).
#define MUX_REASONS "reasons@bowline"
// One message with its length; a command may be as long as a packet.
#define MUX_MESSAGE_MAX (256u * 1024u)
// A port that stands for "the host is a path".
#define MUX_PORT_PATH 0xfffffffeu
#define MUX_NO_ESCAPE 0xffffffffu

enum mux_number {
    MUX_HELLO = 0x00000001,
    MUX_C_NEW_SESSION = 0x10000002,
    MUX_C_ALIVE_CHECK = 0x10000004,
    MUX_C_TERMINATE = 0x10000005,
    MUX_C_OPEN_FORWARD = 0x10000006,
    MUX_C_CLOSE_FORWARD = 0x10000007,
    MUX_C_NEW_STDIO_FORWARD = 0x10000008,
    MUX_C_STOP_LISTENING = 0x10000009,
    MUX_C_PROXY = 0x1000000f,
    MUX_C_INFO = 0x20000001,
    MUX_S_OK = 0x80000001,
    MUX_S_PERMISSION_DENIED = 0x80000002,
    MUX_S_FAILURE = 0x80000003,
    MUX_S_EXIT = 0x80000004,
    MUX_S_ALIVE = 0x80000005,
    MUX_S_SESSION_OPENED = 0x80000006,
    MUX_S_REMOTE_PORT = 0x80000007,
    MUX_S_TTY_ALLOC_FAIL = 0x80000008,
    MUX_S_PROXY = 0x8000000f,
    MUX_S_INFO = 0x90000001,
};

enum mux_forward_type {
    MUX_FORWARD_LOCAL = 1,
    MUX_FORWARD_REMOTE = 2,
    MUX_FORWARD_DYNAMIC = 3,
};

struct mux_hello {
    uint32_t version;
    struct view extensions;  // name, value, … : mux_next_string()
};
struct mux_new_session {
    uint32_t id;
    struct view reserved;
    uint32_t tty, x11, agent, subsystem;
    uint32_t escape;  // a byte, or MUX_NO_ESCAPE
    struct view term, command;
    struct view environment;  // strings: mux_next_string()
};
struct mux_stdio_forward {
    uint32_t id;
    struct view reserved, host;
    uint32_t port;  // at most 65535, or MUX_PORT_PATH
};
struct mux_forward {
    uint32_t id, type;  // enum mux_forward_type
    struct view listen_host;
    uint32_t listen_port;
    struct view connect_host;
    uint32_t connect_port;
};
struct mux_id {  // ALIVE_CHECK, TERMINATE, STOP_LISTENING, PROXY; OK
    uint32_t id;
};
struct mux_info {
    uint32_t id;
    struct view text;  // what is asked for; the answer
};
struct mux_reason {  // PERMISSION_DENIED, FAILURE
    uint32_t id;
    struct view reason;
};
struct mux_pair {  // EXIT, ALIVE, SESSION_OPENED, REMOTE_PORT, TTY_ALLOC_FAIL (first
                   // only)
    uint32_t id;   // of the request; EXIT, TTY_ALLOC_FAIL: of the session
    uint32_t value;
};

struct mux_message {
    uint32_t number;
    const char *name;  // for people
    uint32_t id;       // the first field; 0: it has none
    union {
        struct mux_hello hello;
        struct mux_new_session session;
        struct mux_stdio_forward stdio;
        struct mux_forward forward;
        struct mux_id plain;
        struct mux_info info;
        struct mux_reason reason;
        struct mux_pair pair;
    };
};

// The message at the front of `in`. OK with *taken = 0: not all of it is there. OK: it
// is *taken bytes long. ERR_UNSUPPORTED: a number that is not known; m->id and *taken are
// set, so that it can be answered. Others are final, and the fault says why.
must_check enum err mux_decode(struct view in, struct mux_message *m, size_t *taken,
                               struct fault *fault);
// Appends a message; `fields` is the number's struct.
must_check enum err mux_encode(struct buf *out, enum mux_number number,
                               const void *fields);
// Takes the next string off; false at the end, and where it is malformed.
bool mux_next_string(struct view *strings, struct view *string);
