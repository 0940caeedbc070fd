#include "io/fd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "io/fault_errno.h"

#define KEEP_MAX 64

static enum err set_flag(int fd, int get, int set, int flag, bool on) {
    int now = fcntl(fd, get);
    if (now < 0)
        return err_of_errno(errno);
    int want = on ? now | flag : now & ~flag;
    if (want != now && fcntl(fd, set, want) < 0)
        return err_of_errno(errno);
    return OK;
}

enum err fd_set_nonblock(int fd, bool on) {
    return set_flag(fd, F_GETFL, F_SETFL, O_NONBLOCK, on);
}

enum err fd_set_cloexec(int fd, bool on) {
    return set_flag(fd, F_GETFD, F_SETFD, FD_CLOEXEC, on);
}

void fd_close(int *fd) {
    if (*fd < 0)
        return;
    int kept = errno;
    close(*fd);
    errno = kept;
    *fd = -1;
}

static void close_between(unsigned first, unsigned last) {
    if (first > last || syscall(SYS_close_range, first, last, 0) == 0)
        return;
    struct rlimit limit;
    unsigned end = 1024;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < 1u << 20)
        end = (unsigned)limit.rlim_cur;
    for (unsigned fd = first; fd <= last && fd < end; fd++)
        close((int)fd);
}

void fd_close_all_but(const int *keep, size_t n) {
    int sorted[KEEP_MAX];
    size_t count = 0;
    for (size_t i = 0; i < n && count < KEEP_MAX; i++) {
        if (keep[i] < 0)
            continue;
        size_t at = count++;
        for (; at > 0 && sorted[at - 1] > keep[i]; at--)
            sorted[at] = sorted[at - 1];
        sorted[at] = keep[i];
    }
    unsigned next = 0;
    for (size_t i = 0; i < count; i++) {
        if (sorted[i] > 0)
            close_between(next, (unsigned)sorted[i] - 1);
        next = (unsigned)sorted[i] + 1;
    }
    close_between(next, ~0u);
}

enum err fd_fill_standard(void) {
    for (int i = 0; i < 3; i++) {
        if (fcntl(i, F_GETFD) >= 0)
            continue;
        int fd = open("/dev/null", O_RDWR);
        if (fd < 0)
            return err_of_errno(errno);
        if (fd == i)
            continue;
        enum err e = dup2(fd, i) < 0 ? err_of_errno(errno) : OK;
        fd_close(&fd);
        TRY(e);
    }
    return OK;
}

enum err fd_to_null(int fd) {
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0)
        return err_of_errno(errno);
    enum err e = dup2(null, fd) < 0 ? err_of_errno(errno) : OK;
    if (null != fd)
        fd_close(&null);
    return e;
}

int fd_dup_above(int fd, int least) {
    return fcntl(fd, F_DUPFD_CLOEXEC, least);
}

static enum err wait_for(int fd, short events) {
    struct pollfd p = {.fd = fd, .events = events};
    while (poll(&p, 1, -1) < 0)
        if (errno != EINTR)
            return err_of_errno(errno);
    return OK;
}

enum err fd_read_full(int fd, struct span room, size_t *got) {
    *got = 0;
    while (*got < room.n) {
        ssize_t n = read(fd, room.p + *got, room.n - *got);
        if (n == 0)
            return OK;
        if (n > 0)
            *got += (size_t)n;
        else if (errno == EAGAIN)
            TRY(wait_for(fd, POLLIN));
        else if (errno != EINTR)
            return err_of_errno(errno);
    }
    return OK;
}

enum err fd_write_full(int fd, struct view v) {
    while (v.n > 0) {
        ssize_t n = write(fd, v.p, v.n);
        if (n >= 0)
            v = view_of(v.p + n, v.n - (size_t)n);
        else if (errno == EAGAIN)
            TRY(wait_for(fd, POLLOUT));
        else if (errno != EINTR)
            return err_of_errno(errno);
    }
    return OK;
}

enum err fd_read_some(int fd, struct span room, size_t *n) {
    *n = 0;
    if (room.n == 0)
        return OK;
    ssize_t got;
    do
        got = read(fd, room.p, room.n);
    while (got < 0 && errno == EINTR);
    if (got > 0)
        *n = (size_t)got;
    if (got < 0 && errno == EAGAIN)
        return OK;
    return got > 0 ? OK : got == 0 ? ERR_CLOSED : err_of_errno(errno);
}

enum err fd_write_some(int fd, struct view v, size_t *n) {
    *n = 0;
    if (v.n == 0)
        return OK;
    ssize_t put;
    do
        put = write(fd, v.p, v.n);
    while (put < 0 && errno == EINTR);
    if (put >= 0)
        *n = (size_t)put;
    return put >= 0 || errno == EAGAIN ? OK : err_of_errno(errno);
}

size_t fd_count_open(void) {
    DIR *d = opendir("/proc/self/fd");
    if (d == NULL)
        return 0;
    size_t n = 0;
    for (struct dirent *e; (e = readdir(d)) != NULL;)
        n += e->d_name[0] != '.';
    closedir(d);
    return n - 1;  // without the directory itself
}

struct fd_limits fd_limits_now(void) {
    struct rlimit limit = {1024, 1024};
    (void)getrlimit(RLIMIT_NOFILE, &limit);
    return (struct fd_limits){limit.rlim_cur, limit.rlim_max};
}

void fd_limits_set(const struct fd_limits *l) {
    struct rlimit limit = {l->soft, l->hard};
    if (l->hard > 0)
        (void)setrlimit(RLIMIT_NOFILE, &limit);
}

size_t fd_limit_raise(size_t least) {
    struct fd_limits now = fd_limits_now();
    struct fd_limits more = {least, least};
    if (now.hard < least)
        fd_limits_set(&more);  // root may
    now = fd_limits_now();
    now.soft = now.hard;
    fd_limits_set(&now);
    return (size_t)fd_limits_now().soft;
}
