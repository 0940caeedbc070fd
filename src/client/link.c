// Pumping bytes between a socket and a transport.
#include "client/link.h"

#include <errno.h>
#include <poll.h>

#include "io/clock.h"
#include "io/fd.h"

enum err link_flush(struct link *l) {
    l->blocked = false;
    for (struct view v; (v = transport_out(l->transport)).n > 0;) {
        size_t n = 0;
        enum err e = fd_write_some(l->fd, v, &n);
        if (e != OK && l->error == 0)
            l->error = errno;
        if (e == ERR_CLOSED) {
            // What the peer said last may still be there to be read: that tells more.
            transport_out_done(l->transport, v.n);
            return OK;
        }
        TRY(e);
        transport_out_done(l->transport, n);
        if (n < v.n) {
            l->blocked = true;
            break;
        }
    }
    return OK;
}

enum err link_fill(struct link *l) {
    struct span room = transport_in(l->transport);
    if (room.n == 0 || l->ended)
        return OK;
    size_t n = 0;
    errno = 0;
    enum err e = fd_read_some(l->fd, room, &n);
    if (e != OK)
        l->error = errno;
    if (e == ERR_CLOSED) {
        l->ended = true;
        transport_in_eof(l->transport);
        return OK;
    }
    TRY(e);
    if (n == 0)
        return OK;
    l->heard = clock_ms();
    l->read += n;
    return transport_in_done(l->transport, n, l->heard);
}

enum err link_poll(struct link *l, struct pollfd *p, size_t n, uint64_t deadline) {
    if (l->wait != NULL)
        return l->wait(l->wait_arg, p, n, deadline);
    return poll(p, n, clock_poll_ms(clock_ms(), deadline)) > 0 ? OK : ERR_TIMEOUT;
}

enum err link_wait(struct link *l, uint64_t deadline) {
    TRY(link_flush(l));
    uint64_t now = clock_ms();
    if (now >= deadline)
        return ERR_TIMEOUT;
    uint64_t tick = transport_deadline(l->transport);
    struct pollfd p = {.fd = l->fd,
                       .events = (short)(POLLIN | (l->blocked ? POLLOUT : 0))};
    enum err e = link_poll(l, &p, 1, tick < deadline ? tick : deadline);
    if (e != OK && e != ERR_TIMEOUT)
        return e;
    if (e == OK)
        TRY(link_fill(l));
    now = clock_ms();
    return now >= tick ? transport_tick(l->transport, now) : OK;
}

void link_close(struct link *l, unsigned ms) {
    uint64_t end = clock_after(clock_ms(), ms);
    while (l->fd >= 0 && l->transport != NULL && link_flush(l) == OK && l->blocked) {
        struct pollfd p = {.fd = l->fd, .events = POLLOUT};
        if (poll(&p, 1, clock_poll_ms(clock_ms(), end)) <= 0)
            break;
    }
    fd_close(&l->fd);
    transport_free(l->transport);
    l->transport = NULL;
}
