// Starting a user's program: what it is, with which environment, on pipes or a terminal.
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/text.h"
#include "io/fd.h"
#include "io/file.h"
#include "server/holder.h"

#define ENVIRONMENT_FILE_MAX 65536u
#define MOTD_MAX 65536u
#define COMMAND_MAX (LIMIT_PACKET)

static void on_input_ready(void *arg, uint32_t ready) {
    (void)ready;
    session_flush_input(arg);
}

static void program_ended(void *arg, int status) {
    struct session *s = arg;
    s->exited = true;
    s->status = status;
    fd_close(&s->process.pidfd);
    if (s->with_pty && s->streams[STREAM_OUT].fd >= 0)
        stream_drain(&s->streams[STREAM_OUT]);
    session_try_end(s);
}

// ---- environment ----

static const char *file_text(const char *path, struct buf *text) {
    return file_read(path, 0, ENVIRONMENT_FILE_MAX, text, NULL) == OK && text->p != NULL
               ? (const char *)text->p + text->start
               : NULL;
}

static const char *user_text(const struct holder *h, struct buf *text) {
    char path[4096];
    if (!h->config.permit_user_environment)
        return NULL;
    snprintf(path, sizeof path, "%s/.ssh/environment", h->home);
    return file_text(path, text);
}

static enum err make_environment(struct session *s, const char *original,
                                 struct env *env) {
    struct holder *h = s->holder;
    const struct ipc_verdict *v = h->start->verdict;
    struct buf system = {0}, user = {0};
    struct program_facts f = {
        .user = h->user,
        .home = h->home,
        .shell = h->shell,
        .peer = h->start->peer,
        .peer_port = h->start->peer_port,
        .local = h->start->local,
        .local_port = h->start->local_port,
        .tty = s->with_pty ? s->pty.name : NULL,
        .term = s->with_pty ? s->term : NULL,
        .original_command = original,
        .timezone = getenv("TZ"),
        .system_text = file_text("/etc/environment", &system),
        .user_text = user_text(h, &user),
        .uid = v->uid,
        .accepted = &s->accepted,
        .set_env = &h->config.set_env,
    };
    if (h->config.permit_user_environment)
        f.key_environment = v->environment;
    enum err e = program_environment(env, &f);
    buf_free(&system);
    buf_free(&user);
    return e;
}

// ---- terminals: what login(1) says ----

static void say_motd(struct session *s) {
    char path[4096];
    struct buf text = {0};
    snprintf(path, sizeof path, "%s/.hushlogin", s->holder->home);
    if (!s->holder->config.print_motd || file_exists(path) ||
        file_read("/etc/motd", 0, MOTD_MAX, &text, NULL) != OK)
        return;
    (void)!write(s->pty.slave, text.p + text.start, buf_len(&text));
    buf_free(&text);
}

// ---- descriptors ----

struct ends {
    int in, out, err;  // the program's
    int our_in, our_out, our_err;
};

static void close_ends(struct ends *e) {
    int *all[] = {&e->in, &e->out, &e->err, &e->our_in, &e->our_out, &e->our_err};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        fd_close(all[i]);
}

static bool open_pipe(int *read_end, int *write_end, int *ours) {
    int p[2];
    if (pipe2(p, O_CLOEXEC) != 0)
        return false;
    *read_end = p[0];
    *write_end = p[1];
    return fd_set_nonblock(*ours, true) == OK;
}

static bool open_pipes(struct ends *e) {
    *e = (struct ends){-1, -1, -1, -1, -1, -1};
    if (open_pipe(&e->in, &e->our_in, &e->our_in) &&
        open_pipe(&e->our_out, &e->out, &e->our_out) &&
        open_pipe(&e->our_err, &e->err, &e->our_err))
        return true;
    close_ends(e);
    return false;
}

static void adopt_pipes(struct session *s, struct ends *e) {
    stream_open(&s->streams[STREAM_OUT], e->our_out);
    stream_open(&s->streams[STREAM_ERR], e->our_err);
    s->input = e->our_in;
    e->our_in = e->our_out = e->our_err = -1;
    if (loop_watch(&s->holder->loop, &s->input_watch, s->input, 0, on_input_ready, s) !=
        OK)
        fd_close(&s->input);
}

