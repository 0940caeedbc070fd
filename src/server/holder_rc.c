// What runs before the user's program: ~/.ssh/rc or /etc/ssh/sshrc (sshd(8), SSHRC), else
// xauth for the display. The program waits for its end; the holder does not.
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/text.h"
#include "io/fd.h"
#include "io/file.h"
#include "server/forward.h"

#define SYSTEM_RC "/etc/ssh/sshrc"

struct prelude {
    const char *path;
    char *argv[5];
    char name[256], command[4200], input[1024];
    bool quiet;
};

static bool user_rc_is_allowed(const struct session *s) {
    const struct holder *h = s->c.holder;
    return !s->subsystem && h->config.permit_user_rc &&
           (h->start->verdict->permits & PERMIT_USER_RC);
}

static void use_user_rc(const struct session *s, struct prelude *p) {
    const char *slash = strrchr(s->c.holder->shell, '/');
    p->path = s->c.holder->shell;
    text_copy(p->name, sizeof p->name,
              view_text(slash != NULL ? slash + 1 : s->c.holder->shell));
    text_copy(p->command, sizeof p->command, view_text("/bin/sh .ssh/rc"));
    p->argv[0] = p->name;
    p->argv[1] = (char *)"-c";
    p->argv[2] = p->command;
}

static void use_system_rc(struct prelude *p) {
    p->path = "/bin/sh";
    p->argv[0] = (char *)"sh";
    p->argv[1] = (char *)SYSTEM_RC;
}

static void use_xauth(const struct session *s, struct prelude *p) {
    p->path = s->c.holder->config.xauth_location;
    p->argv[0] = (char *)"xauth";
    p->argv[1] = (char *)"-q";
    p->argv[2] = (char *)"-";
    p->quiet = true;
}

// False: nothing is to run.
static bool choose(const struct session *s, struct prelude *p) {
    char path[4200], display[160];
    bool x11 = x11_auth_display(s, display, sizeof display) != NULL;
    snprintf(path, sizeof path, "%s/.ssh/rc", s->c.holder->home);
    if (x11)
        snprintf(p->input, sizeof p->input, "%s %s\n", s->x11.protocol, s->x11.cookie);
    if (user_rc_is_allowed(s) && file_exists(path)) {
        use_user_rc(s, p);
    } else if (file_exists(SYSTEM_RC)) {
        use_system_rc(p);
    } else if (x11) {
        use_xauth(s, p);
        snprintf(p->input, sizeof p->input, "remove %s\nadd %s %s %s\n", display, display,
                 s->x11.protocol, s->x11.cookie);
    } else {
        return false;
    }
    return true;
}

// A pipe with that text in it, which is shorter than any pipe's buffer.
static int input_pipe(const char *text) {
    int p[2];
    if (pipe2(p, O_CLOEXEC) != 0)
        return -1;
    (void)!write(p[1], text, strlen(text));
    close(p[1]);
    return p[0];
}

bool session_has_prelude(const struct session *s) {
    struct prelude p = {0};
    bool has = choose(s, &p);
    explicit_bzero(p.input, sizeof p.input);
    return has;
}

static void prelude_ended(void *arg, int status) {
    struct session *s = arg;
    if (status != 0)
        log_debug(&s->c.holder->log, "what runs before the program ended with %d",
                  status);
    session_launch(s);
}

bool session_prelude(struct session *s) {
    struct holder *h = s->c.holder;
    struct program_launch *l = s->launch;
    struct prelude p = {0};
    struct process process;
    struct fault fault = {0};
    if (!choose(s, &p))
        return false;
    scoped_fd in = input_pipe(p.input);
    explicit_bzero(p.input, sizeof p.input);
    struct process_spec spec = {
        .path = p.path,
        .argv = p.argv,
        .envp = l->env.list,
        .cwd = h->home,
        .cwd_fallback = "/",
        .fd_in = in,
        .fd_out = p.quiet       ? -1
                  : s->with_pty ? s->pty.slave
                                : l->ends.out,
        .fd_err = p.quiet       ? -1
                  : s->with_pty ? s->pty.slave
                                : l->ends.err,
        .tty = -1,
        .new_session = true,
        .keep_nice_fds = true,
        .limits = &h->files,
        .limits_n = 1,
    };
    if (process_spawn(&spec, &process, &fault) != OK) {
        log_error(&h->log, "%s for %s", fault_text(&fault), h->user);
        return false;
    }
    return loop_child(&h->loop, &l->before, process.pid, process.pidfd, prelude_ended,
                      s) == OK;
}
