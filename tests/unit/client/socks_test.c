// The SOCKS parser: every version, split at each byte, and what is refused.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "client/socks.h"

#define BYTES(...) view_of((const uint8_t[]){__VA_ARGS__}, sizeof(uint8_t[]){__VA_ARGS__})

static void check_connect(struct view request, const char *host, uint16_t port) {
    size_t taken = 99;
    for (size_t n = 0; n < request.n; n++) {
        struct socks s = {.greeted = true};
        assert_int_equal(socks_take(&s, view_of(request.p, n), &taken), SOCKS_MORE);
        assert_int_equal(taken, 0);
    }
    // What follows is left alone.
    uint8_t more[600] = {0};
    memcpy(more, request.p, request.n);
    struct socks s = {.greeted = true};
    assert_int_equal(socks_take(&s, view_of(more, request.n + 7), &taken), SOCKS_CONNECT);
    assert_int_equal(taken, request.n);
    assert_string_equal(s.host, host);
    assert_int_equal(s.port, port);
}

static void connects(void **state) {
    (void)state;
    check_connect(BYTES(4, 1, 0, 80, 10, 0, 0, 1, 'm', 'e', 0), "10.0.0.1", 80);
    check_connect(BYTES(4, 1, 1, 187, 0, 0, 0, 1, 0, 'a', '.', 'b', 0), "a.b", 443);
    check_connect(BYTES(5, 1, 0, 1, 127, 0, 0, 1, 0, 22), "127.0.0.1", 22);
    check_connect(BYTES(5, 1, 0, 3, 3, 'a', '.', 'b', 255, 255), "a.b", 65535);
    check_connect(
        BYTES(5, 1, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 22), "::1",
        22);
}

static void greets(void **state) {
    (void)state;
    size_t taken;
    struct socks s = {0};
    struct view hello = BYTES(5, 2, 2, 0, 5);
    assert_int_equal(socks_take(&s, view_of(hello.p, 3), &taken), SOCKS_MORE);
    assert_int_equal(socks_take(&s, hello, &taken), SOCKS_GREETED);
    assert_int_equal(taken, 4);
    assert_memory_equal(s.reply, ((uint8_t[]){5, 0}), 2);
    s = (struct socks){0};
    assert_int_equal(socks_take(&s, BYTES(5, 1, 2), &taken), SOCKS_BAD);
    assert_memory_equal(s.reply, ((uint8_t[]){5, 255}), 2);
}

static void refuses(void **state) {
    (void)state;
    const struct {
        struct view in;
        size_t reply;
    } rows[] = {
        {BYTES('G', 'E', 'T'), 0},
        {BYTES(4, 2), 8},                                         // BIND
        {BYTES(4, 1, 0, 1, 0, 0, 0, 1, 0, 'a', ' ', 'b', 0), 8},  // a blank in a name
        {BYTES(4, 1, 0, 1, 0, 0, 0, 1, 0, 0), 8},                 // no name
        {BYTES(5, 3, 0, 1), 10},                                  // UDP
        {BYTES(5, 1, 0, 2), 10},                                  // no such address
        {BYTES(5, 1, 0, 3, 0, 0, 0), 10},                         // an empty name
        {BYTES(5, 1, 0, 3, 1, 0, 0, 0), 10},                      // a NUL in it
        {BYTES(6, 1, 0, 1), 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct socks s = {.greeted = true};
        size_t taken;
        assert_int_equal(socks_take(&s, rows[i].in, &taken), SOCKS_BAD);
        assert_int_equal(s.reply_n, rows[i].reply);
    }
}

static void is_bounded(void **state) {
    (void)state;
    uint8_t endless[SOCKS_REQUEST_MAX];
    memset(endless, 'a', sizeof endless);
    memcpy(endless, ((uint8_t[]){4, 1, 0, 1, 1, 1, 1, 1}), 8);
    struct socks s = {0};
    size_t taken;
    assert_int_equal(socks_take(&s, view_of(endless, sizeof endless - 1), &taken),
                     SOCKS_MORE);
    assert_int_equal(socks_take(&s, view_of(endless, sizeof endless), &taken), SOCKS_BAD);
}

static void answers(void **state) {
    (void)state;
    struct socks s = {.version = 4};
    socks_answer(&s, SOCKS_GRANTED);
    assert_int_equal(s.reply_n, 8);
    assert_int_equal(s.reply[1], 90);
    socks_answer(&s, SOCKS_UNREACHABLE);
    assert_int_equal(s.reply[1], 91);
    s.version = 5;
    socks_answer(&s, SOCKS_NOT_ALLOWED);
    assert_int_equal(s.reply_n, 10);
    assert_int_equal(s.reply[1], 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(connects), cmocka_unit_test(greets),
        cmocka_unit_test(refuses),  cmocka_unit_test(is_bounded),
        cmocka_unit_test(answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
