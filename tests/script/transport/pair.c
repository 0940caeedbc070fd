#include "pair.h"

#include <stdlib.h>

#include "crypto/crypto.h"

static const char ext_ping[] = "\0\0\0\x10ping@openssh.com\0\0\0\x01"
                               "0";

uint32_t pair_random(struct pair *p) {
    p->random ^= p->random << 13;
    p->random ^= p->random >> 17;
    p->random ^= p->random << 5;
    return p->random;
}

static void end_init(struct pair_end *e, enum transport_role role) {
    e->config = (struct transport_config){
        .role = role,
        .ident = role == TRANSPORT_CLIENT ? "SSH-2.0-client" : "SSH-2.0-server",
        .kex = "curve25519-sha256",
        .host_key_algorithms = "ssh-ed25519,ecdsa-sha2-nistp256",
        .ciphers_c2s = "aes128-gcm@openssh.com",
        .ciphers_s2c = "aes128-gcm@openssh.com",
        .macs_c2s = "hmac-sha2-256",
        .macs_s2c = "hmac-sha2-256",
        .compression = "none",
        .ext_info = view_of(ext_ping, sizeof ext_ping - 1),
        .ext_info_count = 1,
    };
    if (role == TRANSPORT_SERVER)
        e->config.server_sig_algs = "ssh-ed25519";
    buf_init(&e->messages, PAIR_MESSAGES_MAX);
    buf_init(&e->notes, 1u << 20);
}

void pair_host_key(struct pair *p, enum pk_kind kind, enum pk_curve curve,
                   const char *algorithms) {
    struct pk *pk;
    key_free(p->host_key);
    assert_int_equal(pk_generate(&pk, kind, curve, 2048), OK);
    assert_int_equal(key_from_pk(&p->host_key, pk), OK);
    p->server.key_row = (struct transport_host_key){key_blob(p->host_key), algorithms};
    p->server.config.host_keys = &p->server.key_row;
    p->server.config.host_key_count = 1;
}

void pair_init(struct pair *p) {
    assert_int_equal(crypto_init(), OK);
    *p = (struct pair){.random = 2463534242u, .now = 1000};
    end_init(&p->client, TRANSPORT_CLIENT);
    end_init(&p->server, TRANSPORT_SERVER);
    pair_host_key(p, PK_ED25519, PK_P256, "ssh-ed25519");
}

void pair_start(struct pair *p) {
    assert_int_equal(transport_new(&p->client.t, &p->client.config, p->now), OK);
    assert_int_equal(transport_new(&p->server.t, &p->server.config, p->now), OK);
}

static void end_free(struct pair_end *e) {
    transport_free(e->t);
    buf_free(&e->messages);
    buf_free(&e->notes);
}

void pair_free(struct pair *p) {
    end_free(&p->client);
    end_free(&p->server);
    key_free(p->host_key);
}

static void append(struct buf *b, struct view v) {
    uint8_t n[4];
    store_u32(n, (uint32_t)v.n);
    assert_int_equal(buf_append(b, view_of(n, 4)), OK);
    assert_int_equal(buf_append(b, v), OK);
}

static void answer_sign(struct pair *p, struct pair_end *e,
                        const struct transport_event *q) {
    scoped_buf signature = {.max = 4096};
    const struct alg *a = alg_find(ALG_SIGNATURE, view_text(q->algorithm));
    assert_non_null(a);
    assert_int_equal(key_sign(p->host_key, a->signature, q->data, &signature), OK);
    assert_int_equal(transport_answer_sign(e->t, q->ticket + 1, buf_view(&signature)),
                     ERR_REFUSED);
    assert_int_equal(transport_answer_sign(e->t, q->ticket, buf_view(&signature)), OK);
    assert_int_equal(transport_answer_sign(e->t, q->ticket, buf_view(&signature)),
                     ERR_REFUSED);
}

void pair_answer(struct pair *p, struct pair_end *e) {
    const struct transport_event *q = &e->last_question;
    if (q->kind == TRANSPORT_SIGN) {
        answer_sign(p, e, q);
    } else {
        enum err err = transport_answer_host_key(e->t, q->ticket, !e->distrust);
        assert_int_equal(err, e->distrust ? ERR_HOST_KEY : OK);
    }
}

static void handle(struct pair *p, struct pair_end *e,
                   const struct transport_event *event) {
    e->seen[event->kind]++;
    switch (event->kind) {
    case TRANSPORT_SIGN:
    case TRANSPORT_HOST_KEY:
        assert_false(transport_can_send(e->t));
        e->last_question = *event;
        if (!e->hold_questions)
            pair_answer(p, e);
        break;
    case TRANSPORT_MESSAGE:
        append(&e->messages, event->message);
        if (e->room != NULL && event->message.p == e->room + TRANSPORT_HEADROOM)
            e->rooms_used++;
        if (event->message.p[0] == SSH_MSG_USERAUTH_SUCCESS)
            transport_authenticated(e->t);
        break;
    case TRANSPORT_TEXT:
    case TRANSPORT_PONG:
        append(&e->notes, event->data);
        break;
    case TRANSPORT_EXT_INFO:
        append(&e->notes, event->name);
        break;
    case TRANSPORT_CLOSED:
        e->reason = event->reason;
        break;
    default:
        break;
    }
}

