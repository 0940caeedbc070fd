// Who may forward what, and what of X11 reaches xauth: the pure rules of
// server/holder_permit.c.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka.h needs the above
#include <cmocka.h>

#include "server/forward.h"

#define PERMIT_ALL                                                                       \
    (PERMIT_PTY | PERMIT_PORT_FORWARDING | PERMIT_AGENT_FORWARDING |                     \
     PERMIT_X11_FORWARDING)

static struct server_config everything(void) {
    return (struct server_config){
        .allow_tcp_forwarding = FORWARD_ALL,
        .allow_stream_local_forwarding = FORWARD_ALL,
        .allow_agent_forwarding = true,
        .x11_forwarding = true,
        .permit_tunnel = TUNNEL_ANY,
    };
}

static unsigned allowed(const struct server_config *c, uint32_t permits) {
    unsigned set = 0;
    for (unsigned w = 0; w < FORWARD_WANTS; w++)
        if (forward_allowed(c, permits, (enum forward_want)w))
            set |= 1u << w;
    return set;
}

#define BIT(want) (1u << FORWARD_WANT_##want)
#define PORTS (BIT(TCP) | BIT(UNIX) | BIT(TCP_LISTEN) | BIT(UNIX_LISTEN))

static void by_the_key(void **state) {
    (void)state;
    struct server_config c = everything();
    assert_int_equal(allowed(&c, PERMIT_ALL), PORTS | BIT(AGENT) | BIT(X11));
    assert_int_equal(allowed(&c, 0), 0);
    assert_int_equal(allowed(&c, PERMIT_PTY | PERMIT_USER_RC), 0);
    assert_int_equal(allowed(&c, PERMIT_PORT_FORWARDING), PORTS);
    assert_int_equal(allowed(&c, PERMIT_AGENT_FORWARDING), BIT(AGENT));
    assert_int_equal(allowed(&c, PERMIT_X11_FORWARDING), BIT(X11));
    assert_int_equal(allowed(&c, PERMIT_TUNNEL), BIT(TUNNEL));
}

static void by_the_configuration(void **state) {
    (void)state;
    struct server_config c = everything();
    c.allow_tcp_forwarding = FORWARD_LOCAL;
    c.allow_stream_local_forwarding = FORWARD_REMOTE;
    c.x11_forwarding = c.allow_agent_forwarding = false;
    c.permit_tunnel = TUNNEL_NO;
    assert_int_equal(allowed(&c, PERMIT_ALL), BIT(TCP) | BIT(UNIX_LISTEN));
    c.allow_tcp_forwarding = FORWARD_REMOTE;
    c.allow_stream_local_forwarding = FORWARD_NO;
    assert_int_equal(allowed(&c, PERMIT_ALL), BIT(TCP_LISTEN));
}

// CVE-2025-32728: it covers every kind, whatever else is allowed.
static void disabled(void **state) {
    (void)state;
    struct server_config c = everything();
    c.disable_forwarding = true;
    assert_int_equal(allowed(&c, UINT32_MAX), 0);
}

