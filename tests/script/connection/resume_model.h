// Two ends of a connection that outlives its links, in memory, and the links between
// them: what a link may reorder, lose and cut, it does. Every message carries the number
// that it has in its lane, so that each end sees at once whether one was lost, doubled or
// out of order. A test or a fuzzer decides what happens next.
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "connection/resume.h"
#include "wire/messages.h"

#define MODEL_LANES 5
#define MODEL_QUEUE 512
#define MODEL_CONTROL UINT32_MAX  // of messages without a lane
#define MODEL_LOANS 64            // bodies that an end has in memory of its own
#define MODEL_LENT 40             // bytes from which on it lends them

#define MODEL_CHECK(condition)                                                           \
    do {                                                                                 \
        if (!(condition)) {                                                              \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);              \
            abort();                                                                     \
        }                                                                                \
    } while (0)

struct model_message {
    uint8_t *p;
    size_t n;
    uint32_t lane;
    bool gone;
};

// One direction of one link.
struct model_way {
    struct model_message m[MODEL_QUEUE];
    size_t n, live;
};

struct model_link {
    struct model_way to_server, to_client;
    uint8_t id[32];
    bool up, taken;  // taken: the server knows it
};

struct model_end {
    struct resume r;
    uint64_t sent[MODEL_LANES], got[MODEL_LANES];
    uint8_t *loans[MODEL_LOANS];  // by mark
    uint64_t marks, returned;
};

struct model {
    struct model_end client, server;
    struct model_link now, old;  // old: the client has let go of it, the server not yet
    uint64_t links, ms;
    uint64_t resumed, lost;
};

static inline void way_put(struct model_way *w, const struct buf *b, uint32_t lane) {
    struct view v = buf_view(b);
    uint8_t *p = malloc(v.n);
    MODEL_CHECK(p != NULL && w->n < MODEL_QUEUE);
    memcpy(p, v.p, v.n);
    w->m[w->n++] = (struct model_message){p, v.n, lane, false};
    w->live++;
}

static inline void way_clear(struct model_way *w) {
    for (size_t i = 0; i < w->n; i++)
        free(w->m[i].p);
    w->n = w->live = 0;
}

static inline void link_down(struct model_link *l) {
    way_clear(&l->to_server);
    way_clear(&l->to_client);
    l->up = false;
}

// May the i-th overtake what was sent before it? Not its own lane, nor a control message,
// nor one without a lane if it is one of those itself.
static inline bool way_may_go(const struct model_way *w, size_t i) {
    if (w->m[i].gone)
        return false;
    for (size_t k = 0; k < i; k++)
        if (!w->m[k].gone && (w->m[k].lane == w->m[i].lane ||
                              w->m[k].lane == MODEL_CONTROL || w->m[k].lane == 0))
            return false;
    return true;
}

static inline void model_init(struct model *m) {
    memset(m, 0, sizeof *m);
    resume_init(&m->client.r, false);
    resume_init(&m->server.r, true);
    memset(m->now.id, 1, sizeof m->now.id);
    m->now.up = m->now.taken = true;
}

// Memory of what is lent no more goes at once, so that a sanitizer sees who still looks.
static inline void loans_return(struct model_end *e, bool all) {
    uint64_t from = all ? e->marks : replay_lent_from(&e->r.store);
    for (; e->returned < from && e->returned < e->marks; e->returned++)
        free(e->loans[e->returned % MODEL_LOANS]);
}

static inline void model_spill(struct model_end *e, uint64_t mark) {
    MODEL_CHECK(replay_spill(&e->r.store, mark) == OK);
    loans_return(e, false);
}

static inline enum err model_lend(struct model_end *e, struct view head,
                                  struct view body) {
    if (e->marks - e->returned == MODEL_LOANS)
        model_spill(e, e->returned + MODEL_LOANS / 4);
    uint8_t *p = malloc(body.n);
    MODEL_CHECK(p != NULL);
    memcpy(p, body.p, body.n);
    e->loans[e->marks % MODEL_LOANS] = p;
    return resume_lend(&e->r, head, view_of(p, body.n), e->marks++);
}

static inline void model_free(struct model *m) {
    loans_return(&m->client, true);
    loans_return(&m->server, true);
    link_down(&m->now);
    link_down(&m->old);
    resume_free(&m->client.r);
    resume_free(&m->server.r);
}

// Does what it sends reach this link? The client lets go of an old one at once, the
// server when it takes the next.
static inline bool model_joined(const struct model *m, const struct model_end *e) {
    return m->now.up && (e == &m->client || m->now.taken);
}

static inline struct model_way *way_from(struct model *m, struct model_end *e) {
    return e == &m->client ? &m->now.to_server : &m->now.to_client;
}

// ---- what the ends do ----