void pair_events(struct pair *p, struct pair_end *e) {
    struct transport_event event;
    struct span room = {e->room, e->room != NULL ? e->room_size : 0};
    do {
        enum err err = transport_next_into(e->t, room, &event);
        if (err != OK) {
            // Final: the same again.
            assert_int_equal(transport_next(e->t, &event), err);
            assert_int_equal(event.kind, TRANSPORT_NONE);
            if (e->err == OK)
                e->err = err;
            assert_int_equal(transport_fault(e->t)->code, err);
            return;
        }
        if (event.kind != TRANSPORT_NONE)
            handle(p, e, &event);
        size_t waits = transport_out(e->t).n;
        if (waits > e->out_peak)
            e->out_peak = waits;
    } while (event.kind != TRANSPORT_NONE && event.kind != TRANSPORT_CLOSED);
}

void pair_feed(struct pair *p, struct pair_end *e, struct view bytes) {
    while (bytes.n > 0) {
        struct span room = transport_in(e->t);
        size_t n = room.n < bytes.n ? room.n : bytes.n;
        if (n == 0)
            return;
        memcpy(room.p, bytes.p, n);
        bytes = view_of(bytes.p + n, bytes.n - n);
        enum err err = transport_in_done(e->t, n, p->now);
        if (err != OK && e->err == OK)
            e->err = err;
        pair_events(p, e);
    }
}

bool pair_carry(struct pair *p, struct pair_end *from, struct pair_end *to) {
    struct view out = transport_out(from->t);
    if (out.n == 0)
        return false;
    size_t n = out.n;
    if (p->split == SIZE_MAX)
        n = 1 + pair_random(p) % (out.n < 40000 ? out.n : 40000);
    else if (p->split > 0 && p->split < n)
        n = p->split;
    struct span room = transport_in(to->t);
    if (room.n < n)
        n = room.n;
    if (n == 0)
        return false;
    memcpy(room.p, out.p, n);
    transport_out_done(from->t, n);
    enum err err = transport_in_done(to->t, n, p->now);
    if (err != OK && to->err == OK)
        to->err = err;
    pair_events(p, to);
    return true;
}

void pair_run(struct pair *p) {
    bool moved = true;
    while (moved) {
        moved = pair_carry(p, &p->client, &p->server);
        moved = pair_carry(p, &p->server, &p->client) || moved;
    }
}

void pair_send(struct pair_end *e, uint8_t number, struct view rest) {
    struct span room = transport_message(e->t, rest.n + 1);
    assert_non_null(room.p);
    room.p[0] = number;
    if (rest.n > 0)
        memcpy(room.p + 1, rest.p, rest.n);
    assert_int_equal(transport_send(e->t, rest.n + 1), OK);
}

uint8_t pair_message(struct pair_end *e) {
    struct reader r = reader_of(buf_view(&e->messages));
    struct view m = read_string(&r);
    assert_int_equal(reader_end(&r), OK);
    assert_true(m.n > 0);
    uint8_t number = m.p[0];
    buf_clear(&e->messages);
    return number;
}

void pair_login(struct pair *p) {
    static const char service[] = "\0\0\0\x0cssh-userauth";
    static const char request[] = "\0\0\0\1u\0\0\0\1s\0\0\0\4none";
    pair_run(p);
    assert_int_equal(p->client.err, OK);
    assert_int_equal(p->server.err, OK);
    assert_true(transport_keyed(p->client.t) && transport_keyed(p->server.t));
    pair_send(&p->client, SSH_MSG_SERVICE_REQUEST, view_of(service, sizeof service - 1));
    pair_run(p);
    assert_int_equal(pair_message(&p->server), SSH_MSG_SERVICE_REQUEST);
    pair_send(&p->server, SSH_MSG_SERVICE_ACCEPT, view_of(service, sizeof service - 1));
    pair_send(&p->client, SSH_MSG_USERAUTH_REQUEST, view_of(request, sizeof request - 1));
    pair_run(p);
    assert_int_equal(pair_message(&p->server), SSH_MSG_USERAUTH_REQUEST);
    assert_int_equal(pair_message(&p->client), SSH_MSG_SERVICE_ACCEPT);
    transport_authenticated(p->server.t);
    pair_send(&p->server, SSH_MSG_USERAUTH_SUCCESS, view_of(NULL, 0));
    pair_run(p);
    assert_int_equal(pair_message(&p->client), SSH_MSG_USERAUTH_SUCCESS);
}

void pair_raw_packet(struct buf *out, struct view payload) {
    size_t padding = 8 - (5 + payload.n) % 8;
    uint8_t head[5], zeros[16] = {0};
    if (padding < 4 || 5 + payload.n + padding < 16)
        padding += 8;
    store_u32(head, (uint32_t)(1 + payload.n + padding));
    head[4] = (uint8_t)padding;
    assert_int_equal(buf_append(out, view_of(head, 5)), OK);
    assert_int_equal(buf_append(out, payload), OK);
    assert_int_equal(buf_append(out, view_of(zeros, padding)), OK);
}

struct view pair_split(struct view *stream) {
    size_t n = 0;
    if (stream->n >= 4 && memcmp(stream->p, "SSH-", 4) == 0)
        n = (size_t)((const uint8_t *)memchr(stream->p, '\n', stream->n) - stream->p) + 1;
    else if (stream->n >= 4)
        n = 4 + load_u32(stream->p);
    assert_true(n <= stream->n);
    struct view piece = view_of(stream->p, n);
    *stream = view_of(stream->p + n, stream->n - n);
    return piece;
}
