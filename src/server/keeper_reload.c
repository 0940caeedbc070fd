// SIGHUP: the keeper becomes what its program file and configuration are now. Both are
// tried first by `sshd -t` of that program; only when it is content the keeper executes
// it in its own place. Process number, children, listening sockets and sessions stay.
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/text.h"
#include "io/clock.h"
#include "io/fault_errno.h"
#include "io/fd.h"
#include "server/keeper.h"

#define TRIAL_MS 30000    // for the trial of the program
#define OUTPUT_MAX 16384  // of what it says
#define LINES_MAX 20      // of that in the log
#define ARGUMENTS_MAX 256

struct keeper_reload {
    struct loop_child exit;
    struct loop_timer deadline;
    struct loop_watch watch;
    int fd;  // what it says
    bool again;
    struct buf said;
};

// As it was called, if by an absolute path: that may be a link that was changed since.
static bool program_path(const struct keeper *k, char *out, size_t size) {
    const char *name = k->options->argv[0];
    size_t n;
    if (name[0] == '/' && access(name, X_OK) == 0)
        return text_copy(out, size, view_text(name));
    if (process_self_path(out, size) != OK)
        return false;
    // The kernel marks a file that was replaced.
    n = strlen(out);
    static const char gone[] = " (deleted)";
    if (n > sizeof gone && strcmp(out + n - (sizeof gone - 1), gone) == 0)
        out[n - (sizeof gone - 1)] = '\0';
    return true;
}

static void finish(struct keeper *k) {
    struct keeper_reload *r = k->reload;
    loop_timer_unset(&k->loop, &r->deadline);
    loop_unwatch(&k->loop, &r->watch);
    loop_unchild(&k->loop, &r->exit);
    fd_close(&r->fd);
    buf_free(&r->said);
    bool again = r->again;
    free(r);
    k->reload = NULL;
    keeper_notify("READY");
    if (again)
        keeper_reload(k);
}

// The file of events is opened again in any case: whoever rotates logs has renamed it.
static void refuse(struct keeper *k, const char *why) {
    struct fault fault = {0};
    log_error(&k->log, "the server goes on as it was: %s", why);
    if (keeper_event_log(k, &fault) != OK)
        log_error(&k->log, "%s; events are not written", fault_text(&fault));
    keeper_event_server(k, EVENT_SERVER_RELOAD_FAILED, why);
    finish(k);
}

// ---- the exec ----

// Does not return when it succeeds.
static void execute(struct keeper *k) {
    char path[PATH_MAX];
    struct fault fault = {0};
    if (!program_path(k, path, sizeof path)) {
        refuse(k, "its program cannot be found");
        return;
    }
    int state = keeper_handover_write(k, &fault);
    if (state >= 0) {
        if (k->folder != NULL && chdir(k->folder) != 0)
            log_verbose(&k->log, "%s: %m", k->folder);
        execv(path, k->options->argv);
        (void)fault_errno(&fault, "exec %s", path);
        if (!k->options->foreground && chdir("/") != 0)
            log_verbose(&k->log, "/: %m");
        keeper_handover_undo(k);
        fd_close(&state);
    }
    refuse(k, fault_text(&fault));
}

// ---- the trial ----

static void read_all(struct keeper_reload *r) {
    uint8_t bytes[2048];
    size_t n;
    while (fd_read_some(r->fd, (struct span){bytes, sizeof bytes}, &n) == OK && n > 0)
        if (buf_append(&r->said, view_of(bytes, n)) != OK)
            return;
}

static void on_said(void *arg, uint32_t ready) {
    struct keeper *k = arg;
    struct keeper_reload *r = k->reload;
    size_t before = buf_len(&r->said);
    (void)ready;
    read_all(r);
    if (buf_len(&r->said) == before)
        loop_unwatch(&k->loop, &r->watch);
}

