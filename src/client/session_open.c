// What a session asks for at its start: terminal, environment, shell, command or
// subsystem. All of it is queued at once; a Bowline server gets it in one flight with the
// open.
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/text.h"
#include "client/session.h"
#include "connection/requests.h"
#include "io/pty.h"
#include "io/terminal_modes.h"

extern char **environ;

static enum err request(struct session *s, const char *name, const void *fields,
                        bool want_reply) {
    scoped_buf b;
    buf_init(&b, LIMIT_PACKET_DEFAULT);
    TRY(request_encode(REQUEST_CHANNEL, name, fields, &b));
    return connection_request(s->connection, s->channel, name, want_reply, buf_view(&b));
}

// ---- terminal ----

static bool wants_pty(struct session *s) {
    const struct client_config *o = &s->c->config;
    bool terminal = tty_is(STDIN_FILENO) && !o->stdin_null;
    bool shell = s->c->flags.command == NULL && o->remote_command == NULL;
    if (o->request_tty == REQUEST_TTY_NO || o->session_type == SESSION_TYPE_NONE)
        return false;
    if (o->request_tty == REQUEST_TTY_FORCE)
        return true;
    bool wanted = o->request_tty == REQUEST_TTY_YES ||
                  (shell && o->session_type == SESSION_TYPE_DEFAULT);
    if (wanted && !terminal)
        log_info(&s->c->log, "no terminal is asked for, as standard input is none");
    return wanted && terminal;
}

static enum err encode_modes(struct buf *out) {
    struct terminal_mode modes[TERMINAL_MODES_MAX];
    size_t n = 0;
    if (terminal_modes_get(STDIN_FILENO, modes, TERMINAL_MODES_MAX, &n) != OK)
        n = 0;
    struct writer w = writer_to_buf(out);
    for (size_t i = 0; i < n; i++)
        pty_mode_write(&w, modes[i].opcode, modes[i].value);
    pty_mode_write_end(&w);
    return writer_end(&w);
}

static enum err request_terminal(struct session *s) {
    struct pty_size size = {0};
    const char *term = getenv("TERM");
    if (pty_get_size(STDIN_FILENO, &size) != OK)
        size = (struct pty_size){0};
    scoped_buf modes;
    buf_init(&modes, 1024);
    TRY(encode_modes(&modes));
    struct request_pty fields = {.term = view_text(term != NULL ? term : ""),
                                 .columns = size.columns,
                                 .rows = size.rows,
                                 .width = size.width_px,
                                 .height = size.height_px,
                                 .modes = buf_view(&modes)};
    s->pty_ordinal = connection_next_ordinal(s->connection, s->channel);
    return request(s, "pty-req", &fields, true);
}

enum err session_send_size(struct session *s) {
    struct pty_size size;
    if (!s->pty || s->closed || pty_get_size(STDIN_FILENO, &size) != OK)
        return OK;
    struct request_window_change fields = {size.columns, size.rows, size.width_px,
                                           size.height_px};
    return request(s, "window-change", &fields, false);
}

// ---- environment ----

static enum err send_variable(struct session *s, const char *variable) {
    const char *equals = strchr(variable, '=');
    if (equals == NULL)
        return OK;
    struct request_env fields = {view_of(variable, (size_t)(equals - variable)),
                                 view_text(equals + 1)};
    return request(s, "env", &fields, false);
}

static bool is_sent(const struct client_config *o, const char *variable) {
    char name[256];
    const char *equals = strchr(variable, '=');
    if (equals == NULL ||
        !text_copy(name, sizeof name, view_of(variable, (size_t)(equals - variable))))
        return false;
    for (size_t i = 0; i < o->send_env.n; i++)
        if (text_match(o->send_env.v[i], name))
            return true;
    return false;
}

// SetEnv may have tokens in its values.
static enum err send_set_variable(struct session *s, const char *variable) {
    char text[LIMIT_PACKET_DEFAULT / 2];
    struct client *c = s->c;
    TRY(client_config_expand(&c->config, &c->subject, TOKENS_MATCH_EXEC, NULL, variable,
                             text, sizeof text, &c->fault));
    return send_variable(s, text);
}

