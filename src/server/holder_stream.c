// Output of programs and sockets to the peer. Small pieces go by the seam's socket; a
// burst turns a stream to the ring, where read(2) puts the bytes straight behind their
// header.
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "io/clock.h"
#include "io/fd.h"
#include "io/tun.h"
#include "server/holder_link.h"

#define SMALL_READ (16u * 1024u)   // into our own memory, by the socket
#define TURN_BYTES (256u * 1024u)  // of one stream, before the others get their turn
#define RING_LEAST 4096u           // a room below this is not worth a read
#define SMALL_READS 16             // so many in a row below SEAM_BULK / 8 end the bulk
#define PIPE_SIZE (1024 * 1024)

static void on_ready(void *arg, uint32_t ready) {
    struct stream *t = arg;
    if (ready & LOOP_OUT)
        carrier_flush_input(t->carrier);
    if (t->fd >= 0 && (ready & (LOOP_IN | LOOP_HUP | LOOP_ERR)))
        stream_drain(t);
}

void stream_open(struct stream *t, int fd) {
    t->fd = fd;
    t->bulk = false;
    if (loop_watch(&t->carrier->holder->loop, &t->watch, fd, 0, on_ready, t) != OK)
        stream_close(t);
}

void stream_close(struct stream *t) {
    loop_unwatch(&t->carrier->holder->loop, &t->watch);
    fd_close(&t->fd);
}

static void burst(struct stream *t) {
    t->bulk = true;
    t->small_reads = 0;
    (void)fcntl(t->fd, F_SETPIPE_SZ, PIPE_SIZE);  // of those that are pipes
}

// Data read by the socket way: header and data in one message.
static void send_small(struct stream *t, uint8_t *message, size_t head, size_t n) {
    struct holder *h = t->carrier->holder;
    connection_data_header(h->connection, t->carrier->channel, t->extended, n, message);
    holder_put(h, view_of(message, head + n));
}

// ---- pace: bulk beside a terminal ----

void carrier_bulk_sent(struct carrier *c, size_t n) {
    struct holder *h = c->holder;
    if (!h->terminal || !pace_sent(&c->pace, n))
        return;
    if (connection_request(h->connection, c->channel, "keepalive@openssh.com", true,
                           view_of(NULL, 0)) != OK)
        return;
    pace_probed(&c->pace, clock_us());
    holder_flush(h);
}

uint64_t carrier_bulk_room(struct carrier *c) {
    if (!c->holder->terminal)
        return UINT64_MAX;
    uint64_t n = pace_room(&c->pace);
    if (n == 0) {
        c->holder->pace_wait = true;
        pace_tick(&c->pace, clock_us());
    }
    return n;
}

void stream_answered(struct carrier *c) {
    pace_answered(&c->pace, clock_us());
}

enum step {
    STEP_MORE,
    STEP_WAIT,
    STEP_END
};

static enum step after_read(ssize_t n) {
    if (n > 0)
        return STEP_MORE;
    return n < 0 && (errno == EAGAIN || errno == EINTR) ? STEP_WAIT : STEP_END;
}

// One packet of a tunnel device is one message.
static enum step read_frame(struct stream *t, uint8_t *message, size_t head,
                            size_t *got) {
    struct span room = {message + head, TUN_FRAME_MAX};
    if (tun_read(t->fd, t->tunnel, room, got) != OK)
        return STEP_END;
    if (*got == 0)
        return STEP_WAIT;
    send_small(t, message, head, *got);
    return STEP_MORE;
}

static enum step read_small(struct stream *t, size_t max, size_t *got) {
    uint8_t message[CONNECTION_EXTENDED_HEADER + SMALL_READ];
    size_t head = t->extended != 0 ? CONNECTION_EXTENDED_HEADER : CONNECTION_DATA_HEADER;
    size_t want = max < SMALL_READ ? max : SMALL_READ;
    if (t->tunnel != 0)
        return read_frame(t, message, head, got);
    ssize_t n = read(t->fd, message + head, want);
    enum step step = after_read(n);
    if (step != STEP_MORE)
        return step;
    *got = (size_t)n;
    if (t->carrier->ops->seen != NULL)
        t->carrier->ops->seen(t->carrier, view_of(message + head, *got));
    if (t->carrier->alone)
        return STEP_MORE;
    send_small(t, message, head, *got);
    if (*got >= SEAM_BULK && t->extended == 0)
        burst(t);
    return STEP_MORE;
}

