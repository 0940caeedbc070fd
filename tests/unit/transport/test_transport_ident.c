// Identification: what is taken, what is refused, and in which words (RFC 4253 s.4.2).
#include "script/transport/pair.h"

#include <stdio.h>
#include <stdlib.h>

struct row {
    const char *bytes;
    size_t n;  // 0: strlen
    enum err err;
    const char *says;  // in the fault, or the identification taken
};

static const struct row servers[] = {
    {"SSH-2.0-x\r\n", 0, OK, "SSH-2.0-x"},
    {"SSH-2.0-x\n", 0, OK, "SSH-2.0-x"},
    {"SSH-1.99-x y z\r\n", 0, OK, "SSH-1.99-x y z"},
    {"SSH-2.0-\r\n", 0, OK, "SSH-2.0-"},
    {"SSH-2.0-a\rb\r\n", 0, OK, "SSH-2.0-a\rb"},
    {"SSH-1.5-old\r\n", 0, ERR_VERSION, "SSH 1 only"},
    {"SSH-3.0-new\r\n", 0, ERR_VERSION, "unknown version"},
    {"SSH-2.0-a\0b\r\n", 13, ERR_VERSION, "NUL"},
    {"GET / HTTP/1.1\r\n", 0, ERR_VERSION, "HTTP"},
    {"POST", 0, ERR_VERSION, "HTTP"},
    {"\x16\x03\x01\x02", 4, ERR_VERSION, "TLS"},
    {"hello\r\n", 0, ERR_VERSION, "hell"},
    {"a\n", 0, ERR_VERSION, "\"a\""},
    {"\n", 0, ERR_VERSION, "no SSH identification"},
    {"\x1b[2J\n", 0, ERR_VERSION, "\\033[2J"},
};

static const struct row clients[] = {
    {"SSH-2.0-x\r\n", 0, OK, "SSH-2.0-x"},
    {"Welcome\r\nto this\n\nSSH-2.0-x\r\n", 0, OK, "SSH-2.0-x"},
    {"SSH-1.5-old\r\n", 0, ERR_VERSION, "SSH 1 only"},
    {"text\nSSH-1.5-old\r\n", 0, ERR_VERSION, "SSH 1 only"},
    {"HTTP/1.1 400 Bad Request\r\n", 0, ERR_VERSION, "HTTP"},
    {"SSH-2.0-a\0b\r\n", 13, ERR_VERSION, "NUL"},
};

static void try_row(const struct row *row, bool server, bool bytewise) {
    struct pair p;
    pair_init(&p);
    pair_start(&p);
    struct pair_end *e = server ? &p.server : &p.client;
    size_t n = row->n > 0 ? row->n : strlen(row->bytes);
    for (size_t i = 0; bytewise && i < n; i++)
        pair_feed(&p, e, view_of(row->bytes + i, 1));
    if (!bytewise)
        pair_feed(&p, e, view_of(row->bytes, n));
    assert_int_equal(e->err, row->err);
    if (row->err == OK) {
        assert_true(view_is(transport_peer_ident(e->t), row->says));
        assert_int_equal(e->seen[TRANSPORT_IDENT], 1);
    } else {
        if (strstr(transport_fault(e->t)->text, row->says) == NULL)
            fail_msg("%s: %s", row->says, transport_fault(e->t)->text);
        assert_non_null(strstr(transport_fault(e->t)->text, "during identification"));
        // After our own flight a stranger gets a line of text, and no packet.
        struct view out = transport_out(e->t);
        pair_split(&out);
        pair_split(&out);
        assert_true(view_is(out, server ? "Invalid SSH identification string.\r\n" : ""));
    }
    pair_free(&p);
}

static void test_lines(void **state) {
    (void)state;
    for (int bytewise = 0; bytewise < 2; bytewise++) {
        for (size_t i = 0; i < sizeof servers / sizeof servers[0]; i++)
            try_row(&servers[i], true, bytewise != 0);
        for (size_t i = 0; i < sizeof clients / sizeof clients[0]; i++)
            try_row(&clients[i], false, bytewise != 0);
    }
}

static enum err feed_long(bool server, const char *begin, size_t n, const char *end) {
    static char line[20000];
    struct pair p;
    snprintf(line, sizeof line, "%s", begin);
    memset(line + strlen(begin), 'x', n - strlen(begin) - strlen(end));
    memcpy(line + n - strlen(end), end, strlen(end));
    pair_init(&p);
    pair_start(&p);
    struct pair_end *e = server ? &p.server : &p.client;
    pair_feed(&p, e, view_of(line, n));
    enum err err = e->err;
    pair_free(&p);
    return err;
}

static void test_lengths(void **state) {
    (void)state;
    for (int server = 0; server < 2; server++) {
        assert_int_equal(feed_long(server != 0, "SSH-2.0-", 255, "\r\n"), OK);
        assert_int_equal(feed_long(server != 0, "SSH-2.0-", 256, "\r\n"), ERR_VERSION);
        assert_int_equal(feed_long(server != 0, "SSH-2.0-", 254, ""), OK);
        assert_int_equal(feed_long(server != 0, "SSH-2.0-", 255, ""), ERR_VERSION);
    }
    assert_int_equal(feed_long(false, "", 8192, "\n"), OK);
    assert_int_equal(feed_long(false, "", 8193, "\n"), ERR_VERSION);
    assert_int_equal(feed_long(false, "", 8192, ""), ERR_VERSION);
}

static void test_text_lines(void **state) {
    struct pair p;
    (void)state;
    pair_init(&p);
    pair_start(&p);
    for (int i = 0; i < LIMIT_IDENT_TEXT_LINES; i++)
        pair_feed(&p, &p.client, view_text("x\r\n"));
    assert_int_equal(p.client.err, OK);
    assert_int_equal(p.client.seen[TRANSPORT_TEXT], LIMIT_IDENT_TEXT_LINES);
    assert_true(view_equal(view_of(p.client.notes.p, 5), view_of("\0\0\0\1x", 5)));
    pair_feed(&p, &p.client, view_text("x\r\n"));
    assert_int_equal(p.client.err, ERR_VERSION);
    pair_free(&p);
}

static void test_end_of_stream(void **state) {
    struct pair p;
    (void)state;
    pair_init(&p);
    pair_start(&p);
    pair_feed(&p, &p.client, view_text("SSH-2"));
    transport_in_eof(p.client.t);
    pair_events(&p, &p.client);
    assert_int_equal(p.client.seen[TRANSPORT_CLOSED], 1);
    assert_int_equal(transport_fault(p.client.t)->code, ERR_CLOSED);
    assert_non_null(strstr(transport_fault(p.client.t)->text, "during identification"));
    pair_free(&p);
}

static void test_own_too_long(void **state) {
    struct pair p;
    static char ident[300];
    (void)state;
    pair_init(&p);
    memset(ident, 'x', 254);
    memcpy(ident, "SSH-2.0-", 8);
    p.client.config.ident = ident;
    assert_int_equal(transport_new(&p.client.t, &p.client.config, 0), ERR_CONFIG);
    assert_null(p.client.t);
    ident[253] = '\0';
    assert_int_equal(transport_new(&p.client.t, &p.client.config, 0), OK);
    pair_free(&p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),        cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_text_lines),   cmocka_unit_test(test_end_of_stream),
        cmocka_unit_test(test_own_too_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