static enum err request_environment(struct session *s) {
    const struct client_config *o = &s->c->config;
    if (o->send_env.n > 0)
        for (char **v = environ; *v != NULL; v++)
            if (is_sent(o, *v))
                TRY(send_variable(s, *v));
    for (size_t i = 0; i < o->set_env.n; i++)
        TRY(send_set_variable(s, o->set_env.v[i]));
    return OK;
}

// ---- what runs ----

static enum err command_text(struct session *s, char *room, size_t size,
                             const char **command) {
    struct client *c = s->c;
    *command = c->flags.command;
    if (*command != NULL || c->config.remote_command == NULL)
        return OK;
    *command = room;
    return client_config_expand(&c->config, &c->subject, TOKENS_MATCH_EXEC, NULL,
                                c->config.remote_command, room, size, &c->fault);
}

static enum err request_command(struct session *s) {
    char room[LIMIT_PACKET_DEFAULT];
    const char *command = NULL;
    TRY(command_text(s, room, sizeof room, &command));
    s->command_ordinal = connection_next_ordinal(s->connection, s->channel);
    if (s->c->config.session_type == SESSION_TYPE_SUBSYSTEM) {
        if (command == NULL)
            return fault_set(&s->c->fault, ERR_CONFIG, 0,
                             "-s: which subsystem? (ssh -s host NAME)");
        s->what = "subsystem";
        client_step(s->c, "session", "subsystem %s", command);
        return request(s, "subsystem", &(struct request_subsystem){view_text(command)},
                       true);
    }
    if (command == NULL) {
        s->what = "shell";
        client_step(s->c, "session", "shell%s", s->pty ? ", with a terminal" : "");
        return connection_request(s->connection, s->channel, "shell", true,
                                  (struct view){0});
    }
    s->what = "exec";
    char clean[256];
    client_step(s->c, "session", "command%s: %s", s->pty ? ", with a terminal" : "",
                text_clean(clean, sizeof clean, view_text(command)));
    scoped_buf b;
    buf_init(&b, LIMIT_PACKET - 1024);
    struct request_exec fields = {view_text(command)};
    TRY(request_encode(REQUEST_CHANNEL, "exec", &fields, &b));
    return connection_request(s->connection, s->channel, "exec", true, buf_view(&b));
}

// ---- -W ----

static enum err open_stdio(struct session *s) {
    struct forward_end end;
    const char *type = "direct-tcpip";
    scoped_buf b;
    buf_init(&b, LIMIT_PACKET_DEFAULT);
    if (!forward_end_parse(&end, s->c->flags.stdio_forward))
        return ERR_CONFIG;
    if (end.path[0] != 0) {
        type = "direct-streamlocal@openssh.com";
        TRY(request_encode(REQUEST_OPEN, type,
                           &(struct open_streamlocal){.path = view_text(end.path)}, &b));
    } else {
        struct open_tcpip fields = {.host = view_text(end.host),
                                    .port = end.port,
                                    .originator = view_text("127.0.0.1"),
                                    .originator_port = 65535};
        TRY(request_encode(REQUEST_OPEN, type, &fields, &b));
    }
    s->stdio = s->has_channel = true;
    s->what = "stdio forwarding";
    client_step(s->c, "session", "standard input and output to %s",
                s->c->flags.stdio_forward);
    return connection_open(s->connection, type, buf_view(&b), &s->channel);
}

// ---- the agent ----

static enum err offer_agent(struct session *s) {
    const struct client_config *o = &s->c->config;
    struct forwards *f = &s->forwards;
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
    return connection_request(s->connection, s->channel, "auth-agent-req@openssh.com",
                              false, (struct view){0});
}

enum err session_open(struct session *s) {
    struct client *c = s->c;
    if (c->flags.stdio_forward != NULL)
        return open_stdio(s);
    if (c->config.session_type == SESSION_TYPE_NONE) {
        client_step(c, "session", "none (-N)");
        return OK;
    }
    s->pty = wants_pty(s);
    TRY(connection_open(s->connection, "session", (struct view){0}, &s->channel));
    s->has_channel = true;
    if (c->bowline_peer)
        TRY(connection_guess(s->connection, s->channel, 0));
    TRY(offer_agent(s));
    if (s->pty)
        TRY(request_terminal(s));
    TRY(request_environment(s));
    return request_command(s);
}
