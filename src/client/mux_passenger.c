// A passenger's requests and session, and -O.
#include "client/mux_passenger.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "base/text.h"
#include "client/forwards.h"
#include "client/mux_talk.h"
#include "client/signals.h"
#include "client/want.h"
#include "io/fd.h"
#include "io/pty.h"

struct passenger {
    struct client *c;
    struct mux_talk talk;
    pid_t master;
    uint32_t session;
    bool raw, status_known;
    int status;
};

// ---- answers ----

static bool is_refusal(const struct mux_message *m) {
    return m->number == MUX_S_FAILURE || m->number == MUX_S_PERMISSION_DENIED;
}

// Any answer but the one that is expected is an error with the master's words.
static enum err expect(struct client *c, const struct mux_message *m,
                       enum mux_number wanted, const char *what) {
    char text[256];
    if (m->number == (uint32_t)wanted)
        return OK;
    if (!is_refusal(m))
        return fault_set(&c->fault, ERR_PROTOCOL, 0, "%s: the master answers with %s",
                         what, m->name);
    return fault_set(&c->fault, ERR_REFUSED, 0, "%s: the master refuses: %s", what,
                     text_clean(text, sizeof text, m->reason.reason));
}

static enum err ask_plain(struct passenger *p, enum mux_number number,
                          enum mux_number wanted, struct mux_message *answer,
                          const char *what) {
    struct mux_id fields = {p->talk.next_id++};
    TRY(mux_talk_ask(&p->talk, number, &fields, answer, &p->c->fault));
    return expect(p->c, answer, wanted, what);
}

static enum err ask_alive(struct passenger *p) {
    struct mux_message m;
    TRY(ask_plain(p, MUX_C_ALIVE_CHECK, MUX_S_ALIVE, &m, "alive check"));
    p->master = (pid_t)m.pair.value;
    return OK;
}

// ---- forwardings ----

static enum err ask_forward(struct passenger *p, enum forward_kind kind, const char *text,
                            bool cancels) {
    struct client *c = p->c;
    struct forward_spec spec;
    struct mux_forward fields = {.id = p->talk.next_id++};
    struct mux_message m;
    TRY(forward_spec_expand(c, kind, text, &spec));
    mux_forward_fill(&fields, kind, &spec);
    TRY(mux_talk_ask(&p->talk, cancels ? MUX_C_CLOSE_FORWARD : MUX_C_OPEN_FORWARD,
                     &fields, &m, &c->fault));
    if (m.number == MUX_S_REMOTE_PORT && !cancels) {
        if (c->flags.control_command != NULL)
            printf("%u\n", m.pair.value);
        else
            log_info(&c->log, "Allocated port %u for remote forward", m.pair.value);
        return OK;
    }
    return expect(c, &m, MUX_S_OK, cancels ? "forwarding not cancelled" : "forwarding");
}

// All that command line and configuration name. Each that fails is said.
static enum err ask_forwards(struct passenger *p, bool cancels) {
    struct client *c = p->c;
    const struct {
        enum forward_kind kind;
        const struct conf_list *list;
    } all[] = {{FORWARD_LOCAL, &c->config.local_forward},
               {FORWARD_DYNAMIC, &c->config.dynamic_forward},
               {FORWARD_REMOTE, &c->config.remote_forward}};
    enum err first = OK;
    for (size_t k = 0; k < sizeof all / sizeof all[0]; k++)
        for (size_t i = 0; i < all[k].list->n; i++) {
            enum err e = ask_forward(p, all[k].kind, all[k].list->v[i], cancels);
            if (e == OK)
                continue;
            if (e != ERR_REFUSED)
                return e;
            log_error(&c->log, "%s: %s", all[k].list->v[i], fault_text(&c->fault));
            fault_clear(&c->fault);
            first = e;
        }
    return first;
}

// ---- the session ----

static enum err pass(struct passenger *p, size_t n) {
    for (int fd = 0; fd < (int)n; fd++)
        TRY(mux_talk_pass(&p->talk, fd));
    return OK;
}

