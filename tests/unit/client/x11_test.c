// X11: names of displays, what xauth prints, and the cookie's exchange.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "client/x11.h"

static void test_displays(void **state) {
    (void)state;
    static const struct {
        const char *text, *path, *host;
        uint16_t port;
        uint32_t screen;
        bool local;
    } rows[] = {
        {":0", "/tmp/.X11-unix/X0", "", 6000, 0, true},
        {"unix:12.3", "/tmp/.X11-unix/X12", "unix", 6012, 3, true},
        {"localhost:10.0", "", "localhost", 6010, 0, true},
        {"far.example.com:1", "", "far.example.com", 6001, 0, false},
        {"[::1]:2.1", "", "::1", 6002, 1, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct x11_display d;
        assert_true(x11_display_parse(&d, rows[i].text));
        assert_string_equal(d.path, rows[i].path);
        assert_string_equal(d.host, rows[i].host);
        assert_int_equal(d.port, rows[i].port);
        assert_int_equal(d.screen, rows[i].screen);
        assert_int_equal(d.local, rows[i].local);
    }
    static const char *const bad[] = {"",       "0",      ":",      ":x",      ":99999",
                                      ":0.x",   ":0.400", "a;b:0",  "$(id):0", ":-1",
                                      ":0.0.0", "h :0",   "`id`:0", "h\n:0"};
    struct x11_display d;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(x11_display_parse(&d, bad[i]));
}

static void test_xauth(void **state) {
    (void)state;
    char protocol[32];
    uint8_t cookie[X11_COOKIE_MAX];
    size_t n = 0;
    static const char good[] =
        "host/unix:0  MIT-MAGIC-COOKIE-1  00ffAB\nhost/unix:0 X 11\n";
    assert_true(x11_xauth_parse(view_text(good), protocol, sizeof protocol, cookie, &n));
    assert_string_equal(protocol, "MIT-MAGIC-COOKIE-1");
    assert_int_equal(n, 3);
    assert_memory_equal(cookie, "\x00\xff\xab", 3);
    static const char *const bad[] = {
        "",        "\n",      "one two",
        "a b xyz", "a b 123", "a an-overlong-protocol-name-that-does-not-fit 00"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(
            x11_xauth_parse(view_text(bad[i]), protocol, sizeof protocol, cookie, &n));
}

static enum x11_auth exchange(uint8_t *bytes, size_t n) {
    return x11_auth_substitute((struct span){bytes, n}, "PROTO", (const uint8_t *)"fake",
                               (const uint8_t *)"real", 4);
}

static void test_cookie(void **state) {
    (void)state;
    static const uint8_t little[] = "l\0\x0b\0\0\0\x05\0\x04\0\0\0PROTO\0\0\0fakerest";
    static const uint8_t big[] = "B\0\0\x0b\0\0\0\x05\0\x04\0\0PROTO\0\0\0fake";
    uint8_t copy[sizeof little];
    const size_t whole = 12 + 8 + 4;
    for (size_t n = 0; n < whole; n++) {
        memcpy(copy, little, sizeof little);
        assert_int_equal(exchange(copy, n), X11_AUTH_MORE);
    }
    assert_int_equal(exchange(copy, sizeof little - 1), X11_AUTH_GOOD);
    assert_memory_equal(copy + 20, "realrest", 8);
    memcpy(copy, big, sizeof big);
    assert_int_equal(exchange(copy, whole), X11_AUTH_GOOD);
    // Another cookie, another name, another length, another byte order: nothing.
    static const size_t at[] = {0, 6, 8, 12, 16, 20, 23};
    for (size_t i = 0; i < sizeof at / sizeof at[0]; i++) {
        memcpy(copy, little, sizeof little);
        copy[at[i]] ^= 1;
        assert_int_equal(exchange(copy, whole), X11_AUTH_BAD);
    }
}

static void test_time(void **state) {
    (void)state;
    struct x11 x = {.ready = true, .refuse_at = 100};
    assert_null(x11_refusal(&x, 99));
    assert_non_null(x11_refusal(&x, 100));
    x.ready = false;
    assert_non_null(x11_refusal(&x, 0));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_displays),
        cmocka_unit_test(test_xauth),
        cmocka_unit_test(test_cookie),
        cmocka_unit_test(test_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
