// The connection protocol, both ends in memory: what people do, and what a hostile peer
// does.
#include "script/connection/pair.h"

static const struct connection_config plain;
#define NOTHING view_of(NULL, 0)

static void a_command_from_open_to_close(void **state) {
    (void)state;
    struct pair p = pair_new(plain, plain);
    uint32_t s, c = open_session(&p, &s);
    int user = 0;
    connection_set_user(p.client, c, &user);

    scoped_buf fields;
    buf_init(&fields, 4096);
    struct request_exec exec = {view_text("true")};
    assert_int_equal(request_encode(REQUEST_CHANNEL, "exec", &exec, &fields), OK);
    assert_int_equal(connection_next_ordinal(p.client, c), 0);
    assert_int_equal(connection_request(p.client, c, "exec", true, buf_view(&fields)),
                     OK);
    assert_int_equal(connection_replies_due(p.client, c), 1);
    assert_true(connection_out_pending(p.client, c));

    // The event's views point into the message, so the request is decoded at once.
    struct view m = connection_out(p.client);
    assert_int_equal(connection_in(p.server, m, 0), OK);
    struct connection_event e = expect(p.server, CONNECTION_REQUEST);
    assert_non_null(e.type);
    assert_int_equal(request_decode(e.type, e.fields, &exec, NULL), OK);
    assert_true(view_is(exec.command, "true"));
    connection_out_done(p.client);
    assert_false(connection_out_pending(p.client, c));
    assert_int_equal(connection_replies_owed(p.server, s), 1);
    assert_int_equal(connection_reply(p.server, s, true), OK);
    assert_int_equal(connection_reply(p.server, s, true), ERR_UNEXPECTED);
    e = step_expect(p.server, p.client, CONNECTION_REPLY);
    assert_true(e.success);
    assert_int_equal(e.ordinal, 0);
    assert_ptr_equal(e.user, &user);

    assert_int_equal(send_data(p.server, s, p.client, 0, 5, 'a', 0), OK);
    e = expect(p.client, CONNECTION_DATA);
    assert_int_equal(e.data.n, 5);
    assert_int_equal(e.extended, 0);
    assert_int_equal(send_data(p.server, s, p.client, 1, 3, 'x', 0), OK);
    e = expect(p.client, CONNECTION_DATA);
    assert_int_equal(e.extended, 1);
    // Other types are the caller's to judge.
    assert_int_equal(send_data(p.server, s, p.client, 77, 3, 'x', 0), OK);
    assert_int_equal(expect(p.client, CONNECTION_DATA).extended, 77);

    assert_int_equal(connection_eof(p.server, s), OK);
    assert_int_equal(connection_data_max(p.server, s), 0);
    step_expect(p.server, p.client, CONNECTION_EOF);
    uint8_t status[4] = {0, 0, 0, 7};
    assert_int_equal(
        connection_request(p.server, s, "exit-status", false, view_of(status, 4)), OK);
    assert_int_equal(connection_close(p.server, s), OK);
    assert_true(pair_step(p.server, p.client, 0));
    e = expect(p.client, CONNECTION_REQUEST);
    assert_true(view_is(e.name, "exit-status"));
    assert_non_null(e.type);
    step_expect(p.server, p.client, CONNECTION_PEER_CLOSE);
    assert_int_equal(connection_close(p.client, c), OK);
    e = expect(p.client, CONNECTION_CLOSED);
    assert_ptr_equal(e.user, &user);
    assert_ptr_equal(connection_user(p.client, c), &user);
    assert_int_equal(connection_count(p.client), 0);
    step_expect(p.client, p.server, CONNECTION_CLOSED);
    expect_none(p.server);
    expect_none(p.client);
    assert_int_equal(connection_count(p.server), 0);
    // 5 control messages and 3 of data came to the client; as many left the server.
    assert_int_equal(connection_counts(p.client).in, 8);
    assert_int_equal(connection_counts(p.server).out, 8);
    assert_int_equal(connection_counts(p.server).in, connection_counts(p.client).out);
    // The number is reused.
    uint32_t again_s;
    assert_int_equal(open_session(&p, &again_s), c);
    assert_int_equal(again_s, s);
    pair_free(&p);
}

