// A confined process tries everything that it must not be able to do.
#include "io_test.h"

#include <fcntl.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "io/fd.h"
#include "io/loop.h"
#include "io/ring.h"
#include "io/sandbox.h"
#include "io/sandbox_filter.h"
#include "io/unix_socket.h"

// Each returns true if it could do it.
static bool can_open(void) {
    return open("/etc/passwd", O_RDONLY) >= 0 || open("/", O_RDONLY) >= 0;
}
static bool can_create(void) {
    return open("/x", O_RDWR | O_CREAT, 0600) >= 0 ||
           open("/tmp/bowline-x", O_RDWR | O_CREAT, 0600) >= 0;
}
static bool can_make_socket(void) {
    return socket(AF_INET, SOCK_STREAM, 0) >= 0;
}
static bool can_connect(void) {
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(9)};
    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return connect(0, (struct sockaddr *)&in, sizeof in) == 0 || errno == ECONNREFUSED;
}
static bool can_exec(void) {
    execl("/bin/true", "true", NULL);
    return false;
}
static bool can_signal(void) {
    return kill(getppid(), 0) == 0;
}
static bool can_trace(void) {
    return ptrace(PTRACE_ATTACH, getppid(), NULL, NULL) == 0;
}
static bool can_fork(void) {
    pid_t pid = fork();
    if (pid == 0)
        _exit(0);
    return pid > 0;
}
static bool can_run_data(void) {
    void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
                   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return p != MAP_FAILED;
}
static bool can_make_executable(void) {
    void *p =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return mprotect(p, 4096, PROT_READ | PROT_EXEC) == 0;
}
static bool can_change_user(void) {
    return setuid(0) == 0 && setuid(1) == 0;
}
static bool can_use_x32(void) {
#if defined(__x86_64__)
    return syscall(0x40000000 + SYS_getpid) > 0;
#else
    return false;
#endif
}
static bool can_read_others(void) {
    char byte;
    struct {
        void *p;
        size_t n;
    } local = {&byte, 1}, remote = {&byte, 1};
    return syscall(SYS_process_vm_readv, getppid(), &local, 1, &remote, 1, 0) == 1;
}
static bool can_send_elsewhere(void) {
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(9)};
    return sendto(0, "x", 1, 0, (struct sockaddr *)&in, sizeof in) == 1;
}
static bool can_unshare(void) {
    return unshare(0x10000000 /* CLONE_NEWUSER */) == 0;
}

static const struct {
    const char *name;
    bool (*attempt)(void);
    bool listener_may;
} attempts[] = {
    {"open", can_open, false},
    {"create", can_create, false},
    {"socket", can_make_socket, false},
    {"connect", can_connect, false},
    {"exec", can_exec, false},
    {"signal", can_signal, false},
    {"ptrace", can_trace, false},
    {"fork", can_fork, true},
    {"mmap exec", can_run_data, false},
    {"mprotect exec", can_make_executable, false},
    {"setuid", can_change_user, false},
    {"x32", can_use_x32, false},
    {"process_vm_readv", can_read_others, false},
    {"sendto", can_send_elsewhere, false},
    {"unshare", can_unshare, false},
};

// A gate as it is in the server: forked by a listener. Stands for both steps in the
// tests.
static const struct sandbox forked_gate = {.name = "forked gate"};

static enum err enter(const struct sandbox *s, const struct sandbox_identity *as,
                      struct fault *f) {
    struct sandbox_report report;
    if (s != &forked_gate)
        return sandbox_enter(s, as, &report, f);
    TRY(sandbox_enter(&sandbox_listener, as, &report, f));
    return sandbox_narrow(&sandbox_listener, &sandbox_gate, f);
}

