#include "io/process_output.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io/clock.h"
#include "io/fd.h"
#include "io/process.h"

#define STEP 4096

static enum err read_once(int fd, size_t max, struct buf *out, struct fault *f) {
    struct span room;
    size_t left = max - buf_len(out), n = 0;
    if (left == 0 || buf_reserve(out, left < STEP ? left : STEP, &room) != OK)
        return fault_set(f, ERR_LIMIT, 0, "prints more than %zu bytes", max);
    room.n = room.n < left ? room.n : left;
    TRY(fd_read_some(fd, room, &n));
    buf_added(out, n);
    return OK;
}

// Until it closes its output.
static enum err collect(int fd, size_t max, uint64_t deadline, struct buf *out,
                        struct fault *f) {
    for (;;) {
        struct pollfd p = {fd, POLLIN, 0};
        uint64_t now = clock_ms();
        if (now >= deadline)
            return fault_set(f, ERR_TIMEOUT, 0, "takes too long");
        if (poll(&p, 1, clock_poll_ms(now, deadline)) <= 0)
            continue;
        enum err e = read_once(fd, max, out, f);
        if (e == ERR_CLOSED)
            return OK;
        TRY(e);
    }
}

static enum err finish(struct process *p, uint64_t deadline, enum err e,
                       struct fault *f) {
    int status = 0;
    pid_t pid = p->pid;
    if (e == OK && process_wait_until(p, deadline, &status) == ERR_TIMEOUT)
        e = fault_set(f, ERR_TIMEOUT, 0, "does not end");
    if (e != OK) {
        (void)!process_signal_group(pid, SIGKILL);
        (void)!process_wait(p, &status);
        return e;
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return OK;
    return WIFEXITED(status)
               ? fault_set(f, ERR_REFUSED, 0, "ended with status %d", WEXITSTATUS(status))
               : fault_set(f, ERR_REFUSED, 0, "was killed by signal %d",
                           WTERMSIG(status));
}

enum err process_collect(struct process *p, int fd, size_t max, uint64_t deadline,
                         struct buf *out, struct fault *f) {
    return finish(p, deadline, collect(fd, max, deadline, out, f), f);
}

enum err process_output(char *const *argv, size_t max, uint64_t deadline, struct buf *out,
                        struct fault *f) {
    int ends[2];
    struct process p;
    if (pipe2(ends, O_CLOEXEC) != 0)
        return fault_set(f, ERR_IO, 0, "no pipe");
    struct process_spec spec = {.path = argv[0],
                                .argv = argv,
                                .fd_in = -1,
                                .fd_out = ends[1],
                                .fd_err = STDERR_FILENO,
                                .tty = -1,
                                .new_session = true};
    enum err e = process_spawn(&spec, &p, f);
    fd_close(&ends[1]);
    if (e == OK)
        e = process_collect(&p, ends[0], max, deadline, out, f);
    fd_close(&ends[0]);
    return e;
}
