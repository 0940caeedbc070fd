// A random walk over both ends, compared with a model: every byte arrives once and in
// order, windows are never overdrawn, replies answer what was asked, and no channel is
// left over. Messages travel through two queues in which they wait for a random time.
#include "script/connection/pair.h"

#define CHANNELS 12
#define PIPE_MAX 4096

// What is on its way to an end.
struct pipe {
    struct buf bytes;  // u32 length, message
};

// One direction of one channel, as the model has it. Indexed by the tag that the opener
// chose.
struct stream {
    uint64_t sent, received;
    bool eof_sent, eof_received;
};

struct flow {
    bool used;
    int opener;             // 0 client, 1 server
    uint32_t number[2];     // at client and server
    bool known[2];          // has that end a number for it, and not closed yet
    bool closed_by[2];      // called connection_close
    struct stream from[2];  // from client, from server
    uint32_t asked[2], replied[2];
    uint64_t unconsumed[2];
};

struct walk {
    struct connection *end[2];
    struct pipe to[2];
    struct flow flows[CHANNELS];
    uint64_t now, random, closes, bytes, refused;
};

static uint32_t draw(struct walk *w, uint32_t below) {
    w->random ^= w->random << 13;
    w->random ^= w->random >> 7;
    w->random ^= w->random << 17;
    return (uint32_t)(w->random >> 33) % below;
}

static void put(struct walk *w, int to, struct view m) {
    uint8_t length[4];
    store_u32(length, (uint32_t)m.n);
    assert_int_equal(buf_append(&w->to[to].bytes, view_of(length, 4)), OK);
    assert_int_equal(buf_append(&w->to[to].bytes, m), OK);
}

static void flush_control(struct walk *w, int from) {
    struct view m;
    while ((m = connection_out(w->end[from])).n > 0) {
        put(w, !from, m);
        connection_out_done(w->end[from]);
    }
}

static struct flow *flow_of(struct walk *w, int at, uint32_t number) {
    struct flow *f = connection_user(w->end[at], number);
    assert_non_null(f);
    assert_true(f >= w->flows && f < w->flows + CHANNELS);
    return f;
}

// ---- moves ----

static void move_open(struct walk *w, int who) {
    for (int i = 0; i < CHANNELS; i++) {
        struct flow *f = &w->flows[i];
        if (f->used)
            continue;
        uint8_t tag = (uint8_t)i;
        *f = (struct flow){.used = true, .opener = who};
        assert_int_equal(
            connection_open(w->end[who], "walk", view_of(&tag, 1), &f->number[who]), OK);
        connection_set_user(w->end[who], f->number[who], f);
        f->known[who] = true;
        return;
    }
}

static void move_send(struct walk *w, int who, struct flow *f) {
    struct connection *c = w->end[who];
    struct stream *s = &f->from[who];
    size_t max = connection_data_max(c, f->number[who]);
    if (max == 0 || s->eof_sent)
        return;
    if (connection_out_pending(c, f->number[who]))
        flush_control(w, who);
    uint32_t extended = draw(w, 4) == 0 ? 1 : 0;
    size_t header = extended ? CONNECTION_EXTENDED_HEADER : CONNECTION_DATA_HEADER;
    size_t n = draw(w, 3) == 0 ? max : 1 + draw(w, (uint32_t)max);
    uint8_t m[CONNECTION_EXTENDED_HEADER + PIPE_MAX];
    assert_in_range(n, 1, PIPE_MAX);
    connection_data_header(c, f->number[who], extended, n, m);
    for (size_t i = 0; i < n; i++)
        m[header + i] = (uint8_t)(s->sent + i);
    s->sent += n;
    put(w, !who, view_of(m, header + n));
}

static void move_end(struct walk *w, int who, struct flow *f, bool close) {
    if (close) {
        assert_int_equal(connection_close(w->end[who], f->number[who]), OK);
        f->closed_by[who] = true;
    } else {
        assert_int_equal(connection_eof(w->end[who], f->number[who]), OK);
    }
    f->from[who].eof_sent = true;
}