static void requests_before_confirmation_are_held(void **state) {
    (void)state;
    struct pair p = pair_new(plain, plain);
    uint32_t c;
    assert_int_equal(connection_open(p.client, "session", NOTHING, &c), OK);
    assert_int_equal(connection_request(p.client, c, "shell", true, NOTHING), OK);
    assert_int_equal(connection_eof(p.client, c), OK);
    uint32_t s = step_expect(p.client, p.server, CONNECTION_OPEN).channel;
    assert_int_equal(connection_out(p.client).n, 0);
    assert_int_equal(connection_accept(p.server, s, NOTHING), OK);
    step_expect(p.server, p.client, CONNECTION_OPENED);
    assert_true(connection_out_pending(p.client, c));
    assert_int_equal(connection_data_max(p.client, c), 0);  // EOF was said
    struct connection_event e = step_expect(p.client, p.server, CONNECTION_REQUEST);
    assert_true(e.want_reply);
    step_expect(p.client, p.server, CONNECTION_EOF);
    assert_false(connection_out_pending(p.client, c));
    pair_free(&p);
}

static void a_guess_saves_a_round_trip(void **state) {
    (void)state;
    struct pair p = pair_new(plain, plain);
    uint32_t c;
    assert_int_equal(connection_open(p.client, "session", NOTHING, &c), OK);
    assert_int_equal(connection_request(p.client, c, "env", false, NOTHING), OK);
    assert_int_equal(connection_guess(p.client, c, 0), OK);
    assert_int_equal(connection_guess(p.client, c, 0), ERR_UNEXPECTED);
    assert_int_equal(connection_request(p.client, c, "shell", true, NOTHING), OK);
    assert_int_equal(connection_data_max(p.client, c), 0);
    // All in one flight.
    uint32_t s = step_expect(p.client, p.server, CONNECTION_OPEN).channel;
    assert_int_equal(connection_accept(p.server, s, NOTHING), OK);
    assert_true(view_is(step_expect(p.client, p.server, CONNECTION_REQUEST).name, "env"));
    step_expect(p.client, p.server, CONNECTION_REQUEST);
    assert_int_equal(connection_reply(p.server, s, true), OK);
    step_expect(p.server, p.client, CONNECTION_OPENED);
    step_expect(p.server, p.client, CONNECTION_REPLY);
    pair_free(&p);
}

static void a_wrong_guess_ends_the_connection(void **state) {
    (void)state;
    struct pair p = pair_new(plain, plain);
    uint32_t c;
    assert_int_equal(connection_open(p.client, "session", NOTHING, &c), OK);
    assert_int_equal(connection_guess(p.client, c, 0), OK);
    assert_int_equal(feed(p.client, "buuuu", 91, c, 5u, 100u, 100u), ERR_PROTOCOL);
    assert_non_null(strstr(fault_text(connection_fault(p.client)), "guessed"));
    // An error is final.
    assert_int_equal(feed(p.client, "bu", 97, c), ERR_PROTOCOL);
    pair_free(&p);
}

static void opens_are_refused(void **state) {
    (void)state;
    struct connection_config few = {.max_channels = 2};
    struct pair p = pair_new(plain, few);
    uint32_t c, s;
    assert_int_equal(connection_open(p.client, "nonsense", NOTHING, &c), OK);
    struct connection_event e = step_expect(p.client, p.server, CONNECTION_OPEN);
    assert_null(e.type);
    assert_int_equal(
        connection_refuse(p.server, e.channel, OPEN_UNKNOWN_CHANNEL_TYPE, "what?"), OK);
    assert_int_equal(connection_count(p.server), 0);
    struct view m = connection_out(p.server);
    assert_int_equal(connection_in(p.client, m, 0), OK);
    e = expect(p.client, CONNECTION_OPEN_REFUSED);
    assert_int_equal(e.reason, OPEN_UNKNOWN_CHANNEL_TYPE);
    assert_true(view_is(e.text, "what?"));
    connection_out_done(p.server);
    assert_int_equal(connection_count(p.client), 0);
    // The third one is over the limit, and the caller need not know.
    open_session(&p, &s);
    open_session(&p, &s);
    assert_int_equal(connection_open(p.client, "session", NOTHING, &c), OK);
    assert_true(pair_step(p.client, p.server, 0));
    expect_none(p.server);
    e = step_expect(p.server, p.client, CONNECTION_OPEN_REFUSED);
    assert_int_equal(e.reason, OPEN_RESOURCE_SHORTAGE);
    uint32_t t;
    assert_int_equal(connection_open(p.server, "x11", NOTHING, &t), ERR_LIMIT);
    // A server may not ask for what is the client's to ask.
    assert_int_equal(feed(p.client, "bsuuu", 90, "session", 9u, 1u, 1u), OK);
    assert_null(expect(p.client, CONNECTION_OPEN).type);
    pair_free(&p);
}