static void lists(void **state) {
    (void)state;
    static const struct {
        const char *entry, *host;
        uint32_t port;
        bool in;
    } rows[] = {
        {"localhost:80", "localhost", 80, true},
        {"localhost:80", "LocalHost", 80, true},
        {"localhost:80", "localhost", 81, false},
        {"localhost:80", "localhost.example", 80, false},
        {"localhost:*", "localhost", 65535, true},
        {"*:80", "anything", 80, true},
        {"*:80", "anything", 8, false},
        {"*.example.com:22", "a.example.com", 22, true},
        {"*.example.com:22", "example.com", 22, false},
        {"[::1]:80", "::1", 80, true},
        {"::1:80", "::1", 80, true},
        {"[::1]:80", "::", 180, false},
        {"8080", "any", 8080, true},
        {"8080", "any", 80, false},
        {"*", "any", 80, true},
        {"any", "any", 80, true},
        {"none", "none", 80, false},
        {"host:", "host", 0, false},
        {"host:080", "host", 80, true},
        {"host:65616", "host", 80, false},
        {"", "", 0, false},
        {":80", "", 80, true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *v[] = {rows[i].entry};
        struct conf_list list = {v, 1};
        if (forward_in_list(&list, rows[i].host, rows[i].port) != rows[i].in)
            fail_msg("%s: %s %u", rows[i].entry, rows[i].host, rows[i].port);
    }
    const char *two[] = {"a:1", "b:2"};
    struct conf_list list = {two, 2}, empty = {NULL, 0};
    assert_true(forward_in_list(&list, "b", 2));
    assert_false(forward_in_list(&list, "a", 2));
    assert_true(forward_in_list(&empty, "a", 2));
}

// CVE-2016-3115
static void x11(void **state) {
    (void)state;
    static const char *const bad_protocols[] = {
        "", "-q", "A B", "A\nB", "A;B", "$(id)", "A\t", "A\"", "A/B", "\xc3\xa4"};
    static const char *const bad_cookies[] = {"", "a", "xy", "ab ", "ab\n", "AB-", "0x"};
    assert_true(x11_protocol_is_good(view_text("MIT-MAGIC-COOKIE-1")));
    assert_true(x11_protocol_is_good(view_text("XDM-AUTHORIZATION-1")));
    for (size_t i = 0; i < sizeof bad_protocols / sizeof bad_protocols[0]; i++)
        assert_false(x11_protocol_is_good(view_text(bad_protocols[i])));
    assert_true(x11_cookie_is_good(view_text("00ffABcd")));
    for (size_t i = 0; i < sizeof bad_cookies / sizeof bad_cookies[0]; i++)
        assert_false(x11_cookie_is_good(view_text(bad_cookies[i])));
    uint8_t with_nul[] = {'a', 'b', 0, 'c'}, letters[300];
    memset(letters, 'a', sizeof letters);
    assert_false(x11_cookie_is_good(view_of(with_nul, sizeof with_nul)));
    assert_false(x11_protocol_is_good(view_of(with_nul, sizeof with_nul)));
    assert_false(x11_cookie_is_good(view_of(letters, 256)));
    assert_true(x11_cookie_is_good(view_of(letters, 254)));
    assert_false(x11_protocol_is_good(view_of(letters, 64)));
}

static struct env environment(const char *names, const char *text) {
    struct env e;
    struct env none = {0};
    env_init(&e);
    struct program_facts f = {.user = "ann",
                              .home = "/h",
                              .shell = "/bin/sh",
                              .peer = "192.0.2.1",
                              .local = "192.0.2.2",
                              .accepted = &none,
                              .user_text = text,
                              .user_names = names,
                              .display = "localhost:10.0",
                              .agent_socket = "/tmp/ssh-x/agent.1"};
    assert_int_equal(program_environment(&e, &f), OK);
    return e;
}

static void names_of_the_user(void **state) {
    (void)state;
    struct env e =
        environment("LANG,LC_*,!LC_ALL", "LANG=a\nLC_X=b\nLC_ALL=c\nLD_PRELOAD=d\n");
    assert_string_equal(env_get(&e, "LANG"), "a");
    assert_string_equal(env_get(&e, "LC_X"), "b");
    assert_null(env_get(&e, "LC_ALL"));
    assert_null(env_get(&e, "LD_PRELOAD"));
    assert_string_equal(env_get(&e, "DISPLAY"), "localhost:10.0");
    env_free(&e);
    e = environment(NULL, "LD_PRELOAD=d\nSSH_AUTH_SOCK=mine\n");
    assert_string_equal(env_get(&e, "LD_PRELOAD"), "d");
    assert_string_equal(env_get(&e, "SSH_AUTH_SOCK"), "/tmp/ssh-x/agent.1");
    env_free(&e);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(by_the_key), cmocka_unit_test(by_the_configuration),
        cmocka_unit_test(disabled),   cmocka_unit_test(lists),
        cmocka_unit_test(x11),        cmocka_unit_test(names_of_the_user),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
