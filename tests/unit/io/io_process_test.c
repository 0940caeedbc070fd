// process, privilege, pty, terminal_modes, prompt.
#include "io_test.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <termios.h>

#include "io/clock.h"
#include "io/env.h"
#include "io/fd.h"
#include "io/privilege.h"
#include "io/process.h"
#include "io/prompt.h"
#include "io/pty.h"
#include "io/terminal_modes.h"

// Runs a shell command with spec's settings; its output into out.
static int run(struct process_spec spec, const char *command, char *out, size_t size) {
    int p[2], status;
    size_t n;
    struct process process;
    struct fault f = {0};
    char *argv[] = {"-shown", "-c", (char *)command, NULL};
    assert_int_equal(pipe2(p, O_CLOEXEC), 0);
    spec.path = "/bin/sh";
    spec.argv = argv;
    spec.fd_in = -1;
    spec.fd_out = spec.fd_err = p[1];
    if (spec.tty == 0)
        spec.tty = -1;
    assert_int_equal(process_spawn(&spec, &process, &f), OK);
    assert_true(process.pidfd >= 0);
    close(p[1]);
    assert_int_equal(fd_read_full(p[0], (struct span){(uint8_t *)out, size - 1}, &n), OK);
    out[n] = '\0';
    close(p[0]);
    assert_int_equal(process_wait(&process, &status), OK);
    return status;
}

static void spawn_is_exact(void **state) {
    (void)state;
    char out[4096];
    scoped_env env;
    env_init(&env);
    assert_int_equal(env_set(&env, "X", "y z"), OK);
    struct process_limit limit = {RLIMIT_CORE, {0, 0}};
    struct process_spec spec = {
        .envp = env_list(&env), .cwd = "/usr", .limits = &limit, .limits_n = 1};
    dup2(0, 77);  // not close-on-exec: must not get through
    size_t open = fd_count_open();
    int status =
        run(spec, "echo $0:$X:$PWD:$(ulimit -c):$HOME; ls /proc/self/fd | wc -l; exit 7",
            out, sizeof out);
    assert_int_equal(WEXITSTATUS(status), 7);
    assert_string_equal(out, "-shown:y z:/usr:0:\n4\n");
    assert_int_equal(fd_count_open(), open);
    close(77);
    spec.cwd = "/nowhere";
    spec.cwd_fallback = "/";
    run(spec, "echo $PWD", out, sizeof out);
    assert_string_equal(out, "/\n");
}

static void spawn_resets_signals(void **state) {
    (void)state;
    char out[4096];
    sigset_t set, before;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, &before);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGUSR1, SIG_IGN);
    // As make(1) starts programs: a signal that sigaction(2) refuses.
    const uint64_t ignored[4] = {(uint64_t)(uintptr_t)SIG_IGN};
    assert_int_equal(syscall(SYS_rt_sigaction, 32, ignored, NULL, sizeof(uint64_t)), 0);
    run((struct process_spec){0}, "grep -E 'Sig(Blk|Ign)' /proc/self/status", out,
        sizeof out);
    assert_string_equal(out, "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
    signal(SIGUSR1, SIG_DFL);
    sigprocmask(SIG_SETMASK, &before, NULL);
}

static void spawn_tells_why_not(void **state) {
    (void)state;
    struct process p;
    struct fault f = {0};
    char *argv[] = {"x", NULL};
    size_t open = fd_count_open();
    struct process_spec spec = {.path = "/no/such",
                                .argv = argv,
                                .fd_in = -1,
                                .fd_out = -1,
                                .fd_err = -1,
                                .tty = -1};
    assert_int_equal(process_spawn(&spec, &p, &f), ERR_NOT_FOUND);
    assert_string_equal(f.text, "exec /no/such: No such file or directory");
    fault_clear(&f);
    spec.path = "/etc/passwd";
    assert_int_equal(process_spawn(&spec, &p, &f), ERR_REFUSED);
    fault_clear(&f);
    spec.path = "/bin/true";
    spec.cwd = "/nowhere";
    assert_int_equal(process_spawn(&spec, &p, &f), ERR_NOT_FOUND);
    assert_string_equal(f.text,
                        "change the directory for /bin/true: No such file or directory");
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(fd_count_open(), open);
}

// The descriptors given may be 0, 1, 2 themselves, in any order.
static void spawn_swaps_standard(void **state) {
    (void)state;
    pid_t pid = fork();
    if (pid == 0) {
        int p[2];
        struct process process;
        char *argv[] = {"sh", "-c", "echo out; echo err >&2", NULL};
        if (pipe(p) != 0 || dup2(p[1], 1) < 0)
            _exit(9);
        int q = open("/dev/null", O_WRONLY);
        dup2(q, 2);
        struct process_spec spec = {.path = "/bin/sh",
                                    .argv = argv,
                                    .fd_in = 0,
                                    .fd_out = 2,
                                    .fd_err = 1,
                                    .tty = -1};
        if (process_spawn(&spec, &process, NULL) != OK)
            _exit(8);
        char text[16] = "";
        _exit(read(p[0], text, 15) == 4 && strcmp(text, "err\n") == 0 ? 0 : 1);
    }
    int status;
    waitpid(pid, &status, 0);
    assert_int_equal(status, 0);
}

