// What the peer sends on a channel, written to a program, a terminal or a socket. What
// does not go at once waits here, bounded by the window: it is given back as bytes go.
#include <fcntl.h>

#include "base/limits.h"
#include "io/fd.h"
#include "server/holder.h"

// Kept from burst to burst: fresh pages cost more than the copy. The next keystroke gives
// it back.
#define WAITING_KEPT (4u * 1024u * 1024u)

void carrier_init(struct carrier *c, struct holder *h, uint32_t channel,
                  const struct carrier_ops *ops) {
    c->ops = ops;
    c->holder = h;
    c->channel = channel;
    c->input = -1;
    c->used_at = h->now;
    buf_init(&c->waiting, LIMIT_WINDOW_MAX);
    pace_init(&c->pace);
}

void carrier_drop(struct carrier *c) {
    carrier_close_input(c);
    buf_free(&c->waiting);
}

void carrier_close_input(struct carrier *c) {
    loop_unwatch(&c->holder->loop, &c->input_watch);
    fd_close(&c->input);
}

static void on_input_ready(void *arg, uint32_t ready) {
    (void)ready;
    carrier_flush_input(arg);
}

bool carrier_watch_input(struct carrier *c, int fd) {
    c->input = fd;
    if (loop_watch(&c->holder->loop, &c->input_watch, fd, 0, on_input_ready, c) == OK)
        return true;
    fd_close(&c->input);
    return false;
}

static int input_fd(const struct carrier *c) {
    return c->duplex != NULL ? c->duplex->fd : c->input;
}

static void consumed(struct carrier *c, size_t n) {
    struct holder *h = c->holder;
    if (n > 0 && c->open &&
        connection_consumed(h->connection, c->channel, n, h->now) != OK)
        holder_end(h, DISCONNECT_PROTOCOL_ERROR,
                   fault_text(connection_fault(h->connection)));
}

// Bytes that went, thrown away ones included: nobody reads them any more. A pipe that a
// burst fills is made larger: what does not fit has to be copied.
static size_t write_input(struct carrier *c, struct view v) {
    int fd = input_fd(c);
    size_t n = 0;
    if (c->take != NULL)
        return c->take(c, v);
    if (fd < 0)
        return v.n;
    enum err e = fd_write_some(fd, v, &n);
    if (e == OK && n < v.n && v.n >= SEAM_BULK && !c->input_wide) {
        c->input_wide = true;
        (void)fcntl(fd, F_SETPIPE_SZ, HOLDER_PIPE_SIZE);
    }
    if (e == OK)
        return n;
    if (c->duplex == NULL)
        carrier_close_input(c);
    return v.n;
}

static void want_output(struct carrier *c) {
    enum err e = OK;
    if (c->input >= 0)
        e = loop_change(&c->holder->loop, &c->input_watch,
                        buf_len(&c->waiting) > 0 ? LOOP_OUT : 0);
    (void)e;  // a terminal's watch is updated before each wait
}

void carrier_flush_input(struct carrier *c) {
    while (buf_len(&c->waiting) > 0) {
        size_t n = write_input(c, buf_view(&c->waiting));
        if (n == 0)
            break;
        buf_taken(&c->waiting, n);
        consumed(c, n);
        carrier_used(c);
    }
    want_output(c);
    if (buf_len(&c->waiting) == 0) {
        if (c->waiting.room > WAITING_KEPT)
            buf_release_if_empty(&c->waiting);
        if (c->input_eof)
            c->ops->input_ended(c);
    }
}

void carrier_input(struct carrier *c, struct view data) {
    size_t n = 0;
    carrier_used(c);
    c->bytes_in += data.n;
    if (data.n < SEAM_BULK / 8)
        buf_release_if_empty(&c->waiting);
    if (c->input_ready && buf_len(&c->waiting) == 0) {
        size_t one;
        while (n < data.n && (one = write_input(c, view_of(data.p + n, data.n - n))) > 0)
            n += one;
        consumed(c, n);
    }
    if (n == data.n)
        return;
    if (buf_append(&c->waiting, view_of(data.p + n, data.n - n)) != OK) {
        holder_end(c->holder, DISCONNECT_BY_APPLICATION, "out of memory");
        return;
    }
    want_output(c);
}

void carrier_input_eof(struct carrier *c) {
    c->input_eof = true;
    if (c->input_ready && buf_len(&c->waiting) == 0)
        c->ops->input_ended(c);
}

void carrier_eof(struct carrier *c) {
    enum err e = connection_eof(c->holder->connection, c->channel);
    (void)e;  // closed already: nobody waits for it
}

void carrier_close(struct carrier *c) {
    struct connection *connection = c->holder->connection;
    if (!c->open)
        return;
    c->open = false;
    connection_set_user(connection, c->channel, NULL);
    enum err e = connection_close(connection, c->channel);
    (void)e;
}
