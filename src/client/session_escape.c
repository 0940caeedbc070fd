// What the escapes do.
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "base/text.h"
#include "client/run.h"
#include "client/session.h"
#include "client/tell.h"
#include "connection/requests.h"
#include "io/fd.h"
#include "io/pty.h"

void session_show(struct session *s, const char *text, size_t n) {
    if (s->fds[2] >= 0)
        (void)!fd_write_full(s->fds[2], view_of(text, n));
}

static enum err suspend(struct session *s) {
    session_leave_raw(s);
    kill(getpid(), SIGTSTP);
    // Here again: the shell has continued us.
    session_enter_raw(s);
    return session_send_size(s);
}

static enum err go_background(struct session *s) {
    static const char text[] = "& [backgrounded]\r\n";
    session_show(s, text, sizeof text - 1);
    session_leave_raw(s);
    pid_t pid = fork();
    if (pid > 0)
        _exit(0);
    if (pid < 0) {
        session_enter_raw(s);
        return OK;
    }
    (void)!setsid();
    s->escape.character = -1;
    s->input_ended = true;
    // What a terminal has for an end.
    if (s->pty)
        TRY(session_send(s, view_of("\4", 1)));
    return connection_eof(s->connection, s->channel);
}

static enum err send_break(struct session *s) {
    scoped_buf b;
    buf_init(&b, 64);
    TRY(request_encode(REQUEST_CHANNEL, "break", &(struct request_break){1000}, &b));
    return connection_request(s->connection, s->channel, "break", false, buf_view(&b));
}

static void show_level(struct session *s, int change) {
    int level = (int)s->c->log.level + change;
    if (level < LOG_LEVEL_QUIET || level > LOG_LEVEL_DEBUG3)
        return;
    s->c->log.level = (enum log_level)level;
    char text[64];
    int n =
        snprintf(text, sizeof text, "[LogLevel %s]\r\n", log_level_name(s->c->log.level));
    session_show(s, text, (size_t)n);
}

static void show_told(struct session *s, void (*tell)(const struct run *, struct buf *)) {
    scoped_buf text;
    buf_init(&text, 1 << 20);
    if (buf_append(&text, view_text("\r\n")) != OK)
        return;
    tell(s->run, &text);
    struct view v = buf_view(&text);
    session_show(s, (const char *)v.p, v.n);
}

static enum err disconnect(struct session *s) {
    if (!s->own)
        return session_abandon(s);
    s->done = s->run->done = true;
    return OK;
}

static void show_not_here(struct session *s) {
    static const char text[] =
        "\r\n[not in a session that shares the connection of another ssh]\r\n";
    session_show(s, text, sizeof text - 1);
}

static void show_help(struct session *s) {
    char help[1024];
    session_show(s, help, escape_help(&s->escape, s->own, help, sizeof help));
}

enum err session_escape(struct session *s, enum escape_action action) {
    if (!s->own && escape_is_own(action)) {
        show_not_here(s);
        return OK;
    }
    switch (action) {
    case ESCAPE_NOTHING:
        return OK;
    case ESCAPE_DISCONNECT:
        return disconnect(s);
    case ESCAPE_SUSPEND:
        return suspend(s);
    case ESCAPE_BACKGROUND:
        return go_background(s);
    case ESCAPE_CHANNELS:
        show_told(s, tell_channels);
        return OK;
    case ESCAPE_HELP:
        show_help(s);
        return OK;
    case ESCAPE_BREAK:
        return send_break(s);
    case ESCAPE_REKEY:
        if (s->run->carrier.lost)
            return OK;  // the next link has new keys
        return transport_rekey(s->c->link.transport);
    case ESCAPE_LOUDER:
        show_level(s, 1);
        return OK;
    case ESCAPE_QUIETER:
        show_level(s, -1);
        return OK;
    case ESCAPE_INFO:
        show_told(s, tell_connection);
        return OK;
    case ESCAPE_LEAVE:
        return session_leave(s);
    case ESCAPE_COMMAND:
        return session_command_line(s);
    }
    return OK;
}
