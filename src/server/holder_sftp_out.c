// Answers of the SFTP engine to the peer. Small ones go by the seam's socket, through a
// buffer here. For a large READ the ring gives room for several CHANNEL_DATA messages at
// once, and the file is read straight behind their headers.

#include "server/holder_sftp.h"

#include "base/limits.h"
#include "server/holder_link.h"

#define SMALL (16u * 1024u)
#define TURN_BYTES (1024u * 1024u)  // in or out, before the others get their turn
#define BATCH (256u * 1024u)        // room asked for at least
#define PIECES 16u
#define PATIENCE_MS 50u
#define PIECE_LEAST 4096u  // bytes of a last room that are worth it

static bool may_send(struct holder_sftp *f) {
    struct carrier *c = &f->s->c;
    struct holder *h = c->holder;
    if (!c->open || h->ring_wait || !holder_takes_data(h))
        return false;
    if (connection_out_pending(h->connection, c->channel)) {
        h->again = true;  // it goes at the end of this turn
        return false;
    }
    return connection_data_max(h->connection, c->channel) > 0;
}

static void failed(struct holder_sftp *f, const struct fault *fault) {
    log_error(&f->session.log, "%s", fault_text(fault));
    session_program_ended(f->s, 11 << 8);
}

static bool serve(struct holder_sftp *f, struct sftp_step *step) {
    struct fault fault = {0};
    if (sftp_server_step(f->session.server, step, &fault) == OK)
        return true;
    failed(f, &fault);
    return false;
}

// ---- by the socket ----

static void serve_small(struct holder_sftp *f, struct sftp_step *step) {
    struct carrier *c = &f->s->c;
    struct connection *connection = c->holder->connection;
    uint8_t message[CONNECTION_DATA_HEADER + SMALL];
    size_t max = connection_data_max(connection, c->channel);
    struct span room = {message + CONNECTION_DATA_HEADER, max < SMALL ? max : SMALL};
    step->rooms = &room;
    step->n = 1;
    if (!serve(f, step) || step->filled == 0)
        return;
    connection_data_header(connection, c->channel, 0, step->filled, message);
    holder_put(c->holder, view_of(message, CONNECTION_DATA_HEADER + step->filled));
}

// ---- by the ring ----

// Rooms for several messages within one contiguous room of the ring.
struct batch {
    struct span rooms[PIECES];  // behind the messages' headers
    size_t n, bytes;
};

static void carve(struct batch *b, struct span room, size_t packet, size_t window) {
    size_t stride = ring_stride(CONNECTION_DATA_HEADER + packet);
    *b = (struct batch){.n = 0};
    for (size_t at = 0; b->n < PIECES && b->bytes < window; at += stride) {
        if (at + CONNECTION_DATA_HEADER >= room.n)
            break;
        size_t n = room.n - at - CONNECTION_DATA_HEADER;
        if (n > packet)
            n = packet;
        if (n > window - b->bytes)
            n = window - b->bytes;
        if (b->n > 0 && n < PIECE_LEAST && n < packet)
            break;
        b->rooms[b->n++] = (struct span){room.p + at + CONNECTION_DATA_HEADER, n};
        b->bytes += n;
    }
}

static size_t room_for(size_t bytes, size_t packet) {
    size_t whole = bytes / packet, rest = bytes % packet;
    return whole * ring_stride(CONNECTION_DATA_HEADER + packet) +
           (rest > 0 ? CONNECTION_DATA_HEADER + rest : 0);
}

static bool publish(struct holder_sftp *f, const struct batch *b, size_t filled) {
    struct carrier *c = &f->s->c;
    struct holder *h = c->holder;
    for (size_t i = 0; filled > 0; i++) {
        size_t n = filled < b->rooms[i].n ? filled : b->rooms[i].n;
        uint8_t *message = b->rooms[i].p - CONNECTION_DATA_HEADER;
        struct span again = {message, 0};
        size_t all = n + CONNECTION_DATA_HEADER;
        if (i > 0 && (seam_room(&h->seam, all, all, &again) != OK || again.p != message))
            return false;
        connection_data_header(h->connection, c->channel, 0, n, message);
        if (holder_publish(h, message, all) != OK)
            return false;
        filled -= n;
    }
    return true;
}