static void closing_an_unconfirmed_channel(void **state) {
    (void)state;
    for (int refused = 0; refused < 2; refused++) {
        struct pair p = pair_new(plain, plain);
        uint32_t c;
        assert_int_equal(connection_open(p.client, "session", NOTHING, &c), OK);
        assert_int_equal(connection_close(p.client, c), OK);
        assert_int_equal(connection_close(p.client, c), OK);
        assert_int_equal(connection_request(p.client, c, "shell", true, NOTHING), OK);
        uint32_t s = step_expect(p.client, p.server, CONNECTION_OPEN).channel;
        if (refused) {
            assert_int_equal(connection_close(p.server, s), OK);
            step_expect(p.server, p.client, CONNECTION_OPEN_REFUSED);
        } else {
            assert_int_equal(connection_accept(p.server, s, NOTHING), OK);
            assert_true(pair_step(p.server, p.client, 0));
            expect_none(p.client);
            step_expect(p.client, p.server, CONNECTION_PEER_CLOSE);
            assert_int_equal(connection_close(p.server, s), OK);
            expect(p.server, CONNECTION_CLOSED);
            step_expect(p.server, p.client, CONNECTION_CLOSED);
        }
        expect_none(p.client);
        assert_int_equal(connection_count(p.client), 0);
        assert_int_equal(connection_count(p.server), 0);
        pair_free(&p);
    }
}

static void late_messages_for_a_closed_channel_are_dropped(void **state) {
    (void)state;
    struct pair p = pair_new(plain, plain);
    uint32_t s, c = open_session(&p, &s);
    assert_int_equal(connection_request(p.client, c, "shell", true, NOTHING), OK);
    connection_out_done(p.client);
    assert_int_equal(connection_close(p.client, c), OK);
    assert_int_equal(feed(p.client, "bus", 94, c, "late"), OK);
    assert_int_equal(feed(p.client, "buus", 95, c, 1u, "late"), OK);
    assert_int_equal(feed(p.client, "busb", 98, c, "exit-status", 1), OK);
    assert_int_equal(feed(p.client, "buu", 93, c, 100u), OK);
    assert_int_equal(feed(p.client, "bu", 99, c), OK);
    assert_int_equal(feed(p.client, "bu", 96, c), OK);
    assert_int_equal(feed(p.client, "bu", 96, c), OK);
    expect_none(p.client);
    assert_int_equal(connection_data_max(p.client, c), 0);
    assert_int_equal(connection_reply(p.client, c, true), OK);
    assert_int_equal(connection_consumed(p.client, c, 0, 0), OK);
    assert_int_equal(feed(p.client, "bu", 97, c), OK);
    // Adjusts may outlive both closes.
    expect(p.client, CONNECTION_CLOSED);
    expect_none(p.client);
    assert_int_equal(feed(p.client, "buu", 93, c, 100u), OK);
    expect_none(p.client);
    pair_free(&p);
}