static void waiting_and_signals(void **state) {
    (void)state;
    struct process p;
    int status;
    char *argv[] = {"sleep", "60", NULL};
    struct process_spec spec = {.path = "/bin/sleep",
                                .argv = argv,
                                .fd_in = -1,
                                .fd_out = -1,
                                .fd_err = -1,
                                .tty = -1,
                                .new_session = true};
    assert_int_equal(process_spawn(&spec, &p, NULL), OK);
    assert_int_equal(process_wait_until(&p, clock_ms() + 20, &status), ERR_TIMEOUT);
    assert_int_equal(getpgid(p.pid), p.pid);
    assert_int_equal(process_signal_group(p.pid, SIGTERM), OK);
    assert_int_equal(process_wait_until(&p, clock_ms() + 10000, &status), OK);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
    assert_int_equal(process_signal_group(1, 0), ERR_REFUSED);
    assert_int_equal(process_fork(&p), OK);
    if (p.pid == 0) {
        pause();
        _exit(0);
    }
    assert_int_equal(process_signal(&p, SIGKILL), OK);
    assert_int_equal(process_wait(&p, &status), OK);
    assert_int_equal(WTERMSIG(status), SIGKILL);
    char path[512];
    assert_int_equal(process_self_path(path, sizeof path), OK);
    assert_int_equal(path[0], '/');
    assert_int_equal(process_signal_number(view_text("TERM")), SIGTERM);
    assert_int_equal(process_signal_number(view_text("term")), 0);
    assert_int_equal(process_signal_number(view_text("SIGTERM")), 0);
    assert_int_equal(process_signal_number(view_text("USR2")), SIGUSR2);
    assert_int_equal(process_signal_number(view_text("STOP")), 0);
    assert_string_equal(process_signal_name(SIGBUS), "BUS");
    assert_string_equal(process_signal_name(SIGHUP), "HUP");
    assert_null(process_signal_name(99));
}

