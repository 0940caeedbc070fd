// A session's life: the events of its channel, its end.
#include "client/session.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/text.h"
#include "client/run.h"
#include "client/x11.h"
#include "connection/requests.h"
#include "io/clock.h"
#include "io/fd.h"

struct session *session_new(struct run *r, const int fds[3],
                            struct mux_client *passenger) {
    struct session *s = calloc(1, sizeof *s);
    if (s == NULL) {
        for (int i = 0; i < 3; i++)
            if (fds[i] > STDERR_FILENO)
                (void)close(fds[i]);
        return NULL;
    }
    *s = (struct session){.next = r->sessions,
                          .run = r,
                          .c = r->c,
                          .connection = r->connection,
                          .own = passenger == NULL,
                          .passenger = passenger,
                          .closed = true,
                          .fds = {fds[0], fds[1], fds[2]},
                          .used = clock_ms(),
                          .what = "session"};
    buf_init(&s->typed, 8192);
    s->in.fd = s->out.fd = s->err.fd = -1;
    r->sessions = s;
    r->sessions_n++;
    return s;
}

void session_free(struct session *s) {
    stream_close(&s->in);
    stream_close(&s->out);
    stream_close(&s->err);
    buf_free(&s->typed);
    for (int i = 0; i < 3; i++)
        if (s->fds[i] > STDERR_FILENO)
            fd_close(&s->fds[i]);
    free(s);
}

// ---- the terminal ----

void session_enter_raw(struct session *s) {
    if (!s->pty || s->raw || !s->own || !tty_is(STDIN_FILENO) ||
        tty_raw_enter(STDIN_FILENO) != OK)
        return;
    tty_raw_guard();
    s->raw = true;
    s->c->sink.crlf = s->c->flags.log_file == NULL;
}

void session_leave_raw(struct session *s) {
    if (!s->raw)
        return;
    tty_raw_leave();
    s->raw = false;
    s->c->sink.crlf = false;
}

// ---- events ----

static void on_exit_status(struct session *s, const struct connection_event *event) {
    struct request_exit_status fields;
    struct fault fault = {0};
    if (request_decode(event->type, event->fields, &fields, &fault) != OK)
        return;
    s->status_known = true;
    s->status = (int)(fields.status & 0xff);
}

static void on_exit_signal(struct session *s, const struct connection_event *event) {
    struct request_exit_signal fields;
    struct fault fault = {0};
    if (request_decode(event->type, event->fields, &fields, &fault) != OK)
        return;
    char name[32], message[256];
    // Our own reader went first: no news.
    log_at(&s->c->log, s->out.broken ? LOG_LEVEL_DEBUG1 : LOG_LEVEL_ERROR,
           "the command was ended by signal %s%s%s%s",
           text_clean(name, sizeof name, fields.name),
           fields.core_dumped ? " (core dumped)" : "", fields.message.n > 0 ? ": " : "",
           text_clean(message, sizeof message, fields.message));
    s->status_known = true;
    s->status = CLIENT_EXIT_FAILURE;
}

static enum err on_request(struct session *s, const struct connection_event *event) {
    if (view_is(event->name, "exit-status"))
        on_exit_status(s, event);
    else if (view_is(event->name, "exit-signal"))
        on_exit_signal(s, event);
    else if (session_take_kept(s, event))
        return OK;
    else if (view_is(event->name, "eow@openssh.com") && !s->input_ended) {
        // Nobody reads on the other side any more.
        s->input_ended = true;
        TRY(connection_eof(s->connection, s->channel));
    }
    // keepalive@openssh.com, PuTTY's winadj and their like want any answer.
    return event->want_reply ? connection_reply(s->connection, event->channel, false)
                             : OK;
}

// What only one's own session says at once and a passenger gets told.
static enum err refuse(struct session *s, const char *why) {
    if (s->own)
        return fault_set(&s->c->fault, ERR_REFUSED, 0, "%s", why);
    mux_session_refused(s->passenger, why);
    s->closed = s->done = true;
    return OK;
}

