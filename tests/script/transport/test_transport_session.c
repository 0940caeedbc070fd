// Sessions between our two ends: every algorithm, every split, rekeys in the middle of
// everything.
#include "pair.h"

#include <stdio.h>

static void check_agreed(struct pair *p) {
    const struct transport_agreed *c = transport_agreed(p->client.t);
    const struct transport_agreed *s = transport_agreed(p->server.t);
    assert_string_equal(c->kex, s->kex);
    assert_string_equal(c->cipher_c2s, s->cipher_c2s);
    assert_string_equal(c->mac_s2c, s->mac_s2c);
    assert_true(
        view_equal(transport_session_id(p->client.t), transport_session_id(p->server.t)));
    assert_true(transport_session_id(p->client.t).n >= 20);
    assert_true(view_equal(transport_host_key(p->client.t), key_blob(p->host_key)));
}

static void test_every_split(void **state) {
    (void)state;
    for (size_t split = 0; split < 40; split++) {
        struct pair p;
        pair_init(&p);
        p.split = split;
        p.client.config.guess = split % 2 == 0;
        pair_start(&p);
        pair_login(&p);
        check_agreed(&p);
        assert_true(transport_agreed(p.client.t)->strict);
        assert_true(transport_agreed(p.server.t)->strict);
        assert_int_equal(transport_agreed(p.client.t)->guessed_right, split % 2 == 0);
        assert_int_equal(transport_agreed(p.server.t)->guessed_right, split % 2 == 0);
        // server-sig-algs and ping; ping
        assert_int_equal(p.client.seen[TRANSPORT_EXT_INFO], 2);
        assert_int_equal(p.server.seen[TRANSPORT_EXT_INFO], 1);
        assert_true(transport_peer_has_ping(p.client.t));
        assert_int_equal(p.client.seen[TRANSPORT_KEYED], 1);
        assert_true(view_is(transport_peer_ident(p.client.t), "SSH-2.0-server"));
        pair_free(&p);
    }
}

// One flight: everything a client can say at once is in the output of transport_new().
static void test_flights(void **state) {
    struct pair p;
    (void)state;
    pair_init(&p);
    p.client.config.guess = true;
    pair_start(&p);
    unsigned flights = 0;
    while (!transport_can_send(p.client.t)) {
        pair_carry(&p, flights % 2 == 0 ? &p.client : &p.server,
                   flights % 2 == 0 ? &p.server : &p.client);
        flights++;
    }
    // ident, KEXINIT, guess; then ident, KEXINIT, reply, NEWKEYS.
    assert_int_equal(flights, 2);
    pair_login(&p);
    pair_free(&p);
}

static void test_old_peer(void **state) {
    (void)state;
    for (int side = 0; side < 3; side++) {
        struct pair p;
        pair_init(&p);
        p.client.config.plain = side != 1;
        p.server.config.plain = side != 0;
        pair_start(&p);
        pair_login(&p);
        assert_false(transport_agreed(p.client.t)->strict);
        assert_false(transport_agreed(p.server.t)->strict);
        assert_int_equal(p.client.seen[TRANSPORT_EXT_INFO], 0);
        assert_int_equal(transport_ping(p.client.t, view_text("x")), ERR_UNSUPPORTED);
        assert_int_equal(transport_rekey(p.client.t), OK);
        pair_run(&p);
        assert_int_equal(transport_counts(p.server.t).exchanges, 2);
        pair_free(&p);
    }
}

// ---- bulk: numbered messages of random length and content, both ways ----

struct flow {
    struct pair_end *from, *to;
    uint32_t sent, received, count;
    size_t largest;
    int how;
};

static uint8_t content(uint32_t number, size_t i) {
    return (uint8_t)(number * 2654435761u >> 24) ^ (uint8_t)i;
}

static size_t length_of(const struct flow *f, uint32_t number) {
    return 5 + (number * 40503u >> 3) % f->largest;
}

static void fill(const struct flow *f, uint8_t *m, uint32_t number) {
    m[0] = SSH_MSG_CHANNEL_DATA;
    store_u32(m + 1, number);
    for (size_t i = 5; i < length_of(f, number); i++)
        m[i] = content(number, i);
}

