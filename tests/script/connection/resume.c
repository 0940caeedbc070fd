// resume-v1@bowline: two machines, links that are cut wherever they can be, and peers
// that lie.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "crypto/crypto.h"
#include "resume_model.h"

static uint64_t random_state;

static uint32_t random_u32(void) {
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(random_state >> 33);
}

static void opened(struct model *m) {
    model_init(m);
    model_open(m);
    assert_true(model_deliver(m, true, 0));
    assert_true(model_deliver(m, false, 0));
    assert_int_equal(m->client.r.state, RESUME_ON);
    assert_int_equal(m->server.r.state, RESUME_ON);
}

// ---- nothing lost, nothing doubled ----

static void move(struct model *m) {
    struct model_end *e = random_u32() % 2 == 0 ? &m->client : &m->server;
    uint32_t what = random_u32() % 100;
    m->ms += random_u32() % 20;
    if (what < 40)
        model_send(m, e, random_u32() % MODEL_LANES, random_u32() % 300);
    else if (what < 42)
        model_send(m, e, 1 + random_u32() % (MODEL_LANES - 1), random_u32() % 100000);
    else if (what < 85)
        model_deliver(m, e == &m->server, random_u32() % 3);
    else if (what < 93)
        model_replay(m, e, 1 + random_u32() % 5);
    else if (what < 98)
        model_ack(m, e, what == 97);
    else
        model_new_link(m, random_u32() % 2 == 0);
}

static void a_thousand_walks(void **state) {
    (void)state;
    uint64_t resumed = 0;
    for (uint64_t seed = 1; seed <= 1000; seed++) {
        static struct model m;
        random_state = seed;
        opened(&m);
        for (int i = 0; i < 400; i++)
            move(&m);
        model_settle(&m);
        resumed += m.resumed;
        model_free(&m);
    }
    assert_true(resumed > 3000);
}

// The client asks, and sends on before it is answered; the link is cut then.
static void what_goes_before_the_answer_is_kept(void **state) {
    (void)state;
    static struct model m;
    model_init(&m);
    model_open(&m);
    model_send(&m, &m.client, 0, 10);
    model_send(&m, &m.client, 1, 10);
    assert_true(model_deliver(&m, true, 0));
    model_send(&m, &m.server, 0, 10);
    model_send(&m, &m.server, 2, 10);
    assert_true(model_deliver(&m, false, 0));
    model_new_link(&m, true);
    model_settle(&m);
    model_free(&m);
}

// The same talk, cut behind each delivery in turn, by once and by twice.
static bool talk(struct model *m, int cut, int again) {
    int step = 0;
    opened(m);
    for (uint32_t round = 0; round < 6; round++) {
        for (uint32_t lane = 0; lane < MODEL_LANES; lane++) {
            model_send(m, &m->client, lane, lane * 7);
            model_send(m, &m->server, lane, lane * 5);
        }
        for (bool more = true; more;) {
            more = false;
            for (int way = 0; way < 2; way++) {
                bool went = model_deliver(m, way == 0, round % 2);
                more = more || went;
                if (went && (step == cut || step == cut + again))
                    model_new_link(m, step % 2 == 0);
                step += went;
                model_replay(m, way == 0 ? &m->client : &m->server, 2);
                model_ack(m, way == 0 ? &m->client : &m->server, round == 3);
            }
        }
    }
    model_settle(m);
    model_free(m);
    return step > cut;
}

static void cut_behind_every_message(void **state) {
    (void)state;
    static struct model m;
    int cut = 0;
    while (talk(&m, cut, 1 << 20))
        cut++;
    assert_true(cut > 50);
    for (int again = 1; again < 8; again++)
        for (int i = 0; i < cut; i++)
            talk(&m, i, again);
}

