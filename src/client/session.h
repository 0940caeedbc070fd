// The session: one channel with a shell, a command or a subsystem, or none (-N). Shared
// by its files: session.c (life, events), session_open.c (what is asked for at its
// start), session_io.c (bytes), session_escape.c (what escapes do), keepalive.c.
#pragma once

#include "client/client.h"
#include "client/escape.h"
#include "client/forwards.h"
#include "client/stream.h"
#include "connection/connection.h"

struct session {
    struct client *c;
    struct connection *connection;
    uint32_t channel;
    bool has_channel;  // false: -N
    bool opened, closed;
    bool stdio;                // -W: the channel is no session
    bool out_ended, out_shut;  // -W: EOF came; and was handed on
    struct forwards forwards;
    struct session_keys *keys;  // that the server announced; NULL: none yet; owned
    bool fork_due;              // -f: when all forwardings are there
    struct pollfd *polls;
    size_t polls_room;
    struct stream in, out, err;
    bool input_ended;  // EOF was sent

    bool pty, raw;
    struct escape escape;
    uint32_t pty_ordinal, command_ordinal;  // of the requests with want_reply
    const char *what;                       // "shell", "exec", "subsystem"

    bool status_known;
    int status;
    int signal;    // that ends us; 0: none
    bool stalled;  // messages wait in the transport until our answers are taken
    bool done;     // leave the loop

    unsigned alive_sent;   // since anything was heard
    uint64_t alive_heard;  // link.heard when they began
};

// ---- session_open.c ----
must_check enum err session_open(struct session *s);
// Window size to the server, if there is a terminal.
must_check enum err session_send_size(struct session *s);

// ---- local_command.c ----
must_check enum err session_local_command(struct session *s);

// ---- session.c ----
void session_enter_raw(struct session *s);
void session_leave_raw(struct session *s);
// All that came; until the transport has nothing more.
must_check enum err session_take_in(struct session *s);

// ---- session_io.c ----
must_check enum err session_data(struct session *s, uint32_t extended, struct view data);
must_check enum err session_pump_input(struct session *s);
must_check enum err session_pump_output(struct session *s, struct stream *stream);
// Control messages into the transport.
must_check enum err session_send_control(struct session *s);
bool session_wants_input(struct session *s);
// Waits until all output is written or its reader is gone.
void session_finish_output(struct session *s);

// ---- session_escape.c ----
must_check enum err session_escape(struct session *s, enum escape_action action);

// ---- session_keys.c: host keys that the server announces ----
// *mine: nobody else has to see it.
must_check enum err session_keys_event(struct session *s,
                                       const struct connection_event *event, bool *mine);
void session_keys_free(struct session_keys *keys);

// ---- keepalive.c ----
uint64_t session_alive_deadline(const struct session *s);
// Asks for a sign of life where it is due; ERR_TIMEOUT when there were too many in vain.
must_check enum err session_alive_tick(struct session *s, uint64_t now);
