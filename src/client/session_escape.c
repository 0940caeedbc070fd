// What the escapes do.
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "base/text.h"
#include "client/session.h"
#include "connection/requests.h"
#include "io/fd.h"
#include "io/pty.h"

static void show(const char *text, size_t n) {
    (void)!fd_write_full(STDERR_FILENO, view_of(text, n));
}

static enum err suspend(struct session *s) {
    session_leave_raw(s);
    kill(getpid(), SIGTSTP);
    // Here again: the shell has continued us.
    session_enter_raw(s);
    return session_send_size(s);
}

static enum err go_background(struct session *s) {
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
    show(text, (size_t)n);
}

static void show_info(struct session *s) {
    const struct transport *t = s->c->link.transport;
    const struct transport_agreed *a = transport_agreed(t);
    struct transport_counts n = transport_counts(t);
    char text[1024], ident[256];
    int length = snprintf(
        text, sizeof text,
        "\r\n%s@%s port %u (%s), %s\r\n%s, %s, %s; %llu bytes in, %llu out, %llu key "
        "exchanges\r\n",
        s->c->config.user, s->c->host, s->c->config.port, s->c->address,
        text_clean(ident, sizeof ident, transport_peer_ident(t)), a->kex, a->host_key,
        a->cipher_c2s, (unsigned long long)n.bytes_in, (unsigned long long)n.bytes_out,
        (unsigned long long)n.exchanges);
    show(text, (size_t)(length < (int)sizeof text ? length : (int)sizeof text - 1));
}

static void show_channels(struct session *s) {
    char text[256];
    int n =
        snprintf(text, sizeof text,
                 "\r\n#%u session, %s, %s%zu bytes wait to be shown\r\n", s->channel,
                 s->what, s->input_ended ? "input ended, " : "", buf_len(&s->out.left));
    show(text, (size_t)n);
    forwards_show(&s->forwards, show);
}

enum err session_escape(struct session *s, enum escape_action action) {
    char help[1024];
    switch (action) {
    case ESCAPE_NOTHING:
        return OK;
    case ESCAPE_DISCONNECT:
        s->done = true;
        return OK;
    case ESCAPE_SUSPEND:
        return suspend(s);
    case ESCAPE_BACKGROUND:
        return go_background(s);
    case ESCAPE_CHANNELS:
        show_channels(s);
        return OK;
    case ESCAPE_HELP:
        show(help, escape_help(&s->escape, help, sizeof help));
        return OK;
    case ESCAPE_BREAK:
        return send_break(s);
    case ESCAPE_REKEY:
        return transport_rekey(s->c->link.transport);
    case ESCAPE_LOUDER:
        show_level(s, 1);
        return OK;
    case ESCAPE_QUIETER:
        show_level(s, -1);
        return OK;
    case ESCAPE_INFO:
        show_info(s);
        return OK;
    case ESCAPE_COMMAND:
        show("\r\n[the escape command line is not there yet]\r\n", 46);
        return OK;
    }
    return OK;
}
