// zlib@openssh.com between our two ends, and from a hostile one.
#include "pair.h"

static void start_compressed(struct pair *p, const char *client, const char *server) {
    pair_init(p);
    p->client.config.compression = client;
    p->server.config.compression = server;
    p->split = SIZE_MAX;
}

// Messages of a length and content of their own, larger ones than a packet's default.
static void send_some(struct pair_end *from, unsigned count, size_t largest) {
    static uint8_t m[LIMIT_PACKET];
    for (unsigned i = 0; i < count; i++) {
        size_t n = 5 + i * 7919 % largest;
        for (size_t j = 0; j < n; j++)
            m[j] = (uint8_t)(j * i >> 3 ^ (j % 7 == 0 ? j * 2654435761u >> 24 : 0));
        m[0] = SSH_MSG_CHANNEL_DATA;
        store_u32(m + 1, i);
        assert_int_equal(transport_send_view(from->t, view_of(m, n)), OK);
    }
}

static void check_some(struct pair_end *to, unsigned count, size_t largest) {
    struct reader r = reader_of(buf_view(&to->messages));
    for (unsigned i = 0; i < count; i++) {
        struct view m = read_string(&r);
        assert_int_equal(m.n, 5 + i * 7919 % largest);
        assert_int_equal(load_u32(m.p + 1), i);
        for (size_t j = 5; j < m.n; j++)
            assert_int_equal(
                m.p[j], (uint8_t)(j * i >> 3 ^ (j % 7 == 0 ? j * 2654435761u >> 24 : 0)));
    }
    assert_int_equal(reader_end(&r), OK);
    buf_clear(&to->messages);
}

static void there_and_back(struct pair *p, unsigned count, size_t largest) {
    send_some(&p->client, count, largest);
    send_some(&p->server, count, largest);
    pair_run(p);
    check_some(&p->server, count, largest);
    check_some(&p->client, count, largest);
}

static void test_compression(void **state) {
    (void)state;
    for (size_t split = 0; split < 3; split++) {
        struct pair p;
        start_compressed(&p, "zlib@openssh.com,none", "none,zlib@openssh.com");
        p.split = split < 2 ? split : SIZE_MAX;
        pair_start(&p);
        pair_login(&p);
        assert_string_equal(transport_agreed(p.client.t)->compression_c2s,
                            "zlib@openssh.com");
        assert_string_equal(transport_agreed(p.server.t)->compression_s2c,
                            "zlib@openssh.com");
        there_and_back(&p, 5, 9000);
        there_and_back(&p, split == 1 ? 3 : 12, split == 1 ? 1000 : 250000);
        for (int i = 0; i < 4; i++) {  // new keys, new streams
            assert_int_equal(transport_rekey(i % 2 != 0 ? p.client.t : p.server.t), OK);
            pair_run(&p);
            there_and_back(&p, 5, 3000);
            transport_idle(p.client.t);
            transport_idle(p.server.t);
            there_and_back(&p, 5, 3000);
        }
        assert_int_equal(transport_counts(p.server.t).exchanges, 5);
        pair_free(&p);
    }
}

static void test_slots_and_rooms(void **state) {
    static uint8_t slot[TRANSPORT_HEADROOM + 40000 + TRANSPORT_TAILROOM], room[50000];
    struct pair p;
    (void)state;
    start_compressed(&p, "zlib@openssh.com", "zlib@openssh.com");
    p.server.room = room;
    p.server.room_size = sizeof room;
    pair_start(&p);
    pair_login(&p);
    for (unsigned i = 0; i < 10; i++) {
        uint8_t *payload = slot + TRANSPORT_HEADROOM;
        memset(payload, (int)i, 40000);
        payload[0] = SSH_MSG_CHANNEL_DATA;
        assert_int_equal(transport_send_slot(p.client.t, payload, 4000 * i + 10), OK);
        struct span at = transport_message(p.client.t, 100);
        memset(at.p, SSH_MSG_CHANNEL_DATA, 50);
        assert_int_equal(transport_send(p.client.t, 50), OK);
    }
    pair_run(&p);
    struct reader r = reader_of(buf_view(&p.server.messages));
    for (unsigned i = 0; i < 10; i++) {
        struct view m = read_string(&r);
        assert_int_equal(m.n, 4000 * i + 10);
        assert_int_equal(m.p[m.n - 1], i);
        assert_int_equal(read_string(&r).n, 50);
    }
    assert_int_equal(reader_end(&r), OK);
    assert_int_equal(p.server.rooms_used, 0);
    pair_free(&p);
}

