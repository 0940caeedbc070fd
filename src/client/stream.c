// Standard streams.
#include "client/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/fd.h"

// A pipe of a program that may go at any time holds this much at least.
#define SMALL_PIECE ((size_t)PIPE_BUF)

// A description of our own for the same pipe or terminal; -1 if that is not allowed.
static int open_anew(int fd, bool writes) {
    char path[32];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return open(path, (writes ? O_WRONLY : O_RDONLY) | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
}

void stream_open(struct stream *s, int fd, bool writes, size_t max_left) {
    *s = (struct stream){.fd = fd};
    buf_init(&s->left, max_left);
    struct stat st;
    if (fstat(fd, &st) != 0) {
        s->fd = -1;
        return;
    }
    s->socket = S_ISSOCK(st.st_mode);
    bool tty = S_ISCHR(st.st_mode) && isatty(fd);
    if (!S_ISFIFO(st.st_mode) && !tty)
        return;
    int flags = fcntl(fd, F_GETFL);
    if (flags >= 0 && (flags & O_NONBLOCK) != 0)
        return;  // somebody made it so already
    int own = open_anew(fd, writes);
    s->waits = own < 0;
    s->owned = own >= 0;
    if (own >= 0)
        s->fd = own;
}

void stream_close(struct stream *s) {
    if (s->owned)
        fd_close(&s->fd);
    buf_free(&s->left);
}

static ssize_t read_once(const struct stream *s, struct span room) {
    return s->socket ? recv(s->fd, room.p, room.n, MSG_DONTWAIT)
                     : read(s->fd, room.p, room.n);
}

enum err stream_read(struct stream *s, struct span room, size_t *n) {
    *n = 0;
    ssize_t got;
    do
        got = s->fd >= 0 ? read_once(s, room) : 0;
    while (got < 0 && errno == EINTR);
    if (got > 0) {
        *n = (size_t)got;
        return OK;
    }
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        return OK;
    // A terminal that was hung up gives EIO: the end too.
    s->ended = true;
    return ERR_CLOSED;
}

// Bytes written; 0: would block. Breaks the stream on a real error.
static size_t write_once(struct stream *s, struct view v) {
    if (s->waits && v.n > SMALL_PIECE)
        v.n = SMALL_PIECE;
    ssize_t n;
    do
        n = s->socket ? send(s->fd, v.p, v.n, MSG_DONTWAIT | MSG_NOSIGNAL)
                      : write(s->fd, v.p, v.n);
    while (n < 0 && errno == EINTR);
    if (n >= 0)
        return (size_t)n;
    if (errno != EAGAIN && errno != EWOULDBLOCK)
        s->broken = true;
    return 0;
}

enum err stream_write(struct stream *s, struct view v, size_t *done) {
    *done = 0;
    if (s->fd < 0)
        s->broken = true;
    // One that may block is written to only after a poll.
    while (!s->broken && !s->waits && buf_len(&s->left) == 0 && *done < v.n) {
        size_t n = write_once(s, view_of(v.p + *done, v.n - *done));
        if (n == 0)
            break;
        *done += n;
    }
    if (s->broken)
        *done = v.n;
    return *done < v.n ? buf_append(&s->left, view_of(v.p + *done, v.n - *done)) : OK;
}

void stream_flush(struct stream *s, size_t *done) {
    *done = 0;
    while (!s->broken && buf_len(&s->left) > 0) {
        size_t n = write_once(s, buf_view(&s->left));
        if (n == 0)
            break;
        buf_taken(&s->left, n);
        *done += n;
        if (s->waits)
            break;
    }
    if (s->broken) {
        *done += buf_len(&s->left);
        buf_clear(&s->left);
    }
}
