// What a session asks for at its start: terminal, environment, shell, command or
// subsystem. All of it is queued at once; a Bowline server gets it in one flight with the
// open.
#include <stdio.h>
#include <stdlib.h>

#include "base/limits.h"
#include "base/text.h"
#include "client/mux_message.h"
#include "client/run.h"
#include "client/session.h"
#include "client/x11.h"
#include "connection/requests.h"
#include "io/pty.h"
#include "io/terminal_modes.h"

static enum err request(struct session *s, const char *name, const void *fields,
                        bool want_reply) {
    scoped_buf b;
    buf_init(&b, LIMIT_PACKET - 1024);
    TRY(request_encode(REQUEST_CHANNEL, name, fields, &b));
    return connection_request(s->connection, s->channel, name, want_reply, buf_view(&b));
}

// ---- terminal ----

static enum err encode_modes(int fd, struct buf *out) {
    struct terminal_mode modes[TERMINAL_MODES_MAX];
    size_t n = 0;
    if (terminal_modes_get(fd, modes, TERMINAL_MODES_MAX, &n) != OK)
        n = 0;
    struct writer w = writer_to_buf(out);
    for (size_t i = 0; i < n; i++)
        pty_mode_write(&w, modes[i].opcode, modes[i].value);
    pty_mode_write_end(&w);
    return writer_end(&w);
}

static enum err request_terminal(struct session *s, struct view term) {
    if (pty_get_size(s->fds[0], &s->size) != OK)
        s->size = (struct pty_size){0};
    scoped_buf modes;
    buf_init(&modes, 1024);
    TRY(encode_modes(s->fds[0], &modes));
    struct request_pty fields = {.term = term,
                                 .columns = s->size.columns,
                                 .rows = s->size.rows,
                                 .width = s->size.width_px,
                                 .height = s->size.height_px,
                                 .modes = buf_view(&modes)};
    s->pty = true;
    s->pty_ordinal = connection_next_ordinal(s->connection, s->channel);
    return request(s, "pty-req", &fields, true);
}

static enum err send_size(struct session *s, struct pty_size size) {
    if (memcmp(&size, &s->size, sizeof size) == 0)
        return OK;
    s->size = size;
    struct request_window_change fields = {size.columns, size.rows, size.width_px,
                                           size.height_px};
    return request(s, "window-change", &fields, false);
}

enum err session_send_size(struct session *s) {
    struct pty_size size;
    if (!s->pty || s->closed || pty_get_size(s->fds[0], &size) != OK)
        return OK;
    return send_size(s, size);
}

enum err session_send_lower(struct session *s) {
    struct pty_size size;
    if (!s->pty || s->closed || pty_get_size(s->fds[0], &size) != OK || size.rows < 2)
        return OK;
    size.rows--;
    return send_size(s, size);
}

// ---- environment ----

static enum err request_environment(struct session *s, struct view environment) {
    for (struct view v; mux_next_string(&environment, &v);) {
        const uint8_t *equals = memchr(v.p, '=', v.n);
        if (equals == NULL)
            continue;
        size_t name = (size_t)(equals - v.p);
        struct request_env fields = {view_of(v.p, name),
                                     view_of(equals + 1, v.n - name - 1)};
        TRY(request(s, "env", &fields, false));
    }
    return OK;
}

// ---- what runs ----

// By what is asked for: the request's name, and its fields in `b`.
static enum err request_command(struct session *s, const struct want *want) {
    char clean[256];
    const char *with = s->pty ? ", with a terminal" : "";
    text_clean(clean, sizeof clean, want->command);
    s->command_ordinal = connection_next_ordinal(s->connection, s->channel);
    if (want->subsystem) {
        s->what = "subsystem";
        client_step(s->c, "session", "subsystem %s", clean);
        return request(s, "subsystem", &(struct request_subsystem){want->command}, true);
    }
    if (want->command.n == 0) {
        s->what = "shell";
        client_step(s->c, "session", "shell%s", with);
        return connection_request(s->connection, s->channel, "shell", true,
                                  (struct view){0});
    }
    s->what = "exec";
    client_step(s->c, "session", "command%s: %s", with, clean);
    return request(s, "exec", &(struct request_exec){want->command}, true);
}

