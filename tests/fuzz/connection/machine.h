// The connection machine under a fuzzer: the input is a list of moves, of the peer
// (messages, mostly well-formed) and of the caller. After each move the machine's
// invariants are checked.
#pragma once

#include <assert.h>
#include <stdlib.h>

#include "connection/requests.h"
#include "connection/state.h"

struct script {
    const uint8_t *p, *end;
};

static inline uint8_t next_byte(struct script *s) {
    return s->p < s->end ? *s->p++ : 0;
}

static inline uint32_t next_u32(struct script *s) {
    // Small numbers mostly, and the extremes.
    uint8_t b = next_byte(s);
    return b < 0xf0   ? b
           : b < 0xf8 ? (uint32_t)b << 8
           : b < 0xfc ? UINT32_MAX - (b & 3)
                      : 1u << 31;
}

static inline struct view next_bytes(struct script *s) {
    size_t n = next_byte(s) & 63;
    if (n > (size_t)(s->end - s->p))
        n = (size_t)(s->end - s->p);
    struct view v = view_of(s->p, n);
    s->p += n;
    return v;
}

static inline void check(const struct connection *c) {
    size_t in_use = 0;
    for (uint32_t k = 0; k < c->slot_count; k++) {
        const struct channel *ch = &c->slots[k];
        if (ch->state == CHANNEL_FREE) {
            assert(ch->held.p == NULL);
            continue;
        }
        in_use += c->reaped != k;
        const struct window *w = &ch->in;
        assert((uint64_t)w->left + w->unread + w->credit <= w->size && w->size <= w->max);
        assert(w->fresh <= w->left);
        assert(connection_data_max(c, k) <= connection_data_window(c, k));
        assert(ch->asked - ch->answered <= LIMIT_REQUESTS_PENDING);
        assert(ch->owed <= LIMIT_REQUESTS_PENDING);
    }
    // An OPEN_REFUSED that was not pulled yet is still in use.
    assert(connection_count(c) == in_use);
    assert((c->fault.code != OK) == (c->fault.text[0] != '\0'));
}

static inline void peer_sends(struct connection *c, struct script *s, uint64_t now) {
    static const uint8_t numbers[] = {80, 81, 82, 90, 91, 92,  93, 94,
                                      95, 96, 97, 98, 99, 100, 94, 93};
    uint8_t number = numbers[next_byte(s) & 15];
    uint8_t room[512];
    struct writer w = writer_to_span((struct span){room, sizeof room});
    write_u8(&w, number);
    for (const struct message_field *f = message_schema(number)->fields;
         f->kind != FIELD_END; f++) {
        if (f->kind == FIELD_U32)
            write_u32(&w, next_u32(s));
        else if (f->kind == FIELD_BOOL)
            write_bool(&w, (next_byte(s) & 1) != 0);
        else if (f->kind == FIELD_REST)
            write_bytes(&w, next_bytes(s));
        else
            write_string(&w, next_bytes(s));
    }
    uint8_t *exact = malloc(w.n);
    if (exact == NULL)
        abort();
    memcpy(exact, room, w.n);
    (void)!connection_in(c, view_of(exact, w.n), now);
    struct connection_event e;
    while (connection_next(c, &e)) {
        uint8_t decoded[256] __attribute__((aligned(16)));
        if (e.type != NULL)
            (void)!request_decode(e.type, e.fields, decoded, NULL);
        for (size_t i = 0; i < e.data.n; i++)
            assert(e.data.p + i >= exact && e.data.p + i < exact + w.n);
    }
    free(exact);
}

static inline void peer_sends_raw(struct connection *c, struct script *s, uint64_t now) {
    struct view v = next_bytes(s);
    uint8_t *exact = malloc(v.n + 1);
    if (exact == NULL)
        abort();
    if (v.n > 0)
        memcpy(exact, v.p, v.n);
    (void)!connection_in(c, view_of(exact, v.n), now);
    struct connection_event e;
    while (connection_next(c, &e))
        ;
    free(exact);
}

static inline void caller_moves(struct connection *c, struct script *s, uint64_t now) {
    uint8_t move = next_byte(s) % 14;
    uint32_t n = next_byte(s) & 7, opened;
    const struct channel *ch = channel_at(c, n);
    bool yes = (next_byte(s) & 1) != 0;
    struct connection_event e;
    size_t max;
    uint8_t header[CONNECTION_EXTENDED_HEADER];
    switch (move) {
    case 0:
        (void)!connection_open(c, "session", next_bytes(s), &opened);
        break;
    case 1:
        (void)!connection_accept(c, n, next_bytes(s));
        break;
    case 2:
        (void)!connection_refuse(c, n, OPEN_CONNECT_FAILED, "no");
        break;
    case 3:
        (void)!connection_request(c, n, "env", yes, next_bytes(s));
        break;
    case 4:
        (void)!connection_reply(c, n, yes);
        break;
    case 5:
        (void)!connection_global_request(c, "x", yes, next_bytes(s));
        break;
    case 6:
        (void)!connection_global_reply(c, yes, next_bytes(s));
        break;
    case 7:
        (void)!connection_eof(c, n);
        break;
    case 8:
        (void)!connection_close(c, n);
        break;
    case 9:
        (void)!connection_guess(c, n, next_u32(s));
        break;
    case 10:
        max = connection_data_max(c, n);
        if (max > 0)
            connection_data_header(c, n, yes, max > 100 ? 100 : max, header);
        break;
    case 11:
        (void)!connection_consumed(
            c, n, next_byte(s) & 1 && ch != NULL ? ch->in.unread : 7, now);
        break;
    case 12:
        while (connection_out(c).n > 0) {
            char line[512];
            message_trace(line, sizeof line, connection_out(c));
            connection_out_done(c);
        }
        break;
    default:
        while (connection_next(c, &e))
            ;
    }
    while (connection_next(c, &e))
        ;
}

static inline int run_machine(bool server, const uint8_t *data, size_t size) {
    struct script s = {data, data + size};
    uint8_t flags = next_byte(&s);
    struct connection_config config = {
        .server = server,
        .max_channels = 6,
        .window_start = (flags & 1) != 0 ? 60 : 1,
        .window_max = (flags & 2) != 0 ? 1000 : UINT32_MAX,
        .max_packet = (flags & 4) != 0 ? 30 : 0,
    };
    struct connection *c;
    if (connection_new(&c, &config) != OK)
        abort();
    uint64_t now = 0;
    while (s.p < s.end) {
        uint8_t what = next_byte(&s);
        now += what >> 3;
        if ((what & 7) < 4)
            peer_sends(c, &s, now);
        else if ((what & 7) == 4)
            peer_sends_raw(c, &s, now);
        else
            caller_moves(c, &s, now);
        check(c);
    }
    connection_free(c);
    return 0;
}
