// Starting programs. The child of process_spawn() runs on a stack of its own in the
// parent's memory while the parent stands still: what it writes into `struct start` is
// there for the parent, and it may call nothing but system calls.
#include "io/process.h"

#include <errno.h>
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#endif
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io/clock.h"
#include "io/fault_errno.h"
#include "io/fd.h"

#define STACK_SIZE (64u * 1024u)

struct start {
    const struct process_spec *spec;
    sigset_t mask;      // what the parent had
    const char *doing;  // for the fault: what failed
    int error;          // its errno, 0: exec'ed
};

extern char **environ;

// The signals of the C library's own threads, which sigaction(2) refuses: posix_spawn of
// glibc, and so make(1), leaves them ignored in whatever it starts.
static void default_library_signals(void) {
    const uint64_t standard[4] = {0};  // the kernel's struct sigaction
    for (int i = 32; i < SIGRTMIN; i++)
        syscall(SYS_rt_sigaction, i, standard, NULL, sizeof(uint64_t));
}

// Handlers of the parent must not run in the child, and the program is to find the
// defaults.
static void default_signals(bool ignored_too) {
    struct sigaction now, standard = {.sa_handler = SIG_DFL};
    if (ignored_too)
        default_library_signals();
    for (int i = 1; i < _NSIG; i++)
        if (sigaction(i, NULL, &now) == 0 && now.sa_handler != SIG_DFL &&
            (ignored_too || now.sa_handler != SIG_IGN))
            sigaction(i, &standard, NULL);
}

// Brings the three to 0, 1, 2. All are moved up first: 2 may be meant to become 0.
static bool place_standard(const struct process_spec *s) {
    const int from[3] = {s->fd_in, s->fd_out, s->fd_err};
    int up[3];
    for (int i = 0; i < 3; i++) {
        up[i] = from[i] >= 0 ? fcntl(from[i], F_DUPFD_CLOEXEC, 3)
                             : open("/dev/null", O_RDWR | O_CLOEXEC);
        if (up[i] >= 0 && up[i] < 3)
            up[i] = fcntl(up[i], F_DUPFD_CLOEXEC, 3);
        if (up[i] < 0)
            return false;
    }
    for (int i = 0; i < 3; i++)
        if (dup2(up[i], i) < 0)
            return false;
    return true;
}

static bool go_to_directory(const struct process_spec *s) {
    if (s->cwd == NULL || chdir(s->cwd) == 0)
        return true;
    return s->cwd_fallback != NULL && chdir(s->cwd_fallback) == 0;
}

static bool set_limits(const struct process_spec *s) {
    for (size_t i = 0; i < s->limits_n; i++)
        if (setrlimit((__rlimit_resource_t)s->limits[i].resource, &s->limits[i].limit) !=
            0)
            return false;
    return true;
}

static bool take_terminal(const struct process_spec *s) {
    if ((s->new_session || s->tty >= 0) && setsid() < 0)
        return false;
    return s->tty < 0 || ioctl(s->tty, TIOCSCTTY, 0) == 0;
}

static void ignore_signal(int number) {
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    if (number != 0)
        sigaction(number, &ignore, NULL);
}

static const char *prepare(const struct process_spec *s) {
    if (!take_terminal(s))
        return "take the terminal for";
    if (!place_standard(s))
        return "set up input and output of";
    if (!go_to_directory(s))
        return "change the directory for";
    if (!set_limits(s))
        return "set limits for";
    return NULL;
}

static int run_child(void *arg) {
    struct start *start = arg;
    const struct process_spec *s = start->spec;
    static const char exec[] = "exec";
    default_signals(!s->keep_mask);
    ignore_signal(s->ignored);
    start->doing = prepare(s);
    if (start->doing == NULL) {
        if (!s->keep_nice_fds) {
            static const int keep[] = {0, 1, 2};
            fd_close_all_but(keep, 3);
        }
        sigset_t none;
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, s->keep_mask ? &start->mask : &none, NULL);
        start->doing = exec;
        execve(s->path, s->argv, s->envp != NULL ? s->envp : environ);
    }
    start->error = errno != 0 ? errno : EINVAL;
    return 127;
}