static enum err ask_session(struct passenger *p, const struct want *w,
                            struct mux_message *m) {
    struct mux_new_session fields = {
        .id = p->talk.next_id++,
        .tty = w->tty,
        .x11 = w->x11,
        .agent = w->agent,
        .subsystem = w->subsystem,
        .escape = w->escape < 0 ? MUX_NO_ESCAPE : (uint32_t)w->escape,
        .term = w->term,
        .command = w->command,
        .environment = w->environment,
    };
    struct mux_stdio_forward stdio = {.id = fields.id};
    if (w->stdio != NULL) {
        bool path = w->stdio->path[0] != 0;
        stdio.host = view_text(path ? w->stdio->path : w->stdio->host);
        stdio.port = path ? MUX_PORT_PATH : w->stdio->port;
        TRY(mux_talk_send(&p->talk, MUX_C_NEW_STDIO_FORWARD, &stdio));
        TRY(pass(p, 2));
    } else {
        TRY(mux_talk_send(&p->talk, MUX_C_NEW_SESSION, &fields));
        TRY(pass(p, 3));
    }
    return mux_talk_answer(&p->talk, m, &p->c->fault);
}

static void enter_raw(struct passenger *p) {
    if (!tty_is(STDIN_FILENO) || tty_raw_enter(STDIN_FILENO) != OK)
        return;
    tty_raw_guard();
    p->raw = true;
    p->c->sink.crlf = p->c->flags.log_file == NULL;
}

static void leave_raw(struct passenger *p) {
    if (p->raw)
        tty_raw_leave();
    p->raw = p->c->sink.crlf = false;
}

static enum err on_message(struct passenger *p, const struct mux_message *m) {
    char text[256];
    switch (m->number) {
    case MUX_S_EXIT:
        p->status_known = true;
        p->status = (int)(m->pair.value & 0xff);
        return OK;
    case MUX_S_TTY_ALLOC_FAIL:
        leave_raw(p);
        return OK;
    case MUX_S_FAILURE:
        log_error(&p->c->log, "the shared connection ended: %s",
                  text_clean(text, sizeof text, m->reason.reason));
        p->status_known = true;
        p->status = CLIENT_EXIT_FAILURE;
        return OK;
    default:
        return fault_set(&p->c->fault, ERR_PROTOCOL, 0, "the master says %s", m->name);
    }
}

static enum err on_signals(struct passenger *p, bool *end) {
    *end = signals_end() != 0;
    // The master asks our terminal for its size.
    if (signals_resized() && p->master > 0)
        (void)kill(p->master, SIGWINCH);
    return OK;
}

// Until the master closes: the session is over then.
static enum err ride(struct passenger *p) {
    for (;;) {
        struct mux_message m;
        bool end = false;
        TRY(mux_talk_next(&p->talk, &m, &p->c->fault));
        if (m.number != 0) {
            TRY(on_message(p, &m));
            continue;
        }
        struct pollfd poll = {.fd = p->talk.fd, .events = POLLIN};
        int n = ppoll(&poll, 1, NULL, signals_waiting());
        TRY(on_signals(p, &end));
        if (end)
            return OK;
        if (n > 0 && mux_talk_fill(&p->talk) != OK)
            return OK;
    }
}

static void go_background(struct client *c) {
    if (!c->config.fork_after_authentication)
        return;
    pid_t pid = fork();
    if (pid > 0)
        _exit(0);
    if (pid == 0)
        (void)setsid();
}

// -W: the ends of the bytes must not be held open by us.
static void let_go(void) {
    (void)!fd_to_null(STDIN_FILENO);
    (void)!fd_to_null(STDOUT_FILENO);
}

static void finish(struct passenger *p, const struct want *w) {
    struct client *c = p->c;
    leave_raw(p);
    signals_release();
    c->exit_code =
        p->status_known && signals_end() == 0 ? p->status : CLIENT_EXIT_FAILURE;
    // A stdio forwarding has no status: its end is all there is.
    if (w->stdio != NULL && !p->status_known && signals_end() == 0)
        c->exit_code = 0;
    else if (!p->status_known && signals_end() == 0)
        log_error(&c->log, "the master of the shared connection ended without a status");
    if (w->tty)
        log_info(&c->log, "Shared connection to %s closed.", c->config.hostname);
}

