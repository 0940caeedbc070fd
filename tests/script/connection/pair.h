// Two ends of a connection in memory: control messages and data move when the test says
// so.
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/limits.h"
#include "connection/requests.h"
#include "connection/state.h"

struct pair {
    struct connection *client, *server;
    uint64_t now;
};

static inline struct pair pair_new(struct connection_config client,
                                   struct connection_config server) {
    struct pair p = {0};
    server.server = true;
    assert_int_equal(connection_new(&p.client, &client), OK);
    assert_int_equal(connection_new(&p.server, &server), OK);
    return p;
}

static inline void pair_free(struct pair *p) {
    connection_free(p->client);
    connection_free(p->server);
}

// Hands the oldest control message of `from` to `to`; false if there is none.
static inline bool pair_step(struct connection *from, struct connection *to,
                             uint64_t now) {
    struct view m = connection_out(from);
    if (m.n == 0)
        return false;
    // A copy of exact size, gone with the next step, so that a sanitizer sees what holds
    // on to it.
    static uint8_t *volatile copy;
    free(copy);
    copy = malloc(m.n);
    assert_non_null(copy);
    memcpy(copy, m.p, m.n);
    size_t n = m.n;
    connection_out_done(from);
    enum err e = connection_in(to, view_of(copy, n), now);
    if (e != OK)
        fail_msg("%s: %s", message_name(copy[0]), fault_text(connection_fault(to)));
    return true;
}

// The next event, which must be of that kind.
static inline struct connection_event expect(struct connection *c,
                                             enum connection_event_kind kind) {
    struct connection_event event;
    connection_next(c, &event);
    assert_int_equal(event.kind, kind);
    return event;
}

static inline void expect_none(struct connection *c) {
    struct connection_event event;
    assert_false(connection_next(c, &event));
    assert_int_equal(event.kind, CONNECTION_NONE);
}

// One message over and its one event.
static inline struct connection_event step_expect(struct connection *from,
                                                  struct connection *to,
                                                  enum connection_event_kind kind) {
    assert_true(pair_step(from, to, 0));
    return expect(to, kind);
}

// Feeds raw bytes, made by a format: b u8, u u32, s string, r raw text.
static inline enum err feed(struct connection *c, const char *format, ...) {
    static uint8_t room[1024];
    struct writer w = writer_to_span((struct span){room, sizeof room});
    va_list ap;
    va_start(ap, format);
    for (const char *f = format; *f != '\0'; f++) {
        if (*f == 'b')
            write_u8(&w, (uint8_t)va_arg(ap, int));
        else if (*f == 'u')
            write_u32(&w, va_arg(ap, uint32_t));
        else if (*f == 's')
            write_text(&w, va_arg(ap, const char *));
        else
            write_bytes(&w, view_text(va_arg(ap, const char *)));
    }
    va_end(ap);
    assert_int_equal(writer_end(&w), OK);
    return connection_in(c, view_of(room, w.n), 0);
}

// Data of n bytes from one end to the other, as one message. The bytes are (seed + index)
// & 0xff.
static inline enum err send_data(struct connection *from, uint32_t channel,
                                 struct connection *to, uint32_t extended, size_t n,
                                 uint8_t seed, uint64_t now) {
    size_t header = extended != 0 ? CONNECTION_EXTENDED_HEADER : CONNECTION_DATA_HEADER;
    uint8_t *m = malloc(header + n);
    assert_non_null(m);
    for (size_t i = 0; i < n; i++)
        m[header + i] = (uint8_t)(seed + i);
    connection_data_header(from, channel, extended, n, m);
    enum err e = connection_in(to, view_of(m, header + n), now);
    free(m);
    return e;
}

// A session channel, open on both ends: 0 and 0, or the next numbers.
static inline uint32_t open_session(struct pair *p, uint32_t *at_server) {
    uint32_t number;
    assert_int_equal(connection_open(p->client, "session", view_of(NULL, 0), &number),
                     OK);
    struct connection_event e = step_expect(p->client, p->server, CONNECTION_OPEN);
    assert_true(view_is(e.name, "session"));
    assert_int_equal(connection_accept(p->server, e.channel, view_of(NULL, 0)), OK);
    *at_server = e.channel;
    e = step_expect(p->server, p->client, CONNECTION_OPENED);
    assert_int_equal(e.channel, number);
    return number;
}
