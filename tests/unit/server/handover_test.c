// What a keeper is, over the exec of a reload: nothing that a listener does in that
// moment, and no part that cannot be read, ends the server.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/limits.h"
#include "io/clock.h"
#include "io/fd.h"
#include "server/keeper.h"

static const struct keeper_options options = {.inetd = false};
static struct keeper before, after;
static char said[1024];

static void hear(void *sink, enum log_level level, const char *text) {
    (void)sink;
    (void)level;
    strncat(said, text, sizeof said - strlen(said) - 1);
}

static int set_up(void **state) {
    (void)state;
    memset(&before, 0, sizeof before);
    memset(&after, 0, sizeof after);
    said[0] = '\0';
    before.options = after.options = &options;
    after.log = (struct log){.level = LOG_LEVEL_INFO, .write = hear};
    return loop_init(&before.loop) == OK && loop_init(&after.loop) == OK ? 0 : -1;
}

static int tear_down(void **state) {
    (void)state;
    loop_drop(&before.loop);
    loop_drop(&after.loop);
    free(before.listeners);
    free(after.listeners);
    free(after.folder);
    return 0;
}

static void nothing(void *arg, int status) {
    (void)arg;
    (void)status;
}

// A listener's process, which lives until it is killed; fd -1: it has closed its socket.
static pid_t listener(int fd) {
    struct keeper_listener *l = calloc(1, sizeof *l);
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;)
            pause();
    }
    assert_true(l != NULL && pid > 0);
    l->keeper = &before;
    l->fd = fd;
    l->serial = 1;
    assert_int_equal(loop_child(&before.loop, &l->exit, pid, -1, nothing, l), OK);
    before.listeners = l;
    return pid;
}

static int written(void) {
    struct fault fault = {0};
    int fd = keeper_handover_write(&before, &fault);
    assert_true(fd >= 0);
    return fd;
}

static void end(pid_t pid) {
    assert_int_equal(kill(pid, SIGKILL), 0);
    uint64_t until = clock_ms() + 10000;
    while (kill(pid, 0) == 0 && clock_ms() < until)
        assert_int_equal(loop_turn(&after.loop, 100), OK);
    assert_int_equal(waitpid(pid, NULL, WNOHANG), -1);  // reaped, by the new keeper
    assert_int_equal(errno, ECHILD);
}

// Between the end of its socket and that of its process.
static void a_listener_that_is_ending(void **state) {
    (void)state;
    struct fault fault = {0};
    pid_t pid = listener(-1);
    assert_int_equal(keeper_handover_read(&after, written(), &fault), OK);
    assert_null(after.listeners);
    assert_string_equal(said, "");
    end(pid);
}

// One that has links: what it is, and what it has not read yet.
static void a_listener_that_drains(void **state) {
    (void)state;
    struct fault fault = {0};
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    pid_t pid = listener(ends[0]);
    struct keeper_listener *old = before.listeners;
    old->forks = 7;
    old->pending = 3;
    buf_init(&old->outbox.waiting, LIMIT_IPC_WAITING);
    assert_int_equal(buf_append(&old->outbox.waiting, view_text("what waits")), OK);
    assert_int_equal(keeper_handover_read(&after, written(), &fault), OK);
    struct keeper_listener *l = after.listeners;
    assert_non_null(l);
    assert_int_equal(l->fd, ends[0]);
    assert_int_equal(l->serial, 1);
    assert_int_equal(l->forks, 7);
    assert_int_equal(l->pending, 3);
    assert_true(view_is(buf_view(&l->outbox.waiting), "what waits"));
    assert_string_equal(said, "");
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    ipc_outbox_free(&old->outbox);
    ipc_outbox_free(&l->outbox);
    close(ends[0]);
    close(ends[1]);
}

// Cut anywhere, the file is taken as far as it goes.
static void a_file_that_is_cut(void **state) {
    (void)state;
    int whole = written();
    off_t n = lseek(whole, 0, SEEK_END);
    assert_true(n > 8);
    for (off_t cut = 1; cut < n; cut++) {
        struct fault fault = {0};
        uint8_t bytes[4096];
        int part = memfd_create("part", 0);
        assert_true(cut <= (off_t)sizeof bytes);
        assert_int_equal(pread(whole, bytes, (size_t)cut, 0), cut);
        assert_int_equal(write(part, bytes, (size_t)cut), cut);
        said[0] = '\0';
        assert_int_equal(keeper_handover_read(&after, part, &fault), OK);
        assert_non_null(strstr(said, "is not usable"));
    }
    close(whole);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_listener_that_is_ending, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_listener_that_drains, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_file_that_is_cut, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