// What cannot be compressed still fits into a packet.
static void test_random_data(void **state) {
    static uint8_t m[LIMIT_PACKET];
    struct pair p;
    (void)state;
    start_compressed(&p, "zlib@openssh.com", "zlib@openssh.com");
    pair_start(&p);
    pair_login(&p);
    for (size_t i = 0; i < sizeof m; i++)
        m[i] = (uint8_t)(pair_random(&p) >> 11);
    m[0] = SSH_MSG_CHANNEL_DATA;
    for (int i = 0; i < 4; i++) {
        size_t n = LIMIT_PACKET - 512;
        assert_int_equal(transport_send_view(p.client.t, view_of(m, n + 1)), ERR_REFUSED);
        assert_int_equal(transport_send_view(p.client.t, view_of(m, n)), OK);
        pair_run(&p);
        assert_int_equal(p.server.err, OK);
        assert_int_equal(buf_len(&p.server.messages), 4 + n);
        assert_memory_equal(buf_view(&p.server.messages).p + 4, m, n);
        buf_clear(&p.server.messages);
    }
    pair_free(&p);
}

// What compresses does: a hundred times less on the wire.
static void test_compression_saves(void **state) {
    static uint8_t zeros[30000] = {SSH_MSG_CHANNEL_DATA};
    struct pair p;
    (void)state;
    start_compressed(&p, "zlib@openssh.com", "zlib@openssh.com");
    pair_start(&p);
    pair_login(&p);
    uint64_t before = transport_counts(p.server.t).bytes_in;
    for (int i = 0; i < 10; i++) {
        assert_int_equal(transport_send_view(p.client.t, view_of(zeros, sizeof zeros)),
                         OK);
        pair_run(&p);
    }
    assert_int_equal(p.server.err, OK);
    assert_true(transport_counts(p.server.t).bytes_in - before < 3000);
    pair_free(&p);
}

// One that the client does not want is not used, nor one that the server has not.
static void test_compression_is_agreed_on(void **state) {
    struct pair p;
    (void)state;
    start_compressed(&p, "none,zlib@openssh.com", "none,zlib@openssh.com");
    pair_start(&p);
    pair_login(&p);
    assert_string_equal(transport_agreed(p.client.t)->compression_c2s, "none");
    there_and_back(&p, 5, 1000);
    pair_free(&p);
    start_compressed(&p, "zlib@openssh.com,none", "none");
    pair_start(&p);
    pair_login(&p);
    assert_string_equal(transport_agreed(p.server.t)->compression_s2c, "none");
    pair_free(&p);
    start_compressed(&p, "zlib@openssh.com", "none");
    pair_start(&p);
    pair_run(&p);
    assert_int_equal(p.client.err, ERR_NEGOTIATION);
    pair_free(&p);
}

// ---- hostile ----

static void compressing(struct pair *p) {
    pair_init(p);
    p->client.config.compression = p->server.config.compression = "zlib@openssh.com";
    pair_start(p);
    pair_login(p);
    // The tests' own packets go over the null cipher.
    packet_cipher_free(p->server.t->in.cipher);
    p->server.t->in.cipher = NULL;
    struct view none = view_of(NULL, 0);
    assert_int_equal(
        packet_cipher_new(&p->server.t->in.cipher, NULL, NULL, none, none, none, false),
        OK);
}

