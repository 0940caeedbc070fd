// Fuzzes two honest ends against each other: the input says who sends, rekeys or pings
// when, and in which pieces the bytes travel. Whatever the order, nothing may fail and
// every message arrives once, in order.
#include <stdlib.h>

#include "host_key.h"
#include "transport/internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct end {
    struct transport *t;
    uint32_t sent, received, pings, pongs;
    uint64_t now;
};

static void make(struct end *e, enum transport_role role, uint8_t options) {
    static const char ext[] = "\0\0\0\x10ping@openssh.com\0\0\0\x01"
                              "0";
    const char *cipher = (options & 1) != 0 ? "aes128-ctr" : "aes128-gcm@openssh.com";
    const struct transport_config config = {
        .role = role,
        .ident = "SSH-2.0-Fuzz",
        .kex = role == TRANSPORT_CLIENT && (options & 2) != 0
                   ? "ecdh-sha2-nistp256,curve25519-sha256"
                   : "curve25519-sha256",
        .host_key_algorithms = "ssh-ed25519",
        .ciphers_c2s = cipher,
        .ciphers_s2c = cipher,
        .macs_c2s = "hmac-sha2-256",
        .macs_s2c = "hmac-sha2-256",
        .compression = (options & 128) != 0 ? "zlib@openssh.com" : "none",
        .guess = (options & 4) != 0,
        .plain = (options & 8) != 0,
        .rekey_packets = (options & 16) != 0 ? 20 : 0,
        .rekey_bytes = (options & 32) != 0 && role == TRANSPORT_SERVER ? 3000 : 0,
        .rekey_ms = (options & 64) != 0 ? 50 : 0,
        .ext_info = view_of(ext, sizeof ext - 1),
        .ext_info_count = 1,
        .host_keys = &key_row,
        .host_key_count = 1,
    };
    *e = (struct end){0};
    must(transport_new(&e->t, &config, 0) == OK);
}

static void answer(struct end *e, const struct transport_event *event) {
    scoped_buf signature = {.max = 1024};
    switch (event->kind) {
    case TRANSPORT_SIGN:
        must(key_sign(host_key,
                      alg_find(ALG_SIGNATURE, view_text(event->algorithm))->signature,
                      event->data, &signature) == OK);
        must(transport_answer_sign(e->t, event->ticket, buf_view(&signature)) == OK);
        break;
    case TRANSPORT_HOST_KEY:
        must(transport_answer_host_key(e->t, event->ticket, true) == OK);
        break;
    case TRANSPORT_MESSAGE:
        if (event->message.p[0] == SSH_MSG_USERAUTH_SUCCESS) {
            transport_authenticated(e->t);
        } else {
            must(event->message.n >= 5 && load_u32(event->message.p + 1) == e->received);
            e->received++;
        }
        break;
    case TRANSPORT_PONG:
        e->pongs++;
        break;
    default:
        must(event->kind != TRANSPORT_CLOSED && event->kind != TRANSPORT_UNIMPLEMENTED);
        break;
    }
}

static void take_events(struct end *e) {
    static uint8_t room[600];
    struct transport_event event;
    do {
        must(transport_next_into(e->t, (struct span){room, sizeof room}, &event) == OK);
        if (event.kind != TRANSPORT_NONE)
            answer(e, &event);
    } while (event.kind != TRANSPORT_NONE);
}

static bool carry(struct end *from, struct end *to, size_t n) {
    struct view out = transport_out(from->t);
    struct span in = transport_in(to->t);
    if (n > out.n)
        n = out.n;
    if (n > in.n)
        n = in.n;
    if (n == 0)
        return false;
    memcpy(in.p, out.p, n);
    transport_out_done(from->t, n);
    must(transport_in_done(to->t, n, to->now) == OK);
    take_events(to);
    return true;
}

static void settle(struct end *a, struct end *b) {
    while (carry(a, b, SIZE_MAX) || carry(b, a, SIZE_MAX))
        ;
}

static void say(struct end *e, size_t n) {
    struct span room = transport_message(e->t, n + 5);
    if (room.p == NULL)
        return;
    memset(room.p, SSH_MSG_CHANNEL_DATA, n + 5);
    store_u32(room.p + 1, e->sent);
    must(transport_send(e->t, n + 5) == OK);
    e->sent++;
}

// One step: the low bit says which end, the next three what, the rest how much.
static void act(struct end *e, struct end *peer, uint8_t op, uint8_t more) {
    size_t n = (size_t)(op >> 4) << 8 | more;
    switch (op >> 1 & 7) {
    case 0:
    case 1:
        say(e, n);
        break;
    case 2:
        must(transport_rekey(e->t) == OK);
        break;
    case 3:
        if (transport_peer_has_ping(e->t)) {
            must(transport_ping(e->t, view_text("?")) == OK);
            e->pings++;
        }
        break;
    case 4:
        must(transport_tick(e->t, e->now += n) == OK);
        break;
    case 5:
        transport_idle(e->t);
        break;
    default:
        carry(e, peer, n);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const uint8_t success[] = {SSH_MSG_USERAUTH_SUCCESS};
    struct end client, server;
    if (host_key == NULL)
        prepare();
    if (size == 0)
        return 0;
    make(&client, TRANSPORT_CLIENT, data[0]);
    make(&server, TRANSPORT_SERVER, data[0]);
    settle(&client, &server);
    transport_authenticated(server.t);
    must(transport_send_view(server.t, view_of(success, 1)) == OK);
    settle(&client, &server);
    for (size_t i = 1; i + 1 < size && i < 400; i += 2)
        act((data[i] & 1) != 0 ? &server : &client,
            (data[i] & 1) != 0 ? &client : &server, data[i], data[i + 1]);
    settle(&client, &server);
    must(client.received == server.sent && server.received == client.sent);
    must(client.pongs == client.pings && server.pongs == server.pings);
    must(transport_can_send(client.t) && transport_can_send(server.t));
    must(view_equal(transport_session_id(client.t), transport_session_id(server.t)));
    transport_free(client.t);
    transport_free(server.t);
    return 0;
}