// As after so many links and messages in each lane, all of them taken and confirmed.
static void far_ahead(struct model *m, uint64_t many) {
    struct model_end *ends[] = {&m->client, &m->server};
    for (int i = 0; i < 2; i++) {
        struct model_end *e = ends[i], *other = ends[1 - i];
        for (uint32_t lane = 0; lane < e->r.store.lane_count && lane < MODEL_LANES;
             lane++) {
            e->r.store.lanes[lane].sent = e->r.store.lanes[lane].confirmed = many;
            e->sent[lane] = other->got[lane] = many;
        }
        for (uint32_t lane = 0; lane < other->r.lane_count && lane < MODEL_LANES; lane++)
            if (lane < e->r.store.lane_count)
                other->r.lanes[lane].taken = many;
        e->r.epoch = many;
    }
}

static void counters_pass_32_bits(void **state) {
    (void)state;
    static struct model m;
    opened(&m);
    for (uint32_t lane = 0; lane < 2; lane++) {
        model_send(&m, &m.client, lane, 1);
        model_send(&m, &m.server, lane, 1);
    }
    model_settle(&m);
    far_ahead(&m, (1ull << 32) - 3);
    for (int i = 0; i < 10; i++) {
        model_send(&m, &m.client, 1, 100);
        model_send(&m, &m.server, 0, 100);
        model_new_link(&m, i % 2 == 0);
        model_settle(&m);
    }
    assert_true(m.client.r.epoch > 1ull << 32 && m.client.got[0] > 1ull << 32);
    model_free(&m);
}

// Many links under one connection, and counts that pass 32 bits among them: nothing
// grows. BOWLINE_LINKS=1000000 is the whole of it, a minute of one core.
static void many_links(void **state) {
    (void)state;
    static struct model m;
    opened(&m);
    const char *text = getenv("BOWLINE_LINKS");
    unsigned long links = text != NULL ? strtoul(text, NULL, 10) : 20000;
    size_t held = 0;
    for (unsigned long i = 0; i < links; i++) {
        if (i == links / 2)
            far_ahead(&m, (1ull << 32) - links / 4);
        model_send(&m, &m.client, 1, 10);
        model_send(&m, &m.server, 2, 10);
        model_new_link(&m, true);
        model_settle(&m);
        size_t now = m.client.r.store.held + m.server.r.store.held;
        if (i == 100)
            held = now;
        if (i > 100)
            assert_true(now <= held);
    }
    assert_true(m.client.r.epoch >= 1ull << 32 && m.client.got[2] > 1ull << 32);
    printf("%lu links, %zu bytes are held\n", links, held);
    model_free(&m);
}

// ---- bounds ----

static void the_store_says_when_it_is_full(void **state) {
    (void)state;
    static uint8_t data[200000];
    static struct resume r;
    static const uint8_t exporter[RESUME_SECRET];
    uint8_t head[9] = {SSH_MSG_CHANNEL_DATA};
    scoped_buf open = {.max = 1024};
    resume_init(&r, false);
    assert_int_equal(resume_room(&r), SIZE_MAX);
    assert_int_equal(resume_open(&r, exporter, 0, &open), OK);
    while (resume_room(&r) > 0)
        assert_int_equal(resume_out(&r, view_of(head, 9), view_of(data, sizeof data)),
                         OK);
    assert_true(r.store.bytes >= RESUME_STORE);
    assert_true(r.store.bytes < RESUME_STORE + sizeof data + 9);
    assert_true(r.store.held < RESUME_STORE + RESUME_STORE / 5);
    resume_free(&r);
}

// ---- what is lent ----

static enum err lend(struct resume *r, const uint8_t *body, size_t n, uint64_t mark) {
    static const uint8_t head[9] = {SSH_MSG_CHANNEL_DATA};
    return resume_lend(r, view_of(head, sizeof head), view_of(body, n), mark);
}

static void opened_alone(struct resume *r) {
    static const uint8_t exporter[RESUME_SECRET];
    scoped_buf open = {.max = 1024};
    resume_init(r, false);
    assert_int_equal(resume_open(r, exporter, 0, &open), OK);
}