// *opened: the session is, or was, there. Otherwise the master would not have it.
static enum err run_session(struct passenger *p, const struct want *w, bool *opened) {
    struct client *c = p->c;
    struct mux_message m;
    if (c->config.stdin_null)
        TRY(fd_to_null(STDIN_FILENO));
    TRY(ask_session(p, w, &m));
    TRY(expect(c, &m, MUX_S_SESSION_OPENED, "session"));
    p->session = m.pair.value;
    *opened = true;
    go_background(c);
    signals_catch(true);
    if (w->tty)
        enter_raw(p);
    if (w->stdio != NULL)
        let_go();
    enum err e = ride(p);
    finish(p, w);
    return e;
}

// -N: what is forwarded is the master's now; we stay as long as it does.
static enum err only_stay(struct passenger *p, const struct want *w, bool *opened) {
    *opened = true;
    go_background(p->c);
    signals_catch(true);
    enum err e = ride(p);
    finish(p, w);
    return e;
}

static enum err open_session(struct passenger *p, bool *opened) {
    struct client *c = p->c;
    struct want w;
    struct want_room room;
    enum err e = ask_alive(p);
    if (e == OK && c->flags.stdio_forward == NULL)
        e = ask_forwards(p, false);
    if (e != OK)
        return e;
    bool none =
        c->config.session_type == SESSION_TYPE_NONE && c->flags.stdio_forward == NULL;
    e = want_own(c, &w, &room);
    if (e == OK)
        e = none ? only_stay(p, &w, opened) : run_session(p, &w, opened);
    want_room_free(&room);
    return e;
}

// ---- -O ----

static enum err on_check(struct passenger *p) {
    TRY(ask_alive(p));
    log_info(&p->c->log, "Master running (pid=%ld)", (long)p->master);
    return OK;
}

static enum err on_exit_(struct passenger *p) {
    struct mux_message m;
    enum err e = ask_plain(p, MUX_C_TERMINATE, MUX_S_OK, &m, "exit");
    // OpenSSH's is often gone before it has answered.
    if (e == ERR_CLOSED)
        fault_clear(&p->c->fault);
    else
        TRY(e);
    log_info(&p->c->log, "Exit request sent.");
    return OK;
}

static enum err on_stop(struct passenger *p) {
    struct mux_message m;
    TRY(ask_plain(p, MUX_C_STOP_LISTENING, MUX_S_OK, &m, "stop"));
    log_info(&p->c->log, "Stop listening request sent.");
    return OK;
}

static enum err on_forward(struct passenger *p) {
    return ask_forwards(p, false);
}

static enum err on_cancel(struct passenger *p) {
    return ask_forwards(p, true);
}

static enum err ask_info(struct passenger *p, const char *what) {
    struct mux_message m;
    struct mux_info fields = {p->talk.next_id++, view_text(what)};
    if (!p->talk.tells)
        return fault_set(&p->c->fault, ERR_UNSUPPORTED, 0,
                         "the master of this connection does not know -O %s: it is "
                         "another program's, or an older one",
                         what);
    TRY(mux_talk_ask(&p->talk, MUX_C_INFO, &fields, &m, &p->c->fault));
    TRY(expect(p->c, &m, MUX_S_INFO, what));
    for (size_t i = 0; i < m.info.text.n; i++)
        if (m.info.text.p[i] != '\r')
            putchar(m.info.text.p[i]);
    fflush(stdout);
    return OK;
}

static enum err on_conninfo(struct passenger *p) {
    return ask_info(p, "connection");
}

static enum err on_channels(struct passenger *p) {
    return ask_info(p, "channels");
}

// A session by the way of passengers: what proxy mode is asked for.
static enum err on_proxy(struct passenger *p) {
    bool opened = false;
    return open_session(p, &opened);
}

static const struct command {
    const char *name;
    enum err (*handler)(struct passenger *p);
} commands[] = {{"check", on_check},       {"exit", on_exit_}, {"forward", on_forward},
                {"cancel", on_cancel},     {"stop", on_stop},  {"conninfo", on_conninfo},
                {"channels", on_channels}, {"proxy", on_proxy}};

