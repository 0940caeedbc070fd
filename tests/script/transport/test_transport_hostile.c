// Peers and paths that mean ill: flipped bits, injected packets, floods, malformed
// messages.
#include "pair.h"

#include <stdio.h>
#include <stdlib.h>

static struct pair_end *other(struct pair *p, struct pair_end *e) {
    return e == &p->client ? &p->server : &p->client;
}

static void opened(struct pair *p, enum phase phase) {
    pair_init(p);
    pair_start(p);
    pair_feed(p, &p->client, view_text("SSH-2.0-server\r\n"));
    pair_feed(p, &p->server, view_text("SSH-2.0-client\r\n"));
    assert_int_equal(transport_test_phase(p->client.t, phase), OK);
    assert_int_equal(transport_test_phase(p->server.t, phase), OK);
}

static void feed_payload(struct pair *p, struct pair_end *e, const void *payload,
                         size_t n) {
    scoped_buf packet = {.max = 1u << 20};
    pair_raw_packet(&packet, view_of(payload, n));
    pair_feed(p, e, buf_view(&packet));
}

// ---- the path ----

static void flip(const char *cipher, const char *mac, size_t bit, size_t *bits) {
    static uint8_t bytes[1024];
    struct pair p;
    pair_init(&p);
    struct pair_end *ends[2] = {&p.client, &p.server};
    for (size_t i = 0; i < 2; i++) {
        ends[i]->config.ciphers_c2s = ends[i]->config.ciphers_s2c = cipher;
        ends[i]->config.macs_c2s = ends[i]->config.macs_s2c = mac;
    }
    pair_start(&p);
    pair_login(&p);
    pair_send(&p.client, SSH_MSG_CHANNEL_DATA, view_text("0123456789abcdef"));
    struct view out = transport_out(p.client.t);
    assert_true(out.n <= sizeof bytes);
    memcpy(bytes, out.p, out.n);
    *bits = out.n * 8;
    bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    unsigned before = p.server.seen[TRANSPORT_MESSAGE];
    pair_feed(&p, &p.server, view_of(bytes, out.n));
    // A length that has become larger is found out when that much has come.
    memset(bytes, 0x55, sizeof bytes);
    for (size_t fed = 0; p.server.err == OK && fed <= 2 * LIMIT_PACKET;
         fed += sizeof bytes)
        pair_feed(&p, &p.server, view_of(bytes, sizeof bytes));
    assert_int_equal(p.server.err, ERR_MAC);
    assert_int_equal(p.server.seen[TRANSPORT_MESSAGE], before);
    // The other side is told why.
    pair_run(&p);
    assert_int_equal(p.client.reason, DISCONNECT_MAC_ERROR);
    pair_free(&p);
}

