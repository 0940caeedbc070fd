// The gate: its matrix against the reviewed dispatch.golden, and every number in every
// phase against a living transport.
#include "script/transport/pair.h"

#include <stdio.h>

#include "unit/transport/dispatch_golden.h"

static void test_golden(void **state) {
    scoped_buf now = {.max = 1u << 20};
    static uint8_t golden[1 << 20];
    (void)state;
    assert_int_equal(dispatch_print(&now, true), OK);
    assert_int_equal(buf_append(&now, view_text("\n")), OK);
    assert_int_equal(dispatch_print(&now, false), OK);
    FILE *f = fopen(DISPATCH_GOLDEN, "rb");
    size_t n = f != NULL ? fread(golden, 1, sizeof golden, f) : 0;
    if (f != NULL)
        fclose(f);
    if (!view_equal(view_of(golden, n), buf_view(&now))) {
        printf("The matrix is now:\n%.*s", (int)buf_len(&now),
               (const char *)buf_view(&now).p);
        fail_msg("it differs from dispatch.golden: review it, then replace the file");
    }
}

static void test_rows_are_consistent(void **state) {
    const struct dispatch_row *r;
    const unsigned first = 1u << PHASE_KEXINIT | 1u << PHASE_GUESS | 1u << PHASE_KEX |
                           1u << PHASE_GROUP | 1u << PHASE_GEX | 1u << PHASE_NEWKEYS;
    const unsigned rekey = 1u << PHASE_REKEY_GUESS | 1u << PHASE_REKEY_KEX |
                           1u << PHASE_REKEY_GROUP | 1u << PHASE_REKEY_GEX |
                           1u << PHASE_REKEY_NEWKEYS;
    (void)state;
    for (size_t i = 0; (r = dispatch_at(i)) != NULL; i++) {
        assert_true(r->first <= r->last && r->from != 0 && r->phases != 0);
        assert_int_equal(r->phases & 1u << PHASE_IDENT, 0);
        if (r->flags & DISPATCH_AUTHENTICATED)
            assert_int_equal(r->phases & ~(1u << PHASE_OPEN), 0);
        if (r->first >= 50)
            assert_int_equal(r->phases & (first | rekey), 0);
        if (r->flags & DISPATCH_UPPER)
            assert_ptr_equal(r->handle, handle_deliver);
        // Nothing but the exchange itself passes a strict one.
        if ((r->phases & first) != 0 && (r->flags & DISPATCH_STRICT_FORBIDDEN) == 0)
            assert_true(r->first == SSH_MSG_DISCONNECT ||
                        (r->first >= 20 && r->last <= 49));
        for (unsigned number = r->first; number <= r->last; number++)
            for (enum phase phase = 0; phase < PHASE_COUNT; phase++)
                for (size_t j = i + 1; dispatch_at(j) != NULL; j++) {
                    const struct dispatch_row *o = dispatch_at(j);
                    bool both = number >= o->first && number <= o->last &&
                                (r->from & o->from) != 0 && (r->phases & o->phases) != 0;
                    assert_false(both);
                }
    }
}

// ---- reaching each phase for real ----

// A KEXINIT like `whole`, but with a wrong guess following.
static void feed_wrong_guess(struct pair *p, struct pair_end *e, struct view whole) {
    struct msg_kexinit m;
    char kex[512];
    scoped_buf payload = {.max = 1u << 16}, packet = {.max = 1u << 16};
    struct view old = view_of(whole.p + 5, whole.n - 5 - whole.p[4]);
    assert_int_equal(message_decode(SSH_MSG_KEXINIT, old, &m, NULL), OK);
    snprintf(kex, sizeof kex, "no-such-method,%.*s", (int)m.kex.n, (const char *)m.kex.p);
    m.kex = view_text(kex);
    m.first_kex_packet_follows = true;
    struct writer w = writer_to_buf(&payload);
    message_encode(&w, SSH_MSG_KEXINIT, &m);
    assert_int_equal(writer_end(&w), OK);
    pair_raw_packet(&packet, buf_view(&payload));
    pair_feed(p, e, buf_view(&packet));
}