// Where the child stood when it left, a sanitizer still sees frames; whoever gets that
// memory next is not to stumble over them.
static void forget_stack(void *stack) {
#ifdef __SANITIZE_ADDRESS__
    __asan_unpoison_memory_region(stack, STACK_SIZE);
#endif
    munmap(stack, STACK_SIZE);
}

enum err process_spawn(const struct process_spec *spec, struct process *p,
                       struct fault *f) {
    struct start start = {.spec = spec};
    *p = (struct process){.pid = -1, .pidfd = -1};
    void *stack = mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    if (stack == MAP_FAILED)
        return fault_errno(f, "start %s", spec->path);
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, &start.mask);
    int pidfd = -1;
    pid_t pid = clone(run_child, (char *)stack + STACK_SIZE,
                      CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD, &start, &pidfd);
    int bad = errno;
    sigprocmask(SIG_SETMASK, &start.mask, NULL);
    forget_stack(stack);
    if (pid < 0) {
        errno = bad;
        return fault_errno(f, "start %s", spec->path);
    }
    *p = (struct process){pid, pidfd};
    if (start.error == 0)
        return OK;
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
    fd_close(&p->pidfd);
    p->pid = -1;
    errno = start.error;
    return fault_errno(f, "%s %s", start.doing, spec->path);
}

enum err process_fork(struct process *p) {
    *p = (struct process){.pid = fork(), .pidfd = -1};
    if (p->pid < 0)
        return err_of_errno(errno);
    if (p->pid == 0)
        return OK;
    p->pidfd = (int)syscall(SYS_pidfd_open, p->pid, 0);
    if (p->pidfd >= 0)
        return OK;
    enum err e = err_of_errno(errno);
    kill(p->pid, SIGKILL);
    while (waitpid(p->pid, NULL, 0) < 0 && errno == EINTR)
        ;
    p->pid = -1;
    return e;
}

static pid_t fork_bare(unsigned long flags) {
    return (pid_t)syscall(SYS_clone, flags | SIGCHLD, NULL, NULL, NULL, NULL);
}

pid_t process_fork_bare(void) {
    return fork_bare(0);
}

pid_t process_fork_sibling(void) {
    return fork_bare(CLONE_PARENT);
}

enum err process_wait(struct process *p, int *status) {
    pid_t got;
    *status = 0;
    do
        got = waitpid(p->pid, status, 0);
    while (got < 0 && errno == EINTR);
    enum err e = got < 0 ? err_of_errno(errno) : OK;
    fd_close(&p->pidfd);
    return e;
}

enum err process_wait_until(struct process *p, uint64_t deadline, int *status) {
    struct pollfd ready = {.fd = p->pidfd, .events = POLLIN};
    for (;;) {
        uint64_t now = clock_ms();
        int n = poll(&ready, 1, clock_poll_ms(now, deadline));
        if (n > 0)
            return process_wait(p, status);
        if (n < 0 && errno != EINTR)
            return err_of_errno(errno);
        if (n == 0 && clock_ms() >= deadline)
            return ERR_TIMEOUT;
    }
}

enum err process_signal(const struct process *p, int number) {
    return syscall(SYS_pidfd_send_signal, p->pidfd, number, NULL, 0) == 0
               ? OK
               : err_of_errno(errno);
}

enum err process_signal_group(pid_t group, int number) {
    if (group <= 1)
        return ERR_REFUSED;  // kill(-1) is everybody
    return kill(-group, number) == 0 ? OK : err_of_errno(errno);
}

void process_reset_signals(void) {
    default_signals(true);
    signal(SIGPIPE, SIG_IGN);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

enum err process_self_path(char *out, size_t size) {
    ssize_t n = readlink("/proc/self/exe", out, size - 1);
    if (n <= 0 || (size_t)n >= size - 1)
        return ERR_NOT_FOUND;
    out[n] = '\0';
    return OK;
}

void process_die_with_parent(int number) {
    (void)prctl(PR_SET_PDEATHSIG, number);
}