// It allocates, signals itself, and is ours to wait for.
static void bare_fork_is_a_fork(void **state) {
    (void)state;
    int status;
    pid_t self = getpid(), pid = process_fork_bare();
    assert_true(pid >= 0);
    if (pid == 0) {
        char *p = malloc(100000);
        if (p == NULL || getppid() != self || getpid() == self)
            _exit(1);
        memset(p, 1, 100000);
        free(p);
        raise(SIGTERM);
        _exit(2);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
}

static void dropped_for_good(void **state) {
    (void)state;
    SKIP_UNLESS(getuid() == 0, "needs root");
    pid_t pid = fork();
    if (pid == 0) {
        gid_t groups[] = {4711, 4712};
        struct privilege to = {4711, 4711, groups, 2}, root = {0, 0, NULL, 0};
        struct fault f = {0};
        gid_t now[4];
        bool good = privilege_drop(&to, &f) == OK && getuid() == 4711 &&
                    getgid() == 4711 && getgroups(4, now) == 2 && setuid(0) != 0 &&
                    privilege_drop(&root, NULL) == ERR_REFUSED &&
                    privilege_drop(&to, NULL) == OK && open("/etc/shadow", O_RDONLY) < 0;
        _exit(good ? 0 : 1);
    }
    int status;
    waitpid(pid, &status, 0);
    assert_int_equal(status, 0);
}

static void acting_as_a_user(void **state) {
    (void)state;
    SKIP_UNLESS(getuid() == 0, "needs root");
    struct privilege as = {4711, 4711, NULL, 0};
    struct privilege_before before;
    gid_t groups[64];
    int n = getgroups(64, groups);
    assert_int_equal(privilege_act_as(&as, &before, NULL), OK);
    assert_int_equal(geteuid(), 4711);
    assert_int_equal(open("/etc/shadow", O_RDONLY), -1);
    privilege_back(&before);
    assert_int_equal(geteuid(), 0);
    assert_int_equal(getegid(), 0);
    assert_int_equal(getgroups(64, groups), n);
    privilege_back(&before);
}

static bool echoes(int fd) {
    struct termios t;
    return tcgetattr(fd, &t) == 0 && (t.c_lflag & ECHO) != 0;
}

static void pty_sizes_and_terminal(void **state) {
    (void)state;
    struct pty p;
    struct pty_size size = {132, 43, 99999, 7};
    char out[256];
    assert_int_equal(pty_open(&p, NULL), OK);
    assert_true(strncmp(p.name, "/dev/pts/", 9) == 0);
    assert_int_equal(pty_set_size(p.master, size), OK);
    assert_int_equal(pty_get_size(p.slave, &size), OK);
    assert_int_equal(size.columns, 132);
    assert_int_equal(size.rows, 43);
    assert_int_equal(size.width_px, 65535);
    run((struct process_spec){.tty = p.slave}, "stty size </dev/tty; echo up >/dev/tty",
        out, sizeof out);
    assert_non_null(strstr(out, "43 132"));
    assert_int_equal(read(p.master, out, sizeof out), 4);
    assert_memory_equal(out, "up\r\n", 4);
    pty_break(p.master, 0);
    pty_close(&p);
    pty_close(&p);
    assert_int_not_equal(pty_get_size(0x7ffff, &size), OK);
}

static void terminal_modes_both_ways(void **state) {
    (void)state;
    struct pty a, b;
    struct terminal_mode modes[TERMINAL_MODES_MAX], again[TERMINAL_MODES_MAX];
    size_t n, m;
    struct termios t;
    assert_int_equal(pty_open(&a, NULL), OK);
    assert_int_equal(pty_open(&b, NULL), OK);
    assert_int_equal(tcgetattr(a.slave, &t), 0);
    t.c_lflag &= ~(tcflag_t)(ECHO | ISIG);
    t.c_cc[VINTR] = 7;
    t.c_cc[VQUIT] = 0;
    t.c_iflag |= IUTF8;
    cfsetispeed(&t, B9600);
    cfsetospeed(&t, B9600);
    assert_int_equal(tcsetattr(a.slave, TCSANOW, &t), 0);
    assert_int_equal(terminal_modes_get(a.slave, modes, TERMINAL_MODES_MAX, &n), OK);
    assert_int_equal(terminal_modes_set(b.slave, modes, n), OK);
    assert_int_equal(terminal_modes_get(b.slave, again, TERMINAL_MODES_MAX, &m), OK);
    assert_int_equal(n, m);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(modes[i].opcode, again[i].opcode);
        assert_int_equal(modes[i].value, again[i].value);
    }
    assert_int_equal(modes[0].opcode, 1);
    assert_int_equal(modes[0].value, 7);
    assert_int_equal(modes[1].value, 255);  // none
    assert_int_equal(modes[n - 1].opcode, 129);
    assert_int_equal(modes[n - 1].value, 9600);
    assert_false(echoes(b.slave));
    // CS7 = 1, CS8 = 1 is how others say eight bits; unknown numbers and speeds are
    // skipped.
    const struct terminal_mode odd[] = {{53, 1}, {90, 1}, {91, 1}, {77, 1}, {129, 12345}};
    assert_int_equal(terminal_modes_set(b.slave, odd, 5), OK);
    assert_int_equal(tcgetattr(b.slave, &t), 0);
    assert_int_equal(t.c_cflag & CSIZE, CS8);
    assert_int_equal(cfgetospeed(&t), B9600);
    assert_true(echoes(b.slave));
    int p[2];
    assert_int_equal(pipe(p), 0);
    assert_int_equal(terminal_modes_get(p[0], modes, TERMINAL_MODES_MAX, &n), ERR_IO);
    assert_false(tty_is(p[0]));
    close(p[0]);
    close(p[1]);
    pty_close(&a);
    pty_close(&b);
}

// Raw mode ends however the process does.
static void raw_mode_is_left(void **state) {
    (void)state;
    for (int how = 0; how < 4; how++) {
        struct pty p;
        struct termios before, after;
        assert_int_equal(pty_open(&p, NULL), OK);
        assert_int_equal(tcgetattr(p.slave, &before), 0);
        pid_t pid = fork();
        if (pid == 0) {
            signal(SIGHUP, SIG_DFL);  // of a run under nohup
            tty_raw_guard();
            if (tty_raw_enter(p.slave) != OK || echoes(p.slave) || !tty_raw_active())
                _exit(9);
            pid_t other = fork();
            if (other == 0)
                exit(0);  // not its terminal to restore
            waitpid(other, NULL, 0);
            if (echoes(p.slave))
                _exit(8);
            if (how == 0)
                tty_raw_leave();
            else if (how == 1)
                exit(0);
            else
                raise(how == 2 ? SIGTERM : SIGHUP);
            _exit(0);
        }
        int status;
        assert_int_equal(waitpid(pid, &status, 0), pid);
        if (how < 2)
            assert_int_equal(status, 0);
        else
            assert_int_equal(WTERMSIG(status), how == 2 ? SIGTERM : SIGHUP);
        assert_int_equal(tcgetattr(p.slave, &after), 0);
        assert_int_equal(before.c_lflag, after.c_lflag);
        assert_int_equal(before.c_iflag, after.c_iflag);
        assert_int_equal(before.c_oflag, after.c_oflag);
        pty_close(&p);
    }
}