// The third of five is put, the others are lent; the first two are spilled, then their
// memory is written over.
static void what_is_spilled_is_a_copy(void **state) {
    (void)state;
    struct resume r;
    uint8_t body[5][100];
    struct view v;
    opened_alone(&r);
    for (uint8_t i = 0; i < 5; i++) {
        memset(body[i], i, sizeof body[i]);
        uint8_t head[9] = {SSH_MSG_CHANNEL_DATA};
        assert_int_equal(i == 2 ? resume_out(&r, view_of(head, 9), view_of(body[i], 100))
                                : lend(&r, body[i], 100, 10 + i),
                         OK);
    }
    assert_true(replay_lent_from(&r.store) == 10);
    assert_int_equal(replay_spill(&r.store, 12), OK);
    assert_true(replay_lent_from(&r.store) == 13 && r.store.lent == 2);
    memset(body[0], 0xee, 300);
    assert_int_equal(replay_spill(&r.store, UINT64_MAX), OK);
    assert_true(replay_lent_from(&r.store) == UINT64_MAX && r.store.lent == 0);
    memset(body, 0xdd, sizeof body);
    replay_rewind(&r.store);
    for (uint8_t i = 0; i < 5; i++) {
        assert_true(replay_next(&r.store, &v));
        assert_true(v.n == 109 && v.p[0] == SSH_MSG_CHANNEL_DATA);
        assert_true(v.p[9] == i && v.p[108] == i);
    }
    assert_false(replay_next(&r.store, &v));
    assert_int_equal(replay_confirm(&r.store, 1, 5), OK);
    assert_int_equal(r.store.bytes, 0);
    assert_int_equal(r.store.held, r.store.spare_bytes);
    resume_free(&r);
}

// Loans return in the order in which they were made, by what is confirmed and nothing
// else; a count above what was sent changes nothing.
static void what_is_confirmed_is_returned(void **state) {
    (void)state;
    struct resume r;
    static const uint8_t body[4000];
    opened_alone(&r);
    for (uint64_t i = 0; i < 1000; i++)
        assert_int_equal(lend(&r, body, sizeof body, i * 64), OK);
    assert_true(r.store.held <= 16 * 4096);  // of a million bytes nothing was copied
    for (uint64_t i = 0; i <= 1000; i += 100) {
        assert_int_equal(replay_confirm(&r.store, 1, 1001), ERR_PROTOCOL);
        assert_int_equal(replay_confirm(&r.store, 1, i), OK);
        assert_true(replay_lent_from(&r.store) == (i < 1000 ? i * 64 : UINT64_MAX));
        assert_int_equal(r.store.lent, 1000 - i);
        assert_int_equal(r.store.bytes, (1000 - i) * 4009);
    }
    resume_free(&r);
}

static void a_loan_has_a_short_head(void **state) {
    (void)state;
    struct resume r;
    uint8_t head[REPLAY_HEAD + 1] = {SSH_MSG_CHANNEL_DATA};
    static const uint8_t body[1];
    opened_alone(&r);
    assert_int_equal(resume_lend(&r, view_of(head, sizeof head), view_of(body, 1), 0),
                     ERR_LIMIT);
    assert_int_equal(r.store.lent, 0);
    resume_free(&r);
}

static void an_ack_is_due_by_bytes_messages_and_time(void **state) {
    (void)state;
    static struct model m;
    uint64_t deadline;
    opened(&m);
    assert_false(resume_ack_due(&m.server.r, 0, false, &deadline));
    assert_true(deadline == UINT64_MAX);
    model_send(&m, &m.client, 1, 10);
    m.ms = 1000;
    assert_true(model_deliver(&m, true, 0));
    assert_false(resume_ack_due(&m.server.r, 1000, false, &deadline));
    assert_true(deadline == 1200);
    assert_true(resume_ack_due(&m.server.r, 1200, false, &deadline));
    model_ack(&m, &m.server, false);
    m.ms = 1200;
    model_ack(&m, &m.server, false);
    assert_false(resume_ack_due(&m.server.r, 9999, false, &deadline));
    for (int i = 0; i < 3; i++) {
        assert_false(resume_ack_due(&m.server.r, 1200, false, &deadline));
        model_send(&m, &m.client, 1, 200000);
        assert_true(model_deliver(&m, true, 0));
    }
    assert_true(resume_ack_due(&m.server.r, 1200, false, &deadline));
    model_ack(&m, &m.server, true);
    for (int i = 0; i < 64; i++) {
        assert_false(resume_ack_due(&m.server.r, 1200, false, &deadline));
        model_send(&m, &m.client, 1, 0);
        assert_true(model_deliver(&m, true, 0));
    }
    assert_true(resume_ack_due(&m.server.r, 1200, false, &deadline));
    model_settle(&m);
    model_free(&m);
}