// In a child: confined, then the attempt. 0: could; 1: failed; 255: killed; else trouble.
static int confined(const struct sandbox *s, uid_t uid, bool (*attempt)(void)) {
    pid_t pid = fork();
    if (pid == 0) {
        struct sandbox_identity as = {12345, 12345};
        struct fault f = {0};
        if (uid != 0 && (setgid(uid) != 0 || setuid(uid) != 0))
            _exit(7);
        if (enter(s, &as, &f) != OK) {
            fprintf(stderr, "%s\n", fault_text(&f));
            _exit(8);
        }
        _exit(attempt() ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFSIGNALED(status)) {
        assert_int_equal(WTERMSIG(status), SIGSYS);
        return 255;
    }
    return WEXITSTATUS(status);
}

static void each_attempt(const struct sandbox *s, uid_t uid) {
    for (size_t i = 0; i < sizeof attempts / sizeof attempts[0]; i++) {
        int result = confined(s, uid, attempts[i].attempt);
        bool may = s == &sandbox_listener && attempts[i].listener_may;
        if (may ? result != 0 : result != 1 && result != 255)
            fail_msg("%s in %s: %d", attempts[i].name, s->name, result);
    }
}

static void gate_can_do_nothing(void **state) {
    (void)state;
#ifdef UNDER_ASAN
    SKIP_UNLESS(false, "the sanitizer needs calls that the sandbox refuses");
#endif
    each_attempt(&sandbox_gate, 0);
    each_attempt(&forked_gate, 0);
    each_attempt(&sandbox_listener, 0);
}

static void as_an_ordinary_user(void **state) {
    (void)state;
#ifdef UNDER_ASAN
    SKIP_UNLESS(false, "the sanitizer needs calls that the sandbox refuses");
#endif
    SKIP_UNLESS(getuid() == 0, "needs root to become an ordinary user");
    each_attempt(&sandbox_gate, 4711);
    each_attempt(&forked_gate, 4711);
    each_attempt(&sandbox_listener, 4711);
}

// What a gate lives of: bytes, memory, waiting, rings, messages.
static int ring_fd, pair[2];
static bool works(void) {
    struct loop l;
    struct ring r;
    struct span room;
    uint8_t bytes[8];
    bool sent;
    struct view v = view_text("ok");
    struct unix_message m;
    void *p = malloc(300000);
    free(p);
    if (p == NULL || ring_map(&r, ring_fd, 65536, RING_CONSUMER) != OK ||
        ring_peek(&r, &room, NULL) != OK)
        return false;
    ring_unmap(&r);
    if (loop_init(&l) != OK || loop_turn(&l, 0) != OK)
        return false;
    struct pollfd wait = {.fd = pair[1], .events = POLLIN};
    return unix_send(pair[1], &v, 1, NULL, 0, &sent) == OK && sent &&
           poll(&wait, 1, 0) == 0 &&
           unix_recv(pair[1], (struct span){bytes, 8}, 1, &m) == OK && !m.ready &&
           getentropy(bytes, 8) == 0 && clock_ms() > 0;
}

static void gate_can_do_its_work(void **state) {
    (void)state;
#ifdef UNDER_ASAN
    SKIP_UNLESS(false, "the sanitizer needs calls that the sandbox refuses");
#endif
    assert_int_equal(ring_create(65536, &ring_fd), OK);
    assert_int_equal(unix_pair(pair, 0), OK);
    assert_int_equal(confined(&sandbox_gate, 0, works), 0);
    assert_int_equal(confined(&forked_gate, 0, works), 0);
    if (getuid() == 0)
        assert_int_equal(confined(&sandbox_gate, 4711, works), 0);
    close(ring_fd);
    close(pair[0]);
    close(pair[1]);
}

// A confined listener forks a gate that narrows itself.
static bool narrows(void) {
    pid_t pid = fork();
    if (pid == 0) {
        if (sandbox_narrow(&sandbox_listener, &sandbox_gate, NULL) != OK)
            _exit(5);
        fork();
        _exit(6);
    }
    int status;
    return waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) &&
           WTERMSIG(status) == SIGSYS;
}

static void listener_forks_gates(void **state) {
    (void)state;
#ifdef UNDER_ASAN
    SKIP_UNLESS(false, "the sanitizer needs calls that the sandbox refuses");
#endif
    assert_int_equal(confined(&sandbox_listener, 0, narrows), 0);
}

