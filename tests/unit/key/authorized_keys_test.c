// authorized_keys: every option, every way to refuse a line, and looking for a key.
#include "key_test_support.h"

#include <stdio.h>
#include <stdlib.h>

#include "key/authorized_keys.h"

static enum err parse(struct authkey_line *line, const char *options, struct fault *f) {
    char text[4096];
    snprintf(text, sizeof text, "%s%s%s", options, options[0] != '\0' ? " " : "",
             fixture_named("ed25519")->public_line);
    return authkey_parse(line, view_text(text), "keys", 7, f);
}

static void a_plain_key_may_do_everything(void **state) {
    (void)state;
    struct authkey_line l;
    assert_int_equal(parse(&l, "", NULL), OK);
    assert_true(l.permit.pty && l.permit.agent_forwarding && l.permit.port_forwarding &&
                l.permit.x11_forwarding && l.permit.user_rc);
    assert_null(l.command);
    assert_null(l.from);
    assert_int_equal(l.tunnel, AUTHKEY_TUNNEL_NONE);
    assert_int_equal(l.number, 7);
    assert_string_equal(l.key->comment, "comment of ed25519");
    authkey_free(&l);
}

static void restrict_and_its_exceptions(void **state) {
    (void)state;
    struct authkey_line l;
    assert_int_equal(parse(&l, "restrict,pty,X11-Forwarding", NULL), OK);
    assert_true(l.restricted && l.permit.pty && l.permit.x11_forwarding);
    assert_false(l.permit.agent_forwarding || l.permit.port_forwarding ||
                 l.permit.user_rc);
    authkey_free(&l);
    assert_int_equal(parse(&l, "pty,restrict", NULL), OK);
    assert_false(l.permit.pty);
    authkey_free(&l);
    assert_int_equal(
        parse(&l,
              "no-pty,no-port-forwarding,no-agent-forwarding,no-X11-forwarding,"
              "no-user-rc,no-touch-required,verify-required,cert-authority",
              NULL),
        OK);
    assert_false(l.permit.pty || l.permit.agent_forwarding || l.permit.port_forwarding ||
                 l.permit.x11_forwarding || l.permit.user_rc);
    assert_true(l.no_touch_required && l.verify_required && l.cert_authority);
    authkey_free(&l);
}

static void values_come_out(void **state) {
    (void)state;
    struct authkey_line l;
    assert_int_equal(
        parse(&l,
              "command=\"echo \\\"a b\\\", # \\n\",from=\"10.0.0.0/8,!10.1.1.1\","
              "environment=\"A=1\",environment=\"B_2=x=y\","
              "permitopen=\"localhost:80\",permitopen=\"[::1]:*\","
              "permitlisten=\"8080\",permitlisten=\"*:0443\","
              "expiry-time=\"20301231\",expiry-time=\"203001021504Z\","
              "principals=\"a,b\",tunnel=\"3\"",
              NULL),
        OK);
    assert_string_equal(l.command, "echo \"a b\", # \\n");
    assert_string_equal(l.from, "10.0.0.0/8,!10.1.1.1");
    assert_int_equal(l.environment_count, 2);
    assert_string_equal(l.environment[1], "B_2=x=y");
    assert_int_equal(l.open_count, 2);
    assert_string_equal(l.open[0].host, "localhost");
    assert_int_equal(l.open[0].port, 80);
    assert_string_equal(l.open[1].host, "::1");
    assert_int_equal(l.open[1].port, AUTHKEY_PORT_ANY);
    assert_int_equal(l.listen_count, 2);
    assert_string_equal(l.listen[0].host, "*");
    assert_int_equal(l.listen[0].port, 8080);
    assert_int_equal(l.listen[1].port, 443);
    assert_int_equal(l.expires_count, 2);
    assert_int_equal(l.expires[0].year, 2030);
    assert_false(l.expires[0].utc);
    assert_int_equal(l.expires[1].minute, 4);
    assert_true(l.expires[1].utc);
    assert_string_equal(l.principals, "a,b");
    assert_int_equal(l.tunnel, 3);
    authkey_free(&l);
}

