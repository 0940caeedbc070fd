// resume-v1@bowline: the input is a list of moves of two honest ends and of what their
// links do to them (nothing may be lost or doubled), or, where its first byte says so, of
// messages of a peer that lies to one of them, with the connection's secret in its hands.
#include <assert.h>

#include "../../script/connection/resume_model.h"
#include "crypto/crypto.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MOVES_MAX 300  // more only makes it slow

struct script {
    const uint8_t *p, *end;
};

static uint8_t next_byte(struct script *s) {
    return s->p < s->end ? *s->p++ : 0;
}

static struct view next_bytes(struct script *s, size_t most) {
    size_t n = next_byte(s) % (most + 1);
    if (n > (size_t)(s->end - s->p))
        n = (size_t)(s->end - s->p);
    struct view v = view_of(s->p, n);
    s->p += n;
    return v;
}

static void honest(struct model *m, struct script *s) {
    uint8_t what = next_byte(s), arg = next_byte(s);
    struct model_end *e = (what & 0x80) != 0 ? &m->client : &m->server;
    if (m->client.r.state == RESUME_OFF || m->server.r.state == RESUME_OFF)
        return;
    m->ms += arg;
    switch (what & 7) {
    case 0:
    case 1:
        model_send(m, e, arg % MODEL_LANES, arg);
        break;
    case 2:
        model_send(m, e, 1 + arg % (MODEL_LANES - 1), arg * 300u);
        break;
    case 3:
    case 4:
        model_deliver(m, (what & 0x80) != 0, arg % 4);
        break;
    case 5:
        model_replay(m, e, arg % 8);
        break;
    case 6:
        model_ack(m, e, (arg & 1) != 0);
        break;
    default:
        model_new_link(m, (arg & 1) != 0);
    }
}

static uint64_t number(struct script *s) {
    uint8_t b = next_byte(s);
    return b < 0xf0 ? b : b < 0xf8 ? UINT64_MAX - b : (uint64_t)1 << (b & 63);
}

static void lies(struct model *m, struct script *s) {
    struct fault fault = {0};
    scoped_buf message = {.max = 1u << 16}, answer = {.max = 1u << 16};
    static const uint8_t id[32] = {9};
    enum resume_refusal why;
    struct resume *c = &m->client.r, *r = &m->server.r;
    switch (next_byte(s) % 6) {
    case 0:  // counts that cannot be, with a proof that is right
        for (uint32_t i = 0; i < c->lane_count && i < MODEL_LANES; i++)
            c->lanes[i].taken = number(s);
        if (resume_attach(c, view_of(id, 32), &message) == OK) {
            why = resume_attach_check(r, buf_view(&message), view_of(id, 32));
            enum err e =
                resume_attach_in(r, buf_view(&message), view_of(id, 32), &answer, &fault);
            assert((why == RESUME_REFUSED_NONE) == (e == OK));
        }
        break;
    case 1:
        c->epoch = number(s);
        break;
    case 2:
        if (resume_ack(c, &message) == OK)
            (void)!resume_ack_in(r, buf_view(&message), &fault);
        break;
    default: {
        struct view v = next_bytes(s, 200);
        uint8_t *exact = malloc(v.n + 1);
        if (exact == NULL)
            abort();
        if (v.n > 0)
            memcpy(exact, v.p, v.n);
        struct view e = view_of(exact, v.n);
        if (v.n > 0) {
            (void)!resume_ack_in(r, e, &fault);
            (void)!resume_attached_in(c, e, view_of(id, 32), &why, &fault);
            (void)!resume_opened_in(c, e, 0, &fault);
            (void)!resume_attach_check(r, e, view_of(id, 32));
            assert(resume_login_check(r, r->epoch, view_of(id, 32), e, e) !=
                   RESUME_REFUSED_NONE);
            (void)!resume_attach_in(r, e, view_of(id, 32), &answer, &fault);
            if (r->state == RESUME_OFF && e.p[0] == SSH_MSG_RESUME_OPEN)
                (void)!resume_open_in(r, e, id, 1, &answer, &fault);
            (void)!resume_in(r, e, 0);
        }
        free(exact);
        break;
    }
    }
    for (struct view v; resume_replay(r, &v);)
        assert(v.n > 0 && replay_lane_of(v) < REPLAY_LANES);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static bool ready;
    static struct model m;
    struct script s = {data, data + size};
    if (!ready && crypto_init() != OK)
        abort();
    ready = true;
    bool hostile = (next_byte(&s) & 1) != 0;
    model_init(&m);
    model_open(&m);
    model_deliver(&m, true, 0);
    model_deliver(&m, false, 0);
    for (uint32_t i = 0; hostile && i < MODEL_LANES; i++) {
        model_send(&m, &m.client, i, i);
        model_send(&m, &m.server, i, i);
    }
    while (hostile && model_deliver(&m, false, 0))
        continue;
    for (int i = 0; i < MOVES_MAX && s.p < s.end; i++)
        if (hostile)
            lies(&m, &s);
        else
            honest(&m, &s);
    if (!hostile)
        model_settle(&m);
    model_free(&m);
    return 0;
}