static inline bool model_room(struct model *m, struct model_end *e) {
    return way_from(m, e)->n < MODEL_QUEUE - 64;
}

// A message of that lane, with its number in it and `size` bytes besides.
static inline void model_send(struct model *m, struct model_end *e, uint32_t lane,
                              size_t size) {
    scoped_buf head = {.max = 64}, body = {.max = LIMIT_PACKET},
               whole = {.max = 1u << 20};
    struct writer w = writer_to_buf(&head);
    static const uint8_t global[] = {SSH_MSG_GLOBAL_REQUEST, SSH_MSG_CHANNEL_OPEN,
                                     SSH_MSG_CHANNEL_WINDOW_ADJUST};
    if (!model_room(m, e))
        return;
    uint64_t number = e->sent[lane]++;
    write_u8(&w, lane == 0 ? global[number % 3] : SSH_MSG_CHANNEL_DATA);
    write_u32(&w, lane == 0 ? 0 : lane - 1);
    write_u64(&w, number);
    struct span room;
    MODEL_CHECK(writer_end(&w) == OK && buf_reserve(&body, size + 1, &room) == OK);
    memset(room.p, (int)number & 0xff, size);
    buf_added(&body, size);
    bool now = resume_may_send(&e->r) && model_joined(m, e);
    if (now && size >= MODEL_LENT)
        MODEL_CHECK(model_lend(e, buf_view(&head), buf_view(&body)) == OK);
    else
        MODEL_CHECK(resume_out(&e->r, buf_view(&head), buf_view(&body)) == OK);
    if (!now)
        return;
    MODEL_CHECK(buf_append(&whole, buf_view(&head)) == OK &&
                buf_append(&whole, buf_view(&body)) == OK);
    way_put(way_from(m, e), &whole, lane);
}

// What was not sent because it is to come from the store.
static inline void model_replay(struct model *m, struct model_end *e, size_t most) {
    struct view v;
    while (most-- > 0 && model_joined(m, e) && model_room(m, e) &&
           e->r.state == RESUME_ON && resume_replay(&e->r, &v)) {
        scoped_buf copy = {.max = 1u << 20};
        MODEL_CHECK(buf_append(&copy, v) == OK);
        way_put(way_from(m, e), &copy, replay_lane_of(v));
    }
}

static inline void model_ack(struct model *m, struct model_end *e, bool must) {
    uint64_t deadline;
    bool due = resume_ack_due(&e->r, m->ms, false, &deadline);
    if (!model_joined(m, e) || !model_room(m, e) || e->r.state != RESUME_ON ||
        (!due && !must))
        return;
    scoped_buf ack = {.max = 1u << 16};
    MODEL_CHECK(resume_ack(&e->r, &ack) == OK);
    way_put(way_from(m, e), &ack, MODEL_CONTROL);
}

static inline void model_open(struct model *m) {
    static const uint8_t exporter[RESUME_SECRET] = {7};
    scoped_buf open = {.max = 1024};
    MODEL_CHECK(resume_open(&m->client.r, exporter, 0, &open) == OK);
    way_put(&m->now.to_server, &open, MODEL_CONTROL);
}

// The client lets go of its link, and has a new one. cut: the server loses the old one
// too.
static inline void model_new_link(struct model *m, bool cut) {
    scoped_buf attach = {.max = 1u << 16};
    if (m->client.r.state != RESUME_ON && m->client.r.state != RESUME_ATTACHING)
        return;
    link_down(&m->old);
    way_clear(&m->now.to_client);
    m->old = m->now;
    memset(&m->now, 0, sizeof m->now);
    if (cut)
        link_down(&m->old);
    m->lost++;
    store_u64(m->now.id, ++m->links);
    m->now.up = true;
    model_spill(&m->client, UINT64_MAX);
    MODEL_CHECK(resume_attach(&m->client.r, view_of(m->now.id, 32), &attach) == OK);
    way_put(&m->now.to_server, &attach, MODEL_CONTROL);
}

// ---- what arrives ----

static inline void take_counted(struct model *m, struct model_end *e, struct view v) {
    uint32_t lane = replay_lane_of(v);
    MODEL_CHECK(lane < MODEL_LANES && v.n >= 13);
    MODEL_CHECK(load_u64(v.p + 5) == e->got[lane]);
    for (size_t i = 13; i < v.n; i++)
        MODEL_CHECK(v.p[i] == (uint8_t)e->got[lane]);
    e->got[lane]++;
    MODEL_CHECK(resume_in(&e->r, v, m->ms) == OK);
}