static void flow_send(struct flow *f) {
    static uint8_t slot[TRANSPORT_HEADROOM + 300000 + TRANSPORT_TAILROOM];
    struct transport *t = f->from->t;
    for (int burst = 0; burst < 8 && f->sent < f->count && transport_can_send(t);
         burst++) {
        size_t n = length_of(f, f->sent);
        if (f->how++ % 2 == 0) {
            fill(f, slot + TRANSPORT_HEADROOM, f->sent);
            assert_int_equal(transport_send_slot(t, slot + TRANSPORT_HEADROOM, n), OK);
        } else {
            struct span room = transport_message(t, n + 10);
            assert_non_null(room.p);
            fill(f, room.p, f->sent);
            assert_int_equal(transport_send(t, n), OK);
        }
        f->sent++;
    }
}

static void flow_check(struct flow *f) {
    struct reader r = reader_of(buf_view(&f->to->messages));
    while (reader_left(&r) > 0) {
        struct view m = read_string(&r);
        assert_int_equal(m.n, length_of(f, f->received));
        assert_int_equal(m.p[0], SSH_MSG_CHANNEL_DATA);
        assert_int_equal(load_u32(m.p + 1), f->received);
        for (size_t i = 5; i < m.n; i++)
            assert_int_equal(m.p[i], content(f->received, i));
        f->received++;
    }
    assert_int_equal(r.err, OK);
    buf_clear(&f->to->messages);
}

static void run_flows(struct pair *p, uint32_t count, size_t largest) {
    struct flow up = {&p->client, &p->server, 0, 0, count, largest, 0};
    struct flow down = {&p->server, &p->client, 0, 0, count, largest, 1};
    for (unsigned idle = 0; up.received < count || down.received < count;) {
        flow_send(&up);
        flow_send(&down);
        bool moved = pair_carry(p, &p->client, &p->server);
        moved = pair_carry(p, &p->server, &p->client) || moved;
        flow_check(&up);
        flow_check(&down);
        assert_int_equal(p->client.err, OK);
        assert_int_equal(p->server.err, OK);
        idle = moved ? 0 : idle + 1;
        assert_true(idle < 3);
    }
    pair_run(p);
}

static const char *name_at(enum alg_kind kind, size_t i) {
    const struct alg *a = alg_at(kind, i);
    return a != NULL ? a->name : NULL;
}

static void session_with(const char *kex, const char *cipher, const char *mac) {
    struct pair p;
    pair_init(&p);
    p.split = SIZE_MAX;
    p.client.config.kex = p.server.config.kex = kex;
    struct pair_end *ends[2] = {&p.client, &p.server};
    for (size_t i = 0; i < 2; i++) {
        ends[i]->config.ciphers_c2s = ends[i]->config.ciphers_s2c = cipher;
        ends[i]->config.macs_c2s = ends[i]->config.macs_s2c = mac;
    }
    p.server.config.rekey_bytes = 65536;
    pair_start(&p);
    pair_login(&p);
    run_flows(&p, 40, 9000);
    check_agreed(&p);
    assert_true(transport_counts(p.client.t).exchanges >= 3);
    pair_free(&p);
}

// Methods over finite fields take a thousand times as long as the rest: they meet one
// cipher and MAC each.
static bool is_tried(size_t k, size_t c, size_t m) {
    const char *kex = name_at(ALG_KEX, k);
    bool has_tag = alg_at(ALG_CIPHER, c)->cipher->tag_len > 0;
    if (strncmp(kex, "diffie", 6) == 0)
        return c == k % 3 + 3 && m == k % 10;
    return !has_tag || m == 0;
}

static void test_every_algorithm(void **state) {
    (void)state;
    for (size_t k = 0; name_at(ALG_KEX, k) != NULL; k++)
        for (size_t c = 0; name_at(ALG_CIPHER, c) != NULL; c++)
            for (size_t m = 0; name_at(ALG_MAC, m) != NULL; m++)
                if (is_tried(k, c, m))
                    session_with(name_at(ALG_KEX, k), name_at(ALG_CIPHER, c),
                                 name_at(ALG_MAC, m));
}

