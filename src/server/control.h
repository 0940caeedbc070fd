// What `bowline` and the keeper say to each other over the control socket: one table
// {number, from, fields}, in the codec of SSH, one message a packet (SOCK_SEQPACKET).
//
// The keeper takes from a tool HELLO first, then LIST, END and ATTACH, each answered by
// DONE at its end. Who asks is known from the kernel (SO_PEERCRED): root and the keeper's
// own user see all, others their own sessions. SESSION may grow at its end: a tool takes
// what it knows of it.
#pragma once

#include "server/ipc_table.h"

#define CONTROL_VERSION 1u
#define CONTROL_PATH_SIZE 108  // what a Unix socket's address holds, with NUL
#define CONTROL_TEXT_MAX 512   // bytes of a message to a session's user

enum control_number {
    CONTROL_HELLO = 1,  // both ways
    CONTROL_LIST,
    CONTROL_SESSION,
    CONTROL_END,
    CONTROL_DONE,
    CONTROL_ATTACH,
    CONTROL_VIEW,
    CONTROL_NUMBERS
};

struct control_hello {
    uint32_t version;
    uint32_t pid;  // of the keeper; 0 from a tool
};
struct control_list {
    uint32_t flags;  // 0
};
struct control_session {
    struct view id, user, key, comment, peer;
    uint32_t peer_port;
    struct view local;
    uint32_t local_port, uid;
    uint64_t since;  // seconds since 1970
    uint64_t idle;   // seconds
    uint64_t bytes_in, bytes_out;
    uint32_t sessions, channels;
    struct view tty, command;
    uint32_t forwards;      // listeners and forwarded connections
    uint64_t suspended;     // without a link since, seconds since 1970; 0: it has one
    uint64_t grace_left;    // seconds that it is still kept
    struct view terminals;  // as in ipc_status
};
struct control_end {
    struct view what;  // id, user, key's fingerprint or comment
    struct view text;  // for the peer; empty: ours
};
struct control_done {
    uint32_t count;
    struct view text;  // why not; empty: well
};

struct control_attach {
    struct view name;  // of a session, or a connection's id; empty: the only one
    uint32_t flags;    // VIEW_WATCH
};
// The socket comes along (server/view.h). DONE follows.
struct control_view {
    uint32_t version;
};

union control_body {
    struct control_hello hello;
    struct control_list list;
    struct control_session session;
    struct control_end end;
    struct control_done done;
    struct control_attach attach;
    struct control_view view;
};

struct control_message {
    enum control_number number;
    union control_body body;  // views into the bytes
};

// Decodes one message; those of the other direction, and what is no row, are
// ERR_UNEXPECTED.
must_check enum err control_decode(struct view bytes, bool from_tool,
                                   struct control_message *out, struct fault *fault);
must_check enum err control_encode(enum control_number number, const void *body,
                                   struct span room, size_t *used);

// Folder of the sockets: /run/bowline for root, else $XDG_RUNTIME_DIR/bowline, else that
// of the configuration file. False: there is none.
bool control_folder(bool root, const char *runtime, const char *config_file, char *out,
                    size_t size);
// That folder, in the environment of programs in sessions of an ordinary user's server:
// they have neither its XDG_RUNTIME_DIR nor its configuration's place.
#define CONTROL_FOLDER_VARIABLE "BOWLINE_CONTROL"

// One of a list of terminals' sessions, as ipc_status and control_session have it.
struct terminal_told {
    struct view name;
    uint32_t state, status, watchers;  // enum terminal_state; status: of what has ended
};

// The next one; false: that was all, or what follows is cut short.
bool terminal_next(struct reader *r, struct terminal_told *t);

// Is that file in such a folder a keeper's socket, of that port (0: any)?
bool control_is_keeper(const char *name, uint16_t port);
// "FOLDER/NAME.PORT.sock", with "@ADDRESS" where it does not listen on all of them. NAME:
// "sshd" for the keeper's, "anchor" for the anchor's.
bool control_path(const char *folder, const char *name, const char *address,
                  uint16_t port, char *out, size_t size);
