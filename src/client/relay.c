// Bytes between a socket and a channel, and their ends.
#include "client/relay.h"

#include <stdlib.h>
#include <sys/socket.h>

#include "base/limits.h"
#include "client/forwards.h"
#include "io/clock.h"
#include "io/fd.h"

static void relay_used(struct relay *r) {
    r->used = r->f->used = clock_ms();
    if (r->state == RELAY_PEER_X11 || r->by_x11)
        r->f->x11_used = r->used;
}

struct relay *relay_new(struct forwards *f, enum relay_state state, int fd) {
    struct relay *r = calloc(1, sizeof *r);
    if (r == NULL) {
        fd_close(&fd);
        return NULL;
    }
    r->f = f;
    r->state = state;
    r->stream = (struct stream){.fd = fd, .owned = true, .socket = true};
    buf_init(&r->stream.left, LIMIT_WINDOW_MAX + LIMIT_PACKET);
    buf_init(&r->early, LIMIT_WINDOW_MAX + LIMIT_PACKET);
    relay_used(r);
    forwards_add(f, r);
    return r;
}

void relay_free(struct relay *r) {
    if (r->has_channel)
        connection_set_user(r->f->connection, r->channel, NULL);
    tcp_connect_drop(r->connect);
    stream_close(&r->stream);
    buf_free(&r->early);
    free(r);
}

bool relay_is_over(const struct relay *r) {
    return !r->has_channel && (r->state == RELAY_ENDING || r->state == RELAY_OPEN) &&
           (r->stream.broken || buf_len(&r->stream.left) == 0);
}

enum err relay_close_channel(struct relay *r) {
    r->state = RELAY_ENDING;
    return r->has_channel ? connection_close(r->f->connection, r->channel) : OK;
}

// ---- to the socket ----

static enum err consumed(struct relay *r, size_t n) {
    return n > 0 && r->has_channel
               ? connection_consumed(r->f->connection, r->channel, n, clock_ms())
               : OK;
}

enum err relay_settle(struct relay *r) {
    if (r->stream.broken)
        return relay_close_channel(r);
    if (r->out_ended && !r->shut && buf_len(&r->stream.left) == 0 && r->stream.fd >= 0) {
        r->shut = true;
        (void)shutdown(r->stream.fd, SHUT_WR);
    }
    return r->state == RELAY_OPEN && r->in_ended && r->shut ? relay_close_channel(r) : OK;
}

static enum err on_data(struct relay *r, struct view data) {
    size_t done = data.n;
    relay_used(r);
    if (r->tunnel != 0) {
        tun_write(r->stream.fd, r->tunnel, data);
    } else if (r->state == RELAY_OPEN) {
        TRY(stream_write(&r->stream, data, &done));
    } else if (r->state == RELAY_PEER_ASKED || r->state == RELAY_PEER_X11 ||
               r->state == RELAY_CONNECTING) {
        done = 0;
        TRY(buf_append(&r->early, data));
    }
    TRY(consumed(r, done));
    if (r->state == RELAY_PEER_X11)
        return relay_x11(r);
    return r->state == RELAY_PEER_ASKED ? relay_socks(r) : relay_settle(r);
}

static enum err write_left(struct relay *r) {
    size_t done = 0;
    stream_flush(&r->stream, &done);
    TRY(consumed(r, done));
    return relay_settle(r);
}

// ---- to the channel ----

static bool wants_input(const struct relay *r) {
    size_t least = r->tunnel != 0 ? TUN_FRAME_MAX : 1;  // a packet is not to be split
    return r->state == RELAY_OPEN && r->has_channel && !r->in_ended &&
           connection_data_max(r->f->connection, r->channel) >= least &&
           carrier_wants_data(r->f->carrier);
}

static enum err end_input(struct relay *r) {
    r->in_ended = true;
    TRY(connection_eof(r->f->connection, r->channel));
    return relay_settle(r);
}