static const struct command *command_find(const char *name) {
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

bool mux_command_is_known(const char *name) {
    return command_find(name) != NULL;
}

static enum err obey(struct passenger *p) {
    p->c->exit_code = 0;
    enum err e = command_find(p->c->flags.control_command)->handler(p);
    if (e != OK)
        p->c->exit_code = CLIENT_EXIT_FAILURE;
    // Each that was refused is said already.
    if (e == ERR_REFUSED && p->c->fault.code == OK)
        return fault_set(&p->c->fault, e, 0, "-O %s failed", p->c->flags.control_command);
    return e;
}

// ---- the way in ----

// In OpenSSH's words, which programs that share connections look for.
static const char *unreachable(char *out, size_t size, const char *path,
                               const struct fault *fault) {
    char what[PATH_MAX + 16];
    snprintf(what, sizeof what, "connect to %s", path);
    const char *reason = fault_reason(fault, what);
    if (reason == fault_text(fault))
        snprintf(out, size, " %s", reason);
    else
        snprintf(out, size, " connect(%s): %s", path, reason);
    return out;
}

// Whether to go on with a connection of our own.
static enum err no_master(struct client *c, const char *path, enum err e,
                          const struct fault *fault) {
    char text[PATH_MAX + 300];
    if (c->flags.control_command != NULL)
        return fault_set(&c->fault, e, 0, "Control socket%s",
                         unreachable(text, sizeof text, path, fault));
    if (e == ERR_REFUSED && c->config.control_master != CONTROL_MASTER_NO) {
        log_debug(&c->log, "nobody listens at %s any more: removed", path);
        (void)unlink(path);
    } else if (e == ERR_NOT_FOUND) {
        log_debug(&c->log, "no control socket %s", path);
    } else {
        log_error(&c->log, "Control socket%s",
                  unreachable(text, sizeof text, path, fault));
    }
    return OK;
}

static enum err use_master(struct passenger *p, bool *done) {
    struct client *c = p->c;
    bool opened = false;
    snprintf(c->host, sizeof c->host, "%s", c->config.hostname);
    *done = true;
    if (c->flags.control_command != NULL)
        return obey(p);
    enum err e = open_session(p, &opened);
    if (opened || e == OK)
        return e;
    *done = false;
    return e;
}

enum err mux_passenger_attach(struct client *c, const char *path) {
    struct passenger p = {.c = c};
    bool done = false;
    enum err e = mux_talk_open(&p.talk, path, &c->fault);
    if (e == OK)
        e = use_master(&p, &done);
    mux_talk_close(&p.talk);
    return e;
}

static bool is_wanted(const struct client *c) {
    int how = c->config.control_master;
    return c->flags.control_command != NULL || how == CONTROL_MASTER_NO ||
           how == CONTROL_MASTER_AUTO || how == CONTROL_MASTER_AUTO_ASK;
}

// A session by name is asked for along with a login, and those who share a connection
// cannot say it: it gets a connection of its own.
static bool is_by_name(struct client *c) {
    if (c->config.session == NULL || c->flags.control_command != NULL ||
        !want_terminal(c))
        return false;
    log_verbose(&c->log, "Session %s: by a connection of its own, not by the shared one",
                c->config.session);
    c->config.control_path = NULL;
    return true;
}

enum err mux_passenger_try(struct client *c, bool *done) {
    char path[PATH_MAX];
    struct fault fault = {0};
    struct passenger p = {.c = c};
    *done = false;
    if (c->flags.control_command != NULL && c->config.control_path == NULL)
        return fault_set(&c->fault, ERR_CONFIG, 0,
                         "No ControlPath specified for \"-O\" command");
    if (c->config.control_path == NULL || !is_wanted(c))
        return OK;
    if (!client_path(c, c->config.control_path, path, sizeof path))
        return ERR_CONFIG;
    enum err e = mux_talk_open(&p.talk, path, &fault);
    if (e != OK) {
        e = no_master(c, path, e, &fault);
    } else if (!is_by_name(c)) {
        e = use_master(&p, done);
        // The master would not: a connection of our own does it.
        if (e != OK && !*done) {
            log_error(&c->log, "%s", fault_text(&c->fault));
            fault_clear(&c->fault);
            e = OK;
        }
    }
    mux_talk_close(&p.talk);
    return e;
}