static void test_every_flipped_bit(void **state) {
    static const char *const rows[][2] = {
        {"aes128-gcm@openssh.com", "hmac-sha2-256"},
        {"aes256-gcm@openssh.com", "hmac-sha2-256"},
        {"chacha20-poly1305@openssh.com", "hmac-sha2-256"},
        {"aes128-ctr", "hmac-sha2-256"},
        {"aes256-ctr", "hmac-sha2-512-etm@openssh.com"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        for (size_t bit = 0, bits = 1; bit < bits; bit++)
            flip(rows[i][0], rows[i][1], bit, &bits);
}

// A bad length under CTR with a plain MAC is told only after the largest packet's worth.
static void test_bad_length_is_not_told_early(void **state) {
    static uint8_t noise[4096];
    struct pair p;
    (void)state;
    pair_init(&p);
    struct pair_end *ends[2] = {&p.client, &p.server};
    for (size_t i = 0; i < 2; i++)
        ends[i]->config.ciphers_c2s = ends[i]->config.ciphers_s2c = "aes128-ctr";
    pair_start(&p);
    pair_login(&p);
    memset(noise, 0xa5, sizeof noise);
    size_t fed = 0;
    while (p.server.err == OK && fed < 2 * LIMIT_PACKET) {
        pair_feed(&p, &p.server, view_of(noise, sizeof noise));
        fed += sizeof noise;
    }
    assert_int_equal(p.server.err, ERR_MAC);
    assert_true(fed >= LIMIT_PACKET);
    pair_free(&p);
}

// Terrapin: something slipped into the first exchange, and one packet removed after it.
static void inject(bool to_server, size_t after, bool plain, uint8_t number) {
    struct pair p;
    const uint8_t ignore[5] = {number};
    pair_init(&p);
    p.client.config.plain = p.server.config.plain = plain;
    pair_start(&p);
    struct pair_end *e = to_server ? &p.server : &p.client;
    struct pair_end *peer = other(&p, e);
    for (size_t i = 0; i < after; i++) {
        struct view out = transport_out(peer->t);
        // Only so much of the peer's flight is there until it has heard of us.
        if (out.n == 0 && !pair_carry(&p, e, peer))
            break;
        out = transport_out(peer->t);
        struct view piece = pair_split(&out);
        pair_feed(&p, e, piece);
        transport_out_done(peer->t, piece.n);
    }
    assert_int_equal(e->err, OK);
    feed_payload(&p, e, ignore, sizeof ignore);
    if (e->err == OK)
        pair_run(&p);
    if (plain) {
        assert_int_equal(e->err, OK);
        assert_true(transport_keyed(e->t));
    } else {
        assert_true(e->err == ERR_UNEXPECTED || e->err == ERR_PROTOCOL);
        assert_false(transport_keyed(e->t));
    }
    pair_free(&p);
}

static void test_injection(void **state) {
    (void)state;
    // After the identification, KEXINIT, and (to a client) the reply.
    for (int to_server = 0; to_server < 2; to_server++)
        for (size_t after = 1; after <= (to_server ? 3 : 3); after++) {
            inject(to_server != 0, after, false, SSH_MSG_IGNORE);
            inject(to_server != 0, after, true, SSH_MSG_IGNORE);
        }
}

// ---- the peer ----

static void build_kexinit(struct buf *out, const char *lists[8], const char *tail) {
    static const uint8_t cookie[16];
    struct writer w = writer_to_buf(out);
    write_u8(&w, SSH_MSG_KEXINIT);
    write_bytes(&w, view_of(cookie, 16));
    for (size_t i = 0; i < 8; i++)
        write_text(&w, lists[i]);
    write_text(&w, "");
    write_text(&w, "");
    write_bool(&w, false);
    write_u32(&w, 0);
    write_text(&w, tail);
    if (tail[0] == '\0')
        out->end -= 4;
    assert_int_equal(writer_end(&w), OK);
}

static void test_kexinit_lists(void **state) {
    static const char *const good[8] = {"curve25519-sha256",
                                        "ssh-ed25519",
                                        "aes128-gcm@openssh.com",
                                        "aes128-gcm@openssh.com",
                                        "hmac-sha2-256",
                                        "hmac-sha2-256",
                                        "none",
                                        "none"};
    static const struct {
        size_t list;
        const char *value, *tail;
        enum err err;
        const char *says;
    } rows[] = {
        {0, "curve25519-sha256", "", OK, ""},
        {0, "curve25519-sha256,curve25519-sha256,x", "", OK, ""},
        {4, "", "", OK, ""},  // not needed with GCM
        {0, "", "", ERR_NEGOTIATION, "key exchange method"},
        {0, "nothing,else", "", ERR_NEGOTIATION, "theirs nothing,else"},
        {0, "ext-info-c,kex-strict-c-v00@openssh.com", "", ERR_NEGOTIATION,
         "key exchange"},
        {1, "", "", ERR_NEGOTIATION, "host key algorithm"},
        {1, "ecdsa-sha2-nistp256", "", ERR_NEGOTIATION, "host key algorithm"},
        {2, "rot13", "", ERR_NEGOTIATION, "cipher to the server"},
        {3, "rot13", "", ERR_NEGOTIATION, "cipher to the client"},
        {6, "zlib", "", ERR_NEGOTIATION, "compression to the server"},
        {7, "", "", ERR_NEGOTIATION, "compression to the client"},
        {2, "aes128-gcm@openssh.com,", "", OK, ""},  // libssh 0.10
        {0, "curve25519-sha256,,x", "", ERR_FORMAT,
         "KEXINIT: field kex: malformed during negotia"},
        {0, ",", "", ERR_FORMAT, "field kex"},
        {2, "a b", "", ERR_FORMAT, "field cipher_c2s"},
        {0, "curve25519-sha256", "x", ERR_TRAILING, "left over"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct pair p;
        const char *lists[8];
        scoped_buf payload = {.max = 1u << 16};
        memcpy(lists, good, sizeof lists);
        lists[rows[i].list] = rows[i].value;
        build_kexinit(&payload, lists, rows[i].tail);
        pair_init(&p);
        pair_start(&p);
        pair_feed(&p, &p.server, view_text("SSH-2.0-x\r\n"));
        feed_payload(&p, &p.server, payload.p, buf_len(&payload));
        assert_int_equal(p.server.err, rows[i].err);
        if (rows[i].err != OK)
            assert_non_null(strstr(transport_fault(p.server.t)->text, rows[i].says));
        pair_free(&p);
    }
}

static void test_lengths(void **state) {
    static const struct {
        uint32_t length;
        uint8_t padding;
        enum err err;
    } rows[] = {
        {0, 4, ERR_FORMAT},
        {1, 4, ERR_FORMAT},
        {4, 4, ERR_FORMAT},
        {12, 3, ERR_FORMAT},
        {12, 11, ERR_FORMAT},
        {12, 255, ERR_FORMAT},
        {13, 4, ERR_FORMAT},
        {LIMIT_PACKET_PREAUTH + 4, 4, ERR_FORMAT},
        {0xffffffff, 4, ERR_FORMAT},
        {0x80000004, 4, ERR_FORMAT},
        {LIMIT_PACKET_PREAUTH - 4, 4, OK},  // waits
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct pair p;
        uint8_t packet[16] = {0};
        store_u32(packet, rows[i].length);
        packet[4] = rows[i].padding;
        packet[5] = SSH_MSG_IGNORE;
        pair_init(&p);
        pair_start(&p);
        pair_feed(&p, &p.server, view_text("SSH-2.0-x\r\n"));
        pair_feed(&p, &p.server, view_of(packet, sizeof packet));
        assert_int_equal(p.server.err, rows[i].err);
        pair_free(&p);
    }
}

static void ext_info(struct buf *out, uint32_t claimed, uint32_t count) {
    struct writer w = writer_to_buf(out);
    write_u8(&w, SSH_MSG_EXT_INFO);
    write_u32(&w, claimed);
    for (uint32_t i = 0; i < count; i++) {
        write_text(&w, "name@example.com");
        write_text(&w, "");
    }
    assert_int_equal(writer_end(&w), OK);
}

static void test_ext_info(void **state) {
    static const struct {
        uint32_t claimed, count;
        enum err err;
    } rows[] = {{0, 0, OK},
                {1, 1, OK},
                {LIMIT_EXT_INFO, LIMIT_EXT_INFO, OK},
                {LIMIT_EXT_INFO + 1, LIMIT_EXT_INFO + 1, ERR_LIMIT},
                {0xffffffff, 0, ERR_LIMIT},
                {2, 1, ERR_SHORT},
                {1, 2, ERR_TRAILING}};
    (void)state;
    for (int server = 0; server < 2; server++) {
        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
            struct pair p;
            scoped_buf payload = {.max = 1u << 16};
            ext_info(&payload, rows[i].claimed, rows[i].count);
            opened(&p, PHASE_AUTH);
            struct pair_end *e = server ? &p.server : &p.client;
            feed_payload(&p, e, payload.p, buf_len(&payload));
            assert_int_equal(e->err, rows[i].err);
            assert_int_equal(e->seen[TRANSPORT_EXT_INFO],
                             rows[i].err == OK ? rows[i].count : 0);
            pair_free(&p);
        }
    }
}

// When EXT_INFO may come: right after NEWKEYS; a server's also right before
// USERAUTH_SUCCESS.
static void test_ext_info_places(void **state) {
    static const uint8_t debug[] = {SSH_MSG_IGNORE, 0, 0, 0, 0}, success[] = {52},
                         failure[] = {51, 0, 0, 0, 0, 0};
    scoped_buf ext = {.max = 1u << 16};
    struct pair p;
    (void)state;
    ext_info(&ext, 1, 1);
    opened(&p, PHASE_AUTH);
    feed_payload(&p, &p.server, debug, sizeof debug);
    feed_payload(&p, &p.server, ext.p, buf_len(&ext));
    assert_int_equal(p.server.err, ERR_UNEXPECTED);
    for (int i = 0; i < 2; i++)
        feed_payload(&p, &p.client, ext.p, buf_len(&ext));
    feed_payload(&p, &p.client, success, sizeof success);
    assert_int_equal(p.client.err, OK);
    assert_true(p.client.t->authenticated);
    pair_free(&p);

    opened(&p, PHASE_AUTH);
    for (int i = 0; i < 2; i++)
        feed_payload(&p, &p.client, ext.p, buf_len(&ext));
    feed_payload(&p, &p.client, failure, sizeof failure);
    assert_int_equal(p.client.err, ERR_UNEXPECTED);
    pair_free(&p);

    opened(&p, PHASE_AUTH);
    for (int i = 0; i < 3; i++)
        feed_payload(&p, &p.client, ext.p, buf_len(&ext));
    assert_int_equal(p.client.err, ERR_UNEXPECTED);
    pair_free(&p);
}

static void test_ping_before_auth(void **state) {
    static const uint8_t ping[] = {SSH_MSG_PING, 0, 0, 0, 0},
                         pong[] = {SSH_MSG_PONG, 0, 0, 0, 0};
    struct pair p;
    (void)state;
    opened(&p, PHASE_AUTH);
    feed_payload(&p, &p.server, ping, sizeof ping);
    assert_int_equal(p.server.err, ERR_UNEXPECTED);
    pair_free(&p);
    opened(&p, PHASE_OPEN);
    feed_payload(&p, &p.server, pong, sizeof pong);
    assert_int_equal(p.server.err, ERR_UNEXPECTED);
    pair_free(&p);
}

// Answers that the peer does not read: the reading stops, memory is bounded.
static void test_unread_answers(void **state) {
    static uint8_t ping[1000] = {SSH_MSG_PING, 0, 0, 3, 0xe3};
    struct pair p;
    (void)state;
    opened(&p, PHASE_OPEN);
    for (int i = 0; i < 20000; i++)
        feed_payload(&p, &p.server, ping, sizeof ping);
    assert_int_equal(p.server.err, OK);
    assert_true(p.server.out_peak > LIMIT_OUT_PENDING);
    assert_true(p.server.out_peak < LIMIT_OUT_PENDING + 1024 * 1024);
    assert_null(transport_in(p.server.t).p);
    assert_false(transport_can_send(p.server.t));
    assert_null(transport_message(p.server.t, 1).p);
    // It goes on when they are read.
    transport_out_done(p.server.t, transport_out(p.server.t).n);
    assert_non_null(transport_in(p.server.t).p);
    assert_true(transport_can_send(p.server.t));
    pair_free(&p);
}

// The same inside a rekey that the peer does not go on with.
static void test_deferred_answers(void **state) {
    static uint8_t ping[1000] = {SSH_MSG_PING, 0, 0, 3, 0xe3};
    struct pair p;
    (void)state;
    opened(&p, PHASE_OPEN);
    assert_int_equal(transport_rekey(p.server.t), OK);
    size_t waits = transport_out(p.server.t).n;
    for (int i = 0; i < 200; i++)
        feed_payload(&p, &p.server, ping, sizeof ping);
    assert_int_equal(p.server.err, OK);
    assert_int_equal(transport_out(p.server.t).n, waits);
    for (int i = 0; i < 200; i++)
        feed_payload(&p, &p.server, ping, sizeof ping);
    assert_int_equal(p.server.err, ERR_LIMIT);
    assert_true(p.server.t->deferred.room <= LIMIT_DEFERRED);
    pair_free(&p);
}

static void test_kexinit_flood(void **state) {
    struct pair p;
    (void)state;
    pair_init(&p);
    pair_start(&p);
    struct view out = transport_out(p.client.t);
    pair_feed(&p, &p.server, pair_split(&out));
    struct view kexinit = pair_split(&out);
    pair_feed(&p, &p.server, kexinit);
    assert_int_equal(p.server.err, OK);
    pair_feed(&p, &p.server, kexinit);
    assert_int_equal(p.server.err, ERR_UNEXPECTED);
    assert_null(p.server.t->kex);
    pair_free(&p);
}

static void test_preauth_limits(void **state) {
    static uint8_t big[60000] = {SSH_MSG_IGNORE, 0, 0, 0xea, 0x5b};
    static const uint8_t ignore[] = {SSH_MSG_IGNORE, 0, 0, 0, 0};
    struct pair p;
    unsigned n;
    (void)state;
    opened(&p, PHASE_AUTH);
    for (n = 0; p.server.err == OK && n < 100; n++)
        feed_payload(&p, &p.server, big, sizeof big);
    assert_int_equal(p.server.err, ERR_LIMIT);
    assert_int_equal(n, LIMIT_PREAUTH_BYTES / sizeof big + 1);
    pair_free(&p);
    opened(&p, PHASE_AUTH);
    for (n = 0; p.server.err == OK && n < 5000; n++)
        feed_payload(&p, &p.server, ignore, sizeof ignore);
    assert_int_equal(p.server.err, ERR_LIMIT);
    assert_int_equal(n, LIMIT_PREAUTH_PACKETS + 1);
    pair_free(&p);
}

// Bulk may go on until the peer's KEXINIT, and not after it.
static void test_data_inside_rekey(void **state) {
    static const uint8_t data[] = {SSH_MSG_CHANNEL_DATA, 0, 0, 0, 0, 0, 0, 0, 0};
    struct pair p;
    (void)state;
    opened(&p, PHASE_OPEN);
    assert_int_equal(transport_rekey(p.server.t), OK);
    feed_payload(&p, &p.server, data, sizeof data);
    assert_int_equal(p.server.seen[TRANSPORT_MESSAGE], 1);
    assert_int_equal(transport_rekey(p.client.t), OK);
    struct view out = transport_out(p.client.t);
    pair_feed(&p, &p.server, pair_split(&out));
    assert_int_equal(p.server.err, OK);
    feed_payload(&p, &p.server, data, sizeof data);
    assert_int_equal(p.server.err, ERR_UNEXPECTED);
    assert_non_null(strstr(transport_fault(p.server.t)->text,
                           "CHANNEL_DATA (94): not allowed during rekeying"));
    pair_free(&p);
}

// ---- host keys ----

static void test_distrusted(void **state) {
    struct pair p;
    (void)state;
    pair_init(&p);
    p.client.distrust = true;
    pair_start(&p);
    pair_run(&p);
    assert_int_equal(p.client.err, ERR_HOST_KEY);
    assert_int_equal(p.server.reason, DISCONNECT_HOST_KEY_NOT_VERIFIABLE);
    assert_false(transport_keyed(p.server.t));
    pair_free(&p);
}

// Nothing leaves the client while the question is open.
static void test_nothing_before_the_answer(void **state) {
    static const uint8_t service[] = {SSH_MSG_SERVICE_REQUEST, 0};
    struct pair p;
    (void)state;
    pair_init(&p);
    p.client.hold_questions = true;
    pair_start(&p);
    pair_run(&p);
    assert_int_equal(p.client.seen[TRANSPORT_HOST_KEY], 1);
    assert_int_equal(transport_out(p.client.t).n, 0);
    assert_false(transport_can_send(p.client.t));
    assert_int_equal(transport_send_view(p.client.t, view_of(service, 2)), ERR_REFUSED);
    assert_null(transport_in(p.client.t).p);
    assert_int_equal(transport_answer_host_key(p.client.t, 99, true), ERR_REFUSED);
    pair_answer(&p, &p.client);
    assert_true(transport_can_send(p.client.t));
    // What came meanwhile is taken now.
    pair_events(&p, &p.client);
    pair_login(&p);
    pair_free(&p);
}

// A signature by another key than the one shown.
static void test_wrong_signature(void **state) {
    struct pair p;
    struct pk *pk;
    struct key *wrong;
    (void)state;
    pair_init(&p);
    assert_int_equal(pk_generate(&pk, PK_ED25519, PK_P256, 0), OK);
    assert_int_equal(key_from_pk(&wrong, pk), OK);
    pair_start(&p);
    struct key *right = p.host_key;
    p.host_key = wrong;
    pair_run(&p);
    assert_int_equal(p.client.err, ERR_SIGNATURE);
    assert_int_equal(p.client.seen[TRANSPORT_HOST_KEY], 0);
    assert_int_equal(p.server.reason, DISCONNECT_KEX_FAILED);
    p.host_key = right;
    key_free(wrong);
    pair_free(&p);
}

// Another host key in a later exchange is asked for again.
static void test_changed_host_key(void **state) {
    (void)state;
    for (int distrust = 0; distrust < 2; distrust++) {
        struct pair p;
        struct pk *pk;
        struct key *first, *second;
        pair_init(&p);
        pair_start(&p);
        pair_login(&p);
        assert_int_equal(pk_generate(&pk, PK_ED25519, PK_P256, 0), OK);
        assert_int_equal(key_from_pk(&second, pk), OK);
        first = p.host_key;
        p.host_key = second;
        p.server.key_row.blob = key_blob(second);
        p.client.distrust = distrust != 0;
        assert_int_equal(transport_rekey(p.server.t), OK);
        pair_run(&p);
        assert_int_equal(p.client.seen[TRANSPORT_HOST_KEY], 2);
        assert_int_equal(p.client.err, distrust ? ERR_HOST_KEY : OK);
        assert_int_equal(p.client.seen[TRANSPORT_KEYED], distrust ? 1 : 2);
        key_free(first);
        pair_free(&p);
    }
}

static void test_signer_fails(void **state) {
    struct pair p;
    (void)state;
    pair_init(&p);
    p.server.hold_questions = true;
    pair_start(&p);
    pair_run(&p);
    assert_int_equal(p.server.last_question.kind, TRANSPORT_SIGN);
    assert_int_equal(transport_answer_sign(p.server.t, p.server.last_question.ticket,
                                           view_of(NULL, 0)),
                     ERR_KEX);
    pair_run(&p);
    assert_int_equal(p.client.reason, DISCONNECT_KEX_FAILED);
    pair_free(&p);
}

// Every cut of a whole session ends in CLOSED, never in an error or a leak.
static void test_cut_anywhere(void **state) {
    (void)state;
    for (size_t cut = 1; cut < 3000; cut += 7) {
        struct pair p;
        pair_init(&p);
        p.split = 1;
        pair_start(&p);
        for (size_t i = 0; i < cut; i++) {
            pair_carry(&p, &p.client, &p.server);
            pair_carry(&p, &p.server, &p.client);
        }
        struct pair_end *ends[2] = {&p.client, &p.server};
        for (size_t i = 0; i < 2; i++) {
            transport_in_eof(ends[i]->t);
            pair_events(&p, ends[i]);
            assert_int_equal(ends[i]->err, OK);
            assert_int_equal(ends[i]->seen[TRANSPORT_CLOSED], 1);
        }
        pair_free(&p);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_flipped_bit),
        cmocka_unit_test(test_bad_length_is_not_told_early),
        cmocka_unit_test(test_injection),
        cmocka_unit_test(test_kexinit_lists),
        cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_ext_info),
        cmocka_unit_test(test_ext_info_places),
        cmocka_unit_test(test_ping_before_auth),
        cmocka_unit_test(test_unread_answers),
        cmocka_unit_test(test_deferred_answers),
        cmocka_unit_test(test_kexinit_flood),
        cmocka_unit_test(test_preauth_limits),
        cmocka_unit_test(test_data_inside_rekey),
        cmocka_unit_test(test_distrusted),
        cmocka_unit_test(test_nothing_before_the_answer),
        cmocka_unit_test(test_wrong_signature),
        cmocka_unit_test(test_changed_host_key),
        cmocka_unit_test(test_signer_fails),
        cmocka_unit_test(test_cut_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