// Each way its own.
static void test_mixed_directions(void **state) {
    struct pair p;
    (void)state;
    pair_init(&p);
    struct pair_end *ends[2] = {&p.client, &p.server};
    for (size_t i = 0; i < 2; i++) {
        ends[i]->config.ciphers_c2s = "chacha20-poly1305@openssh.com";
        ends[i]->config.ciphers_s2c = "aes256-ctr";
        ends[i]->config.macs_s2c = "hmac-sha2-512-etm@openssh.com";
    }
    pair_start(&p);
    pair_login(&p);
    run_flows(&p, 50, 30000);
    assert_string_equal(transport_agreed(p.client.t)->mac_c2s, "");
    assert_string_equal(transport_agreed(p.client.t)->mac_s2c,
                        "hmac-sha2-512-etm@openssh.com");
    pair_free(&p);
}

static void test_host_key_types(void **state) {
    static const struct {
        enum pk_kind kind;
        const char *algorithms;
    } rows[] = {{PK_ED25519, "ssh-ed25519"},
                {PK_ECDSA, "ecdsa-sha2-nistp256"},
                {PK_RSA, "rsa-sha2-256"},
                {PK_RSA, "rsa-sha2-512,rsa-sha2-256"}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct pair p;
        pair_init(&p);
        pair_host_key(&p, rows[i].kind, PK_P256, rows[i].algorithms);
        p.client.config.host_key_algorithms = p.server.config.host_key_algorithms =
            "ssh-ed25519,ecdsa-sha2-nistp256,rsa-sha2-512,rsa-sha2-256";
        pair_start(&p);
        pair_login(&p);
        check_agreed(&p);
        pair_free(&p);
    }
}

static void rekeys(unsigned who, uint64_t bytes, uint64_t packets, uint64_t ms) {
    struct pair p;
    pair_init(&p);
    p.split = SIZE_MAX;
    struct pair_end *ends[2] = {&p.client, &p.server};
    for (unsigned i = 0; i < 2; i++) {
        if ((who & 1u << i) == 0)
            continue;
        ends[i]->config.rekey_bytes = bytes;
        ends[i]->config.rekey_packets = packets;
        ends[i]->config.rekey_ms = ms;
    }
    pair_start(&p);
    pair_login(&p);
    uint8_t id[DIGEST_MAX];
    struct view first = transport_session_id(p.client.t);
    memcpy(id, first.p, first.n);
    for (int round = 0; round < 4; round++) {
        p.now += 1000;
        assert_int_equal(transport_tick(p.client.t, p.now), OK);
        assert_int_equal(transport_tick(p.server.t, p.now), OK);
        run_flows(&p, 60, 20000);
    }
    assert_true(transport_counts(p.client.t).exchanges > 4);
    assert_int_equal(p.client.seen[TRANSPORT_KEYED],
                     transport_counts(p.client.t).exchanges);
    // The session id stays, the key is asked for once.
    assert_true(view_equal(view_of(id, first.n), transport_session_id(p.server.t)));
    assert_int_equal(p.client.seen[TRANSPORT_HOST_KEY], 1);
    pair_free(&p);
}

static void test_rekeys(void **state) {
    (void)state;
    for (unsigned who = 1; who <= 3; who++) {
        rekeys(who, 65536, 0, 0);
        rekeys(who, 0, 20, 0);
        rekeys(who, 0, 0, 500);
        rekeys(who, 65536, 10, 500);
    }
}

static void test_rekey_both_at_once(void **state) {
    struct pair p;
    (void)state;
    pair_init(&p);
    pair_start(&p);
    assert_int_equal(transport_rekey(p.client.t), ERR_REFUSED);
    pair_login(&p);
    for (unsigned i = 0; i < 20; i++) {
        assert_int_equal(transport_rekey(p.client.t), OK);
        assert_int_equal(transport_rekey(p.server.t), OK);
        assert_int_equal(transport_rekey(p.server.t), OK);
        assert_false(transport_can_send(p.client.t));
        assert_null(transport_message(p.client.t, 10).p);
        assert_int_equal(transport_send_view(p.client.t, view_text("\x5ex")),
                         ERR_REFUSED);
        pair_run(&p);
        assert_int_equal(transport_counts(p.client.t).exchanges, 2 + i);
        assert_true(transport_can_send(p.client.t) && transport_can_send(p.server.t));
    }
    pair_free(&p);
}