// ---- -W ----

static enum err open_stdio(struct session *s, const struct forward_end *end) {
    char text[FORWARD_TEXT + 16];
    const char *type = "direct-tcpip";
    scoped_buf b;
    buf_init(&b, LIMIT_PACKET_DEFAULT);
    if (end->path[0] != 0) {
        type = "direct-streamlocal@openssh.com";
        TRY(request_encode(REQUEST_OPEN, type,
                           &(struct open_streamlocal){.path = view_text(end->path)}, &b));
    } else {
        struct open_tcpip fields = {.host = view_text(end->host),
                                    .port = end->port,
                                    .originator = view_text("127.0.0.1"),
                                    .originator_port = 65535};
        TRY(request_encode(REQUEST_OPEN, type, &fields, &b));
    }
    s->stdio = true;
    s->what = "stdio forwarding";
    client_step(s->c, "session", "standard input and output to %s",
                forward_end_text(end, text, sizeof text));
    TRY(connection_open(s->connection, type, buf_view(&b), &s->channel));
    s->closed = false;
    return OK;
}

// ---- the agent ----

static enum err offer_agent(struct session *s) {
    const struct client_config *o = &s->c->config;
    struct forwards *f = &s->run->forwards;
    const char *text = o->forward_agent_path;
    if (text == NULL && !o->forward_agent)
        return OK;
    if (text == NULL)
        text = o->identity_agent;
    if (text != NULL && strcmp(text, "SSH_AUTH_SOCK") == 0)
        text = NULL;
    if (text != NULL && *text == '$' && text[1] != '{')
        text = getenv(text + 1);
    else if (text == NULL)
        text = getenv("SSH_AUTH_SOCK");
    if (text == NULL || *text == 0 || strcmp(text, "none") == 0)
        return OK;
    if (!client_path(s->c, text, f->agent_path, sizeof f->agent_path))
        return OK;
    f->agent = true;
    const char *name =
        s->c->takes_agent_names ? "agent-req" : "auth-agent-req@openssh.com";
    log_debug(&s->c->log, "agent: forwarding is asked for (%s)", name);
    return connection_request(s->connection, s->channel, name, false, (struct view){0});
}

static void open_streams(struct session *s) {
    stream_open(&s->in, s->fds[0], false, 1);
    stream_open(&s->out, s->fds[1], true, LIMIT_WINDOW_MAX + LIMIT_PACKET);
    stream_open(&s->err, s->fds[2], true, LIMIT_WINDOW_MAX + LIMIT_PACKET);
}

// OpenSSH takes the lowest free number, which is 0 unless a remote forwarding's listener
// has it, and opens the channel before it reads on.
static bool numbers_from_0(const struct client *c) {
    // A tunnel's channel may come first, or be refused.
    return c->config.tunnel == 0 &&
           (c->bowline_peer || (c->openssh_peer && c->config.remote_forward.n == 0));
}

enum err session_open(struct session *s, const struct want *want) {
    open_streams(s);
    escape_init(&s->escape, want->escape);
    if (want->stdio != NULL)
        return open_stdio(s, want->stdio);
    TRY(connection_open(s->connection, "session", (struct view){0}, &s->channel));
    s->closed = false;
    if (s->own && numbers_from_0(s->c))
        TRY(connection_guess(s->connection, s->channel, 0));
    if (want->x11)
        TRY(x11_request(s));
    if (want->agent)
        TRY(offer_agent(s));
    if (want->tty)
        TRY(request_terminal(s, want->term));
    TRY(session_ask_name(s));
    TRY(request_environment(s, want->environment));
    return request_command(s, want);
}
