// A "session" channel (RFC 4254 s.6): its requests, its input, its end.
#include <errno.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/text.h"
#include "connection/requests.h"
#include "io/fd.h"
#include "io/terminal_modes.h"
#include "server/holder.h"

#define BREAK_MAX_MS 3000

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
    s->holder = h;
    s->channel = channel;
    s->channel_open = true;
    s->input = s->pty.master = s->pty.slave = -1;
    for (size_t i = 0; i < STREAM_COUNT; i++)
        s->streams[i] =
            (struct stream){.session = s, .fd = -1, .extended = i == STREAM_ERR};
    env_init(&s->accepted);
    buf_init(&s->waiting, LIMIT_WINDOW_MAX);
    s->next = h->sessions;
    h->sessions = s;
    connection_set_user(h->connection, channel, s);
}

// ---- input ----

static int input_fd(const struct session *s) {
    return s->with_pty ? s->streams[STREAM_OUT].fd : s->input;
}

static void consumed(struct session *s, size_t n) {
    struct holder *h = s->holder;
    if (n > 0 && s->channel_open &&
        connection_consumed(h->connection, s->channel, n, h->now) != OK)
        holder_end(h, DISCONNECT_PROTOCOL_ERROR,
                   fault_text(connection_fault(h->connection)));
}

static void close_input(struct session *s) {
    loop_unwatch(&s->holder->loop, &s->input_watch);
    fd_close(&s->input);
}

// Bytes that went, thrown away ones included: nobody reads them any more.
static size_t write_input(struct session *s, struct view v) {
    int fd = input_fd(s);
    size_t n = 0;
    if (fd < 0)
        return v.n;
    if (fd_write_some(fd, v, &n) == OK)
        return n;
    if (!s->with_pty)
        close_input(s);
    return v.n;
}

static void want_output(struct session *s) {
    enum err e = OK;
    if (s->input >= 0)
        e = loop_change(&s->holder->loop, &s->input_watch,
                        buf_len(&s->waiting) > 0 ? LOOP_OUT : 0);
    (void)e;  // a terminal's watch is updated before each wait
}

void session_flush_input(struct session *s) {
    while (buf_len(&s->waiting) > 0) {
        size_t n = write_input(s, buf_view(&s->waiting));
        if (n == 0)
            break;
        buf_taken(&s->waiting, n);
        consumed(s, n);
    }
    if (buf_len(&s->waiting) == 0) {
        buf_release_if_empty(&s->waiting);
        if (s->input_eof)
            close_input(s);
    }
    want_output(s);
}

void session_input(struct session *s, struct view data) {
    size_t n = 0;
    // Before the program is started the window holds what comes.
    if (s->started && buf_len(&s->waiting) == 0) {
        size_t one;
        while (n < data.n && (one = write_input(s, view_of(data.p + n, data.n - n))) > 0)
            n += one;
        consumed(s, n);
    }
    if (n == data.n)
        return;
    if (buf_append(&s->waiting, view_of(data.p + n, data.n - n)) != OK) {
        holder_end(s->holder, DISCONNECT_BY_APPLICATION, "out of memory");
        return;
    }
    want_output(s);
}

void session_input_eof(struct session *s) {
    s->input_eof = true;
    if (s->started && buf_len(&s->waiting) == 0)
        close_input(s);
}

// ---- requests ----

union request {
    struct request_pty pty;
    struct request_window_change window;
    struct request_env env;
    struct request_exec exec;
    struct request_subsystem subsystem;
    struct request_signal signal;
    struct request_break pause;
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
    struct holder *h = s->holder;
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
    return s->with_pty && fd >= 0 && pty_set_size(fd, size) == OK;
}

static bool request_env(struct session *s, const union request *r) {
    char name[256];
    if (s->started || !text_copy(name, sizeof name, r->env.name) ||
        !program_env_accepted(&s->holder->config.accept_env, name))
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
    if (!s->started || s->exited || number == 0 || s->holder->forced_command != NULL)
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

static const struct {
    const char *name;
    bool (*act)(struct session *s, const union request *r);
} requests[] = {
    {"pty-req", request_pty},   {"window-change", request_window},
    {"env", request_env},       {"shell", request_shell},
    {"exec", request_exec},     {"subsystem", request_subsystem},
    {"signal", request_signal}, {"break", request_break},
};

bool session_request(struct session *s, struct view name, struct view fields) {
    union request r;
    struct fault fault = {0};
    const struct request_type *type =
        request_find(REQUEST_CHANNEL, REQUEST_BY_CLIENT, name);
    for (size_t i = 0; type != NULL && i < sizeof requests / sizeof requests[0]; i++) {
        if (strcmp(requests[i].name, type->name) != 0)
            continue;
        if (type->size > sizeof r || request_decode(type, fields, &r, &fault) != OK) {
            log_info(&s->holder->log, "request refused: %s", fault_text(&fault));
            return false;
        }
        return requests[i].act(s, &r);
    }
    return false;
}

// ---- the end ----

static void send_exit(struct session *s) {
    struct connection *c = s->holder->connection;
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
        connection_request(c, s->channel, signalled ? "exit-signal" : "exit-status",
                           false, view_of(room, w.n));
    (void)e;  // the channel is closed already: nobody asks
}

static bool output_done(const struct session *s) {
    return s->streams[STREAM_OUT].fd < 0 && s->streams[STREAM_ERR].fd < 0;
}

static void close_channel(struct session *s) {
    struct connection *c = s->holder->connection;
    if (!s->channel_open)
        return;
    s->channel_open = false;
    connection_set_user(c, s->channel, NULL);
    enum err e = connection_close(c, s->channel);
    (void)e;
}

void session_try_end(struct session *s) {
    struct connection *c = s->holder->connection;
    if (!s->started || !s->channel_open || !output_done(s))
        return;
    if (!s->eof_sent && !s->exited) {
        enum err e = connection_eof(c, s->channel);
        (void)e;
        s->eof_sent = true;
    }
    if (!s->exited)
        return;
    send_exit(s);
    if (!s->eof_sent) {
        enum err e = connection_eof(c, s->channel);
        (void)e;
        s->eof_sent = true;
    }
    close_input(s);
    close_channel(s);
}

void session_hang_up(struct session *s) {
    close_input(s);
    for (size_t i = 0; i < STREAM_COUNT; i++)
        stream_close(&s->streams[i]);
    pty_close(&s->pty);  // the programs on it get SIGHUP
    buf_clear(&s->waiting);
    close_channel(s);
}

static void free_session(struct session *s) {
    close_input(s);
    for (size_t i = 0; i < STREAM_COUNT; i++)
        stream_close(&s->streams[i]);
    loop_unchild(&s->holder->loop, &s->exit);
    pty_close(&s->pty);
    env_free(&s->accepted);
    buf_free(&s->waiting);
    free(s);
}

static bool is_alive(const struct session *s) {
    return s->channel_open || (s->started && !s->exited);
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