// A server waits for it before it knows that anybody could come back: it travels with
// what is sent next, or alone soon, also where nothing else came.
static void the_first_ack_follows_opened(void **state) {
    (void)state;
    static struct model m;
    uint64_t deadline;
    model_init(&m);
    model_open(&m);
    assert_false(resume_ack_due(&m.client.r, 0, true, &deadline));
    assert_true(model_deliver(&m, true, 0));
    m.ms = 1000;
    assert_true(model_deliver(&m, false, 0));
    assert_false(m.server.r.known);
    assert_true(resume_ack_due(&m.client.r, 1000, true, &deadline));
    assert_false(resume_ack_due(&m.client.r, 1000, false, &deadline));
    assert_true(deadline == 1020);
    assert_true(resume_ack_due(&m.client.r, 1020, false, &deadline));
    m.ms = 1020;
    model_ack(&m, &m.client, false);
    assert_false(resume_ack_due(&m.client.r, 9999, true, &deadline));
    assert_true(deadline == UINT64_MAX);
    assert_true(model_deliver(&m, true, 0));
    assert_true(m.server.r.known);
    model_settle(&m);
    model_free(&m);
}

// One that confirms when something has come, and no sooner, is served as ever; and so is
// one whose link was lost meanwhile.
static void a_client_that_confirms_late_is_served(void **state) {
    (void)state;
    static struct model m;
    uint64_t deadline;
    opened(&m);
    m.client.r.untold = false;  // as before
    model_send(&m, &m.server, 1, 10);
    assert_true(model_deliver(&m, false, 0));
    assert_false(resume_ack_due(&m.client.r, 199, true, &deadline));
    assert_false(m.server.r.known);
    model_new_link(&m, true);
    model_settle(&m);
    assert_true(m.server.r.known);
    model_free(&m);
}

// ---- refusals ----

static const uint8_t OTHER_LINK[32] = {0xab};

static enum resume_refusal check(struct model *m, struct view attach, const uint8_t *id) {
    return resume_attach_check(&m->server.r, attach, view_of(id, 32));
}

static void attach_of_client(struct model *m, const uint8_t *id, struct buf *out) {
    assert_int_equal(resume_attach(&m->client.r, view_of(id, 32), out), OK);
}

// Bound to its link, its epoch, its connection and every byte.
static void a_proof_is_good_for_one_link(void **state) {
    (void)state;
    static struct model m;
    scoped_buf attach = {.max = 4096};
    opened(&m);
    model_send(&m, &m.server, 1, 10);
    attach_of_client(&m, OTHER_LINK, &attach);
    assert_int_equal(check(&m, buf_view(&attach), OTHER_LINK), RESUME_REFUSED_NONE);
    assert_int_equal(check(&m, buf_view(&attach), m.now.id), RESUME_REFUSED_PROOF);
    struct view v = buf_view(&attach);
    for (size_t i = 0; i < v.n; i++) {
        uint8_t copy[4096];
        memcpy(copy, v.p, v.n);
        copy[i] ^= 1;
        assert_int_not_equal(check(&m, view_of(copy, v.n), OTHER_LINK),
                             RESUME_REFUSED_NONE);
        assert_int_not_equal(check(&m, view_of(v.p, i), OTHER_LINK), RESUME_REFUSED_NONE);
    }
    model_free(&m);
}

static void proof_of_login(struct model *m, uint8_t *proof) {
    assert_int_equal(resume_login_proof(&m->client.r, view_of(OTHER_LINK, 32),
                                        view_text("somebody"), proof),
                     OK);
}

static enum resume_refusal login(struct model *m, uint64_t epoch, const uint8_t *id,
                                 const char *user, const uint8_t *proof) {
    return resume_login_check(&m->server.r, epoch, view_of(id, 32), view_text(user),
                              view_of(proof, RESUME_SECRET));
}

