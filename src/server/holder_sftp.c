// internal-sftp: the SFTP engine without an exec, so that it works in a root folder
// without files. The holder itself serves it when it is the connection's only channel and
// every file system is local; else a fork of the holder does, which may hang without
// holding up the other channels. fsync and copies always have a process of their own.
#include "server/holder_sftp.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/text.h"
#include "io/fd.h"
#include "server/holder_status.h"
#include "server/sftp_mounts.h"

#define PROGRAM "internal-sftp"
#define BAD_INPUT (11 << 8)  // the status, as sftp-server's
#define SPARE_HANDLES 256u   // descriptors left for the connection's other channels

void sftp_prepare(struct holder *h) {
    struct sftp_prepared *p = calloc(1, sizeof *p);
    struct log unused;
    h->sftp = p;
    if (p == NULL)
        return;
    p->local = sftp_mounts_local();
    log_sink_syslog(&p->sink, &unused, PROGRAM, 0, LOG_LEVEL_QUIET);
}

bool sftp_is_internal(const char *command) {
    size_t n = sizeof PROGRAM - 1;
    return strncmp(command, PROGRAM, n) == 0 &&
           (command[n] == '\0' || command[n] == ' ' || command[n] == '\t');
}

// ---- what both ways share ----

static struct sftp_user user_of(const struct holder *h) {
    return (struct sftp_user){h->user, h->home, h->start->peer};
}

static enum err parse(const struct holder *h, const char *command, struct sftp_options *o,
                      struct fault *fault) {
    struct sftp_user user = user_of(h);
    return sftp_options_parse_text(o, command + sizeof PROGRAM - 1, &user, fault);
}

// By the keeper, where there is no syslog. It has a level of its own.
static void write_by_keeper(void *arg, enum log_level level, const char *line) {
    const struct holder *h = arg;
    log_at(&h->log, level < LOG_LEVEL_INFO ? level : LOG_LEVEL_INFO, PROGRAM ": %s",
           line);
}

static void open_log(struct holder *h, const struct sftp_options *o,
                     struct log_sink *sink, struct log *log) {
    log_sink_syslog(sink, log, PROGRAM, o->facility, o->level);
    if (sink->fd < 0 && h->sftp != NULL && h->sftp->sink.fd >= 0) {
        sink->fd = fd_dup_above(h->sftp->sink.fd, 3);
    }
    if (sink->fd < 0)
        *log = (struct log){.level = o->level, .write = write_by_keeper, .sink = h};
}

// ---- a process of its own ----

static _Noreturn void refuse_options(const struct fault *fault) {
    fprintf(stderr, PROGRAM ": %s\n", fault_text(fault));
    fflush(stderr);
    _exit(1);
}

_Noreturn void sftp_serve_child(struct holder *h, const char *command) {
    struct sftp_options options;
    struct log_sink sink;
    struct log log;
    struct sftp_session session = {0};
    struct sftp_user user = user_of(h);
    struct fault fault = {0};
    process_reset_signals();
    process_die_with_parent(SIGTERM);
    process_title("sshd: %s@" PROGRAM, h->user);
    if (parse(h, command, &options, &fault) != OK)
        refuse_options(&fault);
    if (options.to_stderr)
        log_sink_stderr(&sink, &log, PROGRAM, options.level);
    else
        open_log(h, &options, &sink, &log);
    enum err e = sftp_session_open(&session, &options, &user, &log,
                                   sftp_session_handles(), &fault);
    if (e == OK)
        e = sftp_session_run(&session, STDIN_FILENO, STDOUT_FILENO, &fault);
    if (e != OK && e != ERR_CLOSED)
        log_error(&log, "%s", fault_text(&fault));
    sftp_session_close(&session);
    _exit(e == OK ? 0 : WEXITSTATUS(BAD_INPUT));
}

// ---- work for others ----

static void work_ended(void *arg, int status) {
    struct holder_sftp *f = arg;
    f->works = false;
    sftp_server_finish(f->session.server, WIFEXITED(status)
                                              ? (enum sftp_status)WEXITSTATUS(status)
                                              : SFTP_FAILURE);
}

