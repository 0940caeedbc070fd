// One session of this connection, or what stands in for it (-W): a channel, and where its
// bytes come from and go to: our own standard descriptors, or those that a passenger of
// the control socket has passed. Shared by its files: session.c (life, events),
// session_open.c (what is asked for at its start), session_io.c (bytes), session_kept.c
// (leaving and coming back), session_escape.c and session_command.c (what escapes do).
#pragma once

#include "client/client.h"
#include "client/escape.h"
#include "client/notice.h"
#include "client/obscure.h"
#include "client/stream.h"
#include "client/want.h"
#include "connection/connection.h"
#include "io/pty.h"

struct run;
struct mux_client;

struct session {
    struct session *next;
    struct run *run;
    struct client *c;
    struct connection *connection;
    bool own;                      // of this ssh itself, not a passenger's
    struct mux_client *passenger;  // whose it is; NULL: our own, or the passenger is gone
    uint32_t channel;
    bool opened, closed;       // closed also where there is no channel yet
    bool stdio;                // -W: the channel is no session
    bool out_ended, out_shut;  // -W: EOF came; and was handed on
    int fds[3];                // 0, 1, 2; or the passenger's, then ours to close
    struct stream in, out, err;
    struct buf typed;  // read, not sent yet
    bool input_ended;  // EOF was sent
    size_t poll_at;    // in the run's array; 0: not there yet
    struct obscure obscure;
    uint64_t used;  // clock_ms() of the last data, for ChannelTimeout

    bool pty, raw;
    uint8_t shown[64];  // the last of its output, where there is a terminal
    size_t shown_n;
    struct notice_line notice;  // of a silent link, on that terminal
    struct pty_size size;       // that the server knows
    struct escape escape;
    uint32_t pty_ordinal, command_ordinal,
        x11_ordinal;  // of the requests with want_reply
    bool x11_asked;
    // doc/attach.md
    uint32_t name_ordinal, leave_ordinal;
    bool name_asked, leave_asked;
    bool left;         // it goes on at the server
    char name[64];     // under that name
    uint32_t grace;    // for so many seconds
    const char *what;  // "shell", "exec", "subsystem"

    bool status_known;
    int status;
    bool timed_out;  // ChannelTimeout closed it
    bool done;       // nothing more is taken from its input
};

// ---- session.c ----
// In the list of the run, without a channel yet. Takes the descriptors; NULL: no memory
// (they are closed then, but 0, 1 and 2).
struct session *session_new(struct run *r, const int fds[3],
                            struct mux_client *passenger);
void session_free(struct session *s);
// An event of its channel.
must_check enum err session_event(struct session *s,
                                  const struct connection_event *event);
// Ends of data handed on; closes where both are over.
must_check enum err session_settle(struct session *s);
// The channel is closed and all output is written.
bool session_is_over(const struct session *s);
// Closes the channel whatever there is: `~.` of a passenger, or one that is gone.
must_check enum err session_abandon(struct session *s);
void session_enter_raw(struct session *s);
void session_leave_raw(struct session *s);

// ---- session_open.c ----
must_check enum err session_open(struct session *s, const struct want *want);
// Window size to the server, if there is a terminal and it has changed.
must_check enum err session_send_size(struct session *s);
// One that is a line lower, so that programs paint anew when they get the right one
// again.
must_check enum err session_send_lower(struct session *s);

// ---- session_kept.c ----
// Which session is meant, where one has a name, and what waits there.
must_check enum err session_ask_name(struct session *s);
// ~d: asks the server to keep the session.
must_check enum err session_leave(struct session *s);
// What the server says of sessions that are kept; false: it is about something else.
bool session_take_kept(struct session *s, const struct connection_event *event);
// It was left, and goes on at the server.
bool session_is_left(const struct session *s);
// Tells where the session that was left can be found.
void session_tell_left(struct session *s);
// The answer to one of ours. False: to something else.
bool session_kept_reply(struct session *s, const struct connection_event *event,
                        const char **refused);

// ---- session_io.c ----
must_check enum err session_data(struct session *s, uint32_t extended, struct view data);
// A few bytes of input of our own making.
must_check enum err session_send(struct session *s, struct view v);
must_check enum err session_pump_input(struct session *s);
must_check enum err session_pump_output(struct session *s, struct stream *stream);
bool session_wants_input(struct session *s);
// Waits until all output is written or its reader is gone.
void session_finish_output(struct session *s);

// ---- session_escape.c ----
must_check enum err session_escape(struct session *s, enum escape_action action);
// Words of ours on the session's standard error.
void session_show(struct session *s, const char *text, size_t n);

// ---- session_command.c ----
// ~C: asks for a line and does what it says.
must_check enum err session_command_line(struct session *s);