// It is worth nothing for another link, user or epoch, and is no ATTACH; looking at it
// changes nothing.
static void a_proof_for_a_login(void **state) {
    (void)state;
    static struct model m;
    uint8_t proof[RESUME_SECRET];
    static const uint8_t third[32] = {3};
    opened(&m);
    proof_of_login(&m, proof);
    assert_int_equal(login(&m, 0, OTHER_LINK, "somebody", proof), RESUME_REFUSED_NONE);
    assert_int_equal(login(&m, 0, OTHER_LINK, "somebody", proof), RESUME_REFUSED_NONE);
    assert_int_equal(login(&m, 0, third, "somebody", proof), RESUME_REFUSED_PROOF);
    assert_int_equal(login(&m, 0, OTHER_LINK, "somebod", proof), RESUME_REFUSED_PROOF);
    assert_int_equal(login(&m, 1, OTHER_LINK, "somebody", proof), RESUME_REFUSED_EPOCH);
    proof[31] ^= 1;
    assert_int_equal(login(&m, 0, OTHER_LINK, "somebody", proof), RESUME_REFUSED_PROOF);
    proof[31] ^= 1;
    // The client's own side makes none, and an end that is not open knows none.
    assert_int_equal(resume_login_check(&m.client.r, 0, view_of(OTHER_LINK, 32),
                                        view_text("somebody"), view_of(proof, 32)),
                     RESUME_REFUSED_UNKNOWN);
    // It goes with its epoch: until the client has shown that it knows the next one.
    model_new_link(&m, true);
    model_settle(&m);
    assert_int_equal(login(&m, 0, OTHER_LINK, "somebody", proof), RESUME_REFUSED_EPOCH);
    assert_int_equal(login(&m, 1, OTHER_LINK, "somebody", proof), RESUME_REFUSED_PROOF);
    model_free(&m);
}

static void an_epoch_passes(void **state) {
    (void)state;
    static struct model m;
    scoped_buf first = {.max = 4096}, second = {.max = 4096}, answer = {.max = 4096};
    struct fault fault = {0};
    opened(&m);
    attach_of_client(&m, OTHER_LINK, &first);
    struct view id = view_of(OTHER_LINK, 32);
    assert_int_equal(resume_attach_in(&m.server.r, buf_view(&first), id, &answer, &fault),
                     OK);
    // The answer was lost: the same epoch is good once more.
    static const uint8_t third[32] = {3};
    attach_of_client(&m, third, &second);
    assert_int_equal(check(&m, buf_view(&second), third), RESUME_REFUSED_NONE);
    buf_clear(&answer);
    assert_int_equal(resume_attach_in(&m.server.r, buf_view(&second), view_of(third, 32),
                                      &answer, &fault),
                     OK);
    enum resume_refusal why;
    assert_int_equal(resume_attached_in(&m.client.r, buf_view(&answer),
                                        view_of(third, 32), &why, &fault),
                     OK);
    assert_int_equal(m.client.r.epoch, 1);
    // Its ACK ends that.
    assert_int_equal(check(&m, buf_view(&second), third), RESUME_REFUSED_NONE);
    scoped_buf ack = {.max = 4096};
    uint64_t deadline;
    assert_true(resume_ack_due(&m.client.r, 0, false, &deadline));
    assert_int_equal(resume_ack(&m.client.r, &ack), OK);
    static const uint8_t wiped[RESUME_SECRET];
    assert_memory_not_equal(m.server.r.before, wiped, sizeof wiped);
    assert_int_equal(resume_ack_in(&m.server.r, buf_view(&ack), &fault), OK);
    assert_memory_equal(m.server.r.before, wiped, sizeof wiped);
    assert_int_equal(check(&m, buf_view(&second), third), RESUME_REFUSED_EPOCH);
    assert_int_equal(check(&m, buf_view(&first), OTHER_LINK), RESUME_REFUSED_EPOCH);
    model_free(&m);
}

