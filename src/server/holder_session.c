// A "session" channel (RFC 4254 s.6): its requests, its input, its end.
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/text.h"
#include "connection/requests.h"
#include "io/fd.h"
#include "io/terminal_modes.h"
#include "server/forward.h"
#include "server/holder.h"
#include "server/holder_view.h"

#define BREAK_MAX_MS 3000

// ---- requests ----

union request {
    struct request_pty pty;
    struct request_window_change window;
    struct request_env env;
    struct request_exec exec;
    struct request_subsystem subsystem;
    struct request_signal signal;
    struct request_break pause;
    struct request_x11 x11;
    struct request_session_name name;
};

static void set_modes(int fd, struct view modes) {
    struct terminal_mode v[TERMINAL_MODES_MAX];
    size_t n = 0;
    while (n < TERMINAL_MODES_MAX && pty_mode_next(&modes, &v[n].opcode, &v[n].value))
        n++;
    enum err e = terminal_modes_set(fd, v, n);
    (void)e;  // a mode that cannot be set is no reason to refuse
}

static bool request_pty(struct session *s, const union request *r) {
    struct holder *h = s->c.holder;
    struct fault fault = {0};
    struct pty_size size = {r->pty.columns, r->pty.rows, r->pty.width, r->pty.height};
    if (s->started || s->with_pty || !h->config.permit_tty ||
        !(h->start->verdict->permits & PERMIT_PTY))
        return false;
    if (!text_copy(s->term, sizeof s->term, r->pty.term) ||
        pty_open(&s->pty, &fault) != OK) {
        log_error(&h->log, "no terminal for %s: %s", h->user, fault_text(&fault));
        return false;
    }
    s->with_pty = true;
    enum err e = pty_set_size(s->pty.master, size);
    (void)e;
    set_modes(s->pty.slave, r->pty.modes);
    return true;
}

static bool request_window(struct session *s, const union request *r) {
    struct pty_size size = {r->window.columns, r->window.rows, r->window.width,
                            r->window.height};
    int fd = s->started ? s->streams[STREAM_OUT].fd : s->pty.master;
    if (s->kept != NULL)
        record_resize(&s->kept->record, size);
    return s->with_pty && fd >= 0 && pty_set_size(fd, size) == OK;
}

static bool request_env(struct session *s, const union request *r) {
    char name[256];
    if (s->started || !text_copy(name, sizeof name, r->env.name) ||
        !program_env_accepted(&s->c.holder->config.accept_env, name))
        return false;
    return env_set_view(&s->accepted, r->env.name, r->env.value) == OK;
}

static bool request_shell(struct session *s, const union request *r) {
    (void)r;
    return session_start(s, PROGRAM_SHELL, view_of(NULL, 0));
}

static bool request_exec(struct session *s, const union request *r) {
    return session_start(s, PROGRAM_EXEC, r->exec.command);
}

static bool request_subsystem(struct session *s, const union request *r) {
    return session_start(s, PROGRAM_SUBSYSTEM, r->subsystem.name);
}

static bool request_signal(struct session *s, const union request *r) {
    int number = process_signal_number(r->signal.name);
    // Who may only run one command may not steer it otherwise.
    if (!s->started || s->exited || number == 0 || s->process.pid <= 0 ||
        s->c.holder->forced_command != NULL)
        return false;
    return process_signal_group(s->process.pid, number) == OK;
}

static bool request_break(struct session *s, const union request *r) {
    uint32_t ms = r->pause.milliseconds;
    int fd = s->started ? s->streams[STREAM_OUT].fd : -1;
    if (!s->with_pty || fd < 0)
        return false;
    pty_break(fd, ms > BREAK_MAX_MS ? BREAK_MAX_MS : ms);
    return true;
}

// The reader of the output is gone: the program shall notice, as by SIGPIPE.
static bool request_eow(struct session *s, const union request *r) {
    (void)r;
    if (s->sftp != NULL) {
        session_hang_up(s);
    } else if (!s->with_pty && s->started) {
        stream_close(&s->streams[STREAM_OUT]);
        session_try_end(s);
    }
    return true;
}

static bool request_agent(struct session *s, const union request *r) {
    (void)r;
    return !s->started && agent_listen(s->c.holder, "auth-agent@openssh.com");
}

