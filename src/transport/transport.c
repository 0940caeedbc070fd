// The object: bytes in, events out, errors made final. See internal.h for its invariants.
#include "transport/transport.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/secret.h"
#include "transport/internal.h"

// One read takes up to this much; small until the peer fills what it is offered.
#define READ_MIN (8u * 1024u)
#define READ_MAX (256u * 1024u)
// A packet that has begun, and a whole read behind it.
#define IN_MAX (LIMIT_PACKET + 128u + 2 * READ_MAX)
// The upper layers stop well before the reading does: two ends that both wait for the
// other to read would wait for ever. Only answers to what was read can reach
// LIMIT_OUT_PENDING.
#define SEND_PENDING (LIMIT_OUT_PENDING / 4)
// Past LIMIT_OUT_PENDING nothing new is taken, but one message and the answers to what
// was read already still fit.
#define OUT_MAX (LIMIT_OUT_PENDING + 4u * LIMIT_PACKET + 4u * IN_MAX)

// Bytes by which what cannot be compressed may grow.
#define COMPRESSED_SPARE 512u

static enum err start(struct transport *t) {
    struct view none = view_of(NULL, 0);
    TRY(packet_cipher_new(&t->in.cipher, NULL, NULL, none, none, none, false));
    TRY(packet_cipher_new(&t->out.cipher, NULL, NULL, none, none, none, true));
    TRY(ident_send(t));
    return exchange_start(t, true);
}

enum err transport_new(struct transport **out, const struct transport_config *config,
                       uint64_t now) {
    struct transport *t = calloc(1, sizeof *t);
    *out = NULL;
    if (t == NULL)
        return ERR_MEMORY;
    t->config = *config;
    t->now = now;
    t->blocked = true;
    t->read_size = READ_MIN;
    buf_init(&t->in_buf, IN_MAX);
    buf_init(&t->out_buf, OUT_MAX);
    buf_init(&t->in.plain, LIMIT_PACKET + 1);
    buf_init(&t->out.plain, LIMIT_PACKET + 1);
    buf_init(&t->host_key, LIMIT_PACKET_PREAUTH);
    buf_init(&t->mismatch, LIMIT_PACKET_PREAUTH);
    buf_init(&t->first_host_key, LIMIT_PACKET_PREAUTH);
    buf_init(&t->first_signature, LIMIT_PACKET_PREAUTH);
    buf_init(&t->deferred, LIMIT_DEFERRED);
    enum err e = start(t);
    if (e != OK) {
        transport_free(t);
        return e;
    }
    *out = t;
    return OK;
}

static void way_free(struct packet_way *way) {
    packet_cipher_free(way->cipher);
    compression_free(way->stream);
    buf_free(&way->plain);
}

void transport_free(struct transport *t) {
    if (t == NULL)
        return;
    way_free(&t->in);
    way_free(&t->out);
    exchange_free(t->kex);
    buf_free(&t->in_buf);
    buf_free(&t->out_buf);
    buf_free(&t->host_key);
    buf_free(&t->mismatch);
    buf_free(&t->first_host_key);
    buf_free(&t->first_signature);
    buf_free(&t->deferred);
    secret_wipe(t, sizeof *t);
    free(t);
}

// ---- the end ----

static void add_phase(struct transport *t) {
    size_t n = strlen(t->fault.text);
    snprintf(t->fault.text + n, sizeof t->fault.text - n, " during %s",
             dispatch_phase_name(t->phase));
}

static enum err send_disconnect(struct transport *t, uint32_t reason, const char *text) {
    struct msg_disconnect m = {reason, view_text(text), view_of(NULL, 0)};
    return packet_out_message(t, SSH_MSG_DISCONNECT, &m, m.description.n + 32);
}

enum err transport_fail(struct transport *t, enum err e) {
    if (t->failed != OK)
        return t->failed;
    t->failed = e;
    fault_set(&t->fault, e, 0, "%s", err_text(e));
    add_phase(t);
    t->question = QUESTION_NONE;
    // Who has not identified itself gets a line that people can read. What cannot be sent
    // any more is not.
    if (t->phase == PHASE_IDENT)
        ident_refuse(t);
    else if (e != ERR_MEMORY)
        (void)!send_disconnect(t, err_disconnect_reason(e), err_text(e));
    exchange_free(t->kex);
    t->kex = NULL;
    return e;
}