static void report_tells(void **state) {
    (void)state;
#ifdef UNDER_ASAN
    SKIP_UNLESS(false, "the sanitizer needs calls that the sandbox refuses");
#endif
    SKIP_UNLESS(getuid() == 0, "needs root");
    int p[2];
    struct sandbox_report report = {0};
    assert_int_equal(pipe(p), 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct sandbox_identity as = {12345, 12345};
        if (sandbox_enter(&sandbox_gate, &as, &report, NULL) == OK && geteuid() == 12345)
            (void)!write(p[1], &report, sizeof report);
        _exit(0);
    }
    close(p[1]);
    assert_int_equal(read(p[0], &report, sizeof report), sizeof report);
    assert_true(report.empty_root && report.seccomp && report.identity);
    print_message("namespaces %d, landlock %d\n", report.namespaces, report.landlock);
    close(p[0]);
    waitpid(pid, NULL, 0);
}

static void filter_limits(void **state) {
    (void)state;
    assert_true(sandbox_filter_size(&sandbox_gate) > 50);
    assert_true(sandbox_filter_size(&sandbox_listener) > 50);
    struct sock_filter small[10];
    assert_int_equal(sandbox_filter_build(&sandbox_gate, small, 10), 0);
}

// ---- the filter of a process that has one already ----

// What the filter says: enough of BPF for what sandbox_filter.c writes.
static uint32_t verdict(const struct sock_filter *code, const struct seccomp_data *d) {
    uint32_t a = 0;
    for (;; code++) {
        switch (code->code) {
        case BPF_LD | BPF_W | BPF_ABS:
            memcpy(&a, (const uint8_t *)d + code->k, sizeof a);
            break;
        case BPF_JMP | BPF_JEQ | BPF_K:
            code += a == code->k ? code->jt : code->jf;
            break;
        case BPF_JMP | BPF_JSET | BPF_K:
            code += (a & code->k) != 0 ? code->jt : code->jf;
            break;
        case BPF_JMP | BPF_JGE | BPF_K:
            code += a >= code->k ? code->jt : code->jf;
            break;
        case BPF_RET | BPF_K:
            return code->k;
        default:
            fail_msg("instruction %u", code->code);
        }
    }
}

// As the kernel takes the sterner of two; of two errors that of the later filter.
static uint32_t both(uint32_t first, uint32_t later) {
    uint32_t kinds[] = {SECCOMP_RET_KILL_PROCESS, SECCOMP_RET_ERRNO};
    for (size_t i = 0; i < 2; i++) {
        if ((later & SECCOMP_RET_ACTION_FULL) == kinds[i])
            return later;
        if ((first & SECCOMP_RET_ACTION_FULL) == kinds[i])
            return first;
    }
    return later;
}

static void difference_says_the_same(void **state) {
    (void)state;
    static struct sock_filter in[SANDBOX_FILTER_MAX], whole[SANDBOX_FILTER_MAX],
        short_one[SANDBOX_FILTER_MAX];
    assert_true(sandbox_filter_build(&sandbox_listener, in, SANDBOX_FILTER_MAX) > 0);
    size_t n = sandbox_filter_build(&sandbox_gate, whole, SANDBOX_FILTER_MAX);
    size_t less = sandbox_filter_difference(&sandbox_listener, &sandbox_gate, short_one,
                                            SANDBOX_FILTER_MAX);
    assert_true(less > 0 && less < n * 2 / 3);
    print_message("%zu instructions instead of %zu\n", less, n);
    size_t refused = 0;
    for (int nr = -1; nr < 600; nr++)
        for (size_t rule = 0; rule <= sandbox_listener.rules_n; rule++)
            for (unsigned argument = 0; argument < 6; argument++) {
                struct seccomp_data d = {.nr = nr, .arch = whole[1].k};
                if (rule < sandbox_listener.rules_n)
                    d.args[argument] = sandbox_listener.rules[rule].value;
                uint32_t first = verdict(in, &d);
                uint32_t want = both(first, verdict(whole, &d));
                if (both(first, verdict(short_one, &d)) != want)
                    fail_msg("call %d, argument %u = %llx", nr, argument,
                             (unsigned long long)d.args[argument]);
                refused += first == SECCOMP_RET_ALLOW && want != SECCOMP_RET_ALLOW;
            }
    assert_true(refused > 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(difference_says_the_same),
        cmocka_unit_test(gate_can_do_nothing),
        cmocka_unit_test(as_an_ordinary_user),
        cmocka_unit_test(gate_can_do_its_work),
        cmocka_unit_test(listener_forks_gates),
        cmocka_unit_test(report_tells),
        cmocka_unit_test(filter_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
