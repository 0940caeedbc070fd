// The command line: destinations, flags before and behind them, what becomes ssh_config
// lines.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "client/flags.h"

static struct flags f;
static char why[FLAGS_WHY_SIZE];

static bool parse(const char *line) {
    static char copy[512];
    static char *argv[64];
    flags_free(&f);
    why[0] = 0;
    int argc = 0;
    strcpy(copy, line);
    argv[argc++] = (char *)(uintptr_t) "ssh";
    for (char *p = strtok(copy, "|"); p != NULL; p = strtok(NULL, "|"))
        argv[argc++] = p;
    argv[argc] = NULL;
    return flags_parse(&f, argc, argv, why);
}

static void test_destinations(void **state) {
    (void)state;
    static const struct {
        const char *text, *user, *host;
        uint16_t port;
    } rows[] = {
        {"host", NULL, "host", 0},
        {"joe@host", "joe", "host", 0},
        {"joe@realm@host", "joe@realm", "host", 0},
        {"ssh://host", NULL, "host", 0},
        {"ssh://joe@host:2222", "joe", "host", 2222},
        {"ssh://joe@[::1]:2222", "joe", "::1", 2222},
        {"ssh://[::1]", NULL, "::1", 0},
        {"ssh://joe;fingerprint=x@host/", "joe", "host", 0},
        {"ssh://jo%40e@host", "jo@e", "host", 0},
        {"::1", NULL, "::1", 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_true(parse(rows[i].text));
        assert_string_equal(f.host, rows[i].host);
        assert_int_equal(f.port, rows[i].port);
        if (rows[i].user == NULL)
            assert_null(f.user);
        else
            assert_string_equal(f.user, rows[i].user);
    }
}

static void test_bad_destinations(void **state) {
    (void)state;
    static const char *const bad[] = {"",          "@host",        "joe@",
                                      "ssh://",    "ssh://host:0", "ssh://host:70000",
                                      "ssh://h/x", "ssh://a%zz@h", "ssh://[::1",
                                      "ssh://@",   "ssh://a%00b@h"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(parse(bad[i]));
        assert_int_not_equal(why[0], 0);
    }
}

static void test_flags_around_the_destination(void **state) {
    (void)state;
    assert_true(parse("-p|22|host|-l|joe|-v|ls|-l|x y"));
    assert_string_equal(f.host, "host");
    assert_string_equal(f.user, "joe");
    assert_string_equal(f.command, "ls -l x y");
    assert_string_equal(f.lines[0], "Port 22");
    assert_string_equal(f.lines[1], "User \"joe\"");
    assert_string_equal(f.lines[2], "LogLevel DEBUG1");
    assert_null(f.lines[3]);
}

static void test_command_behind_dashes(void **state) {
    (void)state;
    assert_true(parse("host|--|-x"));
    assert_string_equal(f.command, "-x");
    assert_true(parse("--|host|-x"));
    assert_string_equal(f.command, "-x");
    assert_true(parse("host"));
    assert_null(f.command);
}

static void test_lines(void **state) {
    (void)state;
    assert_true(parse("-4|-N|-i|~/a \"b\\c|-oUser=joe|-f|-tt|host"));
    static const char *const want[] = {"AddressFamily inet",
                                       "SessionType none",
                                       "IdentityFile \"~/a \\\"b\\\\c\"",
                                       "User=joe",
                                       "ForkAfterAuthentication yes",
                                       "StdinNull yes",
                                       "RequestTTY force"};
    for (size_t i = 0; i < sizeof want / sizeof want[0]; i++)
        assert_string_equal(f.lines[i], want[i]);
    assert_int_equal(f.lines_n, 7);
}

// An alias with one letter, and the other typed behind it: the later one holds, also over
// -o.
static void test_the_later_letter_holds(void **state) {
    (void)state;
    static const struct {
        const char *line, *first;
        size_t n;
    } rows[] = {
        {"-A|-a|h", "ForwardAgent no", 1},
        {"-oforwardagent=yes|-a|h", "ForwardAgent no", 1},
        {"-a|-oForwardAgent=yes|h", "ForwardAgent no", 2},
        {"-X|-x|h", "ForwardX11 no", 1},
        {"-4|-6|h", "AddressFamily inet6", 1},
        {"-c|a|-c|b|h", "Ciphers \"b\"", 1},
        {"-oControlPath=/c|-S|none|h", "ControlPath \"none\"", 1},
        {"-tt|-T|h", "RequestTTY no", 1},
        {"-T|-t|h", "RequestTTY yes", 1},
        {"-t|-t|h", "RequestTTY force", 1},
        {"-v|-v|-q|h", "LogLevel QUIET", 1},
        {"-q|-v|-v|h", "LogLevel DEBUG2", 1},
        {"-oControlMaster=auto|-M|h", "ControlMaster yes", 1},
        {"-oUser=a|-l|b|h", "User=a", 2},
        {"-p|1|-p|2|h", "Port 1", 2},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_true(parse(rows[i].line));
        assert_string_equal(f.lines[0], rows[i].first);
        assert_int_equal(f.lines_n, rows[i].n);
    }
    assert_false(parse("-J|a|-J|b|h"));
    assert_non_null(strstr(why, "-J first,second"));
}

static void test_grouped(void **state) {
    (void)state;
    assert_true(parse("-vvvTp2222|host"));
    assert_int_equal(f.verbose, 3);
    assert_int_equal(f.port, 2222);
    assert_string_equal(f.lines[0], "LogLevel DEBUG3");
    assert_true(parse("-q|host"));
    assert_string_equal(f.lines[0], "LogLevel QUIET");
}

static void test_forwards_become_lines(void **state) {
    (void)state;
    assert_true(parse("-L|80:h:22|-R|[::1]:0:/run/s|-D|1080|-J|a,b|-A|host"));
    assert_string_equal(f.lines[0], "LocalForward 80 h:22");
    assert_string_equal(f.lines[1], "RemoteForward [::1]:0 /run/s");
    assert_string_equal(f.lines[2], "DynamicForward 1080");
    assert_string_equal(f.lines[3], "ProxyJump \"a,b\"");
    assert_string_equal(f.lines[4], "ForwardAgent yes");
    assert_true(parse("-W|[::1]:22|host"));
    assert_string_equal(f.stdio_forward, "[::1]:22");
}

static void test_modes(void **state) {
    (void)state;
    assert_true(parse("-V"));
    assert_int_equal(f.mode, FLAGS_VERSION);
    assert_true(parse("-Q|cipher"));
    assert_int_equal(f.mode, FLAGS_QUERY);
    assert_true(parse("-G|host"));
    assert_int_equal(f.mode, FLAGS_DUMP);
    assert_true(parse("-oShowSteps=yes|host"));
    assert_true(f.show_steps);
    assert_int_equal(f.lines_n, 0);
}

static void test_refusals_say_why(void **state) {
    (void)state;
    static const struct {
        const char *line, *word;
    } rows[] = {
        {"-z|host", "unknown"},
        {"-p|host", "port"},
        {"-p", "argument"},
        {"-O|dance|host", "multiplex"},
        {"-L|1:h|host", "bad forwarding"},
        {"-W|x|host", "-W"},
        {"-D|0|host", "bad forwarding"},
        {"-v", "destination"},
        {"-O|check|-W|h:1|host", "-O"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_false(parse(rows[i].line));
        assert_non_null(strstr(why, rows[i].word));
    }
    assert_true(parse("-S|none|host"));
}

static void test_usage_fits(void **state) {
    (void)state;
    char usage[2560];
    flags_usage(usage, sizeof usage);
    assert_non_null(strstr(usage, "[-p port]") == NULL ? strstr(usage, "-p ") : usage);
    assert_non_null(strstr(usage, "destination"));
}

static int teardown(void **state) {
    (void)state;
    flags_free(&f);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_destinations),
        cmocka_unit_test(test_bad_destinations),
        cmocka_unit_test(test_flags_around_the_destination),
        cmocka_unit_test(test_command_behind_dashes),
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_the_later_letter_holds),
        cmocka_unit_test(test_grouped),
        cmocka_unit_test(test_forwards_become_lines),
        cmocka_unit_test(test_modes),
        cmocka_unit_test(test_refusals_say_why),
        cmocka_unit_test(test_usage_fits),
    };
    return cmocka_run_group_tests(tests, NULL, teardown);
}