// *taken false: there is no ring yet.
static enum step read_ring(struct stream *t, size_t max, size_t *got, bool *taken) {
    struct holder *h = t->carrier->holder;
    struct span room;
    size_t want = max + CONNECTION_DATA_HEADER;
    size_t least = want < RING_LEAST ? want : RING_LEAST;
    *taken = true;
    if (holder_room(h, least, want, &room, &h->ring_wait) != OK) {
        holder_link_broken(h);
        *taken = false;
        return STEP_WAIT;
    }
    if (room.n == 0) {
        *taken = h->ring_wait;
        h->ring_least = RING_LEAST;
        return STEP_WAIT;
    }
    ssize_t n =
        read(t->fd, room.p + CONNECTION_DATA_HEADER, room.n - CONNECTION_DATA_HEADER);
    enum step step = after_read(n);
    if (step != STEP_MORE)
        return step;
    *got = (size_t)n;
    if (t->carrier->ops->seen != NULL)
        t->carrier->ops->seen(t->carrier, view_of(room.p + CONNECTION_DATA_HEADER, *got));
    connection_data_header(h->connection, t->carrier->channel, 0, *got, room.p);
    if (holder_publish(h, room.p, *got + CONNECTION_DATA_HEADER) != OK)
        holder_link_broken(h);
    else if (t->bulk)
        carrier_bulk_sent(t->carrier, *got);
    t->small_reads = *got >= SEAM_BULK / 8 ? 0 : (uint8_t)(t->small_reads + 1);
    if (t->small_reads >= SMALL_READS)
        t->bulk = false;
    return STEP_MORE;
}

static uint64_t bulk_room(struct stream *t) {
    return t->bulk ? carrier_bulk_room(t->carrier) : UINT64_MAX;
}

static bool may_read(struct stream *t) {
    const struct carrier *c = t->carrier;
    struct holder *h = c->holder;
    size_t least = t->tunnel != 0 ? TUN_FRAME_MAX : 1;  // a packet is not to be split
    if (c->alone)
        return t->fd >= 0 && !h->ending && c->ops->room(t->carrier);
    if (t->fd < 0 || !c->open || !holder_takes_data(h))
        return false;
    if (t->bulk && h->ring_wait)
        return false;
    return !connection_out_pending(h->connection, c->channel) &&
           connection_data_max(h->connection, c->channel) >= least && bulk_room(t) > 0;
}

static enum step read_once(struct stream *t, size_t *got) {
    size_t max = connection_data_max(t->carrier->holder->connection, t->carrier->channel);
    bool taken = false;
    enum step step = STEP_WAIT;
    if (t->carrier->alone)
        return read_small(t, SMALL_READ, got);
    if (bulk_room(t) < max)
        max = (size_t)bulk_room(t);
    if (t->bulk)
        step = read_ring(t, max, got, &taken);
    return taken ? step : read_small(t, max, got);
}

void stream_drain(struct stream *t) {
    struct carrier *c = t->carrier;
    enum step step = STEP_MORE;
    c->holder->busy_at = c->holder->now;
    carrier_used(c);
    for (size_t total = 0, got = 0; total < TURN_BYTES && may_read(t); total += got) {
        got = 0;
        step = read_once(t, &got);
        if (step != STEP_MORE)
            break;
        c->bytes_out += got;
    }
    // A terminal whose program has ended: what others still hold of it does not count.
    if (step == STEP_END || (step == STEP_WAIT && c->at_end && !c->holder->ring_wait))
        stream_close(t);
    if (t->fd < 0)
        c->ops->output_ended(c);
}

void stream_update(struct stream *t) {
    struct carrier *c = t->carrier;
    if (t->fd < 0)
        return;
    uint32_t events = may_read(t) ? LOOP_IN : 0;
    if (c->duplex == t && buf_len(&c->waiting) > 0)
        events |= LOOP_OUT;
    enum err e = loop_change(&c->holder->loop, &t->watch, events);
    (void)e;
    // The end of a program may find its terminal's last words waiting for window.
    if (c->at_end && may_read(t))
        stream_drain(t);
}
