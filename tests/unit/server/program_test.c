// What a user's program is started with, and the words of the log.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
// cmocka wants the above
#include <cmocka.h>

#include "server/events.h"
#include "server/flags.h"
#include "server/holder.h"

static void environment(void **state) {
    (void)state;
    static const uint8_t key[] = "\0\0\0\7KEY=one\0\0\0\10no equal";
    struct env accepted, e;
    env_init(&accepted);
    env_init(&e);
    assert_int_equal(env_set(&accepted, "LANG", "en"), OK);
    assert_int_equal(env_set(&accepted, "HOME", "/elsewhere"), OK);
    assert_int_equal(env_set(&accepted, "SSH_CONNECTION", "forged"), OK);
    assert_int_equal(env_set(&accepted, "BOWLINE_CONTROL", "/forged"), OK);
    const char *sets[] = {"SET=by admin"};
    struct conf_list set_env = {sets, 1};
    struct program_facts f = {.user = "ann",
                              .home = "/home/ann",
                              .shell = "/bin/bash",
                              .peer = "192.0.2.1",
                              .peer_port = 1000,
                              .local = "192.0.2.2",
                              .local_port = 22,
                              .tty = "/dev/pts/3",
                              .term = "xterm",
                              .original_command = "ls -l",
                              .system_text = "# c\nLANG=C\nSYS=\"a b\"\n",
                              .uid = 1000,
                              .mail = true,
                              .accepted = &accepted,
                              .key_environment = view_of(key, sizeof key - 1),
                              .control = "/run/user/1000/bowline",
                              .set_env = &set_env};
    assert_int_equal(program_environment(&e, &f), OK);
    static const char *const want[][2] = {
        {"LANG", "en"},
        {"SYS", "a b"},
        {"HOME", "/home/ann"},
        {"USER", "ann"},
        {"LOGNAME", "ann"},
        {"SHELL", "/bin/bash"},
        {"MAIL", "/var/mail/ann"},
        {"KEY", "one"},
        {"SET", "by admin"},
        {"SSH_TTY", "/dev/pts/3"},
        {"TERM", "xterm"},
        {"SSH_ORIGINAL_COMMAND", "ls -l"},
        {"BOWLINE_CONTROL", "/run/user/1000/bowline"},
        {"SSH_CLIENT", "192.0.2.1 1000 22"},
        {"SSH_CONNECTION", "192.0.2.1 1000 192.0.2.2 22"},
    };
    for (size_t i = 0; i < sizeof want / sizeof want[0]; i++)
        assert_string_equal(env_get(&e, want[i][0]), want[i][1]);
    assert_null(strstr(env_get(&e, "PATH"), "sbin"));
    env_free(&e);
    env_init(&e);
    f.mail = false;  // with PAM it is pam_mail's
    assert_int_equal(program_environment(&e, &f), OK);
    assert_null(env_get(&e, "MAIL"));
    env_free(&e);
    env_free(&accepted);
}

static void accepted_names(void **state) {
    (void)state;
    const char *patterns[] = {"LANG", "LC_*"};
    struct conf_list accept = {patterns, 2};
    assert_true(program_env_accepted(&accept, "LANG"));
    assert_true(program_env_accepted(&accept, "LC_ALL"));
    assert_false(program_env_accepted(&accept, "LANGUAGE"));
    assert_false(program_env_accepted(&accept, "XLANG"));
    assert_false(program_env_accepted(&accept, "LD_PRELOAD"));
    assert_false(program_env_accepted(&accept, ""));
}

static void arguments(void **state) {
    (void)state;
    struct program_argv a;
    program_argv(&a, "/bin/bash", NULL);
    assert_string_equal(a.v[0], "-bash");
    assert_null(a.v[1]);
    program_argv(&a, "sh", "echo a b");
    assert_string_equal(a.v[0], "sh");
    assert_string_equal(a.v[1], "-c");
    assert_string_equal(a.v[2], "echo a b");
    assert_null(a.v[3]);
}

static char lines[4096];

static void collect(void *sink, enum log_level level, const char *line) {
    (void)sink;
    (void)level;
    strncat(lines, line, sizeof lines - strlen(lines) - 2);
    strcat(lines, "\n");
}

static void log_lines(void **state) {
    (void)state;
    struct log log = {.level = LOG_LEVEL_INFO, .write = collect};
    struct event_link l = {.user = "ann\nforged",
                           .peer = "192.0.2.1",
                           .local = "192.0.2.9",
                           .port = 1000,
                           .pid = 77,
                           .valid_user = true};
    struct event_key key = {.key = view_text("ED25519 SHA256:x")};
    struct ipc_gate_end closed = {GATE_CLOSED, 0, view_text("")};
    struct ipc_gate_end left = {GATE_DISCONNECTED, 11, view_text("bye\nbye")};
    lines[0] = '\0';
    event_accepted(&log, &l, view_text("publickey"), &key);
    event_failed(&log, &l, view_text("publickey"), &key, false);
    event_failed(&log, &l, view_text("publickey"), &key, true);
    event_end(&log, &l, &closed);
    l.user = "ann";
    l.authenticated = true;
    event_end(&log, &l, &left);
    assert_string_equal(
        lines,
        "Accepted publickey for ann\\012forged from 192.0.2.1 port 1000 ssh2: ED25519 "
        "SHA256:x\n"
        "Failed publickey for ann\\012forged from 192.0.2.1 port 1000 ssh2: ED25519 "
        "SHA256:x\n"
        "Connection closed by authenticating user ann\\012forged 192.0.2.1 port 1000 "
        "[preauth]\n"
        "Received disconnect from 192.0.2.1 port 1000:11: bye\\012bye\n"
        "Disconnected from user ann 192.0.2.1 port 1000\n");
}

static void flags(void **state) {
    (void)state;
    static struct flags f;
    char *argv[] = {"sshd", "-De", "-p22", "-f",   "file", "-o",
                    "A=b",  "-h",  "k1",   "-hk2", "-g",   "1m"};
    assert_true(flags_parse(&f, sizeof argv / sizeof argv[0], argv));
    assert_true(f.keeper.foreground && f.keeper.to_stderr && f.mode == MODE_SERVE);
    assert_string_equal(f.keeper.config_file, "file");
    assert_int_equal(f.keeper.lines_n, 2);
    assert_string_equal(f.keeper.lines[0], "Port 22");
    assert_string_equal(f.keeper.lines[1], "A=b");
    assert_int_equal(f.keeper.host_key_files_n, 2);
    assert_int_equal(f.keeper.grace_s, 60);
    char *test[] = {"sshd", "-T", "-C", "user=a"};
    assert_true(flags_parse(&f, 4, test));
    assert_int_equal(f.mode, MODE_DUMP);
    assert_int_equal(f.subject_n, 1);
    char *bad[][2] = {{"sshd", "-Z"}, {"sshd", "-f"}, {"sshd", "word"}, {"sshd", "-gx"}};
    for (size_t i = 0; i < 4; i++)
        assert_false(flags_parse(&f, 2, bad[i]));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(environment), cmocka_unit_test(accepted_names),
        cmocka_unit_test(arguments),   cmocka_unit_test(log_lines),
        cmocka_unit_test(flags),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
