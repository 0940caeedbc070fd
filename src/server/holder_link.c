// The holder's words on their way to the peer, and the peer's to the holder, across links
// (doc/resume.md). Everything that goes out passes here once: counted and kept where the
// connection may outlive its link, and sent where there is a link that takes it.
#include "server/holder_link.h"

#include <poll.h>

#include "base/limits.h"
#include "base/secret.h"
#include "io/clock.h"
#include "wire/messages.h"

#define SPILL (1024u * 1024u)  // bytes of a full ring at once
#define TELL_TRIES 20
#define TELL_MS 50

// Does what is said now leave at once, and not only when it is sent again?
static bool sends(const struct holder *h) {
    return h->linked && !h->deaf && resume_may_send(&h->resume);
}

bool holder_takes_data(const struct holder *h) {
    if (h->ending || h->blocked || buf_len(&h->unsent) > 0)
        return false;
    if (h->resume.state == RESUME_OFF)
        return true;
    if (h->linked && !h->deaf && !resume_may_send(&h->resume))
        return false;  // what was sent before goes first
    size_t spared = h->linked ? 0 : RESUME_STORE - LIMIT_SUSPENDED_STORE;
    return resume_room(&h->resume) > spared;
}

// ---- out ----

static bool kept(struct holder *h, enum err e) {
    if (e != OK)
        holder_end(h, err_disconnect_reason(e), "what was sent cannot be kept");
    return e == OK;
}

static bool keep(struct holder *h, struct view message) {
    return kept(h, resume_out(&h->resume, message, view_of(NULL, 0)));
}

// The gate is gone; what it has said before is still to be read.
static void deafen(struct holder *h) {
    h->deaf = true;
    h->blocked = h->ring_wait = false;
    buf_clear(&h->unsent);
}

void holder_link_broken(struct holder *h) {
    deafen(h);
    h->broken = h->again = true;
}

bool holder_send_unsent(struct holder *h) {
    bool sent = false;
    if (buf_len(&h->unsent) == 0)
        return true;
    if (seam_send(&h->seam, buf_view(&h->unsent), &sent) != OK)
        deafen(h);
    else if (sent)
        buf_clear(&h->unsent);
    h->blocked = !h->deaf && !sent;
    return !h->blocked;
}

void holder_say(struct holder *h, struct view message) {
    bool sent = false;
    if (!h->linked || h->deaf || !holder_send_unsent(h) || h->deaf)
        return;
    if (seam_send(&h->seam, message, &sent) != OK) {
        deafen(h);
        return;
    }
    h->blocked = !sent;
    if (!sent && buf_append(&h->unsent, message) != OK)
        holder_end(h, DISCONNECT_BY_APPLICATION, "out of memory");
}

void holder_put(struct holder *h, struct view message) {
    bool now = sends(h);
    if (keep(h, message) && now)
        holder_say(h, message);
}

// What is lent to the store stays in the ring, so far as it is not confirmed.
static void keep_in_ring(struct holder *h) {
    seam_keep(&h->seam, replay_lent_from(&h->resume.store));
}

// The peer is late with its confirmations and the ring is full of what waits for them:
// the oldest of it is copied. False: the ring is full of what the gate has yet to take.
static bool spill_some(struct holder *h) {
    struct replay *store = &h->resume.store;
    uint64_t from = replay_lent_from(store), gone = seam_gone(&h->seam);
    if (from >= gone)
        return false;
    uint64_t until = gone - from < SPILL ? gone : from + SPILL;
    if (!kept(h, replay_spill(store, until)))
        return false;
    keep_in_ring(h);
    return true;
}

bool holder_ring_goes(struct holder *h) {
    return kept(h, replay_spill(&h->resume.store, UINT64_MAX));
}

enum err holder_room(struct holder *h, size_t least, size_t want, struct span *room,
                     bool *waits) {
    *room = (struct span){NULL, 0};
    *waits = false;
    if (!sends(h))
        return OK;
    if (h->resume.state == RESUME_ON)
        seam_keeps(&h->seam);
    TRY(seam_room(&h->seam, least, want, room));
    while (room->n == 0 && seam_has_ring(&h->seam) && spill_some(h))
        TRY(seam_room(&h->seam, least, want, room));
    *waits = room->n == 0 && seam_has_ring(&h->seam);
    return OK;
}

enum err holder_publish(struct holder *h, const uint8_t *message, size_t n) {
    struct view head = view_of(message, CONNECTION_DATA_HEADER);
    struct view body = view_of(message + head.n, n - head.n);
    if (!kept(h, resume_lend(&h->resume, head, body, seam_position(&h->seam))))
        return OK;
    enum err e = seam_publish(&h->seam, n);
    keep_in_ring(h);
    if (e == ERR_CLOSED)
        deafen(h);
    return e == ERR_PROTOCOL ? e : OK;
}

// What the peer lacks, on a new link. False: there is more.
static bool send_again(struct holder *h) {
    struct view m;
    while (h->linked && !h->deaf && !resume_may_send(&h->resume)) {
        if (!holder_send_unsent(h))
            return false;
        if (resume_replay(&h->resume, &m))
            holder_say(h, m);
    }
    return true;
}

