// The session's life: its loop, the events of its channel, its end.
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/text.h"
#include "client/session.h"
#include "connection/requests.h"
#include "io/clock.h"
#include "io/fd.h"
#include "io/pty.h"
#include "io/tcp.h"

// ---- signals: handlers only set these; they run in ppoll alone ----

static volatile sig_atomic_t got_resize, got_end;

static void on_resize(int number) {
    (void)number;
    got_resize = 1;
}

static void on_end(int number) {
    got_end = number;
}

// Until signals are caught nothing of ours is blocked.
static sigset_t waiting_mask;

static void catch_one(int number, void (*handler)(int), sigset_t *blocked) {
    struct sigaction old, new = {.sa_handler = handler};
    sigemptyset(&new.sa_mask);
    // Ignored by whoever started us (nohup): stays so.
    if (sigaction(number, NULL, &old) == 0 && old.sa_handler == SIG_IGN)
        return;
    sigaction(number, &new, NULL);
    sigaddset(blocked, number);
}

static void catch_signals(const struct session *s) {
    sigset_t blocked;
    sigemptyset(&blocked);
    static const int ends[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT};
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++)
        catch_one(ends[i], on_end, &blocked);
    if (s->pty)
        catch_one(SIGWINCH, on_resize, &blocked);
    sigprocmask(SIG_BLOCK, &blocked, &waiting_mask);
}

// ---- the terminal ----

void session_enter_raw(struct session *s) {
    if (!s->pty || s->raw || !tty_is(STDIN_FILENO) || tty_raw_enter(STDIN_FILENO) != OK)
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

// ---- events of the connection ----

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
    else if (view_is(event->name, "eow@openssh.com") && !s->input_ended) {
        // Nobody reads on the other side any more.
        s->input_ended = true;
        TRY(connection_eof(s->connection, s->channel));
    }
    // keepalive@openssh.com, PuTTY's winadj and their like want any answer.
    return event->want_reply ? connection_reply(s->connection, event->channel, false)
                             : OK;
}

static enum err on_reply(struct session *s, const struct connection_event *event) {
    if (event->success)
        return OK;
    if (s->pty && event->ordinal == s->pty_ordinal) {
        log_error(&s->c->log, "the server gives no terminal");
        session_leave_raw(s);
        s->pty = false;
        return OK;
    }
    if (event->ordinal != s->command_ordinal)
        return OK;
    return fault_set(&s->c->fault, ERR_REFUSED, 0, "%s request failed on channel %u",
                     s->what, s->channel);
}

static enum err on_open_refused(struct session *s, const struct connection_event *event) {
    char text[256];
    if (s->stdio)
        return fault_set(
            &s->c->fault, ERR_REFUSED, 0,
            "channel %u: open failed: %s: %s; stdio forwarding failed", event->channel,
            event->reason == OPEN_CONNECT_FAILED ? "connect failed"
                                                 : "administratively prohibited",
            text_clean(text, sizeof text, event->text));
    return fault_set(&s->c->fault, ERR_REFUSED, 0,
                     "the server refuses a session (%u): %s", event->reason,
                     text_clean(text, sizeof text, event->text));
}

static enum err on_event(struct session *s, const struct connection_event *event) {
    bool mine = false;
    TRY(session_keys_event(s, event, &mine));
    if (mine)
        return OK;
    TRY(forwards_event(&s->forwards, event, &mine));
    if (mine)
        return OK;
    switch (event->kind) {
    case CONNECTION_OPENED:
        s->opened = true;
        return OK;
    case CONNECTION_OPEN_REFUSED:
        return on_open_refused(s, event);
    case CONNECTION_DATA:
        return session_data(s, event->extended, event->data);
    case CONNECTION_PEER_CLOSE:
        return connection_close(s->connection, event->channel);
    case CONNECTION_CLOSED:
        s->closed = true;
        return OK;
    case CONNECTION_REQUEST:
        return on_request(s, event);
    case CONNECTION_REPLY:
        return on_reply(s, event);
    case CONNECTION_GLOBAL_REQUEST:
        return event->want_reply
                   ? connection_global_reply(s->connection, false, (struct view){0})
                   : OK;
    case CONNECTION_EOF:
        s->out_ended = true;
        return OK;
    case CONNECTION_OPEN:
    case CONNECTION_WINDOW:
    case CONNECTION_GLOBAL_REPLY:
    case CONNECTION_NONE:
        return OK;
    }
    return OK;
}

static enum err take_message(struct session *s, const struct transport_event *event) {
    enum err e = connection_in(s->connection, event->message, clock_ms());
    if (e == ERR_UNSUPPORTED)
        return transport_unimplemented(s->c->link.transport, event->sequence);
    if (e != OK)
        return fault_set(&s->c->fault, e, event->message.n > 0 ? event->message.p[0] : 0,
                         "%s port %u: %s", s->c->address, s->c->config.port,
                         fault_text(connection_fault(s->connection)));
    struct connection_event inner;
    while (connection_next(s->connection, &inner))
        TRY(on_event(s, &inner));
    return OK;
}