// tun@openssh.com: OpenSSH counts 4 bytes more for each packet.
static void what_the_peer_counts_besides_comes_off_the_window(void **state) {
    (void)state;
    struct connection_config small = {
        .window_start = 100, .window_max = 100, .max_packet = 40};
    struct pair p = pair_new(plain, small);
    uint32_t c = open_session(&p, &(uint32_t){0});
    connection_set_overhead(p.client, c, 4);
    assert_int_equal(connection_data_window(p.client, c), 96);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(send_data(p.client, c, p.server, 0, 40, 0, 0), OK);
        expect(p.server, CONNECTION_DATA);
    }
    assert_int_equal(connection_data_max(p.client, c), 8);
    assert_int_equal(send_data(p.client, c, p.server, 0, 8, 0, 0), OK);
    expect(p.server, CONNECTION_DATA);
    assert_int_equal(connection_data_max(p.client, c), 0);
    pair_free(&p);
}

static void windows_are_kept(void **state) {
    (void)state;
    struct connection_config small = {
        .window_start = 100, .window_max = 100, .max_packet = 40};
    struct pair p = pair_new(plain, small);
    uint32_t s, c = open_session(&p, &s);
    assert_int_equal(connection_data_window(p.client, c), 100);
    assert_int_equal(connection_data_max(p.client, c), 40);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(send_data(p.client, c, p.server, 0, 40, 0, 0), OK);
        expect(p.server, CONNECTION_DATA);
    }
    assert_int_equal(connection_data_max(p.client, c), 20);
    assert_int_equal(send_data(p.client, c, p.server, 0, 20, 0, 0), OK);
    expect(p.server, CONNECTION_DATA);
    assert_int_equal(connection_data_max(p.client, c), 0);
    // Rare, large adjusts: nothing below half.
    assert_int_equal(connection_consumed(p.server, s, 101, 0), ERR_LIMIT);
    assert_int_equal(connection_consumed(p.server, s, 49, 0), OK);
    assert_int_equal(connection_out(p.server).n, 0);
    assert_int_equal(connection_consumed(p.server, s, 1, 0), OK);
    step_expect(p.server, p.client, CONNECTION_WINDOW);
    assert_int_equal(connection_data_window(p.client, c), 50);
    // One byte over, and the connection ends.
    uint8_t over[CONNECTION_DATA_HEADER + 40] = {94, 0, 0, 0, 0, 0, 0, 0, 40};
    assert_int_equal(connection_in(p.server, view_of(over, sizeof over), 0), OK);
    expect(p.server, CONNECTION_DATA);
    over[8] = 11;
    assert_int_equal(
        connection_in(p.server, view_of(over, CONNECTION_DATA_HEADER + 11), 0),
        ERR_PROTOCOL);
    assert_string_equal(fault_text(connection_fault(p.server)),
                        "channel 0: 11 bytes, and the window is 10");
    pair_free(&p);
}

static void a_packet_over_ours_is_an_error(void **state) {
    (void)state;
    struct connection_config small = {.max_packet = 40};
    struct pair p = pair_new(plain, small);
    uint32_t s;
    open_session(&p, &s);
    uint8_t over[CONNECTION_DATA_HEADER + 41] = {94, 0, 0, 0, 0, 0, 0, 0, 41};
    assert_int_equal(connection_in(p.server, view_of(over, sizeof over), 0),
                     ERR_PROTOCOL);
    pair_free(&p);
}

static void what_the_peer_announced_is_respected(void **state) {
    (void)state;
    struct pair p = pair_new(plain, plain);
    // dropbear's window, a tiny packet
    assert_int_equal(feed(p.server, "bsuuu", 90, "session", 3u, 24576u, 1u), OK);
    uint32_t s = expect(p.server, CONNECTION_OPEN).channel;
    assert_int_equal(connection_data_max(p.server, s), 0);
    assert_int_equal(connection_accept(p.server, s, NOTHING), OK);
    assert_int_equal(connection_data_max(p.server, s), 1);
    assert_int_equal(connection_data_window(p.server, s), 24576);
    // One that says it takes anything still gets packets of a size that all take.
    assert_int_equal(feed(p.server, "bsuuu", 90, "session", 4u, UINT32_MAX, UINT32_MAX),
                     OK);
    s = expect(p.server, CONNECTION_OPEN).channel;
    assert_int_equal(connection_accept(p.server, s, NOTHING), OK);
    assert_int_equal(connection_data_max(p.server, s), LIMIT_CHANNEL_PACKET);
    // Packets of 0 could never carry anything.
    assert_int_equal(feed(p.server, "bsuuu", 90, "session", 5u, 100u, 0u), OK);
    expect_none(p.server);
    assert_int_equal(feed(p.server, "buu", 93, s, 1u), ERR_PROTOCOL);
    assert_non_null(strstr(fault_text(connection_fault(p.server)), "2^32-1"));
    pair_free(&p);
}

