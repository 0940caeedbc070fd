#include "client/carrier.h"

#include <stdlib.h>

#include "base/limits.h"
#include "base/secret.h"
#include "client/client.h"
#include "io/clock.h"
#include "wire/messages.h"
#include "wire/writer.h"

// Sealed bytes that may wait for the socket before sources are left alone.
#define OUT_ENOUGH (512u * 1024u)
#define ROOM (LIMIT_CHANNEL_PACKET_BOWLINE + 64u)

void carrier_init(struct carrier *w, struct client *c) {
    *w = (struct carrier){.c = c};
    resume_init(&w->resume, false);
}

static void drop_room(struct carrier *w) {
    if (w->room != NULL)
        secret_wipe(w->room, ROOM);
    free(w->room);
    w->room = NULL;
}

void carrier_free(struct carrier *w) {
    drop_room(w);
    resume_free(&w->resume);
}

// A link through us as a jump host is for whoever made it to resume.
static bool is_wanted(const struct client *c) {
    return c->takes_resume && c->config.resume && c->flags.stdio_forward == NULL;
}

enum err carrier_open(struct carrier *w, size_t *n) {
    struct transport *t = w->c->link.transport;
    struct view exporter = transport_exporter(t);
    scoped_buf open;
    buf_init(&open, 256);
    *n = 0;
    if (!is_wanted(w->c) || exporter.n != RESUME_SECRET || !transport_can_send(t))
        return OK;
    TRY(resume_open(&w->resume, exporter.p, 0, &open));
    *n = buf_len(&open);
    return transport_send_view(t, buf_view(&open));
}

bool carrier_can_resume(const struct carrier *w) {
    return w->resume.state == RESUME_ON || w->resume.state == RESUME_ATTACHING;
}

// ---- out ----

// Messages go out by the link as they are sent.
static bool carrier_is_direct(const struct carrier *w) {
    return !w->lost && resume_may_send(&w->resume);
}

bool carrier_can_send(const struct carrier *w) {
    return !carrier_is_direct(w) || transport_can_send(w->c->link.transport);
}

bool carrier_wants_data(const struct carrier *w) {
    return resume_room(&w->resume) > 0 && carrier_can_send(w) &&
           (!carrier_is_direct(w) || transport_out(w->c->link.transport).n < OUT_ENOUGH);
}

struct span carrier_message(struct carrier *w, size_t cap) {
    struct span room = {0};
    if (carrier_is_direct(w)) {
        room = transport_message(w->c->link.transport, cap);
    } else if (cap <= ROOM) {
        if (w->room == NULL)
            w->room = malloc(ROOM);
        if (w->room != NULL)
            room = (struct span){w->room, cap};
    }
    w->given = room.p;
    return room;
}

// Kept first: sending seals it where it lies.
enum err carrier_send(struct carrier *w, size_t n) {
    TRY(resume_out(&w->resume, view_of(w->given, n), (struct view){0}));
    return carrier_is_direct(w) ? transport_send(w->c->link.transport, n) : OK;
}

// These may go over what data has to stay below; beyond that they wait, and with them
// what they answer.
bool carrier_can_send_control(const struct carrier *w) {
    return carrier_can_send(w) &&
           (w->resume.state == RESUME_OFF ||
            w->resume.store.bytes < RESUME_STORE + LIMIT_CONTROL_OUT);
}

enum err carrier_send_view(struct carrier *w, struct view message) {
    TRY(resume_out(&w->resume, message, (struct view){0}));
    return carrier_is_direct(w) ? transport_send_view(w->c->link.transport, message) : OK;
}

// ---- in ----

enum err carrier_took(struct carrier *w, struct view message, uint64_t now) {
    return w->resume.state == RESUME_OFF ? OK : resume_in(&w->resume, message, now);
}

static void tell_opened(struct carrier *w) {
    const struct resume *r = &w->resume;
    struct writer info = writer_to_span((struct span){w->info, sizeof w->info});
    write_text(&info, RESUME_NAME);
    write_string(&info, view_of(r->handle, sizeof r->handle));
    if (r->state == RESUME_ON)
        log_debug(&w->c->log,
                  "resume: the connection outlives a lost link, for up to %u s",
                  r->grace);
    else
        log_debug(&w->c->log, "resume: the server does not resume this connection");
}

enum err carrier_in(struct carrier *w, struct view message) {
    struct client *c = w->c;
    struct fault fault = {0};
    bool ack = message.p[0] == SSH_MSG_RESUME_ACK;
    enum err e = ack ? resume_ack_in(&w->resume, message, &fault)
                     : resume_opened_in(&w->resume, message, clock_ms(), &fault);
    if (e != OK)
        return fault_set(&c->fault, e, message.p[0], "%s port %u: %s", c->address,
                         c->config.port,
                         fault.code != OK ? fault_text(&fault) : err_text(e));
    if (!ack)
        tell_opened(w);
    return OK;
}

// ---- what is due ----

static enum err send_ack(struct carrier *w) {
    scoped_buf ack;
    buf_init(&ack, LIMIT_PACKET);
    TRY(resume_ack(&w->resume, &ack));
    return transport_send_view(w->c->link.transport, buf_view(&ack));
}

static enum err send_again(struct carrier *w) {
    struct transport *t = w->c->link.transport;
    for (struct view v; transport_can_send(t) && transport_out(t).n < OUT_ENOUGH &&
                        resume_replay(&w->resume, &v);)
        TRY(transport_send_view(t, v));
    if (!w->resume.replaying)
        drop_room(w);
    return OK;
}

enum err carrier_flush(struct carrier *w, uint64_t now, bool more) {
    uint64_t deadline;
    if (w->lost || w->resume.state != RESUME_ON ||
        !transport_can_send(w->c->link.transport))
        return OK;
    if (resume_ack_due(&w->resume, now, more, &deadline))
        TRY(send_ack(w));
    return w->resume.replaying ? send_again(w) : OK;
}

uint64_t carrier_deadline(const struct carrier *w, uint64_t now) {
    uint64_t deadline;
    if (w->lost || w->resume.state != RESUME_ON ||
        !transport_can_send(w->c->link.transport))
        return UINT64_MAX;
    return resume_ack_due(&w->resume, now, false, &deadline) ? now : deadline;
}