// Feeds `e` what its real peer sends up to the wanted phase. All in the null cipher.
static void reach_exchange(struct pair *p, struct pair_end *e, struct pair_end *peer,
                           enum phase guess, enum phase newkeys, enum phase wanted) {
    struct view out = transport_out(peer->t);
    if (e->t->phase == PHASE_IDENT)
        pair_feed(p, e, pair_split(&out));
    if (e->t->phase == wanted)
        return;
    struct view kexinit = pair_split(&out);
    if (wanted == guess) {
        feed_wrong_guess(p, e, kexinit);
    } else {
        pair_feed(p, e, kexinit);
        if (wanted == newkeys && e == &p->server) {
            transport_out_done(peer->t, transport_out(peer->t).n - out.n);
            struct view answer = transport_out(e->t);
            if (memcmp(answer.p, "SSH-", 4) == 0)
                pair_feed(p, peer, pair_split(&answer));
            pair_feed(p, peer, pair_split(&answer));
            out = transport_out(peer->t);
            pair_feed(p, e, pair_split(&out));
        } else if (wanted == newkeys) {
            struct view ours = transport_out(e->t);
            pair_feed(p, peer, ours);
            out = transport_out(peer->t);
            struct view piece = pair_split(&out);
            if (memcmp(piece.p, "SSH-", 4) == 0)
                pair_split(&out);
            pair_feed(p, e, pair_split(&out));
        }
    }
}

static bool is_gex(enum phase phase) {
    return phase == PHASE_GROUP || phase == PHASE_GEX || phase == PHASE_REKEY_GROUP ||
           phase == PHASE_REKEY_GEX;
}

static struct pair_end *reach(struct pair *p, bool server, enum phase wanted,
                              bool strict) {
    pair_init(p);
    p->client.config.plain = p->server.config.plain = !strict;
    if (is_gex(wanted))
        p->client.config.kex = p->server.config.kex =
            "diffie-hellman-group-exchange-sha256";
    pair_start(p);
    struct pair_end *e = server ? &p->server : &p->client;
    struct pair_end *peer = server ? &p->client : &p->server;
    if (wanted >= PHASE_AUTH) {
        pair_feed(p, &p->client, view_text("SSH-2.0-server\r\n"));
        pair_feed(p, &p->server, view_text("SSH-2.0-client\r\n"));
        enum phase calm = wanted == PHASE_AUTH ? PHASE_AUTH : PHASE_OPEN;
        assert_int_equal(transport_test_phase(p->client.t, calm), OK);
        assert_int_equal(transport_test_phase(p->server.t, calm), OK);
        e->t->agreed.strict = strict;
    }
    if (wanted > PHASE_OPEN) {
        assert_int_equal(transport_rekey(peer->t), OK);
        reach_exchange(p, e, peer, PHASE_REKEY_GUESS,
                       wanted == PHASE_REKEY_GEX ? PHASE_REKEY_GEX : PHASE_REKEY_NEWKEYS,
                       wanted);
    } else if (wanted < PHASE_AUTH) {
        reach_exchange(p, e, peer, PHASE_GUESS,
                       wanted == PHASE_GEX ? PHASE_GEX : PHASE_NEWKEYS, wanted);
    }
    assert_int_equal(e->err, OK);
    assert_int_equal(e->t->phase, wanted);
    return e;
}