static void replies_are_bounded_and_in_order(void **state) {
    (void)state;
    struct pair p = pair_new(plain, plain);
    uint32_t s, c = open_session(&p, &s);
    for (unsigned i = 0; i < LIMIT_REQUESTS_PENDING; i++) {
        assert_int_equal(connection_request(p.client, c, "env", true, NOTHING), OK);
        step_expect(p.client, p.server, CONNECTION_REQUEST);
        assert_int_equal(
            connection_global_request(p.client, "keepalive@openssh.com", true, NOTHING),
            OK);
        step_expect(p.client, p.server, CONNECTION_GLOBAL_REQUEST);
    }
    assert_int_equal(connection_request(p.client, c, "env", true, NOTHING), ERR_LIMIT);
    assert_int_equal(connection_request(p.client, c, "env", false, NOTHING), OK);
    step_expect(p.client, p.server, CONNECTION_REQUEST);
    assert_int_equal(connection_global_request(p.client, "x", true, NOTHING), ERR_LIMIT);
    for (unsigned i = 0; i < LIMIT_REQUESTS_PENDING; i++) {
        assert_int_equal(connection_reply(p.server, s, i % 3 == 0), OK);
        struct connection_event e = step_expect(p.server, p.client, CONNECTION_REPLY);
        assert_int_equal(e.ordinal, i);
        assert_int_equal(e.success, i % 3 == 0);
        assert_int_equal(connection_global_reply(p.server, i % 2 == 0, NOTHING), OK);
        e = step_expect(p.server, p.client, CONNECTION_GLOBAL_REPLY);
        assert_int_equal(e.ordinal, i);
        assert_int_equal(e.success, i % 2 == 0);
    }
    assert_int_equal(connection_reply(p.server, s, true), ERR_UNEXPECTED);
    assert_int_equal(connection_global_reply(p.server, true, NOTHING), ERR_UNEXPECTED);
    pair_free(&p);
}

static void a_flood_of_requests_ends_the_connection(void **state) {
    (void)state;
    struct pair p = pair_new(plain, plain);
    uint32_t s;
    open_session(&p, &s);
    for (unsigned i = 0; i < LIMIT_REQUESTS_PENDING; i++) {
        assert_int_equal(feed(p.server, "busb", 98, s, "env", 1), OK);
        expect(p.server, CONNECTION_REQUEST);
        assert_int_equal(feed(p.client, "bsb", 80, "x", 1), OK);
        expect(p.client, CONNECTION_GLOBAL_REQUEST);
    }
    assert_int_equal(feed(p.server, "busb", 98, s, "env", 1), ERR_LIMIT);
    assert_int_equal(feed(p.client, "bsb", 80, "x", 1), ERR_LIMIT);
    pair_free(&p);
}

static void answers_that_nobody_takes_stop_the_reading(void **state) {
    (void)state;
    struct pair p = pair_new(plain, plain);
    enum err e = OK;
    uint64_t fed = 0;
    bool paused = false;
    for (; e == OK && fed < 1000000; fed++) {
        // Refused at once: its packets would be empty.
        e = feed(p.server, "bsuuu", 90, "session", 3u, 1u, 0u);
        if (e == OK)
            expect_none(p.server);
        paused |= !connection_in_ready(p.server);
    }
    assert_true(paused);
    assert_int_equal(e, ERR_LIMIT);
    // Drained, it goes on; and the memory is given back.
    struct connection *c = p.client;
    for (int i = 0; i < 10000; i++)
        assert_int_equal(
            connection_global_request(c, "keepalive@openssh.com", false, NOTHING), OK);
    while (connection_out(c).n > 0)
        connection_out_done(c);
    assert_true(connection_in_ready(c));
    assert_int_equal(c->out.room, 0);
    pair_free(&p);
}

