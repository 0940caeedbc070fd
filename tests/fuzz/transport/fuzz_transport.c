#include "fuzz_transport.h"

#include <stdlib.h>

#include "host_key.h"

static struct transport *make(const struct fuzz_start *start, uint8_t options) {
    struct transport *t;
    const struct transport_config config = {
        .role = start->role,
        .ident = "SSH-2.0-Fuzz",
        .kex = "curve25519-sha256,ecdh-sha2-nistp256,sntrup761x25519-sha512,"
               "diffie-hellman-group-exchange-sha256,diffie-hellman-group14-sha256",
        .host_key_algorithms = "ssh-ed25519",
        .ciphers_c2s = "aes128-gcm@openssh.com,aes128-ctr",
        .ciphers_s2c = "aes128-gcm@openssh.com,aes128-ctr",
        .macs_c2s = "hmac-sha2-256",
        .macs_s2c = "hmac-sha2-256",
        .compression = "none,zlib@openssh.com",
        .guess = (options & 1) != 0,
        .plain = (options & 2) != 0,
        .rekey_packets = (options & 4) != 0 ? 10 : 0,
        .server_sig_algs = "ssh-ed25519",
        .host_keys = &key_row,
        .host_key_count = 1,
    };
    must(transport_new(&t, &config, 0) == OK);
    if (start->phase != PHASE_IDENT)
        must(transport_test_phase(t, start->phase) == OK);
    t->in.compressed = t->out.compressed = (options & 8) != 0;
    return t;
}

static void answer(struct transport *t, const struct transport_event *event) {
    scoped_buf signature = {.max = 1024};
    const struct alg *a;
    switch (event->kind) {
    case TRANSPORT_SIGN:
        a = alg_find(ALG_SIGNATURE, view_text(event->algorithm));
        must(key_sign(host_key, a->signature, event->data, &signature) == OK);
        (void)!transport_answer_sign(t, event->ticket, buf_view(&signature));
        break;
    case TRANSPORT_HOST_KEY:
        (void)!transport_answer_host_key(t, event->ticket, true);
        break;
    case TRANSPORT_MESSAGE:
        must(event->message.n > 0);
        if (event->message.p[0] == SSH_MSG_USERAUTH_SUCCESS)
            transport_authenticated(t);
        else if (event->message.p[0] == SSH_MSG_CHANNEL_DATA)
            (void)!transport_send_view(t, event->message);
        else if (event->message.p[0] == SSH_MSG_GLOBAL_REQUEST)
            (void)!transport_rekey(t);
        break;
    default:
        break;
    }
}

// False when the link is over.
static bool take_events(struct transport *t) {
    static uint8_t room[4096];
    struct transport_event event;
    struct span into = {room, sizeof room};
    for (;;) {
        enum err e = transport_next_into(t, into, &event);
        if (e != OK) {
            must(transport_fault(t)->code == e && transport_fault(t)->text[0] != '\0');
            must(transport_in(t).p == NULL && !transport_can_send(t));
            return false;
        }
        if (event.kind == TRANSPORT_NONE || event.kind == TRANSPORT_CLOSED)
            return event.kind == TRANSPORT_NONE;
        answer(t, &event);
    }
}

static bool push(struct transport *t, const uint8_t *p, size_t n) {
    while (n > 0) {
        struct span room = transport_in(t);
        size_t some = room.n < n ? room.n : n;
        if (some == 0)
            return false;
        memcpy(room.p, p, some);
        p += some;
        n -= some;
        if (transport_in_done(t, some, 0) != OK || !take_events(t))
            return false;
        // A peer that reads most of what it is sent.
        transport_out_done(t, transport_out(t).n / 2);
    }
    return true;
}

static void push_stream(struct transport *t, const uint8_t *p, size_t n) {
    for (size_t piece = 1; n > 0; piece = piece * 3 % 61 + 1) {
        size_t some = piece < n ? piece : n;
        if (!push(t, p, some))
            return;
        p += some;
        n -= some;
    }
}

// Payloads behind two bytes of length, framed for the null cipher.
static void push_payloads(struct transport *t, const uint8_t *p, size_t n) {
    static uint8_t packet[70000];
    static const char ident[] = "SSH-2.0-Peer\r\n";
    if (t->phase == PHASE_IDENT && !push(t, (const uint8_t *)ident, sizeof ident - 1))
        return;
    while (n >= 2) {
        size_t len = (size_t)p[0] << 8 | p[1];
        if (len > n - 2)
            len = n - 2;
        size_t padding = 8 - (5 + len) % 8;
        padding += padding < 4 || 5 + len + padding < 16 ? 8 : 0;
        store_u32(packet, (uint32_t)(1 + len + padding));
        packet[4] = (uint8_t)padding;
        memcpy(packet + 5, p + 2, len);
        if (!push(t, packet, 5 + len + padding))
            return;
        p += 2 + len;
        n -= 2 + len;
    }
}

int fuzz_transport(const struct fuzz_start *start, const uint8_t *data, size_t size) {
    if (host_key == NULL)
        prepare();
    if (size == 0)
        return 0;
    struct transport *t = make(start, data[0]);
    if (start->raw)
        push_stream(t, data + 1, size - 1);
    else
        push_payloads(t, data + 1, size - 1);
    transport_in_eof(t);
    take_events(t);
    must(buf_len(&t->out_buf) < LIMIT_OUT_PENDING + 1024 * 1024);
    transport_free(t);
    return 0;
}