void transport_set_closed(struct transport *t, uint32_t reason, struct view text) {
    size_t n = text.n < sizeof t->close_text ? text.n : sizeof t->close_text;
    if (n > 0)
        memcpy(t->close_text, text.p, n);
    t->close_text_len = n;
    t->close_reason = reason;
    t->closed = true;
    t->question = QUESTION_NONE;
}

static void close_at_eof(struct transport *t) {
    fault_set(&t->fault, ERR_CLOSED, 0, "closed by the peer%s",
              buf_len(&t->in_buf) > t->in_consumed ? " in the middle of a packet" : "");
    add_phase(t);
    transport_set_closed(t, 0, view_of(NULL, 0));
}

enum err transport_disconnect(struct transport *t, enum disconnect_reason reason,
                              const char *text) {
    if (t->failed != OK)
        return t->failed;
    if (t->closed)
        return OK;
    enum err e = send_disconnect(t, (uint32_t)reason, text);
    if (e != OK)
        return transport_fail(t, e);
    transport_set_closed(t, (uint32_t)reason, view_text(text));
    return OK;
}

// ---- in ----

static bool wants_bytes(const struct transport *t) {
    return t->failed == OK && !t->closed && !t->eof && t->question == QUESTION_NONE &&
           t->ext_left.n == 0 && buf_len(&t->out_buf) <= LIMIT_OUT_PENDING;
}

struct span transport_in(struct transport *t) {
    struct span room = {NULL, 0};
    t->read_offered = 0;
    if (!wants_bytes(t))
        return room;
    packet_in_release(t);
    size_t want = packet_in_missing(t);
    if (want < t->read_size)
        want = t->read_size;
    if (buf_reserve(&t->in_buf, want, &room) != OK)
        return (struct span){NULL, 0};
    if (room.n > READ_MAX && want <= READ_MAX)
        room.n = READ_MAX;
    t->read_offered = room.n;
    return room;
}

enum err transport_in_done(struct transport *t, size_t n, uint64_t now) {
    if (t->failed != OK)
        return t->failed;
    t->now = now;
    buf_added(&t->in_buf, n);
    t->in.total_bytes += n;
    if (n == t->read_offered && t->read_size < READ_MAX)
        t->read_size *= 2;
    t->read_offered = 0;
    if (t->authenticated)
        return OK;
    t->preauth_bytes += n;
    if (t->preauth_bytes <= LIMIT_PREAUTH_BYTES)
        return OK;
    fault_set(&t->fault, ERR_LIMIT, 0, "over %u bytes before authentication",
              LIMIT_PREAUTH_BYTES);
    return transport_fail(t, ERR_LIMIT);
}

void transport_in_eof(struct transport *t) {
    t->eof = true;
}

static enum err step(struct transport *t, struct span room, struct transport_event *event,
                     bool *progress) {
    struct packet p;
    if (t->phase == PHASE_IDENT)
        return ident_next(t, event, progress);
    TRY(packet_in_next(t, room, &p));
    *progress = p.payload.p != NULL;
    if (!*progress)
        return OK;
    t->packets_since_newkeys++;
    TRY(dispatch_packet(t, &p, event));
    return rekey_if_due(t);
}

static void tell_closed(const struct transport *t, struct transport_event *event) {
    event->kind = TRANSPORT_CLOSED;
    event->reason = t->close_reason;
    event->description = view_of(t->close_text, t->close_text_len);
}

enum err transport_next_into(struct transport *t, struct span room,
                             struct transport_event *event) {
    *event = (struct transport_event){.kind = TRANSPORT_NONE};
    if (t->failed != OK)
        return t->failed;
    for (bool progress = true; event->kind == TRANSPORT_NONE;) {
        if (t->closed) {
            tell_closed(t, event);
        } else if (t->question != QUESTION_NONE) {
            return OK;
        } else if (t->ext_left.n > 0) {
            ext_info_next(t, event);
        } else if (!progress) {
            if (!t->eof)
                return OK;
            close_at_eof(t);
        } else {
            packet_in_release(t);
            enum err e = step(t, room, event, &progress);
            if (e != OK)
                return transport_fail(t, e);
        }
    }
    return OK;
}

enum err transport_next(struct transport *t, struct transport_event *event) {
    return transport_next_into(t, (struct span){NULL, 0}, event);
}

// ---- out ----

bool transport_can_send(const struct transport *t) {
    return !t->blocked && t->failed == OK && !t->closed &&
           buf_len(&t->out_buf) <= SEND_PENDING;
}

struct span transport_message(struct transport *t, size_t cap) {
    struct span room = {NULL, 0};
    if (!transport_can_send(t) || packet_out_reserve(t, cap, &room) != OK)
        return (struct span){NULL, 0};
    return room;
}