// The names of RFC 9987.
static bool request_agent_standard(struct session *s, const union request *r) {
    (void)r;
    return !s->started && agent_listen(s->c.holder, "agent-connect");
}

static bool request_x11(struct session *s, const union request *r) {
    return !s->started && x11_request(s, &r->x11);
}

static bool request_session(struct session *s, const union request *r) {
    return claim_request(s, &r->name);
}

static bool request_leave(struct session *s, const union request *r) {
    (void)r;
    if (!claim_relays(s))
        return keep_leave(s, "");
    // The session is another holder's; what shows it here ends, behind what was typed.
    struct process viewer = {s->exit.pid, s->exit.pidfd};
    return s->started && !s->exited && process_signal(&viewer, SIGTERM) == OK;
}

static const struct {
    const char *name;
    bool (*act)(struct session *s, const union request *r);
} requests[] = {
    {"pty-req", request_pty},
    {"window-change", request_window},
    {"env", request_env},
    {"shell", request_shell},
    {"exec", request_exec},
    {"subsystem", request_subsystem},
    {"signal", request_signal},
    {"break", request_break},
    {"x11-req", request_x11},
    {"eow@openssh.com", request_eow},
    {"auth-agent-req@openssh.com", request_agent},
    {"agent-req", request_agent_standard},
    {"session@bowline", request_session},
    {"leave@bowline", request_leave},
};

static bool session_request(struct session *s, struct view name, struct view fields) {
    union request r;
    struct fault fault = {0};
    const struct request_type *type =
        request_find(REQUEST_CHANNEL, REQUEST_BY_CLIENT, name);
    for (size_t i = 0; type != NULL && i < sizeof requests / sizeof requests[0]; i++) {
        if (strcmp(requests[i].name, type->name) != 0)
            continue;
        if (type->size > sizeof r || request_decode(type, fields, &r, &fault) != OK) {
            log_info(&s->c.holder->log, "request refused: %s", fault_text(&fault));
            return false;
        }
        return requests[i].act(s, &r);
    }
    return false;
}

// ---- the end ----

static void send_exit(struct session *s) {
    struct connection *c = s->c.holder->connection;
    uint8_t room[256];
    struct writer w = writer_to_span((struct span){room, sizeof room});
    bool signalled = WIFSIGNALED(s->status);
    const char *name = signalled ? process_signal_name(WTERMSIG(s->status)) : NULL;
    if (signalled) {
        write_text(&w, name != NULL ? name : "TERM");
        write_bool(&w, WCOREDUMP(s->status));
        write_text(&w, "");
        write_text(&w, "");
    } else {
        write_u32(&w, (uint32_t)WEXITSTATUS(s->status));
    }
    enum err e =
        connection_request(c, s->c.channel, signalled ? "exit-signal" : "exit-status",
                           false, view_of(room, w.n));
    (void)e;  // the channel is closed already: nobody asks
}

static bool output_done(const struct session *s) {
    return s->streams[STREAM_OUT].fd < 0 && s->streams[STREAM_ERR].fd < 0;
}

void session_try_end(struct session *s) {
    if (s->c.alone && s->exited && output_done(s)) {
        session_told_end(s);
        view_program_ended(s);
        keep_changed(s->c.holder);
    }
    if (!s->started || !s->c.open || !output_done(s) || (s->sftp != NULL && !s->exited))
        return;
    if (!s->eof_sent && !s->exited) {
        carrier_eof(&s->c);
        s->eof_sent = true;
    }
    if (!s->exited)
        return;
    send_exit(s);
    if (s->kept != NULL)
        view_program_ended(s);
    if (!s->eof_sent)
        carrier_eof(&s->c);
    s->eof_sent = true;
    carrier_close_input(&s->c);
    carrier_close(&s->c);
}

void session_hang_up(struct session *s) {
    view_end_all(s, VIEW_OVER);
    sftp_end(s);
    carrier_close_input(&s->c);
    for (size_t i = 0; i < STREAM_COUNT; i++)
        stream_close(&s->streams[i]);
    pty_close(&s->pty);  // the programs on it get SIGHUP
    buf_clear(&s->c.waiting);
    carrier_close(&s->c);
}

// ---- as a carrier ----

static void output_ended(struct carrier *c) {
    session_try_end((struct session *)c);
}

