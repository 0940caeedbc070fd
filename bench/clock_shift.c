// LD_PRELOAD: the process's clocks are ahead of the machine's by what a file says, which
// may change at any time: hours of silence in a minute.
//
// CLOCK_SHIFT names the file: three int64_t, nanoseconds for CLOCK_MONOTONIC,
// CLOCK_BOOTTIME and CLOCK_REALTIME, mapped when the program starts. As nobody can wake
// a process whose clock has jumped, waits last at most WAIT_MS and then say that nothing
// has come.
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define WAIT_MS 5

static const volatile int64_t *shift;

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("CLOCK_SHIFT");
    int fd = path != NULL ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0)
        return;
    void *map = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
    shift = map != MAP_FAILED ? map : NULL;
    close(fd);
}

static int64_t ahead(clockid_t id) {
    if (shift == NULL)
        return 0;
    switch (id) {
    case CLOCK_MONOTONIC:
    case CLOCK_MONOTONIC_COARSE:
    case CLOCK_MONOTONIC_RAW:
        return shift[0];
    case CLOCK_BOOTTIME:
        return shift[1];
    case CLOCK_REALTIME:
    case CLOCK_REALTIME_COARSE:
        return shift[2];
    default:
        return 0;
    }
}

int clock_gettime(clockid_t id, struct timespec *t) {
    int r = (int)syscall(SYS_clock_gettime, id, t);
    if (r == 0) {
        int64_t ns = t->tv_nsec + ahead(id);
        t->tv_sec += ns / 1000000000;
        t->tv_nsec = ns % 1000000000;
    }
    return r;
}

// The kernel's clock does not jump: its word for when anything was sent or heard last is
// taken away, so that the program's own counts.
int getsockopt(int fd, int level, int name, void *value, socklen_t *n) {
    int r = (int)syscall(SYS_getsockopt, fd, level, name, value, n);
    size_t end = offsetof(struct tcp_info, tcpi_last_ack_recv) + sizeof(uint32_t);
    struct tcp_info *info = value;
    if (r == 0 && shift != NULL && level == IPPROTO_TCP && name == TCP_INFO && *n >= end)
        info->tcpi_last_data_sent = info->tcpi_last_ack_recv = UINT32_MAX;
    return r;
}

static int at_most(int ms) {
    return shift != NULL && (ms < 0 || ms > WAIT_MS) ? WAIT_MS : ms;
}

int poll(struct pollfd *p, nfds_t n, int ms) {
    struct timespec t = {at_most(ms) / 1000, at_most(ms) % 1000 * 1000000};
    return (int)syscall(SYS_ppoll, p, n, at_most(ms) < 0 ? NULL : &t, NULL, 8);
}

int ppoll(struct pollfd *p, nfds_t n, const struct timespec *t, const sigset_t *mask) {
    const struct timespec *wait = t;
    struct timespec most = {0, WAIT_MS * 1000000}, copy;
    if (shift != NULL && (t == NULL || t->tv_sec > 0 || t->tv_nsec > most.tv_nsec))
        wait = &most;
    copy = wait != NULL ? *wait : most;
    return (int)syscall(SYS_ppoll, p, n, wait != NULL ? &copy : NULL, mask, 8);
}

int epoll_pwait(int fd, struct epoll_event *e, int n, int ms, const sigset_t *mask) {
    return (int)syscall(SYS_epoll_pwait, fd, e, n, at_most(ms), mask, 8);
}

int epoll_wait(int fd, struct epoll_event *e, int n, int ms) {
    return epoll_pwait(fd, e, n, ms, NULL);
}