static enum err may_send(struct transport *t, size_t n, uint8_t number) {
    if (t->failed != OK)
        return t->failed;
    size_t spare = transport_compresses(t, &t->out) ? COMPRESSED_SPARE : 64;
    if (n == 0 || n > LIMIT_PACKET - spare || !transport_can_send(t))
        return ERR_REFUSED;
    return dispatch_may_send(t, number) ? OK : ERR_REFUSED;
}

static enum err sent(struct transport *t, enum err e, uint8_t number) {
    if (number == SSH_MSG_USERAUTH_SUCCESS && t->authenticated)
        t->out_open = true;
    if (e == OK)
        e = rekey_if_due(t);
    return e == OK ? OK : transport_fail(t, e);
}

enum err transport_send(struct transport *t, size_t n) {
    if (t->out_buf.p == NULL)
        return ERR_REFUSED;
    uint8_t number = n > 0 ? t->out_buf.p[t->out_buf.end + TRANSPORT_HEADROOM] : 0;
    TRY(may_send(t, n, number));
    return sent(t, packet_out_seal(t, n), number);
}

enum err transport_send_slot(struct transport *t, uint8_t *payload, size_t n) {
    uint8_t number = n > 0 ? payload[0] : 0;
    TRY(may_send(t, n, number));
    return sent(t, packet_out_slot(t, payload, n), number);
}

enum err transport_send_view(struct transport *t, struct view payload) {
    uint8_t number = payload.n > 0 ? payload.p[0] : 0;
    TRY(may_send(t, payload.n, number));
    return sent(t, packet_out_view(t, payload), number);
}

struct view transport_out(struct transport *t) {
    return buf_view(&t->out_buf);
}

void transport_out_done(struct transport *t, size_t n) {
    buf_taken(&t->out_buf, n);
    t->out.total_bytes += n;
}

// ---- control, facts ----

void transport_authenticated(struct transport *t) {
    if (t->phase != PHASE_AUTH)
        return;
    t->authenticated = true;
    t->phase = PHASE_OPEN;
    t->out_open = !transport_is_server(t);
}

const struct transport_agreed *transport_agreed(const struct transport *t) {
    return &t->agreed;
}

struct view transport_session_id(const struct transport *t) {
    return view_of(t->session_id, t->exchanges > 0 ? t->session_id_len : 0);
}

struct view transport_exporter(const struct transport *t) {
    bool there = t->exchanges > 0 && t->has_exporter;
    return view_of(t->exporter, there ? sizeof t->exporter : 0);
}

struct view transport_peer_ident(const struct transport *t) {
    return view_of(t->peer_ident, t->peer_ident_len);
}

struct view transport_host_key(const struct transport *t) {
    return buf_view(&t->host_key);
}

void transport_proof(const struct transport *t, struct view *host_key,
                     struct view *signature) {
    *host_key = buf_view(&t->first_host_key);
    *signature = buf_view(&t->first_signature);
}

bool transport_keyed(const struct transport *t) {
    return t->exchanges > 0;
}

bool transport_peer_has_ping(const struct transport *t) {
    return t->peer_has_ping;
}

const struct fault *transport_fault(const struct transport *t) {
    return &t->fault;
}

struct view transport_mismatch(const struct transport *t) {
    return buf_view(&t->mismatch);
}

const char *transport_phase(const struct transport *t) {
    return dispatch_phase_name(t->phase);
}

struct transport_counts transport_counts(const struct transport *t) {
    return (struct transport_counts){t->in.total_bytes, t->out.total_bytes,
                                     t->in.total_packets, t->out.total_packets,
                                     t->exchanges};
}

void transport_idle(struct transport *t) {
    packet_in_release(t);
    buf_release_if_empty(&t->in_buf);
    buf_release_if_empty(&t->out_buf);
    buf_clear(&t->in.plain);
    buf_clear(&t->out.plain);
    buf_release_if_empty(&t->in.plain);
    buf_release_if_empty(&t->out.plain);
    t->read_size = READ_MIN;
}

enum err transport_test_phase(struct transport *t, enum phase phase) {
    exchange_free(t->kex);
    t->kex = NULL;
    buf_clear(&t->out_buf);
    t->phase = phase;
    t->blocked = false;
    t->exchanges = 1;
    t->authenticated = t->out_open = phase == PHASE_OPEN;
    return phase == PHASE_AUTH || phase == PHASE_OPEN ? OK : ERR_REFUSED;
}
