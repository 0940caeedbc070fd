#include "server/seam.h"

#include <sys/mman.h>
#include <unistd.h>

#include "base/limits.h"
#include "io/fd.h"
#include "io/unix_socket.h"
#include "wire/messages.h"

// Kinds on the socket. Each message: kind (1), 3 zero bytes, after (8), then what
// follows.
enum kind {
    KIND_HELLO = 1,  // version u32, text
    KIND_MESSAGE,    // the SSH message
    KIND_RING,       // a ring's descriptor, from the maker; one byte: enum ring_is
    KIND_WISH,       // to the maker: a ring for what I send, please
    KIND_WAKE,       // look at the rings
    KIND_END,        // reason u32, text
    KIND_SECRET,     // once, to the maker, behind HELLO: SEAM_SECRET_SIZE bytes. In
                     // place of `after`: the largest ring that it may make, 0: RING_SIZE
};

enum ring_is {
    RING_IS_MINE,
    RING_IS_YOURS
};  // to produce

#define HEADER 12
#define ROOM_SIZE (LIMIT_PACKET + HEADER)
#define PENDING_HEADER 13

enum err seam_pair(int fds[2]) {
    return unix_pair(fds, ROOM_SIZE);
}

enum err seam_init(struct seam *s, int fd, bool maker) {
    memset(s, 0, sizeof *s);
    s->fd = fd;
    s->maker = maker;
    buf_init(&s->pending, SEAM_PENDING_MAX + ROOM_SIZE + PENDING_HEADER);
    void *p =
        mmap(NULL, ROOM_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        return ERR_MEMORY;
    s->room = p;
    return OK;
}

void seam_free(struct seam *s) {
    if (s->room == NULL)
        return;
    munmap(s->room, ROOM_SIZE);
    s->room = NULL;
    buf_free(&s->pending);
    ring_unmap(&s->out);
    ring_unmap(&s->in);
    fd_close(&s->fd);
}

// ---- out ----

static enum err send_kind(struct seam *s, enum kind kind, uint64_t after,
                          struct view body, int fd, bool *sent) {
    uint8_t header[HEADER] = {(uint8_t)kind};
    store_u64(header + 4, after);
    struct view parts[2] = {view_of(header, HEADER), body};
    return unix_send(s->fd, parts, 2, &fd, fd >= 0 ? 1 : 0, sent);
}

// A wake-up that finds the socket full is not lost: the other end has the socket to read
// anyway.
static enum err wake(struct seam *s) {
    bool sent;
    s->counts.wakes++;
    return send_kind(s, KIND_WAKE, 0, view_of(NULL, 0), -1, &sent);
}

enum err seam_hello(struct seam *s, struct view text) {
    uint8_t body[4 + SEAM_IDENT_MAX];
    size_t n = text.n < SEAM_IDENT_MAX ? text.n : SEAM_IDENT_MAX;
    bool sent = false;
    store_u32(body, SEAM_VERSION);
    if (n > 0)
        memcpy(body + 4, text.p, n);
    TRY(send_kind(s, KIND_HELLO, 0, view_of(body, 4 + n), -1, &sent));
    return sent ? OK : ERR_LIMIT;
}

enum err seam_secret(struct seam *s, struct view secret) {
    bool sent = false;
    TRY(send_kind(s, KIND_SECRET, SEAM_RING_MOST, secret, -1, &sent));
    return sent ? OK : ERR_LIMIT;
}

// Messages about a channel's own stream wait for its bulk; an adjust is about the other
// direction.
static bool in_lane(uint8_t number) {
    return number >= SSH_MSG_CHANNEL_DATA && number <= SSH_MSG_CHANNEL_FAILURE;
}

static size_t lane_of(const uint8_t *message) {
    return load_u32(message + 1) % SEAM_LANES;
}

enum err seam_send(struct seam *s, struct view message, bool *sent) {
    uint64_t after = 0;
    if (message.n >= 5 && in_lane(message.p[0]))
        after = s->lane[lane_of(message.p)];
    TRY(send_kind(s, KIND_MESSAGE, after, message, -1, sent));
    if (*sent) {
        s->counts.socket_out++;
        s->counts.bytes_out += message.n;
    }
    return OK;
}

void seam_end(struct seam *s, uint32_t reason, const char *text) {
    uint8_t body[4 + SEAM_IDENT_MAX];
    size_t n = strlen(text);
    n = n < SEAM_IDENT_MAX ? n : SEAM_IDENT_MAX;
    store_u32(body, reason);
    memcpy(body + 4, text, n);
    bool sent;
    // Behind everything in the ring: what was said is still to be delivered.
    enum err e = send_kind(s, KIND_END, ring_mapped(&s->out) ? ring_head(&s->out) : 0,
                           view_of(body, 4 + n), -1, &sent);
    (void)e;  // then the closed descriptor says it
}

// Makes a ring for one direction, maps this end and sends it over. Without room in the
// socket it is tried again later.
static enum err make_ring(struct seam *s, struct ring *r, enum ring_is is, size_t size) {
    int fd = -1;
    bool sent = false;
    uint8_t body = (uint8_t)is;
    enum err e = ring_create(size, &fd);
    if (e == OK)
        e = ring_map(r, fd, size, is == RING_IS_MINE ? RING_PRODUCER : RING_CONSUMER);
    if (e == OK)
        e = send_kind(s, KIND_RING, 0, view_of(&body, 1), fd, &sent);
    fd_close(&fd);
    if (e == OK && sent)
        return OK;
    ring_unmap(r);
    if (e != OK && e != ERR_CLOSED)
        s->ring_failed = true;
    return e == ERR_CLOSED ? e : OK;
}

static enum err wish_for_ring(struct seam *s) {
    return s->wished ? OK : send_kind(s, KIND_WISH, 0, view_of(NULL, 0), -1, &s->wished);
}

static enum err grant_wish(struct seam *s) {
    if (!s->wished || !s->maker || ring_mapped(&s->in) || s->ring_failed || s->closed)
        return OK;
    enum err e = make_ring(s, &s->in, RING_IS_YOURS, RING_SIZE);
    return e == ERR_CLOSED ? OK : e;
}

static enum err make_out(struct seam *s) {
    return make_ring(s, &s->out, RING_IS_MINE,
                     s->keeps && s->peer_maps ? SEAM_RING_MOST : RING_SIZE);
}

enum err seam_room(struct seam *s, size_t least, size_t want, struct span *room) {
    *room = (struct span){NULL, 0};
    if (s->ring_failed)
        return OK;
    if (!ring_mapped(&s->out)) {
        TRY(s->maker ? make_out(s) : wish_for_ring(s));
        if (!ring_mapped(&s->out))
            return OK;
    }
    TRY(ring_room(&s->out, least, want, room));
    s->reserved = room->p;
    return OK;
}

enum err seam_publish(struct seam *s, size_t n) {
    size_t lane = lane_of(s->reserved);
    ring_publish(&s->out, n, 0);
    s->lane[lane] = ring_head(&s->out);
    s->counts.ring_out++;
    s->counts.bytes_out += n;
    return ring_wake(&s->out) ? wake(s) : OK;
}

void seam_keeps(struct seam *s) {
    s->keeps = true;
}

void seam_keep(struct seam *s, uint64_t from) {
    if (ring_mapped(&s->out))
        ring_keep(&s->out, from);
}

// ---- in ----

void seam_turn(struct seam *s) {
    s->drained = s->closed;
}

static uint64_t consumed(const struct seam *s) {
    return ring_mapped(&s->in) ? ring_tail(&s->in) : 0;
}

static enum err take_ring(struct seam *s, int fd, struct view body, struct fault *fault) {
    bool ours = body.n == 1 && body.p[0] == RING_IS_YOURS;
    struct ring *r = ours ? &s->out : &s->in;
    if (s->maker || body.n != 1 || body.p[0] > RING_IS_YOURS || ring_mapped(r) ||
        (ours && !s->wished))
        return fault_set(fault, ERR_PROTOCOL, 0, "seam: ring out of place");
    size_t size = ring_size_of(fd);
    if (size != RING_SIZE && (ours || size != SEAM_RING_MOST))
        size = RING_SIZE;  // which it is not
    enum err e = ring_map(r, fd, size, ours ? RING_PRODUCER : RING_CONSUMER);
    if (e != OK)
        return fault_set(fault, e, 0, "seam: unusable ring");
    return OK;
}

static enum err take_wish(struct seam *s, struct fault *fault) {
    if (!s->maker || s->wished)
        return fault_set(fault, ERR_PROTOCOL, 0, "seam: wish out of place");
    s->wished = true;
    return OK;
}

static enum err deliver_secret(struct seam *s, struct view body, struct seam_event *event,
                               struct fault *fault) {
    s->peer_maps = load_u64(s->room + 4) >= SEAM_RING_MOST;
    if (!s->maker || !s->hello_seen || s->secret_seen || body.n != SEAM_SECRET_SIZE)
        return fault_set(fault, ERR_PROTOCOL, 0, "seam: secret out of place");
    s->secret_seen = true;
    *event = (struct seam_event){
        .kind = SEAM_SECRET, .message = body, .slot = s->room + HEADER};
    return OK;
}

// The body of a message that is due now.
static enum err deliver(struct seam *s, enum kind kind, struct view body,
                        struct seam_event *event, struct fault *fault) {
    if (kind == KIND_MESSAGE) {
        if (body.n == 0 || !s->hello_seen)
            return fault_set(fault, ERR_PROTOCOL, 0, "seam: message out of place");
        *event = (struct seam_event){.kind = SEAM_MESSAGE, .message = body};
        s->counts.socket_in++;
        s->counts.bytes_in += body.n;
        return OK;
    }
    if (kind == KIND_SECRET)
        return deliver_secret(s, body, event, fault);
    if (body.n < 4 || (kind == KIND_HELLO && s->hello_seen))
        return fault_set(fault, ERR_PROTOCOL, 0, "seam: malformed %s",
                         kind == KIND_HELLO ? "hello" : "end");
    *event = (struct seam_event){.kind = kind == KIND_HELLO ? SEAM_HELLO : SEAM_END,
                                 .message = view_of(body.p + 4, body.n - 4),
                                 .reason = load_u32(body.p)};
    if (kind == KIND_HELLO) {
        s->hello_seen = true;
        if (event->reason != SEAM_VERSION)
            return fault_set(fault, ERR_VERSION, 0,
                             "seam of version %u, this is version %u", event->reason,
                             SEAM_VERSION);
    }
    return OK;
}

static enum err keep_back(struct seam *s, uint64_t after, enum kind kind,
                          struct view body) {
    struct span room;
    TRY(buf_reserve(&s->pending, PENDING_HEADER + body.n, &room));
    store_u64(room.p, after);
    store_u32(room.p + 8, (uint32_t)body.n);
    room.p[12] = (uint8_t)kind;
    if (body.n > 0)
        memcpy(room.p + PENDING_HEADER, body.p, body.n);
    if (buf_len(&s->pending) == 0 || after < s->pending_min)
        s->pending_min = after;
    buf_added(&s->pending, PENDING_HEADER + body.n);
    return OK;
}

// Called only when nothing kept back is due, so a channel's messages stay in order: what
// was kept back earlier for the same channel waits for no later position than this one.
static enum err place(struct seam *s, uint64_t after, enum kind kind, struct view body,
                      struct seam_event *event, struct fault *fault) {
    if (after <= consumed(s) || kind == KIND_SECRET)
        return deliver(s, kind, body, event, fault);
    if (!ring_mapped(&s->in) || after - consumed(s) > s->in.size)
        return fault_set(fault, ERR_PROTOCOL, 0, "seam: impossible position");
    return keep_back(s, after, kind, body);
}

static enum err check_header(const struct unix_message *m, struct view bytes,
                             struct fault *fault) {
    uint8_t kind = bytes.n >= HEADER ? bytes.p[0] : 0;
    if (kind < KIND_HELLO || kind > KIND_SECRET || bytes.p[1] || bytes.p[2] || bytes.p[3])
        return fault_set(fault, ERR_PROTOCOL, 0, "seam: malformed message");
    if ((m->fds_n > 0) != (kind == KIND_RING))
        return fault_set(fault, ERR_PROTOCOL, 0, "seam: descriptor out of place");
    return OK;
}

// One message off the socket.
static enum err receive(struct seam *s, struct seam_event *event, struct fault *fault) {
    struct unix_message m;
    struct span room = {s->room, ROOM_SIZE};
    enum err e = unix_recv(s->fd, room, 1, &m);
    // An end that closed with our words unread is reported once before its own last
    // words.
    if (e == ERR_CLOSED)
        e = unix_recv(s->fd, room, 1, &m);
    if (e == ERR_CLOSED) {
        s->closed = s->drained = true;
        return OK;
    }
    if (e != OK)
        return fault_set(fault, e, 0, "seam: %s", err_text(e));
    if (!m.ready) {
        s->drained = true;
        return OK;
    }
    struct view bytes = view_of(s->room, m.n);
    e = check_header(&m, bytes, fault);
    if (e == OK && s->room[0] == KIND_RING)
        e = take_ring(s, m.fds[0], view_of(s->room + HEADER, m.n - HEADER), fault);
    if (e == OK && s->room[0] == KIND_WISH)
        e = take_wish(s, fault);
    unix_message_close(&m);
    if (e != OK || s->room[0] == KIND_RING || s->room[0] == KIND_WISH ||
        s->room[0] == KIND_WAKE)
        return e;
    return place(s, load_u64(s->room + 4), s->room[0],
                 view_of(s->room + HEADER, m.n - HEADER), event, fault);
}

// What was delivered from the front of those kept back is dropped.
static void drop_delivered(struct seam *s) {
    struct view v = buf_view(&s->pending);
    while (v.n > 0 && v.p[12] == 0) {
        buf_taken(&s->pending, PENDING_HEADER + load_u32(v.p + 8));
        v = buf_view(&s->pending);
    }
}

// The first message kept back that is due, if any.
static enum err release(struct seam *s, struct seam_event *event, struct fault *fault) {
    drop_delivered(s);
    if (buf_len(&s->pending) == 0 || consumed(s) < s->pending_min)
        return OK;
    uint64_t min = UINT64_MAX;
    uint8_t *p = s->pending.p + s->pending.start, *end = s->pending.p + s->pending.end;
    for (size_t n; p < end; p += PENDING_HEADER + n) {
        n = load_u32(p + 8);
        enum kind kind = p[12];
        uint64_t after = load_u64(p);
        if (kind != 0 && after <= consumed(s)) {
            p[12] = 0;
            return deliver(s, kind, view_of(p + PENDING_HEADER, n), event, fault);
        }
        if (kind != 0 && after < min)
            min = after;
    }
    s->pending_min = min;
    return OK;
}

static bool pending_full(const struct seam *s) {
    return buf_len(&s->pending) >= SEAM_PENDING_MAX;
}

// The ring's next record below what was sampled, or below what a kept back message waits
// for when the socket could not be emptied.
static enum err take_record(struct seam *s, struct seam_event *event,
                            struct fault *fault) {
    uint64_t until = s->drained ? s->sampled : 0;
    if (!s->drained && pending_full(s))
        until = s->pending_min < s->sampled ? s->pending_min : s->sampled;
    if (!ring_mapped(&s->in) || ring_tail(&s->in) >= until)
        return OK;
    struct span payload;
    uint32_t tag;
    if (ring_peek(&s->in, &payload, &tag) != OK)
        return fault_set(fault, ERR_PROTOCOL, 0, "seam: corrupt ring");
    if (payload.n == 0)
        return OK;
    if (payload.n < 9 || payload.n > LIMIT_PACKET ||
        payload.p[0] != SSH_MSG_CHANNEL_DATA || !s->hello_seen)
        return fault_set(fault, ERR_PROTOCOL, 0, "seam: malformed record");
    *event = (struct seam_event){
        .kind = SEAM_SLOT, .message = view_of(payload.p, payload.n), .slot = payload.p};
    s->counts.ring_in++;
    s->counts.bytes_in += payload.n;
    return OK;
}

// Looks how far the ring is filled. True: further than known, so the socket is to be
// emptied first.
static enum err sample(struct seam *s, bool *more, struct fault *fault) {
    struct span payload;
    uint32_t tag;
    *more = false;
    if (!ring_mapped(&s->in) || ring_tail(&s->in) < s->sampled)
        return OK;
    if (ring_peek(&s->in, &payload, &tag) != OK)
        return fault_set(fault, ERR_PROTOCOL, 0, "seam: corrupt ring");
    if (payload.n == 0 || ring_head(&s->in) <= s->sampled)
        return OK;
    s->sampled = ring_head(&s->in);
    s->drained = s->closed;
    *more = true;
    return OK;
}

enum err seam_next(struct seam *s, struct seam_event *event, struct fault *fault) {
    *event = (struct seam_event){.kind = SEAM_NONE};
    TRY(grant_wish(s));
    for (bool more = true; more;) {
        TRY(release(s, event, fault));
        while (event->kind == SEAM_NONE && !s->drained && !s->closed && !pending_full(s))
            TRY(receive(s, event, fault));
        if (event->kind == SEAM_NONE)
            TRY(take_record(s, event, fault));
        if (event->kind != SEAM_NONE)
            return OK;
        TRY(sample(s, &more, fault));
    }
    return s->closed ? ERR_CLOSED : OK;  // the ring is empty too: else there was an event
}

enum err seam_taken(struct seam *s) {
    ring_consume(&s->in);
    if (!ring_wake(&s->in) || s->closed)
        return OK;
    enum err e = wake(s);
    return e == ERR_CLOSED ? OK : e;  // found again when the socket is read
}

// ---- waiting ----

bool seam_may_sleep(struct seam *s, size_t least) {
    if (ring_mapped(&s->in) && !ring_sleep(&s->in, 0))
        return false;
    return least == 0 || !ring_mapped(&s->out) || ring_sleep(&s->out, least);
}

void seam_idle(struct seam *s) {
    if (ring_mapped(&s->out))
        (void)ring_idle(&s->out);
    buf_release_if_empty(&s->pending);
    (void)madvise(s->room, ROOM_SIZE, MADV_DONTNEED);
}