static bool defer(void *arg, const struct sftp_work *work) {
    struct holder_sftp *f = arg;
    struct process process;
    int keep[2] = {(int)work->node, -1};
    if (work->copies) {
        keep[0] = (int)work->copy.from;
        keep[1] = (int)work->copy.to;
    }
    if (process_fork(&process) != OK)
        return false;
    if (process.pid == 0) {
        process_reset_signals();
        fd_close_all_but(keep, 2);
        _exit((int)sftp_work_do(work));
    }
    f->works = loop_child(&f->s->c.holder->loop, &f->worker, process.pid, process.pidfd,
                          work_ended, f) == OK;
    return f->works;
}

// ---- here ----

static size_t take(struct carrier *c, struct view data) {
    struct session *s = (struct session *)c;
    if (s->sftp == NULL || s->exited)
        return data.n;
    return sftp_pump(s->sftp, data);
}

static bool is_only_channel(const struct holder *h) {
    return connection_count(h->connection) == 1;
}

static bool holds_nobody_up(const struct session *s, const struct sftp_options *o) {
    const struct holder *h = s->c.holder;
    return !s->with_pty && !o->to_stderr && is_only_channel(h) &&
           !session_has_prelude(s) &&
           (h->sftp != NULL ? h->sftp->local : sftp_mounts_local());
}

static uint32_t handles(void) {
    uint32_t n = sftp_session_handles();
    return n > 2 * SPARE_HANDLES ? n - SPARE_HANDLES : n / 2 + 1;
}

static struct holder_sftp *open_here(struct session *s,
                                     const struct sftp_options *options) {
    struct holder *h = s->c.holder;
    struct holder_sftp *f = calloc(1, sizeof *f);
    struct sftp_user user = user_of(h);
    struct fault fault = {0};
    struct log log;
    if (f == NULL)
        return NULL;
    f->s = s;
    f->wait_until = CLOCK_NEVER;
    open_log(h, options, &f->sink, &log);
    if (sftp_session_open(&f->session, options, &user, &log, handles(), &fault) != OK) {
        log_error(&h->log, PROGRAM ": %s", fault_text(&fault));
        log_sink_close(&f->sink);
        free(f);
        return NULL;
    }
    f->session.files.defer = defer;
    f->session.files.defer_arg = f;
    return f;
}

bool sftp_serve_here(struct session *s, const char *command, bool *here) {
    struct holder *h = s->c.holder;
    struct sftp_options options;
    struct fault fault = {0};
    *here = parse(h, command, &options, &fault) == OK && holds_nobody_up(s, &options);
    if (!*here)
        return true;
    s->sftp = open_here(s, &options);
    if (s->sftp == NULL)
        return false;
    s->c.take = take;
    s->c.input_ready = true;
    s->started = true;
    holder_status(h, "");
    process_title("sshd: %s@" PROGRAM, h->user);
    carrier_flush_input(&s->c);
    return true;
}

void sftp_update(struct session *s) {
    struct holder_sftp *f = s->sftp;
    if (f == NULL || s->exited)
        return;
    carrier_flush_input(&s->c);
    if (!s->exited && buf_len(&s->c.waiting) == 0)
        sftp_pump(f, view_of(NULL, 0));
    bool answered =
        sftp_server_due(f->session.server) == 0 && !sftp_server_waits(f->session.server);
    if (!s->exited && s->c.input_eof && buf_len(&s->c.waiting) == 0 && answered)
        session_program_ended(s, 0);
    if (s->exited)  // the log's last line now, not when the peer has closed too
        sftp_session_close(&f->session);
}

uint64_t sftp_deadline(const struct session *s) {
    return s->sftp != NULL ? s->sftp->wait_until : CLOCK_NEVER;
}

void sftp_end(struct session *s) {
    struct holder_sftp *f = s->sftp;
    if (f == NULL)
        return;
    if (f->works)
        loop_unchild(&s->c.holder->loop, &f->worker);
    sftp_session_close(&f->session);
    log_sink_close(&f->sink);
    free(f);
    s->sftp = NULL;
    s->c.take = NULL;
    s->exited = true;
}
