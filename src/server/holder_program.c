// Starting a user's program: what it is, with which environment, on pipes or a terminal.
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/text.h"
#include "io/fd.h"
#include "io/file.h"
#include "server/control.h"
#include "server/forward.h"
#include "server/holder_status.h"
#include "server/holder_view.h"

#define ENVIRONMENT_FILE_MAX 65536u
#define MOTD_MAX 65536u
#define COMMAND_MAX (LIMIT_PACKET)
#define NO_PROGRAM (255 << 8)  // the status of one that could not be started

void session_program_ended(struct session *s, int status) {
    s->exited = true;
    s->status = status;
    fd_close(&s->process.pidfd);
    s->c.at_end = s->with_pty;
    if (s->with_pty && s->streams[STREAM_OUT].fd >= 0)
        stream_drain(&s->streams[STREAM_OUT]);
    fd_close(&s->pty.master);
    session_try_end(s);
}

static void program_ended(void *arg, int status) {
    session_program_ended(arg, status);
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
    struct holder *h = s->c.holder;
    const struct ipc_verdict *v = h->start->verdict;
    struct buf system = {0}, user = {0};
    char display[160];
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
        .control = h->start->as_root ? NULL : getenv(CONTROL_FOLDER_VARIABLE),
        .mail = !h->config.use_pam,
        .system_text = file_text("/etc/environment", &system),
        .user_text = user_text(h, &user),
        .uid = v->uid,
        .accepted = &s->accepted,
        .display = x11_display(s, display, sizeof display),
        .tunnels = h->tunnels[0] != '\0' ? h->tunnels : NULL,
        .agent_socket = h->agent_path[0] != '\0' ? h->agent_path : NULL,
        .user_names = h->config.permit_user_environment_names,
        .set_env = &h->config.set_env,
        .pam_environment = v->pam_environment,
        .auth_info = holder_auth_info(h),
    };
    if (h->config.permit_user_environment)
        f.key_environment = v->environment;
    enum err e = program_environment(env, &f);
    buf_free(&system);
    buf_free(&user);
    return e;
}

// ---- terminals: what login(1) says ----

// "Last login: Sat Nov 21 13:20:00 2026 from 192.0.2.7"; the next one is this.
static void say_last_login(struct session *s) {
    char when[64] = "", line[512], host[LOGIN_RECORD_HOST * 2];
    struct holder *h = s->c.holder;
    time_t at = (time_t)h->last_at;
    struct tm tm;
    if (h->last_at != 0 && localtime_r(&at, &tm) != NULL)
        (void)strftime(when, sizeof when, "%a %b %e %H:%M:%S %Y", &tm);
    text_clean(host, sizeof host, view_text(h->last_host));
    int n = snprintf(line, sizeof line, "Last login: %s%s%s\n", when,
                     host[0] != '\0' ? " from " : "", host);
    if (when[0] != '\0')
        (void)!write(s->pty.slave, line, (size_t)n);
    if (h->config.print_last_log && h->start->as_root) {
        h->last_at = (int64_t)clock_wall_s();
        text_copy(h->last_host, sizeof h->last_host, view_text(h->start->peer));
    }
}

static void say_motd(struct session *s) {
    char path[4096];
    struct buf text = {0};
    struct holder *h = s->c.holder;
    struct view message = h->start->verdict->message;
    // What PAM's modules had to say comes once, and also to those who hush the rest.
    if (!h->message_told)
        (void)!write(s->pty.slave, message.p, message.n);
    h->message_told = true;
    snprintf(path, sizeof path, "%s/.hushlogin", h->home);
    if (file_exists(path))
        return;
    say_last_login(s);
    if (!h->config.print_motd || file_read("/etc/motd", 0, MOTD_MAX, &text, NULL) != OK)
        return;
    (void)!write(s->pty.slave, text.p + text.start, buf_len(&text));
    buf_free(&text);
}

// ---- descriptors ----