enum err session_take_in(struct session *s) {
    for (;;) {
        // Answers that the server does not take stop the reading.
        s->stalled = !connection_in_ready(s->connection);
        if (s->stalled)
            return OK;
        struct transport_event event;
        TRY(client_next(s->c, &event));
        if (event.kind == TRANSPORT_NONE)
            return OK;
        if (event.kind == TRANSPORT_KEYED)
            log_debug(&s->c->log, "keys renewed");
        if (event.kind == TRANSPORT_MESSAGE)
            TRY(take_message(s, &event));
    }
}

// ---- the loop ----

#define OWN_POLLS 4

static void add(struct session *s, int i, int fd, short events) {
    s->polls[i] = (struct pollfd){.fd = events != 0 ? fd : -1, .events = events};
}

static enum err make_room(struct session *s) {
    size_t room = OWN_POLLS + forwards_poll_room(&s->forwards);
    if (room <= s->polls_room)
        return OK;
    struct pollfd *p = realloc(s->polls, 2 * room * sizeof *p);
    if (p == NULL)
        return ERR_MEMORY;
    s->polls = p;
    s->polls_room = 2 * room;
    return OK;
}

static enum err wait_for_all(struct session *s) {
    struct link *l = &s->c->link;
    TRY(make_room(s));
    short socket = (short)((transport_in(l->transport).n > 0 ? POLLIN : 0) |
                           (l->blocked ? POLLOUT : 0));
    add(s, 0, l->fd, socket);
    add(s, 1, s->in.fd, session_wants_input(s) ? POLLIN : 0);
    add(s, 2, s->out.fd, buf_len(&s->out.left) > 0 ? POLLOUT : 0);
    add(s, 3, s->err.fd, buf_len(&s->err.left) > 0 ? POLLOUT : 0);
    size_t n = OWN_POLLS + forwards_poll(&s->forwards, s->polls + OWN_POLLS);
    uint64_t deadline = transport_deadline(l->transport),
             alive = session_alive_deadline(s),
             forwards = forwards_deadline(&s->forwards);
    if (forwards < deadline)
        deadline = forwards;
    int ms = -1;
    if (alive < deadline)
        deadline = alive;
    if (s->stalled && connection_in_ready(s->connection))
        ms = 0;  // what waits will not be announced again
    else if (deadline != CLOCK_NEVER)
        ms = clock_poll_ms(clock_ms(), deadline);
    struct timespec t = {ms / 1000, (long)(ms % 1000) * 1000000};
    if (ppoll(s->polls, n, ms < 0 ? NULL : &t, &waiting_mask) >= 0)
        return OK;
    for (size_t i = 0; i < n; i++)
        s->polls[i].revents = 0;
    return errno == EINTR ? OK : ERR_IO;
}

static enum err on_signals(struct session *s) {
    if (got_end != 0) {
        s->signal = got_end;
        s->done = true;
    }
    if (got_resize == 0)
        return OK;
    got_resize = 0;
    return session_send_size(s);
}

static enum err on_times(struct session *s) {
    struct transport *t = s->c->link.transport;
    uint64_t deadline = transport_deadline(t), alive = session_alive_deadline(s);
    if (deadline == CLOCK_NEVER && alive == CLOCK_NEVER)
        return OK;
    uint64_t now = clock_ms();
    if (now >= deadline)
        TRY(transport_tick(t, now));
    return now >= alive ? session_alive_tick(s, now) : OK;
}

static enum err fork_away(struct session *s) {
    (void)!link_flush(&s->c->link);
    pid_t pid = fork();
    if (pid < 0)
        return fault_set(&s->c->fault, ERR_IO, 0, "-f: cannot fork");
    if (pid > 0)
        _exit(0);
    (void)!setsid();
    return OK;
}

// -W: an end of the channel's data is one of our output's, and with both ends it is over.
static enum err settle_stdio(struct session *s) {
    if (!s->stdio || s->closed)
        return OK;
    if (s->out_ended && !s->out_shut && buf_len(&s->out.left) == 0) {
        s->out_shut = true;
        if (s->out.socket)
            (void)shutdown(STDOUT_FILENO, SHUT_WR);
        stream_close(&s->out);
        (void)!fd_to_null(STDOUT_FILENO);
        s->out.fd = -1;
    }
    return s->out_shut && s->input_ended ? connection_close(s->connection, s->channel)
                                         : OK;
}