static void move_request(struct walk *w, int who, struct flow *f) {
    bool want = draw(w, 2) == 0;
    size_t before = connection_replies_due(w->end[who], f->number[who]);
    assert_int_equal(
        connection_request(w->end[who], f->number[who], "do", want, view_of("x", 1)), OK);
    f->asked[who] +=
        (uint32_t)(connection_replies_due(w->end[who], f->number[who]) - before);
}

static void move_consume(struct walk *w, int who, struct flow *f) {
    uint64_t n = f->unconsumed[who];
    if (n > 0 && draw(w, 3) == 0)
        n = 1 + draw(w, (uint32_t)n);
    assert_int_equal(connection_consumed(w->end[who], f->number[who], n, w->now), OK);
    f->unconsumed[who] -= n;
}

// ---- events ----

static void on_data_event(struct walk *w, int at, struct flow *f,
                          const struct connection_event *e) {
    struct stream *s = &f->from[!at];
    assert_false(s->eof_received);
    assert_false(f->closed_by[at]);
    for (size_t i = 0; i < e->data.n; i++)
        assert_int_equal(e->data.p[i], (uint8_t)(s->received + i));
    s->received += e->data.n;
    w->bytes += e->data.n;
    f->unconsumed[at] += e->data.n;
    assert_true(s->received <= s->sent);
}

static void on_closed_event(struct walk *w, int at, struct flow *f) {
    w->closes++;
    f->known[at] = false;
    // Whoever did not hang up first has had everything.
    if (!f->closed_by[at])
        assert_int_equal(f->from[!at].received, f->from[!at].sent);
    if (!f->known[0] && !f->known[1])
        f->used = false;
}

static void on_open_event(struct walk *w, int at, const struct connection_event *e) {
    assert_int_equal(e->fields.n, 1);
    struct flow *f = &w->flows[e->fields.p[0]];
    assert_true(f->used && f->opener == !at);
    if (draw(w, 8) == 0) {
        w->refused++;
        assert_int_equal(
            connection_refuse(w->end[at], e->channel, OPEN_CONNECT_FAILED, "no"), OK);
        return;
    }
    f->number[at] = e->channel;
    f->known[at] = true;
    connection_set_user(w->end[at], e->channel, f);
    assert_int_equal(connection_accept(w->end[at], e->channel, view_of(NULL, 0)), OK);
}

static void on_event(struct walk *w, int at, const struct connection_event *e) {
    if (e->kind == CONNECTION_OPEN) {
        on_open_event(w, at, e);
        return;
    }
    struct flow *f = flow_of(w, at, e->channel);
    assert_ptr_equal(e->user, f);
    switch (e->kind) {
    case CONNECTION_DATA:
        on_data_event(w, at, f, e);
        break;
    case CONNECTION_EOF:
        f->from[!at].eof_received = true;
        assert_int_equal(f->from[!at].received, f->from[!at].sent);
        break;
    case CONNECTION_PEER_CLOSE:
        if (draw(w, 2) == 0)
            move_end(w, at, f, true);
        break;
    case CONNECTION_REQUEST:
        assert_true(view_is(e->name, "do") && view_is(e->fields, "x"));
        if (e->want_reply)
            assert_int_equal(connection_reply(w->end[at], e->channel, true), OK);
        break;
    case CONNECTION_REPLY:
        assert_int_equal(e->ordinal, f->replied[at]);
        f->replied[at]++;
        assert_true(f->replied[at] <= f->asked[at]);
        break;
    case CONNECTION_OPEN_REFUSED:
        f->known[at] = false;
        f->used = false;
        break;
    case CONNECTION_CLOSED:
        on_closed_event(w, at, f);
        break;
    default:
        break;
    }
}

static void pull(struct walk *w, int at) {
    struct connection_event e;
    while (connection_next(w->end[at], &e))
        on_event(w, at, &e);
}

