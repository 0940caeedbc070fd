// The seam's order against a model: within a channel nothing is lost, doubled or
// overtaken, whatever way each message takes and however the two ends are interleaved.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
// cmocka wants the above
#include <cmocka.h>

#include "base/limits.h"
#include "io/fd.h"
#include "io/unix_socket.h"
#include "server/seam.h"
#include "wire/messages.h"

#define CHANNELS 4

struct end {
    struct seam seam;
    uint32_t sent[CHANNELS], got[CHANNELS];
    bool said_end;
};

static uint64_t random_state;

static uint32_t rnd(uint32_t below) {
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(random_state >> 33) % below;
}

static void open_pair(struct end *holder, struct end *gate) {
    int pair[2];
    memset(holder, 0, sizeof *holder);
    memset(gate, 0, sizeof *gate);
    assert_int_equal(seam_pair(pair), OK);
    assert_int_equal(seam_init(&holder->seam, pair[0], true), OK);
    assert_int_equal(seam_init(&gate->seam, pair[1], false), OK);
    assert_int_equal(seam_hello(&holder->seam, view_of(NULL, 0)), OK);
    assert_int_equal(seam_hello(&gate->seam, view_text("SSH-2.0-test")), OK);
}

static size_t fill(uint8_t *p, uint8_t number, uint32_t channel, uint32_t serial,
                   size_t n) {
    p[0] = number;
    store_u32(p + 1, channel);
    store_u32(p + 5, serial);
    for (size_t i = 9; i < n; i++)
        p[i] = (uint8_t)(serial + i);
    return n;
}

static void send_socket(struct end *e, uint32_t channel) {
    uint8_t p[600];
    bool sent = false;
    uint8_t number = rnd(2) ? SSH_MSG_CHANNEL_DATA : SSH_MSG_CHANNEL_REQUEST;
    size_t n = fill(p, number, channel, e->sent[channel], 9 + rnd(500));
    assert_int_equal(seam_send(&e->seam, view_of(p, n), &sent), OK);
    if (sent)
        e->sent[channel]++;
}

static void send_ring(struct end *e, uint32_t channel) {
    struct span room;
    size_t n = 9 + rnd(rnd(4) ? 3000 : 40000);
    assert_int_equal(seam_room(&e->seam, n, n, &room), OK);
    if (room.n < n)
        return;
    fill(room.p, SSH_MSG_CHANNEL_DATA, channel, e->sent[channel], n);
    assert_int_equal(seam_publish(&e->seam, n), OK);
    e->sent[channel]++;
}

static void check(struct end *e, struct view m) {
    uint32_t channel = load_u32(m.p + 1), serial = load_u32(m.p + 5);
    assert_true(channel < CHANNELS);
    assert_int_equal(serial, e->got[channel]);
    for (size_t i = 9; i < m.n; i++)
        assert_int_equal(m.p[i], (uint8_t)(serial + i));
    e->got[channel]++;
}

// True: something came.
static bool take(struct end *e) {
    struct seam_event event;
    struct fault fault = {0};
    enum err r = seam_next(&e->seam, &event, &fault);
    if (r != OK && r != ERR_CLOSED)
        fail_msg("%s", fault_text(&fault));
    if (event.kind == SEAM_MESSAGE || event.kind == SEAM_SLOT)
        check(e, event.message);
    if (event.kind == SEAM_SLOT)
        assert_int_equal(seam_taken(&e->seam), OK);
    if (event.kind == SEAM_END)
        e->said_end = true;
    return event.kind != SEAM_NONE;
}

static void drain(struct end *e) {
    for (int quiet = 0; quiet < 2;) {
        seam_turn(&e->seam);
        quiet = take(e) ? 0 : quiet + 1;
    }
}

static void act(struct end *e) {
    uint32_t channel = rnd(CHANNELS);
    switch (rnd(6)) {
    case 0:
    case 1:
        // Channel 0 is interactive: never in the ring.
        send_socket(e, channel);
        break;
    case 2:
    case 3:
        if (channel > 0)
            send_ring(e, channel);
        break;
    case 4:
        seam_turn(&e->seam);
        for (uint32_t i = rnd(8); i > 0 && take(e); i--)
            ;
        break;
    default:
        take(e);
    }
}

static void random_interleavings_keep_order(void **state) {
    (void)state;
    for (unsigned seed = 0; seed < 60; seed++) {
        static struct end holder, gate;
        random_state = seed * 7919 + 1;
        open_pair(&holder, &gate);
        for (int i = 0; i < 4000; i++)
            act(rnd(2) ? &holder : &gate);
        for (int i = 0; i < 4; i++) {
            drain(&gate);
            drain(&holder);
        }
        for (int c = 0; c < CHANNELS; c++) {
            assert_int_equal(gate.got[c], holder.sent[c]);
            assert_int_equal(holder.got[c], gate.sent[c]);
        }
        assert_true(holder.seam.counts.ring_out > 0 && gate.seam.counts.ring_out > 0);
        seam_free(&holder.seam);
        seam_free(&gate.seam);
    }
}

