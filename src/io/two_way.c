#include "io/two_way.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/fd.h"
#include "io/privilege.h"
#include "io/process.h"

#define ROOM 65536

bool two_way_is_socket(int in, int out) {
    struct stat a, b;
    return fstat(in, &a) == 0 && fstat(out, &b) == 0 && S_ISSOCK(a.st_mode) &&
           a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

// What was read and is not yet written.
struct way {
    int from, to;
    bool ended;
    size_t at, n;
    uint8_t room[ROOM];
};

// False when `to` takes nothing any more.
static bool way_write(struct way *w) {
    while (w->at < w->n) {
        ssize_t n = write(w->to, w->room + w->at, w->n - w->at);
        if (n <= 0 && errno != EINTR)
            return n < 0 && errno == EAGAIN;
        w->at += n > 0 ? (size_t)n : 0;
    }
    return true;
}

static bool way_read(struct way *w) {
    ssize_t n = read(w->from, w->room, sizeof w->room);
    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return true;
    w->at = 0;
    w->n = n > 0 ? (size_t)n : 0;
    w->ended = n <= 0;
    return way_write(w);
}

static struct pollfd way_poll(const struct way *w) {
    return w->at < w->n ? (struct pollfd){w->to, POLLOUT, 0}
           : w->ended   ? (struct pollfd){-1, 0, 0}
                        : (struct pollfd){w->from, POLLIN, 0};
}

static bool way_step(struct way *w, const struct pollfd *p) {
    if (p->fd < 0 || p->revents == 0)
        return true;
    return p->events == POLLOUT ? way_write(w) : way_read(w);
}

// Until everything of the socket is written, or one side takes no more.
static void copy(struct way *inward, struct way *outward) {
    bool told = false;
    while (!outward->ended || outward->at < outward->n) {
        struct pollfd p[2] = {way_poll(inward), way_poll(outward)};
        if (poll(p, 2, -1) < 0 && errno != EINTR)
            return;
        if (!way_step(outward, &p[1]))
            return;
        // The server may still have something to say when it hears no more.
        if (!way_step(inward, &p[0])) {
            inward->ended = true;
            inward->at = inward->n;
        }
        if (inward->ended && inward->at == inward->n && !told)
            told = shutdown(inward->to, SHUT_WR) == 0;
    }
}

static _Noreturn void relay(int in, int out, int socket) {
    fd_close_all_but((int[]){in, out, socket}, 3);
    process_reset_signals();
    privilege_drop_capabilities();
    struct way inward = {.from = in, .to = socket}, outward = {.from = socket, .to = out};
    for (int i = 0; i < 3; i++) {
        enum err e = fd_set_nonblock((int[]){in, out, socket}[i], true);
        (void)e;
    }
    copy(&inward, &outward);
    _exit(0);
}

enum err two_way_join(int in, int out, int *socket, struct fault *f) {
    int pair[2];
    struct process p;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
        return fault_set(f, ERR_IO, 0, "socketpair: %m");
    scoped_fd theirs = pair[1], ours = pair[0];
    if (process_fork(&p) != OK)
        return fault_set(f, ERR_IO, 0, "fork: %m");
    if (p.pid == 0)
        relay(in, out, theirs);
    fd_close(&p.pidfd);
    *socket = ours;
    ours = -1;
    return OK;
}