static void input_ended(struct carrier *c) {
    if (c->duplex == NULL && c->take == NULL)
        carrier_close_input(c);
}

// The peer's CLOSE. A program without a terminal goes on, and its status is still told:
// a shared connection closes a channel whose both directions have ended.
static void hang_up(struct carrier *c) {
    struct session *s = (struct session *)c;
    bool ours = connection_is_open(c->holder->connection, c->channel);  // a time-out
    if (ours || !s->started || s->exited || s->with_pty || s->sftp != NULL) {
        session_hang_up(s);
        return;
    }
    carrier_close_input(c);
    for (size_t i = 0; i < STREAM_COUNT; i++)
        stream_close(&s->streams[i]);
    buf_clear(&c->waiting);
}

static bool request(struct carrier *c, struct view name, struct view fields) {
    return session_request((struct session *)c, name, fields);
}

static void seen(struct carrier *c, struct view data) {
    struct session *s = (struct session *)c;
    if (s->kept != NULL)
        view_output(s, data);
}

static bool room(struct carrier *c) {
    return view_room((struct session *)c);
}

static const struct carrier_ops session_ops = {
    .seen = seen,
    .room = room,
    .request = request,
    .output_ended = output_ended,
    .input_ended = input_ended,
    .hang_up = hang_up,
};

void session_open(struct holder *h, uint32_t channel) {
    struct session *s = calloc(1, sizeof *s);
    enum err e = s == NULL ? connection_refuse(h->connection, channel,
                                               OPEN_RESOURCE_SHORTAGE, "out of memory")
                           : connection_accept(h->connection, channel, view_of(NULL, 0));
    if (e != OK)
        holder_end(h, err_disconnect_reason(e),
                   fault_text(connection_fault(h->connection)));
    if (s == NULL)
        return;
    carrier_init(&s->c, h, channel, &session_ops);
    s->c.open = true;
    carrier_set_timeout(&s->c, "session");
    s->pty.master = s->pty.slave = s->relay = -1;
    for (size_t i = 0; i < STREAM_COUNT; i++)
        s->streams[i] =
            (struct stream){.carrier = &s->c, .fd = -1, .extended = i == STREAM_ERR};
    env_init(&s->accepted);
    s->next = h->sessions;
    h->sessions = s;
    connection_set_user(h->connection, channel, &s->c);
}

void session_told_end(struct session *s) {
    const char *signal = s->exited && WIFSIGNALED(s->status)
                             ? process_signal_name(WTERMSIG(s->status))
                             : NULL;
    struct ipc_event e = {
        .channel = s->c.channel,
        .tty = view_text(s->with_pty ? s->pty.name + 5 : ""),
        .status = s->exited && WIFEXITED(s->status) ? (uint32_t)WEXITSTATUS(s->status)
                                                    : UINT32_MAX,
        .signal = view_text(signal != NULL ? signal : ""),
        .bytes_in = s->c.bytes_in,
        .bytes_out = s->c.bytes_out,
    };
    if (s->told)
        holder_tell(s->c.holder, EVENT_SESSION_CLOSED, &e);
    s->told = false;
}

static void free_session(struct session *s) {
    session_told_end(s);
    session_launch_drop(s);
    sftp_end(s);
    x11_session_end(s);
    carrier_drop(&s->c);
    for (size_t i = 0; i < STREAM_COUNT; i++)
        stream_close(&s->streams[i]);
    loop_unchild(&s->c.holder->loop, &s->exit);
    pty_close(&s->pty);
    fd_close(&s->relay);
    keep_free(s);
    env_free(&s->accepted);
    free(s);
}

static bool is_alive(const struct session *s) {
    if (s->kept != NULL &&
        (s->kept->viewers != NULL || (s->c.alone && !s->kept->collected)))
        return true;
    return s->c.open || (s->started && !s->exited);
}

uint32_t session_count(const struct holder *h) {
    uint32_t n = 0;
    for (const struct session *s = h->sessions; s != NULL; s = s->next)
        n += is_alive(s);
    return n;
}

void session_sweep(struct holder *h) {
    for (struct session **at = &h->sessions; *at != NULL;) {
        struct session *s = *at;
        if (is_alive(s)) {
            at = &s->next;
            continue;
        }
        *at = s->next;
        free_session(s);
    }
}