static void log_said(struct keeper *k) {
    struct view rest = buf_view(&k->reload->said);
    for (int i = 0; i < LINES_MAX && rest.n > 0; i++) {
        char line[512];
        const uint8_t *end = memchr(rest.p, '\n', rest.n);
        size_t n = end != NULL ? (size_t)(end - rest.p) : rest.n;
        log_error(&k->log, "%s", text_clean(line, sizeof line, view_of(rest.p, n)));
        n = n < rest.n ? n + 1 : n;
        rest = view_of(rest.p + n, rest.n - n);
    }
}

static void on_tried(void *arg, int status) {
    struct keeper *k = arg;
    char why[96];
    read_all(k->reload);
    if (k->stopping) {  // told in the same turn: a program executed now would not know
        k->reload->again = false;
        finish(k);
        return;
    }
    if (status == 0) {
        execute(k);
        return;
    }
    log_said(k);
    if (WIFEXITED(status))
        snprintf(why, sizeof why, "its configuration is not used, the old one stays");
    else
        snprintf(why, sizeof why, "its program died of signal %d when it was tried",
                 WTERMSIG(status));
    refuse(k, why);
}

static void on_deadline(void *arg) {
    struct keeper *k = arg;
    struct process p = {k->reload->exit.pid, k->reload->exit.pidfd};
    if (process_signal(&p, SIGKILL) != OK)
        log_verbose(&k->log, "the trial has ended already");
}

static enum err try_it(struct keeper *k, const char *path, int out, struct process *p,
                       struct fault *fault) {
    const struct keeper_options *o = k->options;
    char *argv[ARGUMENTS_MAX + 2], test[] = "-t";
    struct process_limit limit = {RLIMIT_NOFILE, {k->limits.soft, k->limits.hard}};
    if (o->argc > ARGUMENTS_MAX)
        return fault_set(fault, ERR_LIMIT, 0, "its command line is too long");
    argv[0] = o->argv[0];
    argv[1] = test;
    for (int i = 1; i <= o->argc; i++)
        argv[i + 1] = o->argv[i];  // with NULL at its end
    struct process_spec spec = {
        .path = path,
        .argv = argv,
        .cwd = k->folder,
        .cwd_fallback = "/",
        .fd_in = -1,
        .fd_out = out,
        .fd_err = out,
        .tty = -1,
        .limits = &limit,
        .limits_n = 1,
    };
    return process_spawn(&spec, p, fault);
}

static enum err start(struct keeper *k, struct fault *fault) {
    struct keeper_reload *r = k->reload;
    char path[PATH_MAX];
    int pipe_fds[2];
    struct process p;
    if (!program_path(k, path, sizeof path))
        return fault_set(fault, ERR_NOT_FOUND, 0, "its program cannot be found");
    if (pipe2(pipe_fds, O_CLOEXEC) != 0)
        return fault_errno(fault, "pipe");
    r->fd = pipe_fds[0];
    scoped_fd out = pipe_fds[1];
    TRY(fd_set_nonblock(r->fd, true));
    TRY(try_it(k, path, out, &p, fault));
    TRY(loop_child(&k->loop, &r->exit, p.pid, p.pidfd, on_tried, k));
    TRY(loop_watch(&k->loop, &r->watch, r->fd, LOOP_IN, on_said, k));
    return loop_timer_set(&k->loop, &r->deadline, clock_ms() + TRIAL_MS, on_deadline, k);
}

bool keeper_reload_is(const struct keeper *k, pid_t pid) {
    return k->reload != NULL && k->reload->exit.pid == pid;
}

void keeper_reload(struct keeper *k) {
    struct fault fault = {0};
    if (k->options->inetd || k->options->debug) {
        log_info(&k->log, "Received SIGHUP; a server of one link has nothing to read.");
        return;
    }
    log_info(&k->log, "Received SIGHUP; restarting.");
    if (k->reload != NULL) {
        k->reload->again = true;
        return;
    }
    keeper_notify("RELOADING");
    k->reload = calloc(1, sizeof *k->reload);
    if (k->reload == NULL) {
        keeper_notify("READY");
        return;
    }
    k->reload->fd = -1;
    buf_init(&k->reload->said, OUTPUT_MAX);
    enum err e = start(k, &fault);
    if (e != OK)
        refuse(k, fault.text[0] != '\0' ? fault_text(&fault) : err_text(e));
}
