// Our own wishes for a session.
#include "client/want.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "io/pty.h"
#include "wire/writer.h"

extern char **environ;

// One is asked for where there is one.
static bool asks_for_tty(const struct client *c) {
    const struct client_config *o = &c->config;
    bool shell = c->flags.command == NULL && o->remote_command == NULL;
    if (o->request_tty == REQUEST_TTY_NO || o->session_type == SESSION_TYPE_NONE ||
        c->flags.stdio_forward != NULL)
        return false;
    return o->request_tty != REQUEST_TTY_AUTO ||
           (shell && o->session_type == SESSION_TYPE_DEFAULT);
}

bool want_terminal(const struct client *c) {
    bool terminal = tty_is(STDIN_FILENO) && !c->config.stdin_null;
    return asks_for_tty(c) && (terminal || c->config.request_tty == REQUEST_TTY_FORCE);
}

static bool wants_tty(struct client *c) {
    bool wanted = want_terminal(c);
    if (!wanted && asks_for_tty(c))
        log_info(
            &c->log,
            "Pseudo-terminal will not be allocated because stdin is not a terminal.");
    return wanted;
}

// ---- environment ----

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
static enum err collect_set(struct client *c, const char *variable, struct writer *w) {
    char text[LIMIT_PACKET_DEFAULT / 2];
    TRY(client_config_expand(&c->config, &c->subject, TOKENS_MATCH_EXEC, NULL, variable,
                             text, sizeof text, &c->fault));
    write_text(w, text);
    return OK;
}

static enum err collect_environment(struct client *c, struct buf *out) {
    const struct client_config *o = &c->config;
    struct writer w = writer_to_buf(out);
    if (o->send_env.n > 0)
        for (char **v = environ; *v != NULL; v++)
            if (is_sent(o, *v))
                write_text(&w, *v);
    for (size_t i = 0; i < o->set_env.n; i++)
        if (strchr(o->set_env.v[i], '=') != NULL)
            TRY(collect_set(c, o->set_env.v[i], &w));
    return writer_end(&w);
}

// ---- command ----

static enum err command_text(struct client *c, struct want_room *room,
                             struct view *command) {
    if (c->flags.command != NULL)
        *command = view_text(c->flags.command);
    if (c->flags.command != NULL || c->config.remote_command == NULL)
        return OK;
    TRY(client_config_expand(&c->config, &c->subject, TOKENS_MATCH_EXEC, NULL,
                             c->config.remote_command, room->command,
                             sizeof room->command, &c->fault));
    *command = view_text(room->command);
    return OK;
}

enum err want_own(struct client *c, struct want *w, struct want_room *room) {
    const struct client_config *o = &c->config;
    const char *term = getenv("TERM");
    *w = (struct want){.x11 = o->forward_x11,
                       .agent = o->forward_agent || o->forward_agent_path != NULL,
                       .subsystem = o->session_type == SESSION_TYPE_SUBSYSTEM,
                       .escape = -1,
                       .term = view_text(term != NULL ? term : "")};
    room->command[0] = 0;
    buf_init(&room->environment, LIMIT_PACKET);
    if (c->flags.stdio_forward != NULL) {
        w->stdio = &room->stdio;
        return forward_end_parse(&room->stdio, c->flags.stdio_forward) ? OK : ERR_CONFIG;
    }
    if (o->session_type == SESSION_TYPE_NONE)
        return OK;
    w->tty = wants_tty(c);
    w->escape = w->tty && tty_is(STDIN_FILENO) ? o->escape_char : -1;
    TRY(command_text(c, room, &w->command));
    if (w->subsystem && w->command.n == 0)
        return fault_set(&c->fault, ERR_CONFIG, 0,
                         "-s: which subsystem? (ssh -s host NAME)");
    enum err e = collect_environment(c, &room->environment);
    if (e == ERR_LIMIT && c->fault.code == OK)
        return fault_set(&c->fault, e, 0,
                         "SendEnv and SetEnv name more than %u KiB of variables",
                         LIMIT_PACKET / 1024);
    w->environment = buf_view(&room->environment);
    return e;
}

void want_room_free(struct want_room *room) {
    buf_free(&room->environment);
}