// More window would spare the copy of what does not fit now, and it is sure to come while
// the peer still has to read; but not for ever, for there are odd peers.
static bool wait_for_window(struct holder_sftp *f, size_t window, size_t due) {
    uint64_t now = f->s->c.holder->now;
    if (window >= due || f->impatient) {
        f->wait_until = CLOCK_NEVER;
        return false;
    }
    if (f->wait_until == CLOCK_NEVER) {
        f->wait_until = now + PATIENCE_MS;
        return true;
    }
    if (now < f->wait_until)
        return true;
    f->impatient = true;
    f->wait_until = CLOCK_NEVER;
    return false;
}

// False: there is no ring, or no room in it yet.
static bool reserve(struct holder_sftp *f, size_t due, size_t window, size_t packet,
                    struct batch *b) {
    struct holder *h = f->s->c.holder;
    struct span room;
    size_t most = PIECES * packet, least = due < window ? due : window;
    if (least > most)
        least = most;
    size_t want = least < BATCH ? BATCH : least;
    if (want > window)
        want = window;
    if (want > most)
        want = most;
    least = room_for(least, packet);
    want = room_for(want, packet);
    if (holder_room(h, least, want, &room, &h->ring_wait) != OK) {
        holder_link_broken(h);
        return false;
    }
    if (room.n == 0) {
        h->ring_least = least;
        return false;
    }
    carve(b, room, packet, window);
    return true;
}

static void serve_large(struct holder_sftp *f, struct sftp_step *step) {
    struct carrier *c = &f->s->c;
    struct holder *h = c->holder;
    size_t due = sftp_server_due(f->session.server);
    size_t packet = connection_data_max(h->connection, c->channel);
    uint64_t window = connection_data_window(h->connection, c->channel);
    struct batch b;
    if (window > LIMIT_WINDOW_MAX)
        window = LIMIT_WINDOW_MAX;
    if (wait_for_window(f, (size_t)window, due))
        return;
    uint64_t pace = carrier_bulk_room(c);
    if (pace == 0)
        return;
    if (pace < window)
        window = pace;
    step->split = true;
    if (!reserve(f, due, (size_t)window, packet, &b)) {
        if (!h->ring_wait && !h->ending)
            serve_small(f, step);
        return;
    }
    step->split = b.bytes < due;
    step->rooms = b.rooms;
    step->n = b.n;
    if (serve(f, step) && !publish(f, &b, step->filled))
        holder_end(h, DISCONNECT_BY_APPLICATION, "the ring is broken");
    else if (step->filled > 0)
        carrier_bulk_sent(c, step->filled);
}

// ---- both ----

size_t sftp_pump(struct holder_sftp *f, struct view in) {
    struct carrier *c = &f->s->c;
    struct holder *h = c->holder;
    size_t taken = 0, moved = 0;
    while (moved < TURN_BYTES && !f->s->exited && may_send(f)) {
        // What is kept leaves with the turn: sftp_update() comes with no input.
        struct sftp_step step = {.in = view_of(in.p + taken, in.n - taken),
                                 .keeps = in.n > 0};
        size_t due = sftp_server_due(f->session.server);
        size_t max = connection_data_max(h->connection, c->channel);
        if (due > (max < SMALL ? max : SMALL))
            serve_large(f, &step);
        else
            serve_small(f, &step);
        if (step.taken == 0 && step.filled == 0)
            break;
        taken += step.taken;
        c->bytes_out += step.filled;
        moved += step.taken + step.filled;
    }
    if (moved >= TURN_BYTES)
        h->again = true;
    if (moved > 0) {
        h->busy_at = h->now;
        carrier_used(c);
    }
    return taken;
}