static size_t deflated(struct compression *c, uint8_t *out, const uint8_t *in, size_t n) {
    scoped_buf b = {.max = LIMIT_PACKET + 1};
    assert_int_equal(compression_run(c, view_of(in, n), &b), OK);
    memcpy(out, buf_view(&b).p, buf_len(&b));
    return buf_len(&b);
}

static void feed_plain(struct pair *p, const uint8_t *payload, size_t n) {
    scoped_buf packet = {.max = 1u << 20};
    pair_raw_packet(&packet, view_of(payload, n));
    pair_feed(p, &p->server, buf_view(&packet));
}

// A packet may inflate to a packet and no further, in time in proportion to that.
static void test_bomb(void **state) {
    static uint8_t plain[LIMIT_PACKET], wire[LIMIT_PACKET];
    (void)state;
    for (int over = 0; over < 2; over++) {
        struct pair p;
        struct compression *c = NULL;
        compressing(&p);
        assert_int_equal(compression_new(&c, true), OK);
        memset(plain, SSH_MSG_CHANNEL_DATA, sizeof plain);
        size_t n = deflated(c, wire, plain, sizeof plain);
        if (over)  // another packet's worth of the same in one packet
            n += deflated(c, wire + n, plain, 1000);
        assert_true(n < 2000);
        unsigned before = p.server.seen[TRANSPORT_MESSAGE];
        feed_plain(&p, wire, n);
        assert_int_equal(p.server.err, over ? ERR_LIMIT : OK);
        assert_int_equal(p.server.seen[TRANSPORT_MESSAGE], before + (over ? 0 : 1));
        assert_true(p.server.t->in.plain.room <= LIMIT_PACKET + 1);
        compression_free(c);
        pair_free(&p);
    }
}

static void test_bad_streams(void **state) {
    static const struct {
        const char *bytes;
        size_t n;
    } rows[] = {
        {"\x78\x9c", 2},                                // nothing in it
        {"\x78\x9c\x03\x00\x00\x00\x00\x01", 8},        // the stream ends
        {"\x78\xbb\x00\x00\x00\x00", 6},                // wants a dictionary
        {"\x78\x9c\xff\xff\xff\xff", 6},                // no such block
        {"\x5e\x00\x00\x00\x00\x00\x00\x00\x01x", 10},  // not compressed
        {"\x50", 1},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct pair p;
        compressing(&p);
        unsigned before = p.server.seen[TRANSPORT_MESSAGE];
        feed_plain(&p, (const uint8_t *)rows[i].bytes, rows[i].n);
        assert_int_not_equal(p.server.err, OK);
        assert_int_equal(p.server.seen[TRANSPORT_MESSAGE], before);
        pair_free(&p);
    }
}

// A request sent before its sender knew of the success is plain; after the first
// compressed packet nothing is.
static void test_plain_request_after_success(void **state) {
    static const uint8_t request[] = "\x32\0\0\0\1u\0\0\0\1s\0\0\0\1m";
    static const uint8_t data[] = "\x5e\0\0\0\0\0\0\0\1x";
    uint8_t wire[200];
    struct pair p;
    struct compression *c = NULL;
    (void)state;
    compressing(&p);
    unsigned before = p.server.seen[TRANSPORT_MESSAGE];
    feed_plain(&p, request, sizeof request - 1);
    assert_int_equal(p.server.err, OK);
    assert_int_equal(compression_new(&c, true), OK);
    feed_plain(&p, wire, deflated(c, wire, data, sizeof data - 1));
    assert_int_equal(p.server.err, OK);
    assert_int_equal(p.server.seen[TRANSPORT_MESSAGE], before + 1);
    feed_plain(&p, request, sizeof request - 1);
    assert_int_not_equal(p.server.err, OK);
    compression_free(c);
    pair_free(&p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_compression),
        cmocka_unit_test(test_slots_and_rooms),
        cmocka_unit_test(test_random_data),
        cmocka_unit_test(test_compression_saves),
        cmocka_unit_test(test_compression_is_agreed_on),
        cmocka_unit_test(test_bomb),
        cmocka_unit_test(test_bad_streams),
        cmocka_unit_test(test_plain_request_after_success),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