// One control message. False: it has to wait where it is.
static bool pass(struct holder *h, struct view message) {
    bool sent = false;
    if (!sends(h))
        return keep(h, message);
    if (seam_send(&h->seam, message, &sent) != OK) {
        deafen(h);
        return keep(h, message);
    }
    h->blocked = !sent;
    return sent && keep(h, message);
}

void holder_flush(struct holder *h) {
    struct view m;
    if (!send_again(h))
        return;
    while (!h->ending && holder_send_unsent(h) &&
           (m = connection_out(h->connection)).n > 0) {
        if (!pass(h, m))
            return;
        connection_out_done(h->connection);
    }
}

// ---- in ----

static void bad(struct holder *h, enum err e, const struct fault *fault) {
    const char *text = fault->text[0] != '\0' ? fault_text(fault) : err_text(e);
    log_error(&h->log, "connection of %s from %s port %u: %s", h->user, h->start->peer,
              h->start->peer_port, text);
    holder_end(h, err_disconnect_reason(e), text);
}

void holder_take_secret(struct holder *h, const struct seam_event *event) {
    memcpy(h->exporter, event->message.p, sizeof h->exporter);
    secret_wipe(event->slot, event->message.n);
    h->has_exporter = true;
}

// Seconds, at most; 0: this login's connection ends with its link. Whether there will be
// a terminal is not known when a client asks, so the larger time is granted.
static uint32_t granted(const struct holder *h, uint32_t wished) {
    const struct server_resume_grace *g = &h->config.resume_grace;
    uint32_t own = g->terminal > g->others ? g->terminal : g->others;
    if (!h->has_exporter || h->spoken || !(h->start->verdict->permits & PERMIT_RESUME))
        return 0;
    return wished == 0 || own < wished ? own : wished;
}

static void on_open(struct holder *h, struct view message) {
    struct fault fault = {0};
    struct msg_resume_open m;
    scoped_buf out = {.max = 512};
    enum err e = message_decode(SSH_MSG_RESUME_OPEN, message, &m, &fault);
    h->resume.made = clock_wall_us() / 1000;
    if (e == OK)
        e = resume_open_in(&h->resume, message, h->exporter, granted(h, m.grace), &out,
                           &fault);
    if (e != OK) {
        bad(h, e, &fault);
        return;
    }
    holder_say(h, buf_view(&out));
    if (h->resume.state != RESUME_ON)
        return;
    struct ipc_resumable told = {view_of(h->resume.handle, RESUME_HANDLE),
                                 h->resume.grace};
    holder_tell_keeper(h, IPC_RESUMABLE, &told);
}

static enum err on_ack(struct holder *h, struct view message, struct fault *fault) {
    TRY(resume_ack_in(&h->resume, message, fault));
    keep_in_ring(h);
    return OK;
}

static void forget_exporter(struct holder *h) {
    secret_wipe(h->exporter, sizeof h->exporter);
    h->has_exporter = false;
    h->spoken = true;
}

void holder_take_resume(struct holder *h, struct view message) {
    struct fault fault = {0};
    enum err e = OK;
    if (message.p[0] == SSH_MSG_RESUME_OPEN)
        on_open(h, message);
    else if (message.p[0] == SSH_MSG_RESUME_ACK)
        e = on_ack(h, message, &fault);
    else
        e = fault_set(&fault, ERR_UNEXPECTED, message.p[0], "%s: not allowed now",
                      message_name(message.p[0]));
    if (e != OK)
        bad(h, e, &fault);
    forget_exporter(h);
}

void holder_taken(struct holder *h, struct view message) {
    if (!h->spoken)
        forget_exporter(h);
    if (!h->ending && resume_in(&h->resume, message, h->now) != OK)
        holder_end(h, DISCONNECT_BY_APPLICATION, "out of memory");
}

uint64_t holder_confirm(struct holder *h) {
    uint64_t deadline = CLOCK_NEVER;
    if (h->ending || !h->linked || h->deaf ||
        !resume_ack_due(&h->resume, h->now, false, &deadline))
        return deadline;
    scoped_buf out = {.max = LIMIT_PACKET};
    if (!holder_send_unsent(h))
        return CLOCK_NEVER;  // when there is room again
    if (resume_ack(&h->resume, &out) != OK)
        holder_end(h, DISCONNECT_BY_APPLICATION, "out of memory");
    else
        holder_say(h, buf_view(&out));
    return CLOCK_NEVER;
}

// ---- the keeper ----

// It never waits, so neither does this for long; without it nobody could come back.
void holder_tell_keeper(struct holder *h, enum ipc_number number, const void *body) {
    bool sent = false;
    for (int i = 0; i < TELL_TRIES && !sent; i++) {
        struct pollfd p = {h->start->keeper, POLLOUT, 0};
        if (ipc_try_send(h->start->keeper, number, body, -1, &sent) != OK)
            return;
        if (!sent)
            (void)poll(&p, 1, TELL_MS);
    }
    if (!sent)
        log_error(&h->log, "the server does not listen");
}