static void hostile_messages(void **state) {
    (void)state;
    static const struct {
        const char *format;
        int message;
        uint32_t channel, value;
        enum err err;
        const char *text;
    } rows[] = {
        {"bu", 97, 9, 0, ERR_PROTOCOL, "CHANNEL_CLOSE for channel 9, which is none"},
        {"bu", 96, 9, 0, ERR_PROTOCOL, "CHANNEL_EOF for channel 9, which is none"},
        {"bu", 99, 0, 0, ERR_UNEXPECTED, "channel 0: a reply, and nothing was asked"},
        {"b", 81, 0, 0, ERR_UNEXPECTED,
         "a reply to a global request, and nothing was asked"},
        {"b", 82, 0, 0, ERR_UNEXPECTED,
         "a reply to a global request, and nothing was asked"},
        {"b", 97, 0, 0, ERR_SHORT, "CHANNEL_CLOSE: field recipient: ends too early"},
        {"buu", 97, 0, 0, ERR_TRAILING, "CHANNEL_CLOSE: bytes left over at the end"},
        {"bu", 93, 0, 0, ERR_SHORT, "CHANNEL_WINDOW_ADJUST: field bytes: ends too early"},
        {"buu", 93, 9, 1, ERR_PROTOCOL,
         "CHANNEL_WINDOW_ADJUST for channel 9, which is none"},
        {"buu", 94, 0, 1, ERR_SHORT, "CHANNEL_DATA: 0 bytes, not 1"},
        {"buuu", 94, 0, 1, ERR_TRAILING, NULL},
        {"bu", 95, 0, 0, ERR_SHORT, "CHANNEL_EXTENDED_DATA: ends too early"},
        {"bu", 92, 0, 0, ERR_UNEXPECTED,
         "CHANNEL_OPEN_FAILURE for channel 0, which is open"},
        {"buuuu", 91, 0, 0, ERR_UNEXPECTED, NULL},
        {"b", 90, 0, 0, ERR_SHORT, "CHANNEL_OPEN: field type: ends too early"},
        {"b", 101, 0, 0, ERR_UNSUPPORTED, NULL},
        {"b", 20, 0, 0, ERR_UNSUPPORTED, NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct pair p = pair_new(plain, plain);
        uint32_t s;
        open_session(&p, &s);
        enum err e = strcmp(rows[i].format, "buuu") == 0
                         ? feed(p.server, "buuu", 94, 0u, 0u, 0u)
                         : feed(p.server, rows[i].format, rows[i].message,
                                rows[i].channel, rows[i].value, 0u, 0u);
        assert_int_equal(e, rows[i].err);
        if (rows[i].text != NULL) {
            assert_string_equal(fault_text(connection_fault(p.server)), rows[i].text);
            assert_int_equal(connection_fault(p.server)->message, rows[i].message);
        }
        pair_free(&p);
    }
    struct pair p = pair_new(plain, plain);
    assert_int_equal(connection_in(p.client, NOTHING, 0), ERR_SHORT);
    pair_free(&p);
}

static void nothing_after_eof_and_close(void **state) {
    (void)state;
    static const int ends[] = {96, 97};
    for (int i = 0; i < 2; i++)
        for (int extended = 0; extended < 2; extended++) {
            struct pair p = pair_new(plain, plain);
            uint32_t s;
            open_session(&p, &s);
            assert_int_equal(feed(p.server, "bu", ends[i], s), OK);
            struct connection_event event;
            assert_true(connection_next(p.server, &event));
            enum err e = extended ? feed(p.server, "buus", 95, s, 1u, "x")
                                  : feed(p.server, "bus", 94, s, "x");
            assert_int_equal(e, ERR_UNEXPECTED);
            pair_free(&p);
        }
    struct pair p = pair_new(plain, plain);
    uint32_t s;
    open_session(&p, &s);
    assert_int_equal(feed(p.server, "bu", 97, s), OK);
    expect(p.server, CONNECTION_PEER_CLOSE);
    assert_int_equal(feed(p.server, "bu", 97, s), ERR_UNEXPECTED);
    pair_free(&p);
}

// EOF and CLOSE of both ends in every order, with a request unanswered on each side: both
// ends always come to rest, and the number is free again.
static void eof_and_close_in_every_order(void **state) {
    (void)state;
    // e, c: the client's; E, C: the server's. Every permutation of the four, each
    // delivered at once or all at the end.
    char order[5] = "ecEC";
    unsigned seen = 0;
    for (unsigned code = 0; code < 256; code++) {
        char pick[5] = {order[code & 3], order[code >> 2 & 3], order[code >> 4 & 3],
                        order[code >> 6 & 3], 0};
        if (strchr(pick, 'e') == NULL || strchr(pick, 'c') == NULL ||
            strchr(pick, 'E') == NULL || strchr(pick, 'C') == NULL)
            continue;
        seen++;
        for (unsigned deliver = 0; deliver < 16; deliver++) {
            struct pair p = pair_new(plain, plain);
            uint32_t s, c = open_session(&p, &s);
            assert_int_equal(connection_request(p.client, c, "shell", true, NOTHING), OK);
            assert_int_equal(
                connection_request(p.server, s, "eow@openssh.com", true, NOTHING), OK);
            unsigned closed = 0;
            for (int i = 0; i <= 4; i++) {
                if (i < 4) {
                    bool client = pick[i] >= 'a';
                    struct connection *end = client ? p.client : p.server;
                    uint32_t n = client ? c : s;
                    assert_int_equal((pick[i] | 0x20) == 'e' ? connection_eof(end, n)
                                                             : connection_close(end, n),
                                     OK);
                }
                if (i < 4 && (deliver >> i & 1) == 0)
                    continue;
                struct connection_event event;
                bool moved = true;
                while (moved) {
                    moved = pair_step(p.client, p.server, 0);
                    while (connection_next(p.server, &event))
                        closed += event.kind == CONNECTION_CLOSED;
                    moved |= pair_step(p.server, p.client, 0);
                    while (connection_next(p.client, &event))
                        closed += event.kind == CONNECTION_CLOSED;
                }
            }
            assert_int_equal(closed, 2);
            assert_int_equal(connection_count(p.client), 0);
            assert_int_equal(connection_count(p.server), 0);
            uint32_t again;
            assert_int_equal(open_session(&p, &again), 0);
            assert_int_equal(again, 0);
            pair_free(&p);
        }
    }
    assert_int_equal(seen, 24);
}

static void an_idle_connection_is_small(void **state) {
    (void)state;
    struct pair p = pair_new(plain, plain);
    uint32_t s;
    open_session(&p, &s);
    size_t bytes = sizeof *p.server + p.server->slot_room * sizeof(struct channel) +
                   p.server->out.room;
    assert_in_range(bytes, 1, 4096);
    // All the channels there may be, and one more.
    for (uint32_t i = 1; i < LIMIT_CHANNELS; i++)
        open_session(&p, &s);
    uint32_t n;
    assert_int_equal(connection_open(p.client, "session", NOTHING, &n), ERR_LIMIT);
    assert_int_equal(connection_count(p.server), LIMIT_CHANNELS);
    pair_free(&p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_command_from_open_to_close),
        cmocka_unit_test(requests_before_confirmation_are_held),
        cmocka_unit_test(a_guess_saves_a_round_trip),
        cmocka_unit_test(a_wrong_guess_ends_the_connection),
        cmocka_unit_test(opens_are_refused),
        cmocka_unit_test(closing_an_unconfirmed_channel),
        cmocka_unit_test(late_messages_for_a_closed_channel_are_dropped),
        cmocka_unit_test(what_the_peer_counts_besides_comes_off_the_window),
        cmocka_unit_test(windows_are_kept),
        cmocka_unit_test(a_packet_over_ours_is_an_error),
        cmocka_unit_test(what_the_peer_announced_is_respected),
        cmocka_unit_test(replies_are_bounded_and_in_order),
        cmocka_unit_test(a_flood_of_requests_ends_the_connection),
        cmocka_unit_test(answers_that_nobody_takes_stop_the_reading),
        cmocka_unit_test(hostile_messages),
        cmocka_unit_test(nothing_after_eof_and_close),
        cmocka_unit_test(eof_and_close_in_every_order),
        cmocka_unit_test(an_idle_connection_is_small),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