static void try_number(bool server, enum phase phase, bool strict, unsigned number) {
    struct pair p;
    scoped_buf packet = {.max = 1u << 16};
    const uint8_t payload[4] = {(uint8_t)number, 0, 0, 0};
    struct pair_end *e = reach(&p, server, phase, strict);
    unsigned from = server ? DISPATCH_FROM_CLIENT : DISPATCH_FROM_SERVER;
    const struct dispatch_row *r = dispatch_find((uint8_t)number, from, phase, strict);
    unsigned messages = e->seen[TRANSPORT_MESSAGE];
    size_t waits = transport_out(e->t).n;
    pair_raw_packet(&packet, view_of(payload, sizeof payload));
    pair_feed(&p, e, buf_view(&packet));
    if (r == NULL || r->handle == handle_early) {
        assert_int_equal(e->err, ERR_UNEXPECTED);
        assert_non_null(strstr(transport_fault(e->t)->text, "not allowed during "));
        assert_non_null(strstr(transport_fault(e->t)->text, dispatch_phase_name(phase)));
        // And says so to the peer.
        assert_true(transport_out(e->t).n > waits);
    } else if (r->handle == handle_deliver) {
        assert_int_equal(e->err, OK);
        assert_int_equal(e->seen[TRANSPORT_MESSAGE], messages + 1);
    } else {
        assert_int_not_equal(e->err, ERR_UNEXPECTED);
        assert_int_equal(e->seen[TRANSPORT_MESSAGE], messages);
        if (r->handle == handle_unassigned)
            assert_true(e->err == OK && transport_out(e->t).n > waits);
    }
    pair_free(&p);
}

static void test_every_number_in_every_phase(void **state) {
    (void)state;
    for (int server = 0; server < 2; server++)
        for (int strict = 0; strict < 2; strict++)
            for (enum phase phase = PHASE_KEXINIT; phase < PHASE_COUNT; phase++)
                for (unsigned number = 0; number < 256; number++) {
                    // Before the KEXINITs nobody knows whether it is strict.
                    if (phase == PHASE_KEXINIT && strict)
                        continue;
                    try_number(server != 0, phase, strict != 0, number);
                }
}

// Whoever asks for them gets them.
static void test_early_messages(void **state) {
    (void)state;
    struct pair p;
    struct pair_end *e = reach(&p, true, PHASE_AUTH, true);
    unsigned messages = e->seen[TRANSPORT_MESSAGE];
    scoped_buf packet = {.max = 1u << 16};
    e->t->config.early = true;
    pair_raw_packet(&packet, view_of((const uint8_t[]){90, 0, 0, 0}, 4));
    pair_feed(&p, e, buf_view(&packet));
    assert_int_equal(e->err, OK);
    assert_int_equal(e->seen[TRANSPORT_MESSAGE], messages + 1);
    pair_free(&p);
}

// The same gate for what our own upper layers send.
static void test_own_sending(void **state) {
    (void)state;
    for (int server = 0; server < 2; server++) {
        for (unsigned number = 0; number < 256; number++) {
            struct pair p;
            const uint8_t payload[2] = {(uint8_t)number, 0};
            struct pair_end *e = reach(&p, server != 0, PHASE_AUTH, true);
            bool may = server
                           ? number == 6 || (number >= 51 && number <= 53) || number == 60
                           : number == 5 || number == 50 || number == 61 ||
                                 number == 80 || (number >= 90 && number <= 100) ||
                                 number == 208 || number == 211;
            enum err err = transport_send_view(e->t, view_of(payload, 2));
            assert_int_equal(err, may ? OK : ERR_REFUSED);
            pair_free(&p);
            e = reach(&p, server != 0, PHASE_OPEN, true);
            may = (number >= 80 && number <= 82) || (number >= 90 && number <= 100) ||
                  number == 213 ||
                  (server ? number >= 209 && number <= 212 && number != 211
                          : number == 208 || number == 211);
            err = transport_send_view(e->t, view_of(payload, 2));
            assert_int_equal(err, may ? OK : ERR_REFUSED);
            pair_free(&p);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),
        cmocka_unit_test(test_rows_are_consistent),
        cmocka_unit_test(test_every_number_in_every_phase),
        cmocka_unit_test(test_early_messages),
        cmocka_unit_test(test_own_sending),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