// The holder keeps what it sent, in the larger ring where the gate has said that it maps
// it; a gate of before says nothing.
static void what_is_kept_stays(void **state) {
    (void)state;
    for (int old = 0; old < 2; old++) {
        static struct end holder, gate;
        static const uint8_t secret[SEAM_SECRET_SIZE];
        struct span room;
        open_pair(&holder, &gate);
        if (!old)
            assert_int_equal(seam_secret(&gate.seam, view_of(secret, sizeof secret)), OK);
        drain(&holder);
        drain(&gate);
        seam_keeps(&holder.seam);
        size_t filled = 0;
        for (;; filled++) {
            uint64_t at = seam_position(&holder.seam);
            assert_int_equal(seam_room(&holder.seam, 40000, 40000, &room), OK);
            if (room.n == 0)
                break;
            fill(room.p, SSH_MSG_CHANNEL_DATA, 1, holder.sent[1]++, 40000);
            assert_int_equal(seam_publish(&holder.seam, 40000), OK);
            if (filled == 0)
                seam_keep(&holder.seam, at);
            drain(&gate);
        }
        assert_int_equal(gate.got[1], holder.sent[1]);
        assert_int_equal(holder.seam.out.size, old ? RING_SIZE : SEAM_RING_MOST);
        assert_true(filled >= holder.seam.out.size / 41000);
        assert_true(seam_gone(&holder.seam) == seam_position(&holder.seam));
        seam_keep(&holder.seam, UINT64_MAX);
        send_ring(&holder, 1);
        send_socket(&holder, 1);
        drain(&gate);
        assert_int_equal(gate.got[1], holder.sent[1]);
        seam_free(&holder.seam);
        seam_free(&gate.seam);
    }
}

// A keystroke of another channel is delivered although a bulk channel's message waits.
static void keystrokes_overtake_bulk(void **state) {
    (void)state;
    static struct end holder, gate;
    open_pair(&holder, &gate);
    drain(&gate);
    for (int i = 0; i < 20; i++)
        send_ring(&holder, 1);
    send_socket(&holder, 1);
    send_socket(&holder, 0);
    seam_turn(&gate.seam);
    assert_true(take(&gate));
    assert_int_equal(gate.got[0], 1);
    assert_int_equal(gate.got[1], 0);
    drain(&gate);
    assert_int_equal(gate.got[1], 21);
    seam_free(&holder.seam);
    seam_free(&gate.seam);
}

// The end comes behind everything that was said before, and the ring is not lost with the
// socket.
static void the_end_comes_last(void **state) {
    (void)state;
    static struct end holder, gate;
    open_pair(&holder, &gate);
    send_ring(&holder, 1);
    seam_end(&holder.seam, 11, "bye");
    uint32_t sent = holder.sent[1];
    seam_free(&holder.seam);
    drain(&gate);
    assert_int_equal(gate.got[1], sent);
    assert_true(gate.said_end);
    struct seam_event event;
    struct fault fault = {0};
    assert_int_equal(seam_next(&gate.seam, &event, &fault), ERR_CLOSED);
    seam_free(&gate.seam);
}

static void a_sleeper_is_woken(void **state) {
    (void)state;
    static struct end holder, gate;
    open_pair(&holder, &gate);
    send_ring(&holder, 1);
    drain(&gate);
    drain(&holder);
    assert_true(seam_may_sleep(&gate.seam, 0));
    uint64_t before = holder.seam.counts.wakes;
    send_ring(&holder, 1);
    assert_int_equal(holder.seam.counts.wakes, before + 1);
    send_ring(&holder, 1);
    assert_int_equal(holder.seam.counts.wakes, before + 1);
    drain(&gate);
    send_ring(&holder, 1);
    assert_false(seam_may_sleep(&gate.seam, 0));
    drain(&gate);
    assert_int_equal(gate.got[1], holder.sent[1]);
    seam_free(&holder.seam);
    seam_free(&gate.seam);
}

static void what_is_malformed_ends_it(void **state) {
    (void)state;
    static const char *const bad[] = {
        "",
        "\2",
        "\2\1\0\0\0\0\0\0\0\0\0\0",
        "\7\0\0\0\0\0\0\0\0\0\0\0",
        "\3\0\0\0\0\0\0\0\0\0\0\0",
    };
    static const size_t sizes[] = {1, 1, 12, 12, 12};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        static struct end holder, gate;
        bool sent;
        open_pair(&holder, &gate);
        drain(&gate);
        struct view v = view_of(bad[i], sizes[i]);
        assert_int_equal(unix_send(holder.seam.fd, &v, 1, NULL, 0, &sent), OK);
        struct seam_event event;
        struct fault fault = {0};
        seam_turn(&gate.seam);
        assert_int_equal(seam_next(&gate.seam, &event, &fault), ERR_PROTOCOL);
        assert_true(fault.text[0] != '\0');
        seam_free(&holder.seam);
        seam_free(&gate.seam);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_interleavings_keep_order),
        cmocka_unit_test(what_is_kept_stays),
        cmocka_unit_test(keystrokes_overtake_bulk),
        cmocka_unit_test(the_end_comes_last),
        cmocka_unit_test(a_sleeper_is_woken),
        cmocka_unit_test(what_is_malformed_ends_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