static void counts_that_cannot_be_are_a_gap(void **state) {
    (void)state;
    static struct model m;
    scoped_buf attach = {.max = 4096};
    opened(&m);
    model_send(&m, &m.server, 1, 10);
    assert_true(model_deliver(&m, false, 0));
    // It never had that one, says the server: its own count was changed.
    m.server.r.store.lanes[1].sent = 0;
    attach_of_client(&m, OTHER_LINK, &attach);
    assert_int_equal(check(&m, buf_view(&attach), OTHER_LINK), RESUME_REFUSED_GAP);
    m.server.r.store.lanes[1].sent = 3;
    m.server.r.store.lanes[1].confirmed = 2;
    assert_int_equal(check(&m, buf_view(&attach), OTHER_LINK), RESUME_REFUSED_GAP);
    m.server.r.store.lanes[2].sent = m.server.r.store.lanes[2].confirmed = 1;
    m.server.r.store.lanes[1].confirmed = 0;
    assert_int_equal(check(&m, buf_view(&attach), OTHER_LINK), RESUME_REFUSED_GAP);
    model_free(&m);
}

static void ack_with(struct model *m, uint64_t epoch, const uint32_t *lanes,
                     const uint64_t *counts, size_t n, enum err want) {
    scoped_buf list = {.max = 4096}, ack = {.max = 4096};
    struct writer w = writer_to_buf(&list);
    struct fault fault = {0};
    for (size_t i = 0; i < n; i++) {
        write_u32(&w, lanes[i]);
        write_u64(&w, counts[i]);
    }
    struct msg_resume_ack a = {epoch, buf_view(&list)};
    struct writer message = writer_to_buf(&ack);
    message_encode(&message, SSH_MSG_RESUME_ACK, &a);
    uint64_t confirmed = m->server.r.store.lanes[1].confirmed;
    assert_int_equal(resume_ack_in(&m->server.r, buf_view(&ack), &fault), want);
    if (want != OK)
        assert_true(m->server.r.store.lanes[1].confirmed == confirmed);
}

static void a_lying_ack_changes_nothing(void **state) {
    (void)state;
    static struct model m;
    opened(&m);
    for (int i = 0; i < 5; i++)
        model_send(&m, &m.server, 1, 10);
    ack_with(&m, 0, (uint32_t[]){1}, (uint64_t[]){2}, 1, OK);
    ack_with(&m, 0, (uint32_t[]){1}, (uint64_t[]){1}, 1, ERR_PROTOCOL);
    ack_with(&m, 0, (uint32_t[]){1}, (uint64_t[]){6}, 1, ERR_PROTOCOL);
    ack_with(&m, 0, (uint32_t[]){1}, (uint64_t[]){UINT64_MAX}, 1, ERR_PROTOCOL);
    ack_with(&m, 1, (uint32_t[]){1}, (uint64_t[]){3}, 1, ERR_PROTOCOL);
    ack_with(&m, 0, (uint32_t[]){1, 1}, (uint64_t[]){3, 4}, 2, ERR_PROTOCOL);
    ack_with(&m, 0, (uint32_t[]){2, 1}, (uint64_t[]){0, 3}, 2, ERR_PROTOCOL);
    ack_with(&m, 0, (uint32_t[]){1, REPLAY_LANES}, (uint64_t[]){3, 0}, 2, ERR_PROTOCOL);
    ack_with(&m, 0, (uint32_t[]){1, 3}, (uint64_t[]){3, 1}, 2, ERR_PROTOCOL);
    ack_with(&m, 0, (uint32_t[]){1}, (uint64_t[]){3}, 1, OK);
    assert_int_equal(m.server.r.store.bytes, 2 * (13 + 10));
    model_free(&m);
}