// Byte by byte, and keys renewed every few packets.
static void test_rekeys_bytewise(void **state) {
    (void)state;
    for (size_t split = 1; split < 4; split += 2) {
        struct pair p;
        pair_init(&p);
        p.split = split;
        p.client.config.rekey_packets = 7;
        p.server.config.rekey_bytes = 5000;
        pair_start(&p);
        pair_login(&p);
        run_flows(&p, 60, 2000);
        // Between our NEWKEYS and theirs all the rest goes out, a byte being slow.
        assert_true(transport_counts(p.client.t).exchanges >= 3);
        check_agreed(&p);
        pair_free(&p);
    }
}

static void test_deadline(void **state) {
    struct pair p;
    (void)state;
    pair_init(&p);
    p.client.config.rekey_ms = 5000;
    pair_start(&p);
    assert_int_equal(transport_deadline(p.client.t), UINT64_MAX);
    pair_login(&p);
    assert_int_equal(transport_deadline(p.client.t), p.now + 5000);
    assert_int_equal(transport_deadline(p.server.t), UINT64_MAX);
    assert_int_equal(transport_tick(p.client.t, p.now + 4999), OK);
    assert_true(transport_can_send(p.client.t));
    assert_int_equal(transport_tick(p.client.t, p.now + 5000), OK);
    assert_false(transport_can_send(p.client.t));
    pair_run(&p);
    assert_int_equal(transport_counts(p.client.t).exchanges, 2);
    pair_free(&p);
}

// The client guesses wrong: by method, by host key algorithm alone, and both.
static void test_wrong_guess(void **state) {
    static const char *const kex[] = {"ecdh-sha2-nistp256,curve25519-sha256",
                                      "curve25519-sha256",
                                      "ecdh-sha2-nistp256,curve25519-sha256"};
    static const char *const keys[] = {"ssh-ed25519", "ecdsa-sha2-nistp256,ssh-ed25519",
                                       "ecdsa-sha2-nistp256,ssh-ed25519"};
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        for (size_t split = 0; split < 2; split++) {
            struct pair p;
            pair_init(&p);
            p.split = split;
            p.client.config.guess = true;
            p.client.config.kex = kex[i];
            p.client.config.host_key_algorithms = keys[i];
            pair_start(&p);
            pair_login(&p);
            assert_false(transport_agreed(p.client.t)->guessed_right);
            check_agreed(&p);
            pair_free(&p);
        }
    }
}

static void test_ping(void **state) {
    struct pair p;
    (void)state;
    pair_init(&p);
    pair_start(&p);
    assert_int_equal(transport_ping(p.client.t, view_text("x")), ERR_REFUSED);
    pair_login(&p);
    buf_clear(&p.client.notes);
    assert_int_equal(transport_ping(p.client.t, view_text("one")), OK);
    pair_send(&p.server, SSH_MSG_CHANNEL_DATA, view_text("between"));
    assert_int_equal(transport_rekey(p.server.t), OK);
    assert_int_equal(transport_rekey(p.client.t), OK);
    // Waits for NEWKEYS, and so does the answer to "one".
    assert_int_equal(transport_ping(p.client.t, view_text("two")), OK);
    pair_run(&p);
    assert_int_equal(p.client.err, OK);
    assert_int_equal(p.client.seen[TRANSPORT_PONG], 2);
    assert_true(
        view_equal(buf_view(&p.client.notes), view_of("\0\0\0\3one\0\0\0\3two", 14)));
    pair_free(&p);
}

static void test_rooms(void **state) {
    static uint8_t room[40000];
    struct pair p;
    (void)state;
    pair_init(&p);
    p.client.room = room;
    p.client.room_size = sizeof room;
    p.server.config.rekey_bytes = 100000;
    pair_start(&p);
    pair_login(&p);
    assert_int_equal(p.client.rooms_used, 0);
    // Larger ones than the room come all the same.
    run_flows(&p, 100, 60000);
    assert_true(p.client.rooms_used > 30 && p.client.rooms_used < 100);
    pair_free(&p);
}