static enum err check_ends(struct session *s) {
    TRY(settle_stdio(s));
    if (s->fork_due && s->forwards.waiting == 0) {
        s->fork_due = false;
        TRY(fork_away(s));
    }
    // What is forwarded still keeps the rest alive.
    if (s->closed && !forwards_busy(&s->forwards))
        s->done = true;
    return OK;
}

static enum err turn(struct session *s) {
    TRY(session_send_control(s));
    TRY(link_flush(&s->c->link));
    TRY(wait_for_all(s));
    // The array stays as it is until the next waiting.
    const struct pollfd *p = s->polls;
    TRY(on_signals(s));
    if (p[2].revents != 0)
        TRY(session_pump_output(s, &s->out));
    if (p[3].revents != 0)
        TRY(session_pump_output(s, &s->err));
    if ((p[0].revents & (POLLIN | POLLHUP | POLLERR)) != 0)
        TRY(link_fill(&s->c->link));
    TRY(session_take_in(s));
    if (p[1].revents != 0 && session_wants_input(s))
        TRY(session_pump_input(s));
    TRY(session_send_control(s));
    TRY(forwards_ready(&s->forwards, p + OWN_POLLS));
    TRY(check_ends(s));
    return on_times(s);
}

// ---- beginning and end ----

static enum err begin(struct session *s) {
    struct client *c = s->c;
    uint32_t packet =
        c->bowline_peer ? LIMIT_CHANNEL_PACKET_BOWLINE : LIMIT_CHANNEL_PACKET;
    struct connection_config config = {
        .max_packet = packet,
        .max_packet_out = packet,
        .window_max = c->bowline_peer ? LIMIT_WINDOW_MAX : LIMIT_WINDOW_MAX_STOCK,
    };
    TRY(connection_new(&s->connection, &config));
    TRY(forwards_open(&s->forwards, c, s->connection));
    s->fork_due = c->config.fork_after_authentication &&
                  c->config.exit_on_forward_failure && s->forwards.waiting > 0;
    if (c->config.fork_after_authentication && !s->fork_due)
        TRY(fork_away(s));
    if (c->config.stdin_null)
        TRY(fd_to_null(STDIN_FILENO));
    TRY(session_local_command(s));
    TRY(session_open(s));
    if (!c->proxied)
        tcp_set_dscp(c->link.fd,
                     s->pty ? c->config.ipqos.interactive : c->config.ipqos.bulk);
    escape_init(&s->escape, s->pty && tty_is(STDIN_FILENO) ? c->config.escape_char : -1);
    stream_open(&s->in, STDIN_FILENO, false, 1);
    stream_open(&s->out, STDOUT_FILENO, true, LIMIT_WINDOW_MAX + LIMIT_PACKET);
    stream_open(&s->err, STDERR_FILENO, true, LIMIT_WINDOW_MAX + LIMIT_PACKET);
    catch_signals(s);
    session_enter_raw(s);
    return OK;
}

static void leave(struct session *s) {
    struct client *c = s->c;
    sigprocmask(SIG_SETMASK, &waiting_mask, NULL);
    if (s->signal == 0)
        session_finish_output(s);
    bool terminal = s->raw;
    session_leave_raw(s);
    forwards_close(&s->forwards);
    if (s->connection != NULL)
        (void)!session_send_control(s);
    (void)!transport_disconnect(c->link.transport, DISCONNECT_BY_APPLICATION,
                                "disconnected by user");
    if (terminal && c->fault.code == OK)
        log_info(&c->log, "Connection to %s closed.", c->host);
    // Whoever started -W ends it so.
    if (s->signal != 0 && !s->stdio)
        log_error(&c->log, "Killed by signal %d.", s->signal);
    c->exit_code =
        s->closed && s->status_known && s->signal == 0 ? s->status : CLIENT_EXIT_FAILURE;
    if (s->stdio && s->closed && s->signal == 0)
        c->exit_code = 0;
}

// A server that ends the link after the status has said all there is.
static enum err forgive_end(const struct session *s, enum err e) {
    return e == ERR_CLOSED && s->status_known && s->has_channel ? OK : e;
}

enum err client_session(struct client *c) {
    struct session *s = calloc(1, sizeof *s);
    if (s == NULL)
        return ERR_MEMORY;
    s->c = c;
    enum err e = begin(s);
    // What came along with the success is there already.
    if (e == OK)
        e = session_take_in(s);
    if (e == OK)
        e = check_ends(s);
    while (e == OK && !s->done)
        e = turn(s);
    if (e != OK && forgive_end(s, e) == OK) {
        fault_clear(&c->fault);
        s->closed = true;
        e = OK;
    }
    leave(s);
    stream_close(&s->in);
    stream_close(&s->out);
    stream_close(&s->err);
    session_keys_free(s->keys);
    connection_free(s->connection);
    free(s->polls);
    free(s);
    return e;
}