static void a_server_without_the_secret_is_found_out(void **state) {
    (void)state;
    static struct model m;
    scoped_buf attach = {.max = 4096}, answer = {.max = 4096};
    struct fault fault = {0};
    enum resume_refusal why;
    opened(&m);
    attach_of_client(&m, OTHER_LINK, &attach);
    struct view id = view_of(OTHER_LINK, 32);
    assert_int_equal(
        resume_attach_in(&m.server.r, buf_view(&attach), id, &answer, &fault), OK);
    struct view v = buf_view(&answer);
    for (size_t i = 0; i < v.n; i++) {
        uint8_t copy[4096];
        memcpy(copy, v.p, v.n);
        copy[i] ^= 0x80;
        assert_int_not_equal(
            resume_attached_in(&m.client.r, view_of(copy, v.n), id, &why, &fault), OK);
        assert_int_equal(m.client.r.state, RESUME_ATTACHING);
        assert_int_equal(m.client.r.epoch, 0);
    }
    assert_int_equal(resume_attached_in(&m.client.r, v, id, &why, &fault), OK);
    assert_int_equal(resume_attached_in(&m.client.r, v, id, &why, &fault),
                     ERR_UNEXPECTED);
    model_free(&m);
}

static void a_refusal_is_told(void **state) {
    (void)state;
    static struct model m;
    scoped_buf attach = {.max = 4096}, answer = {.max = 4096};
    struct fault fault = {0};
    enum resume_refusal why;
    opened(&m);
    attach_of_client(&m, OTHER_LINK, &attach);
    assert_int_equal(resume_refuse(RESUME_REFUSED_ENDED, "restarted: at noon", &answer),
                     OK);
    assert_int_equal(resume_attached_in(&m.client.r, buf_view(&answer),
                                        view_of(OTHER_LINK, 32), &why, &fault),
                     OK);
    assert_int_equal(why, RESUME_REFUSED_ENDED);
    assert_int_equal(m.client.r.state, RESUME_ATTACHING);
    assert_false(resume_may_send(&m.client.r));
    model_free(&m);
}

// Refused at the start: everything goes on as if nobody had asked.
static void without_it_nothing_is_kept(void **state) {
    (void)state;
    static struct resume client, server;
    static const uint8_t exporter[RESUME_SECRET];
    struct fault fault = {0};
    uint8_t message[13] = {SSH_MSG_GLOBAL_REQUEST};
    scoped_buf open = {.max = 1024}, answer = {.max = 1024};
    resume_init(&client, false);
    resume_init(&server, true);
    assert_int_equal(resume_open(&client, exporter, 0, &open), OK);
    assert_int_equal(resume_out(&client, view_of(message, 13), (struct view){0}), OK);
    assert_int_equal(
        resume_open_in(&server, buf_view(&open), exporter, 0, &answer, &fault), OK);
    assert_int_equal(resume_opened_in(&client, buf_view(&answer), 0, &fault), OK);
    assert_int_equal(client.state, RESUME_OFF);
    assert_int_equal(server.state, RESUME_OFF);
    assert_int_equal(client.store.held, 0);
    assert_true(resume_may_send(&client) && resume_room(&client) == SIZE_MAX);
    assert_int_equal(resume_in(&server, view_of(message, 13), 0), OK);
    assert_int_equal(server.messages, 0);
    resume_free(&client);
    resume_free(&server);
}

int main(void) {
    if (crypto_init() != OK)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_thousand_walks),
        cmocka_unit_test(what_goes_before_the_answer_is_kept),
        cmocka_unit_test(cut_behind_every_message),
        cmocka_unit_test(counters_pass_32_bits),
        cmocka_unit_test(many_links),
        cmocka_unit_test(the_store_says_when_it_is_full),
        cmocka_unit_test(what_is_spilled_is_a_copy),
        cmocka_unit_test(what_is_confirmed_is_returned),
        cmocka_unit_test(a_loan_has_a_short_head),
        cmocka_unit_test(an_ack_is_due_by_bytes_messages_and_time),
        cmocka_unit_test(the_first_ack_follows_opened),
        cmocka_unit_test(a_client_that_confirms_late_is_served),
        cmocka_unit_test(a_proof_is_good_for_one_link),
        cmocka_unit_test(a_proof_for_a_login),
        cmocka_unit_test(an_epoch_passes),
        cmocka_unit_test(counts_that_cannot_be_are_a_gap),
        cmocka_unit_test(a_lying_ack_changes_nothing),
        cmocka_unit_test(a_server_without_the_secret_is_found_out),
        cmocka_unit_test(a_refusal_is_told),
        cmocka_unit_test(without_it_nothing_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