static void test_unimplemented_and_idle(void **state) {
    struct pair p;
    (void)state;
    pair_init(&p);
    pair_start(&p);
    pair_login(&p);
    transport_idle(p.client.t);
    transport_idle(p.server.t);
    assert_null(p.client.t->in_buf.p);
    assert_null(p.client.t->out_buf.p);
    assert_null(p.client.t->kex);
    assert_int_equal(transport_unimplemented(p.client.t, 77), OK);
    pair_run(&p);
    assert_int_equal(p.server.seen[TRANSPORT_UNIMPLEMENTED], 1);
    assert_int_equal(transport_disconnect(p.server.t, DISCONNECT_BY_APPLICATION, "bye"),
                     OK);
    pair_run(&p);
    assert_int_equal(p.client.seen[TRANSPORT_CLOSED], 1);
    assert_int_equal(p.client.reason, DISCONNECT_BY_APPLICATION);
    assert_null(transport_in(p.client.t).p);
    assert_false(transport_can_send(p.client.t));
    assert_false(transport_can_send(p.server.t));
    pair_free(&p);
}

// Messages of the largest size, and one past it.
static void test_largest(void **state) {
    static uint8_t big[LIMIT_PACKET];
    struct pair p;
    (void)state;
    pair_init(&p);
    pair_start(&p);
    pair_login(&p);
    memset(big, SSH_MSG_CHANNEL_DATA, sizeof big);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(transport_send_view(p.client.t, view_of(big, LIMIT_PACKET - 64)),
                         OK);
        pair_run(&p);
        assert_int_equal(p.server.seen[TRANSPORT_MESSAGE], 3 + i);
        buf_clear(&p.server.messages);
    }
    assert_null(transport_message(p.client.t, LIMIT_PACKET).p);
    assert_int_equal(transport_send_view(p.client.t, view_of(big, LIMIT_PACKET)),
                     ERR_REFUSED);
    assert_int_equal(p.server.err, OK);
    pair_free(&p);
}

// Steady state: no buffer grows once a few bursts have passed.
static void test_steady_state(void **state) {
    struct pair p;
    (void)state;
    pair_init(&p);
    pair_start(&p);
    pair_login(&p);
    run_flows(&p, 100, 30000);
    const uint8_t *in = p.server.t->in_buf.p, *out = p.client.t->out_buf.p;
    size_t in_room = p.server.t->in_buf.room;
    run_flows(&p, 300, 30000);
    assert_ptr_equal(in, p.server.t->in_buf.p);
    assert_ptr_equal(out, p.client.t->out_buf.p);
    assert_int_equal(in_room, p.server.t->in_buf.room);
    pair_free(&p);
}

// Two ends that both fill their output before they read come out of it.
static void test_both_full(void **state) {
    static uint8_t data[32000] = {SSH_MSG_CHANNEL_DATA};
    struct pair p;
    (void)state;
    pair_init(&p);
    pair_start(&p);
    pair_login(&p);
    unsigned up = 0, down = 0;
    while (transport_can_send(p.client.t) && ++up < 1000)
        assert_int_equal(transport_send_view(p.client.t, view_of(data, sizeof data)), OK);
    while (transport_can_send(p.server.t) && ++down < 1000)
        assert_int_equal(transport_send_view(p.server.t, view_of(data, sizeof data)), OK);
    assert_true(up < 200 && down < 200);
    assert_non_null(transport_in(p.client.t).p);
    pair_run(&p);
    assert_int_equal(p.server.seen[TRANSPORT_MESSAGE], 2 + up);
    assert_int_equal(p.client.seen[TRANSPORT_MESSAGE], 2 + down);
    pair_free(&p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_split),
        cmocka_unit_test(test_flights),
        cmocka_unit_test(test_old_peer),
        cmocka_unit_test(test_every_algorithm),
        cmocka_unit_test(test_mixed_directions),
        cmocka_unit_test(test_host_key_types),
        cmocka_unit_test(test_rekeys),
        cmocka_unit_test(test_rekey_both_at_once),
        cmocka_unit_test(test_rekeys_bytewise),
        cmocka_unit_test(test_deadline),
        cmocka_unit_test(test_wrong_guess),
        cmocka_unit_test(test_ping),
        cmocka_unit_test(test_rooms),
        cmocka_unit_test(test_unimplemented_and_idle),
        cmocka_unit_test(test_largest),
        cmocka_unit_test(test_both_full),
        cmocka_unit_test(test_steady_state),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