// A child with the pty as its terminal asks; this side types.
static pid_t asking_child(const struct pty *p, const char *expected, enum err wanted) {
    pid_t pid = fork();
    if (pid == 0) {
        char answer[32];
        setsid();
        ioctl(p->slave, TIOCSCTTY, 0);
        unsetenv("SSH_ASKPASS");
        enum err e = prompt_ask("Secret: ", 0, answer, sizeof answer, NULL);
        bool good = e == wanted && strcmp(answer, expected) == 0 && echoes(p->slave);
        _exit(good ? 0 : 1);
    }
    return pid;
}

static void read_until(int fd, const char *text, char *all, size_t size) {
    size_t n = 0, got;
    all[0] = '\0';
    for (int i = 0; i < 200 && strstr(all, text) == NULL; i++) {
        enum err e =
            fd_read_some(fd, (struct span){(uint8_t *)all + n, size - 1 - n}, &got);
        n += e == OK ? got : 0;
        all[n] = '\0';
        usleep(10000);
    }
    assert_non_null(strstr(all, text));
}

static void prompt_without_echo(void **state) {
    (void)state;
    struct pty p;
    char all[256];
    int status;
    assert_int_equal(pty_open(&p, NULL), OK);
    pid_t pid = asking_child(&p, "hunter2", OK);
    read_until(p.master, "Secret: ", all, sizeof all);
    assert_int_equal(write(p.master, "hunter2\n", 8), 8);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    read_until(p.master, "\n", all, sizeof all);
    assert_null(strstr(all, "hunter2"));
    // Too long is no answer, and is not cut.
    pid = asking_child(&p, "", ERR_LIMIT);
    read_until(p.master, "Secret: ", all, sizeof all);
    memset(all, 'a', 60);
    all[60] = '\n';
    assert_int_equal(write(p.master, all, 61), 61);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    // Ctrl-C kills as ever, with the echo on again.
    pid = asking_child(&p, "", ERR_CLOSED);
    read_until(p.master, "Secret: ", all, sizeof all);
    assert_int_equal(write(p.master, "abc\003", 4), 4);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGINT);
    assert_true(echoes(p.slave));
    pty_close(&p);
}

static void prompt_by_program(void **state) {
    (void)state;
    char dir[64], path[128], answer[64];
    struct fault f = {0};
    test_directory(dir, sizeof dir);
    snprintf(path, sizeof path, "%s/askpass", dir);
    FILE *script = fopen(path, "w");
    assert_non_null(script);
    fputs("#!/bin/sh\n[ \"$1\" = no ] && exit 1\necho \"$SSH_ASKPASS_PROMPT:$1\"\n",
          script);
    fclose(script);
    assert_int_equal(chmod(path, 0700), 0);
    setenv("SSH_ASKPASS", path, 1);
    setenv("SSH_ASKPASS_REQUIRE", "force", 1);
    assert_int_equal(prompt_ask("a 'b'", 0, answer, sizeof answer, &f), OK);
    assert_string_equal(answer, ":a 'b'");
    assert_int_equal(prompt_ask("q", PROMPT_CONFIRM, answer, sizeof answer, &f), OK);
    assert_string_equal(answer, "confirm:q");
    assert_int_equal(prompt_ask("no", 0, answer, sizeof answer, &f), ERR_CLOSED);
    assert_string_equal(answer, "");
    assert_int_equal(prompt_ask("long", 0, answer, 3, NULL), ERR_LIMIT);
    assert_int_equal(prompt_yes_no("anything", "anything else"), -1);
    setenv("SSH_ASKPASS", "/no/such", 1);
    assert_int_equal(prompt_ask("x", 0, answer, sizeof answer, NULL), ERR_NOT_FOUND);
    unsetenv("SSH_ASKPASS");
    assert_int_equal(prompt_ask("x", 0, answer, sizeof answer, NULL), ERR_REFUSED);
    unsetenv("SSH_ASKPASS_REQUIRE");
    test_directory_drop(dir);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spawn_is_exact),
        cmocka_unit_test(spawn_resets_signals),
        cmocka_unit_test(spawn_tells_why_not),
        cmocka_unit_test(spawn_swaps_standard),
        cmocka_unit_test(waiting_and_signals),
        cmocka_unit_test(bare_fork_is_a_fork),
        cmocka_unit_test(dropped_for_good),
        cmocka_unit_test(acting_as_a_user),
        cmocka_unit_test(pty_sizes_and_terminal),
        cmocka_unit_test(terminal_modes_both_ways),
        cmocka_unit_test(raw_mode_is_left),
        cmocka_unit_test(prompt_without_echo),
        cmocka_unit_test(prompt_by_program),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