static enum err on_reply(struct session *s, const struct connection_event *event) {
    char why[128];
    const char *refused;
    if (session_kept_reply(s, event, &refused))
        return refused != NULL ? refuse(s, refused) : OK;
    if (event->success)
        return OK;
    if (s->x11_asked && event->ordinal == s->x11_ordinal) {
        log_info(&s->c->log, "X11 forwarding request failed on channel %u", s->channel);
        return OK;
    }
    if (s->pty && event->ordinal == s->pty_ordinal) {
        log_error(&s->c->log,
                  "the server gives no terminal; the session goes on without");
        session_leave_raw(s);
        s->pty = false;
        mux_session_no_tty(s->passenger, s);
        return OK;
    }
    if (event->ordinal != s->command_ordinal)
        return OK;
    snprintf(why, sizeof why, "%s request failed on channel %u", s->what, s->channel);
    if (s->own)
        return refuse(s, why);
    session_show(s, why, strlen(why));
    session_show(s, "\r\n", 2);
    return session_abandon(s);
}

static enum err on_open_refused(struct session *s, const struct connection_event *event) {
    char text[256], why[512];
    text_clean(text, sizeof text, event->text);
    s->opened = false;
    if (s->stdio)
        snprintf(why, sizeof why,
                 "channel %u: open failed: %s: %s; stdio forwarding failed",
                 event->channel,
                 event->reason == OPEN_CONNECT_FAILED ? "connect failed"
                                                      : "administratively prohibited",
                 text);
    else
        snprintf(why, sizeof why, "the server refuses a session (%u): %s", event->reason,
                 text);
    return refuse(s, why);
}

static enum err on_opened(struct session *s) {
    s->opened = true;
    mux_session_opened(s->passenger, s);
    return OK;
}

enum err session_event(struct session *s, const struct connection_event *event) {
    switch (event->kind) {
    case CONNECTION_OPENED:
        return on_opened(s);
    case CONNECTION_OPEN_REFUSED:
        return on_open_refused(s, event);
    case CONNECTION_DATA:
        s->used = clock_ms();
        return session_data(s, event->extended, event->data);
    case CONNECTION_PEER_CLOSE:
        return connection_close(s->connection, event->channel);
    case CONNECTION_CLOSED:
        s->closed = true;
        // The terminal is the person's again, even where passengers keep us here.
        session_leave_raw(s);
        return OK;
    case CONNECTION_REQUEST:
        return on_request(s, event);
    case CONNECTION_REPLY:
        return on_reply(s, event);
    case CONNECTION_EOF:
        s->out_ended = true;
        return OK;
    default:
        return OK;
    }
}

// ---- ends ----

// -W: an end of the channel's data is one of our output's, and with both ends it is over.
enum err session_settle(struct session *s) {
    if (!s->stdio || s->closed)
        return OK;
    if (s->out_ended && !s->out_shut && buf_len(&s->out.left) == 0) {
        s->out_shut = true;
        if (s->out.socket)
            (void)shutdown(s->fds[1], SHUT_WR);
        stream_close(&s->out);
        if (s->own)
            (void)!fd_to_null(STDOUT_FILENO);
        else
            fd_close(&s->fds[1]);
        s->out.fd = -1;
    }
    return s->out_shut && s->input_ended ? connection_close(s->connection, s->channel)
                                         : OK;
}

bool session_is_over(const struct session *s) {
    return s->closed && (s->out.broken || buf_len(&s->out.left) == 0) &&
           (s->err.broken || buf_len(&s->err.left) == 0);
}

enum err session_abandon(struct session *s) {
    s->done = s->input_ended = true;
    s->out.broken = s->err.broken = true;
    if (s->closed)
        return OK;
    // A server keeps a channel as long as its command; nobody here waits for that.
    s->closed = true;
    session_leave_raw(s);
    return connection_close(s->connection, s->channel);
}