static void deliver(struct walk *w, int to) {
    struct buf *b = &w->to[to].bytes;
    if (buf_len(b) == 0)
        return;
    uint32_t n = load_u32(buf_view(b).p);
    enum err e = connection_in(w->end[to], view_of(buf_view(b).p + 4, n), w->now);
    if (e != OK)
        fail_msg("%s", fault_text(connection_fault(w->end[to])));
    pull(w, to);
    buf_taken(b, 4 + n);
}

static void move(struct walk *w) {
    int who = (int)draw(w, 2);
    struct flow *f = &w->flows[draw(w, CHANNELS)];
    uint32_t what = draw(w, 100);
    w->now += draw(w, 5);
    if (what < 4)
        move_open(w, who);
    else if (what < 40)
        deliver(w, who);
    else if (what < 46)
        flush_control(w, who);
    else if (!f->known[who])
        return;
    else if (what < 75)
        move_send(w, who, f);
    else if (what < 88)
        move_consume(w, who, f);
    else if (what < 95)
        move_request(w, who, f);
    else if (what < 97)
        move_end(w, who, f, false);
    else if (what < 99)
        move_end(w, who, f, true);
    pull(w, who);
}

static void settle(struct walk *w) {
    for (int i = 0; i < CHANNELS; i++)
        for (int who = 0; who < 2; who++)
            if (w->flows[i].known[who])
                move_end(w, who, &w->flows[i], true);
    for (bool moved = true; moved;) {
        moved = false;
        for (int who = 0; who < 2; who++) {
            pull(w, 0);
            pull(w, 1);
            flush_control(w, 0);
            flush_control(w, 1);
            while (buf_len(&w->to[who].bytes) > 0) {
                deliver(w, who);
                moved = true;
            }
        }
        for (int i = 0; i < CHANNELS; i++)
            for (int who = 0; who < 2; who++)
                if (w->flows[i].known[who] && !w->flows[i].closed_by[who]) {
                    move_end(w, who, &w->flows[i], true);
                    moved = true;
                }
    }
}

// The count of channels agrees with the slots.
static void check(const struct connection *c) {
    size_t in_use = 0;
    for (uint32_t k = 0; k < c->slot_count; k++)
        in_use += c->slots[k].state != CHANNEL_FREE && c->reaped != k;
    assert_int_equal(connection_count(c), in_use);
}

static void walk_with_seed(uint64_t seed, struct walk *total) {
    struct connection_config config[2] = {
        {.window_start = 3000,
         .window_max = 50000,
         .max_packet = 700,
         .max_packet_out = 512},
        {.window_start = 1, .window_max = 9, .max_packet = 1000, .server = true},
    };
    struct walk w = {.random = seed * 0x9e3779b97f4a7c15u + 1};
    for (int i = 0; i < 2; i++) {
        assert_int_equal(connection_new(&w.end[i], &config[i]), OK);
        buf_init(&w.to[i].bytes, 64u << 20);
    }
    for (int i = 0; i < 20000; i++) {
        move(&w);
        check(w.end[0]);
        check(w.end[1]);
    }
    settle(&w);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(connection_count(w.end[i]), 0);
        assert_int_equal(buf_len(&w.to[i].bytes), 0);
        for (uint32_t k = 0; k < w.end[i]->slot_count; k++)
            if (w.end[i]->slots[k].state != CHANNEL_FREE)
                assert_int_equal(w.end[i]->reaped, k);
        assert_int_equal(connection_counts(w.end[i]).in,
                         connection_counts(w.end[!i]).out);
    }
    for (int i = 0; i < 2; i++) {
        connection_free(w.end[i]);
        buf_free(&w.to[i].bytes);
    }
    total->bytes += w.bytes;
    total->closes += w.closes;
    total->refused += w.refused;
}

static void a_random_walk_agrees_with_the_model(void **state) {
    (void)state;
    struct walk total = {0};
    for (uint64_t seed = 1; seed <= 200; seed++)
        walk_with_seed(seed, &total);
    // The walk went somewhere.
    assert_true(total.bytes > 1000000);
    assert_true(total.closes > 10000);
    assert_true(total.refused > 500);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_random_walk_agrees_with_the_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
