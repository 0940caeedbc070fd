#include "transfer/program.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/text.h"
#include "io/fault_errno.h"
#include "io/fd.h"
#include "io/file.h"
#include "transfer/interrupt.h"

#define SYSTEM_SSH "/usr/bin/ssh"
#define DEFAULT_PATH "/usr/local/bin:/usr/bin:/bin"

// A build has its programs in the folders of their sources.
void program_ssh(char *out, size_t size) {
    static const char *const places[] = {"/ssh", "/../client/ssh"};
    char self[PATH_MAX];
    if (process_self_path(self, sizeof self) == OK) {
        char *slash = strrchr(self, '/');
        if (slash != NULL)
            *slash = '\0';
        for (size_t i = 0; i < 2; i++) {
            snprintf(out, size, "%s%s", self, places[i]);
            if (access(out, X_OK) == 0)
                return;
        }
    }
    snprintf(out, size, "%s", SYSTEM_SSH);
}

bool program_find(const char *name, char *out, size_t size) {
    if (strchr(name, '/') != NULL)
        return text_copy(out, size, view_text(name));
    const char *path = getenv("PATH");
    for (const char *p = path != NULL ? path : DEFAULT_PATH; p != NULL;) {
        size_t n = strcspn(p, ":");
        int length = snprintf(out, size, "%.*s%s%s", (int)n, p, n > 0 ? "/" : "./", name);
        if (length > 0 && (size_t)length < size && access(out, X_OK) == 0)
            return true;
        p = p[n] == ':' ? p + n + 1 : NULL;
    }
    return false;
}

// No signal comes between its start and the note of it: it would be forgotten.
static enum err spawn(const struct process_spec *spec, struct process *p,
                      struct fault *f) {
    sigset_t all, before;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, &before);
    enum err e = process_spawn(spec, p, f);
    if (e == OK)
        interrupt_child(p->pid, true);
    sigprocmask(SIG_SETMASK, &before, NULL);
    return e;
}

enum err program_start(struct program *p, const char *path, const struct words *argv,
                       struct fault *f) {
    int to[2], from[2];
    *p = (struct program){.in = -1, .out = -1};
    if (pipe2(to, O_CLOEXEC) != 0)
        return fault_errno(f, "pipe");
    scoped_fd their_in = to[0];
    p->in = to[1];
    if (pipe2(from, O_CLOEXEC) != 0)
        return fault_errno(f, "pipe");
    scoped_fd their_out = from[1];
    p->out = from[0];
    struct process_spec spec = {.path = path,
                                .argv = argv->list,
                                .fd_in = their_in,
                                .fd_out = their_out,
                                .fd_err = STDERR_FILENO,
                                .tty = -1,
                                .ignored = SIGINT};
    TRY(spawn(&spec, &p->process, f));
    p->running = true;
    TRY(fd_set_nonblock(p->in, true));
    return fd_set_nonblock(p->out, true);
}

static int wait_for(struct process *p) {
    int status = 0;
    pid_t pid = p->pid;
    enum err e = process_wait(p, &status);
    interrupt_child(pid, false);
    if (e != OK)
        return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int program_run(const char *path, const struct words *argv, struct fault *f) {
    struct process process;
    struct process_spec spec = {.path = path,
                                .argv = argv->list,
                                .fd_in = STDIN_FILENO,
                                .fd_out = STDOUT_FILENO,
                                .fd_err = STDERR_FILENO,
                                .tty = -1};
    if (spawn(&spec, &process, f) != OK)
        return -1;
    return wait_for(&process);
}

int program_join(struct program *p, const char *path, const struct words *argv,
                 struct fault *f) {
    struct process process;
    struct process_spec spec = {.path = path,
                                .argv = argv->list,
                                .fd_in = p->out,
                                .fd_out = p->in,
                                .fd_err = STDERR_FILENO,
                                .tty = -1};
    if (spawn(&spec, &process, f) != OK)
        return -1;
    fd_close(&p->in);  // else the first would not see the second's end
    fd_close(&p->out);
    return wait_for(&process);
}

void program_stop(struct program *p) {
    if (p->running)
        (void)!process_signal(&p->process, SIGTERM);
}

int program_end(struct program *p) {
    fd_close(&p->in);
    fd_close(&p->out);
    if (!p->running)
        return 0;
    p->running = false;
    return wait_for(&p->process);
}