static void program_ends_close(struct program_ends *e) {
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

static bool open_pipes(struct program_ends *e) {
    if (open_pipe(&e->in, &e->our_in, &e->our_in) &&
        open_pipe(&e->our_out, &e->out, &e->our_out) &&
        open_pipe(&e->our_err, &e->err, &e->our_err))
        return true;
    program_ends_close(e);
    return false;
}

// Our ends of the pipes or terminal, before anything runs on the others.
static bool adopt(struct session *s, struct program_ends *e) {
    if (s->with_pty) {
        keep_start(s);
        // A copy stays until the program has ended: one that has closed its terminal
        // already, as most do at their end, is not to be hung up on.
        int master = s->pty.master;
        s->pty.master = fd_dup_above(master, 3);
        stream_open(&s->streams[STREAM_OUT], master);
        s->c.duplex = &s->streams[STREAM_OUT];
    } else {
        if (!open_pipes(e))
            return false;
        stream_open(&s->streams[STREAM_OUT], e->our_out);
        stream_open(&s->streams[STREAM_ERR], e->our_err);
        int in = e->our_in;
        e->our_in = e->our_out = e->our_err = -1;
        if (!carrier_watch_input(&s->c, in))
            return false;
    }
    s->c.input_ready = true;
    return true;
}

// internal-sftp in a process of its own: nothing is executed, so that a root folder
// without any file will do.
static bool fork_internal(struct session *s) {
    const struct program_launch *l = s->launch;
    const int keep[] = {0, 1, 2, s->c.holder->start->keeper};
    if (process_fork(&s->process) != OK)
        return false;
    if (s->process.pid != 0)
        return true;
    int in = s->with_pty ? s->pty.slave : l->ends.in;
    int out = s->with_pty ? s->pty.slave : l->ends.out;
    int err = s->with_pty ? s->pty.slave : l->ends.err;
    if (dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(err, 2) < 0)
        _exit(1);
    fd_close_all_but(keep, sizeof keep / sizeof keep[0]);
    sftp_serve_child(s->c.holder, l->command);
}

// A session of another holder, shown on this one's terminal.
static bool fork_relay(struct session *s) {
    if (process_fork(&s->process) != OK)
        return false;
    if (s->process.pid == 0)
        claim_relay_child(s);
    fd_close(&s->relay);
    s->relayed = true;
    return true;
}

static bool watch_process(struct session *s) {
    int pidfd = s->process.pidfd;
    s->process.pidfd = -1;
    return loop_child(&s->c.holder->loop, &s->exit, s->process.pid, pidfd, program_ended,
                      s) == OK;
}

static bool spawn(struct session *s) {
    struct holder *h = s->c.holder;
    struct program_launch *l = s->launch;
    struct fault fault = {0};
    struct program_argv argv;
    if (l->internal)
        return fork_internal(s) && watch_process(s);
    if (claim_relays(s))
        return fork_relay(s) && watch_process(s);
    program_argv(&argv, h->shell, l->command);
    struct process_spec spec = {
        .path = h->shell,
        .argv = argv.v,
        .envp = l->env.list,
        .cwd = h->home,
        .cwd_fallback = "/",
        .fd_in = s->with_pty ? s->pty.slave : l->ends.in,
        .fd_out = s->with_pty ? s->pty.slave : l->ends.out,
        .fd_err = s->with_pty ? s->pty.slave : l->ends.err,
        .tty = s->with_pty ? s->pty.slave : -1,
        .new_session = true,
        .keep_nice_fds = true,
        .limits = &h->files,
        .limits_n = 1,
    };
    if (process_spawn(&spec, &s->process, &fault) != OK) {
        log_error(&h->log, "%s for %s", fault_text(&fault), h->user);
        return false;
    }
    return watch_process(s);
}

void session_launch_drop(struct session *s) {
    struct program_launch *l = s->launch;
    if (l == NULL)
        return;
    loop_unchild(&s->c.holder->loop, &l->before);
    program_ends_close(&l->ends);
    env_free(&l->env);
    free(l->command);
    free(l);
    s->launch = NULL;
}

void session_launch(struct session *s) {
    bool good = s->c.open && spawn(s);
    session_launch_drop(s);
    if (s->with_pty)
        fd_close(&s->pty.slave);  // so that the last program's end shows
    if (!good)
        program_ended(s, NO_PROGRAM);
}

// ---- what is to be run ----

static const char *subsystem_command(const struct holder *h, const char *name) {
    const struct server_subsystems *list = &h->config.subsystem;
    for (size_t i = 0; i < list->n; i++)
        if (strcmp(list->v[i].name, name) == 0)
            return list->v[i].command;
    return NULL;
}

// What the peer asked for, as text; NULL: a login shell. False: refused.
static bool asked_command(struct session *s, enum program_kind kind, char *text,
                          const char **asked) {
    struct holder *h = s->c.holder;
    char clean[256];
    *asked = NULL;
    if (kind == PROGRAM_SHELL)
        return true;
    *asked = text;
    if (kind == PROGRAM_EXEC)
        return true;
    *asked = subsystem_command(h, text);
    log_debug(&h->log, "subsystem request for %s by user %s",
              text_clean(clean, sizeof clean, view_text(text)), h->user);
    if (*asked == NULL)
        log_info(&h->log,
                 "subsystem request for %s by user %s failed, subsystem not found", clean,
                 h->user);
    return *asked != NULL;
}

static bool prepare(struct session *s, const char *command, const char *original) {
    struct program_launch *l = calloc(1, sizeof *l);
    s->launch = l;
    if (l == NULL)
        return false;
    l->ends = (struct program_ends){-1, -1, -1, -1, -1, -1};
    env_init(&l->env);
    if (command != NULL && (l->command = strdup(command)) == NULL)
        return false;
    return make_environment(s, original, &l->env) == OK && adopt(s, &l->ends);
}

// ForceCommand internal-sftp, and the client wants a shell or a command.
static bool refuse_all_but_sftp(struct session *s) {
    static const char text[] = "This service allows sftp connections only.\n";
    struct program_ends e = {-1, -1, -1, -1, -1, -1};
    if (!adopt(s, &e))
        return false;
    (void)!write(s->with_pty ? s->pty.slave : e.out, text, sizeof text - 1);
    program_ends_close(&e);
    fd_close(&s->pty.slave);
    s->started = true;
    session_program_ended(s, 1 << 8);
    return true;
}

static bool run(struct session *s, const char *asked) {
    struct holder *h = s->c.holder;
    bool forced = h->forced_command != NULL, here = false;
    const char *command = forced ? h->forced_command : asked;
    // By its bare name it is for subsystems; a client's command of that name is a
    // program.
    bool internal =
        command != NULL && (forced || s->subsystem) && sftp_is_internal(command);
    if (internal && !s->subsystem)
        return refuse_all_but_sftp(s);
    if (internal && !sftp_serve_here(s, command, &here))
        return false;
    if (here)
        return true;
    if (s->with_pty && command == NULL && !claim_relays(s))
        say_motd(s);
    if (!prepare(s, command, forced ? asked : NULL)) {
        session_launch_drop(s);
        return false;
    }
    s->launch->internal = internal;
    s->started = true;
    if (claim_relays(s) || !session_prelude(s))
        session_launch(s);
    holder_status(h, s->with_pty ? s->pty.name : "");
    if (s->with_pty)
        process_title("sshd: %s@%s", h->user, s->pty.name + 5);
    carrier_flush_input(&s->c);
    return true;
}

// "session:shell", "session:command", "session:subsystem:sftp" of ChannelTimeout.
static void set_timeout(struct session *s, enum program_kind kind, const char *text) {
    static const char *const names[] = {[PROGRAM_SHELL] = "shell",
                                        [PROGRAM_EXEC] = "command",
                                        [PROGRAM_SUBSYSTEM] = "subsystem"};
    char type[512];
    snprintf(type, sizeof type, "session:%s%s%s", names[kind],
             kind == PROGRAM_SUBSYSTEM ? ":" : "", kind == PROGRAM_SUBSYSTEM ? text : "");
    carrier_set_timeout(&s->c, type);
}

static void tell(struct session *s, enum program_kind kind, const char *text,
                 enum event_number number, const char *reason) {
    static const char *const names[] = {[PROGRAM_SHELL] = "shell",
                                        [PROGRAM_EXEC] = "command",
                                        [PROGRAM_SUBSYSTEM] = "subsystem"};
    struct ipc_event e = {
        .channel = s->c.channel,
        .kind = view_text(names[kind]),
        .text = view_text(text),
        .tty = view_text(s->with_pty ? s->pty.name + 5 : ""),
        .status = UINT32_MAX,
        .reason = view_text(reason),
    };
    const struct holder *h = s->c.holder;
    if (h->forced_command != NULL) {
        bool by_config = h->config.force_command != NULL;
        e.forced_by = view_text(by_config ? "config" : "key-option");
        e.forced = view_text(h->forced_command);
    }
    holder_tell(s->c.holder, number, &e);
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
    const char *asked = NULL;
    s->subsystem = kind == PROGRAM_SUBSYSTEM;
    set_timeout(s, kind, text);
    holder_status_command(kind == PROGRAM_SHELL ? NULL : text);
    bool found =
        memchr(text, '\0', command.n) == NULL && asked_command(s, kind, text, &asked);
    bool good = found && run(s, asked);
    tell(s, kind, text, good ? EVENT_SESSION_OPENED : EVENT_SESSION_REFUSED,
         good    ? ""
         : found ? "failed"
                 : "not-found");
    s->told = good;
    free(text);
    return good;
}