static enum err take_early(struct relay *r, struct span room, size_t *n) {
    size_t have = buf_len(&r->early);
    *n = 0;
    if (r->tunnel != 0)
        return tun_read(r->stream.fd, r->tunnel, room, n);
    if (r->bind.waits)
        TRY(agent_bind_skip(&r->bind, r->stream.fd));
    if (r->bind.waits)
        return OK;
    if (have == 0)
        return stream_read(&r->stream, room, n);
    *n = have < room.n ? have : room.n;
    memcpy(room.p, buf_view(&r->early).p, *n);
    buf_taken(&r->early, *n);
    buf_release_if_empty(&r->early);
    return OK;
}

// One message; *more: there is likely more to read.
static enum err pump_message(struct relay *r, bool *more) {
    struct carrier *w = r->f->carrier;
    size_t cap = connection_data_max(r->f->connection, r->channel), n = 0;
    if (r->tunnel != 0)
        cap = TUN_FRAME_MAX;
    struct span room = carrier_message(w, CONNECTION_DATA_HEADER + cap);
    *more = false;
    if (room.p == NULL)
        return OK;
    enum err e = take_early(r, (struct span){room.p + CONNECTION_DATA_HEADER, cap}, &n);
    if (e == ERR_CLOSED)  // of a tunnel: its device is gone
        return r->tunnel != 0 ? relay_close_channel(r) : end_input(r);
    TRY(e);
    if (n == 0)
        return OK;
    connection_data_header(r->f->connection, r->channel, 0, n, room.p);
    *more = n == cap || r->tunnel != 0;
    return carrier_send(w, CONNECTION_DATA_HEADER + n);
}

static enum err pump_input(struct relay *r) {
    bool more = true;
    relay_used(r);
    while (more && wants_input(r) &&
           !connection_out_pending(r->f->connection, r->channel))
        TRY(pump_message(r, &more));
    return OK;
}

// ---- waiting ----

size_t relay_poll(struct relay *r, struct pollfd *p) {
    if (r->connect != NULL)
        return tcp_connect_poll(r->connect, p, TCP_CONNECT_ADDRESSES);
    bool reads = wants_input(r) || r->state == RELAY_ASKED;
    short events =
        (short)((reads ? POLLIN : 0) | (buf_len(&r->stream.left) > 0 ? POLLOUT : 0));
    *p = (struct pollfd){.fd = events != 0 ? r->stream.fd : -1, .events = events};
    return 1;
}

uint64_t relay_deadline(const struct relay *r) {
    if (r->connect != NULL)
        return tcp_connect_deadline(r->connect);
    return buf_len(&r->early) > 0 && wants_input(r) ? 0 : CLOCK_NEVER;
}

enum err relay_ready(struct relay *r, const struct pollfd *p) {
    if (r->connect != NULL)
        return relay_connect_step(r);
    if ((p->revents & (POLLOUT | POLLERR | POLLHUP)) != 0)
        TRY(write_left(r));
    bool readable = (p->revents & (POLLIN | POLLERR | POLLHUP)) != 0;
    if (r->state == RELAY_ASKED)
        return readable ? relay_socks(r) : OK;
    if ((readable || buf_len(&r->early) > 0) && wants_input(r))
        return pump_input(r);
    return OK;
}

// ---- events ----

enum err relay_event(struct relay *r, const struct connection_event *event) {
    switch (event->kind) {
    case CONNECTION_OPENED:
        return relay_opened(r);
    case CONNECTION_OPEN_REFUSED:
        return relay_open_refused(r, event);
    case CONNECTION_DATA:
        return on_data(r, event->data);
    case CONNECTION_EOF:
        r->out_ended = true;
        return relay_settle(r);
    case CONNECTION_PEER_CLOSE:
        return relay_close_channel(r);
    case CONNECTION_CLOSED:
        r->has_channel = false;
        r->state = RELAY_ENDING;
        return OK;
    case CONNECTION_REQUEST:
        return event->want_reply
                   ? connection_reply(r->f->connection, event->channel, false)
                   : OK;
    default:
        return OK;
    }
}