static void adopt_terminal(struct session *s) {
    stream_open(&s->streams[STREAM_OUT], s->pty.master);
    s->pty.master = -1;
    fd_close(&s->pty.slave);  // so that the last program's end shows
}

static bool spawn(struct session *s, const struct program_argv *argv,
                  const struct env *env) {
    struct holder *h = s->holder;
    struct fault fault = {0};
    struct ends ends = {-1, -1, -1, -1, -1, -1};
    if (!s->with_pty && !open_pipes(&ends))
        return false;
    struct process_spec spec = {
        .path = h->shell,
        .argv = argv->v,
        .envp = env->list,
        .cwd = h->home,
        .cwd_fallback = "/",
        .fd_in = s->with_pty ? s->pty.slave : ends.in,
        .fd_out = s->with_pty ? s->pty.slave : ends.out,
        .fd_err = s->with_pty ? s->pty.slave : ends.err,
        .tty = s->with_pty ? s->pty.slave : -1,
        .new_session = true,
        .keep_nice_fds = true,
    };
    if (process_spawn(&spec, &s->process, &fault) != OK) {
        log_error(&h->log, "%s for %s", fault_text(&fault), h->user);
        close_ends(&ends);
        return false;
    }
    s->started = true;
    if (s->with_pty)
        adopt_terminal(s);
    else
        adopt_pipes(s, &ends);
    close_ends(&ends);
    int pidfd = s->process.pidfd;
    s->process.pidfd = -1;
    return loop_child(&h->loop, &s->exit, s->process.pid, pidfd, program_ended, s) == OK;
}

// ---- what is to be run ----

static const char *subsystem_command(const struct holder *h, const char *name) {
    const struct server_subsystems *list = &h->config.subsystem;
    for (size_t i = 0; i < list->n; i++)
        if (strcmp(list->v[i].name, name) == 0)
            return list->v[i].command;
    return NULL;
}

static bool is_internal(const char *command) {
    static const char internal[] = "internal-sftp";
    return strncmp(command, internal, sizeof internal - 1) == 0 &&
           (command[sizeof internal - 1] == '\0' || command[sizeof internal - 1] == ' ');
}

// What the peer asked for, as text; NULL: a login shell. False: refused.
static bool asked_command(struct session *s, enum program_kind kind, char *text,
                          const char **asked) {
    struct holder *h = s->holder;
    char clean[256];
    *asked = NULL;
    if (kind == PROGRAM_SHELL)
        return true;
    *asked = text;
    if (kind == PROGRAM_EXEC)
        return true;
    *asked = subsystem_command(h, text);
    log_info(&h->log, "subsystem request for %s by user %s",
             text_clean(clean, sizeof clean, view_text(text)), h->user);
    if (*asked == NULL)
        log_info(&h->log,
                 "subsystem request for %s by user %s failed, subsystem not found", clean,
                 h->user);
    return *asked != NULL;
}

static bool run(struct session *s, const char *asked) {
    struct holder *h = s->holder;
    const char *command = h->forced_command != NULL ? h->forced_command : asked;
    if (command != NULL && is_internal(command)) {
        log_error(&h->log, "internal-sftp is not there yet: use the sftp-server program");
        return false;
    }
    scoped_env env;
    env_init(&env);
    struct program_argv argv;
    program_argv(&argv, h->shell, command);
    if (make_environment(s, h->forced_command != NULL ? asked : NULL, &env) != OK)
        return false;
    if (s->with_pty && command == NULL)
        say_motd(s);
    if (!spawn(s, &argv, &env))
        return false;
    holder_status(h, s->with_pty ? s->pty.name : "");
    if (s->with_pty)
        process_title("sshd: %s@%s", h->user, s->pty.name + 5);
    session_flush_input(s);
    return true;
}

bool session_start(struct session *s, enum program_kind kind, struct view command) {
    if (s->started)
        return false;
    char *text = malloc(command.n + 1);
    if (text == NULL || command.n > COMMAND_MAX)
        return false;
    if (command.n > 0)
        memcpy(text, command.p, command.n);
    text[command.n] = '\0';
    const char *asked;
    bool good = memchr(text, '\0', command.n) == NULL &&
                asked_command(s, kind, text, &asked) && run(s, asked);
    free(text);
    return good;
}