static void bad_lines_are_refused_whole(void **state) {
    (void)state;
    static const struct {
        const char *options, *says;
    } rows[] = {
        {"no-such-option", "unknown option \"no-such-option\""},
        {"no-restrict", "unknown option \"no-restrict\""},
        {"restrikt", "did you mean restrict?"},
        {"pty,", "unknown option \"\""},
        {",pty", "unknown option \"\""},
        {"pty,,pty", "unknown option \"\""},
        {"pty=\"x\"", "option pty takes no value"},
        {"command", "option command needs a value"},
        {"command=ls", "option command is not quoted"},
        {"command=\"ls", "the quote of option command is not closed"},
        {"command=\"ls\\\"", "the quote of option command is not closed"},
        {"command=\"a\",command=\"b\"", "command is given twice"},
        {"from=\"a\",from=\"b\"", "from is given twice"},
        {"command=\"a\"pty", "a comma or blank is missing"},
        {"environment=\"no equals\"", "bad value \"no equals\" of option environment"},
        {"environment=\"A B=1\"", "option environment"},
        {"environment=\"=1\"", "option environment"},
        {"permitopen=\"host\"", "option permitopen"},
        {"permitopen=\"80\"", "option permitopen"},
        {"permitopen=\"::1:80\"", "option permitopen"},
        {"permitopen=\"h:70000\"", "option permitopen"},
        {"permitopen=\"h:0\"", "option permitopen"},
        {"permitopen=\":80\"", "option permitopen"},
        {"permitlisten=\"x\"", "option permitlisten"},
        {"expiry-time=\"tomorrow\"", "option expiry-time"},
        {"expiry-time=\"20301301\"", "option expiry-time"},
        {"expiry-time=\"20300229\"", "option expiry-time"},
        {"expiry-time=\"203001012400\"", "option expiry-time"},
        {"tunnel=\"-1\"", "option tunnel"},
        {"no-pty \033[2J", "no"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct authkey_line l;
        struct fault f = {0};
        assert_int_not_equal(parse(&l, rows[i].options, &f), OK);
        if (strstr(f.text, rows[i].says) == NULL || strstr(f.text, "keys:7: ") == NULL)
            fail_msg("%s: %s", rows[i].options, f.text);
        assert_null(l.key);
        assert_null(strchr(f.text, 033));
    }
}

static void options_are_not_shed_by_length(void **state) {
    (void)state;
    char *options = malloc(LIMIT_TEXT_LINE + 4096);
    for (size_t fill = LIMIT_TEXT_LINE - 300; fill < LIMIT_TEXT_LINE + 300; fill += 7) {
        size_t n = (size_t)sprintf(options, "command=\"");
        memset(options + n, 'x', fill);
        n += fill;
        n += (size_t)sprintf(options + n, "\" %s", fixture_named("ed25519")->public_line);
        struct authkey_line l;
        enum err e = authkey_parse(&l, view_of(options, n), "k", 1, NULL);
        assert_int_equal(e, n <= LIMIT_TEXT_LINE ? OK : ERR_CONFIG);
        if (e == OK)
            assert_int_equal(strlen(l.command), fill);
        authkey_free(&l);
    }
    free(options);
}

static void empty_lines_and_foreign_types(void **state) {
    (void)state;
    struct authkey_line l;
    assert_int_equal(authkey_parse(&l, view_text(""), "k", 1, NULL), ERR_NOT_FOUND);
    assert_int_equal(authkey_parse(&l, view_text(" \t# x"), "k", 1, NULL), ERR_NOT_FOUND);
    assert_int_equal(authkey_parse(&l, view_text("\r"), "k", 1, NULL), ERR_NOT_FOUND);
    assert_int_equal(authkey_parse(&l, view_text("ssh-dss AAAA x"), "k", 1, NULL),
                     ERR_UNSUPPORTED);
    assert_int_equal(authkey_parse(&l, view_text("ssh-dss AAAA"), "k", 1, NULL),
                     ERR_UNSUPPORTED);
    assert_int_equal(authkey_parse(&l, view_of("pty\0 x", 6), "k", 1, NULL), ERR_CONFIG);
}

static void the_scan_finds_every_line_of_a_key(void **state) {
    (void)state;
    const char *want = fixture_named("ecdsa256")->public_line;
    const char *other = fixture_named("ed25519")->public_line;
    const char *base64 = strchr(want, ' ') + 1;
    char *text = malloc(1u << 20);
    size_t n = 0;
    for (int i = 0; i < 1000; i++)
        n += (size_t)sprintf(text + n, "%s\n", other);
    n += (size_t)sprintf(text + n, "# %s\n", want);          // 1001
    n += (size_t)sprintf(text + n, "%s %s\n", other, want);  // 1002: a comment
    n += (size_t)sprintf(text + n, "command=\" %.60s \" %s\n", base64, other);  // 1003
    n += (size_t)sprintf(text + n, "bogus %s\n", want);     // 1004: refused
    n += (size_t)sprintf(text + n, "no-pty %s\r\n", want);  // 1005
    n += (size_t)sprintf(text + n, "from=\"x\" %s", want);  // 1006, no newline
    struct key *k = key_of("ecdsa256");
    struct authkey_scan s;
    struct authkey_line l;
    struct fault f = {0};
    assert_int_equal(authkey_scan_init(&s, view_of(text, n), "file", key_blob(k)), OK);
    assert_int_equal(authkey_scan_next(&s, &l, &f), ERR_CONFIG);
    assert_string_equal(f.text, "file:1004: unknown option \"bogus\"");
    assert_int_equal(authkey_scan_next(&s, &l, NULL), OK);
    assert_int_equal(l.number, 1005);
    assert_false(l.permit.pty);
    authkey_free(&l);
    assert_int_equal(authkey_scan_next(&s, &l, NULL), OK);
    assert_int_equal(l.number, 1006);
    assert_string_equal(l.from, "x");
    authkey_free(&l);
    assert_int_equal(authkey_scan_next(&s, &l, NULL), ERR_NOT_FOUND);
    assert_int_equal(authkey_scan_next(&s, &l, NULL), ERR_NOT_FOUND);
    authkey_scan_free(&s);
    key_free(k);
    free(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_plain_key_may_do_everything),
        cmocka_unit_test(restrict_and_its_exceptions),
        cmocka_unit_test(values_come_out),
        cmocka_unit_test(bad_lines_are_refused_whole),
        cmocka_unit_test(options_are_not_shed_by_length),
        cmocka_unit_test(empty_lines_and_foreign_types),
        cmocka_unit_test(the_scan_finds_every_line_of_a_key),
    };
    return cmocka_run_group_tests(tests, start_crypto, NULL);
}
