#include "io/unix_socket.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "io/fault_errno.h"
#include "io/fd.h"

#define PARTS_MAX 8

static void want_buffer(int fd, size_t message_max) {
    // The kernel counts its own bookkeeping too: ask for twice, so that one message
    // always fits.
    int size = message_max > INT32_MAX / 4 ? INT32_MAX / 2 : (int)message_max * 2 + 4096;
    if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size) != 0)
        (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
}

enum err unix_pair(int fds[2], size_t message_max) {
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) != 0) {
        fds[0] = fds[1] = -1;
        return err_of_errno(errno);
    }
    for (int i = 0; i < 2 && message_max > 0; i++)
        want_buffer(fds[i], message_max);
    return OK;
}

union control {
    struct cmsghdr header;  // for its alignment
    // One more than any message may have, so that a surplus is seen (and closed), not
    // cut.
    char room[CMSG_SPACE(sizeof(int) * 253)];
};

enum err unix_send(int fd, const struct view *parts, size_t parts_n, const int *fds,
                   size_t fds_n, bool *sent) {
    struct iovec iov[PARTS_MAX];
    union control control;
    *sent = false;
    if (parts_n > PARTS_MAX || fds_n > UNIX_FDS_MAX)
        return ERR_LIMIT;
    for (size_t i = 0; i < parts_n; i++)
        iov[i] = (struct iovec){(void *)parts[i].p, parts[i].n};
    struct msghdr m = {.msg_iov = iov, .msg_iovlen = parts_n};
    if (fds_n > 0) {
        memset(&control, 0, CMSG_SPACE(sizeof(int) * UNIX_FDS_MAX));
        m.msg_control = &control;
        m.msg_controllen = CMSG_SPACE(sizeof(int) * fds_n);
        struct cmsghdr *c = CMSG_FIRSTHDR(&m);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int) * fds_n);
        memcpy(CMSG_DATA(c), fds, sizeof(int) * fds_n);
    }
    ssize_t n;
    do
        n = sendmsg(fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return errno == EAGAIN ? OK : err_of_errno(errno);
    *sent = true;
    return OK;
}

void unix_message_close(struct unix_message *m) {
    for (size_t i = 0; i < m->fds_n; i++)
        fd_close(&m->fds[i]);
    m->fds_n = 0;
}

// Takes over at most fds_max descriptors, closes the others; false if there were others.
static bool collect_fds(struct msghdr *h, size_t fds_max, struct unix_message *m) {
    bool all = true;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c != NULL; c = CMSG_NXTHDR(h, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < n; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
            if (m->fds_n < fds_max) {
                m->fds[m->fds_n++] = fd;
            } else {
                close(fd);
                all = false;
            }
        }
    }
    return all;
}

enum err unix_recv(int fd, struct span room, size_t fds_max, struct unix_message *m) {
    union control control;
    struct iovec iov = {room.p, room.n};
    struct msghdr h = {.msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = &control,
                       .msg_controllen = sizeof control.room};
    *m = (struct unix_message){0};
    if (fds_max > UNIX_FDS_MAX)
        fds_max = UNIX_FDS_MAX;
    ssize_t n;
    do
        n = recvmsg(fd, &h, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return errno == EAGAIN ? OK : err_of_errno(errno);
    bool fits = collect_fds(&h, fds_max, m);
    enum err e = (h.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0 ? ERR_LIMIT
                 : !fits                                       ? ERR_PROTOCOL
                 : n == 0                                      ? ERR_CLOSED
                                                               : OK;
    if (e != OK) {
        unix_message_close(m);
        return e;
    }
    m->n = (size_t)n;
    m->ready = true;
    return OK;
}

enum err unix_peer(int fd, struct unix_peer *peer) {
    struct ucred cred;
    socklen_t n = sizeof cred;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &n) != 0)
        return err_of_errno(errno);
    *peer = (struct unix_peer){cred.pid, cred.uid, cred.gid};
    return OK;
}