// By a link that the client has given up meanwhile, too: then nobody hears the answer.
static inline void server_attach(struct model *m, struct model_link *l, struct view v) {
    struct model_end *s = &m->server;
    struct fault fault = {0};
    scoped_buf answer = {.max = 1u << 16};
    struct view id = view_of(l->id, 32);
    MODEL_CHECK(resume_attach_check(&s->r, v, id) == RESUME_REFUSED_NONE);
    model_spill(s, UINT64_MAX);
    MODEL_CHECK(resume_attach_in(&s->r, v, id, &answer, &fault) == OK);
    m->resumed++;
    if (l != &m->now)
        return;
    link_down(&m->old);
    way_put(&m->now.to_client, &answer, MODEL_CONTROL);
    m->now.taken = true;
}

static inline void server_takes(struct model *m, struct model_link *l, struct view v) {
    static const uint8_t exporter[RESUME_SECRET] = {7};
    struct fault fault = {0};
    scoped_buf answer = {.max = 1u << 16};
    if (v.p[0] == SSH_MSG_RESUME_OPEN) {
        MODEL_CHECK(resume_open_in(&m->server.r, v, exporter, 60, &answer, &fault) == OK);
        way_put(&m->now.to_client, &answer, MODEL_CONTROL);
    } else if (v.p[0] == SSH_MSG_RESUME_ATTACH) {
        server_attach(m, l, v);
    } else if (v.p[0] == SSH_MSG_RESUME_ACK) {
        MODEL_CHECK(resume_ack_in(&m->server.r, v, &fault) == OK);
        loans_return(&m->server, false);
    } else {
        take_counted(m, &m->server, v);
    }
}

static inline void client_takes(struct model *m, struct view v) {
    struct fault fault = {0};
    enum resume_refusal why;
    if (v.p[0] == SSH_MSG_RESUME_OPENED)
        MODEL_CHECK(resume_opened_in(&m->client.r, v, m->ms, &fault) == OK);
    else if (v.p[0] == SSH_MSG_RESUME_ATTACHED)
        MODEL_CHECK(resume_attached_in(&m->client.r, v, view_of(m->now.id, 32), &why,
                                       &fault) == OK);
    else if (v.p[0] == SSH_MSG_RESUME_ACK)
        MODEL_CHECK(resume_ack_in(&m->client.r, v, &fault) == OK);
    else
        take_counted(m, &m->client, v);
    loans_return(&m->client, false);
}

// Takes the i-th message that may go off the way; false if there are not so many.
static inline bool way_take(struct model_way *w, size_t i, struct model_message *out) {
    for (size_t k = 0; k < w->n; k++)
        if (way_may_go(w, k) && i-- == 0) {
            *out = w->m[k];
            w->m[k].p = NULL;
            w->m[k].gone = true;
            if (--w->live == 0)
                w->n = 0;
            return true;
        }
    return false;
}

static inline bool model_deliver(struct model *m, bool to_server, size_t choice) {
    struct model_message got;
    // What the old link still carries arrives until the server lets go of it.
    struct model_way *way = to_server ? &m->now.to_server : &m->now.to_client;
    bool late = to_server && way_take(&m->old.to_server, choice, &got);
    if (!late && !way_take(way, choice, &got))
        return false;
    if (to_server)
        server_takes(m, late ? &m->old : &m->now, view_of(got.p, got.n));
    else
        client_takes(m, view_of(got.p, got.n));
    free(got.p);
    return true;
}

// Everything that is under way, and what follows from it, until all is quiet: then each
// end has all that the other sent, and nothing is kept any more.
static inline void model_settle(struct model *m) {
    if (!m->now.up)
        model_new_link(m, true);
    for (bool more = true; more;) {
        more = model_deliver(m, true, 0);
        more = model_deliver(m, false, 0) || more;
        model_replay(m, &m->client, 8);
        model_replay(m, &m->server, 8);
        more = more || m->client.r.replaying || m->server.r.replaying ||
               m->now.to_server.live > 0 || m->now.to_client.live > 0;
    }
    model_ack(m, &m->client, true);
    model_ack(m, &m->server, true);
    while (model_deliver(m, true, 0) || model_deliver(m, false, 0))
        continue;
    for (size_t i = 0; i < MODEL_LANES; i++) {
        MODEL_CHECK(m->client.sent[i] == m->server.got[i]);
        MODEL_CHECK(m->server.sent[i] == m->client.got[i]);
    }
    MODEL_CHECK(m->client.r.store.bytes == 0 && m->server.r.store.bytes == 0);
    MODEL_CHECK(m->client.r.store.lent == 0 && m->server.r.store.lent == 0);
    MODEL_CHECK(m->client.r.store.own == 0 && m->server.r.store.own == 0);
    MODEL_CHECK(m->client.r.store.held == m->client.r.store.spare_bytes);
    MODEL_CHECK(m->server.r.store.held == m->server.r.store.spare_bytes);
}