static enum err fill_address(struct sockaddr_un *un, const char *path, struct fault *f) {
    *un = (struct sockaddr_un){.sun_family = AF_UNIX};
    size_t n = strlen(path);
    if (n == 0 || n >= sizeof un->sun_path)
        return fault_set(f, ERR_LIMIT, 0, "socket path of %zu bytes (1 to %zu)", n,
                         sizeof un->sun_path - 1);
    memcpy(un->sun_path, path, n + 1);
    return OK;
}

static void remove_socket(const char *path) {
    struct stat st;
    if (lstat(path, &st) == 0 && S_ISSOCK(st.st_mode))
        unlink(path);
}

// A datagram socket can connect to none of ours: of one that somebody has the kernel says
// that the type is wrong, of the others that nobody is there.
static bool is_stale(const char *path) {
    struct sockaddr_un un;
    struct stat st;
    if (lstat(path, &st) != 0 || !S_ISSOCK(st.st_mode) || st.st_uid != geteuid() ||
        fill_address(&un, path, NULL) != OK)
        return false;
    scoped_fd fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    return fd >= 0 && connect(fd, (struct sockaddr *)&un, sizeof un) != 0 &&
           errno == ECONNREFUSED;
}

void unix_remove_stale(const char *folder, const char *prefix) {
    DIR *d = opendir(folder);
    const struct dirent *entry;
    while (d != NULL && (entry = readdir(d)) != NULL) {
        char path[UNIX_PATH_MAX + 1];
        int n = snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (strncmp(entry->d_name, prefix, strlen(prefix)) == 0 && n > 0 &&
            (size_t)n < sizeof path && is_stale(path))
            unlink(path);
    }
    if (d != NULL)
        closedir(d);
}

enum err unix_listen(const char *path, int type, mode_t mode, bool replace, int *out,
                     struct fault *f) {
    struct sockaddr_un un;
    *out = -1;
    TRY(fill_address(&un, path, f));
    scoped_fd fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return fault_errno(f, "socket");
    if (replace)
        remove_socket(path);
    mode_t before = umask((mode_t)~mode & 0777);
    int bad = bind(fd, (struct sockaddr *)&un, sizeof un);
    umask(before);
    if (bad != 0 && errno == EADDRINUSE)
        return fault_set(f, ERR_REFUSED, 0, "listen on %s: it exists already", path);
    if (bad != 0 || listen(fd, SOMAXCONN) != 0)
        return fault_errno(f, "listen on %s", path);
    *out = fd;
    fd = -1;
    return OK;
}

static enum err connect_path(const char *path, int type, int flags, int *out,
                             struct fault *f) {
    struct sockaddr_un un;
    *out = -1;
    TRY(fill_address(&un, path, f));
    scoped_fd fd = socket(AF_UNIX, type | SOCK_CLOEXEC | flags, 0);
    if (fd < 0)
        return fault_errno(f, "socket");
    if (connect(fd, (struct sockaddr *)&un, sizeof un) != 0) {
        if (errno == EAGAIN)  // its backlog is full
            return ERR_TIMEOUT;
        return fault_errno(f, "connect to %s", path);
    }
    TRY(fd_set_nonblock(fd, true));
    *out = fd;
    fd = -1;
    return OK;
}

enum err unix_connect(const char *path, int type, int *out, struct fault *f) {
    return connect_path(path, type, 0, out, f);
}

enum err unix_connect_now(const char *path, int type, int *out, struct fault *f) {
    return connect_path(path, type, SOCK_NONBLOCK, out, f);
}

void unix_hang_up(int *fd) {
    if (*fd >= 0)
        (void)shutdown(*fd, SHUT_RDWR);
    fd_close(fd);
}

enum err unix_accept(int listener, int *fd) {
    do
        *fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    while (*fd < 0 && errno == EINTR);
    if (*fd >= 0 || errno == EAGAIN || errno == ECONNABORTED)
        return OK;
    return err_of_errno(errno);
}
