// What a keeper is, over the exec of a reload: nothing that a listener does in that
// moment, and no part that cannot be read, ends the server.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
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

// ---- how connections ended ----

static struct keeper_end *ended(struct keeper *k, uint8_t handle, enum ends_class class,
                                const char *text) {
    struct keeper_end *e = &k->ends[k->ends_n++ % KEEPER_ENDS];
    *e = (struct keeper_end){.at = 1000u + handle, .uid = 7, .class = class};
    memset(e->handle, handle, sizeof e->handle);
    snprintf(e->text, sizeof e->text, "%s", text);
    return e;
}

// More than are kept, so that the oldest stands in the middle.
static void ends_pass(void **state) {
    (void)state;
    struct fault fault = {0};
    for (uint8_t i = 0; i < KEEPER_ENDS + 5; i++)
        ended(&before, i, i % ENDS_CLASSES, "until noon");
    assert_int_equal(keeper_handover_read(&after, written(), &fault), OK);
    assert_int_equal(after.ends_n, KEEPER_ENDS);
    for (uint8_t i = 0; i < KEEPER_ENDS; i++) {
        const struct keeper_end *e = &after.ends[i];
        assert_int_equal(e->at, 1005u + i);
        assert_int_equal(e->uid, 7);
        assert_int_equal(e->class, (i + 5) % ENDS_CLASSES);
        assert_int_equal(e->handle[KEEPER_HANDLE - 1], i + 5);
        assert_string_equal(e->text, "until noon");
    }
    assert_string_equal(said, "");
}

// The longest there is, in all places, fits.
static void ends_of_full_length(void **state) {
    (void)state;
    struct fault fault = {0};
    char text[sizeof before.ends[0].text];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    for (uint8_t i = 0; i < KEEPER_ENDS; i++)
        ended(&before, i, ENDS_REMOVED, text);
    assert_int_equal(keeper_handover_read(&after, written(), &fault), OK);
    assert_int_equal(after.ends_n, KEEPER_ENDS);
    assert_string_equal(after.ends[63].text, text);
}

static void put_end(struct writer *w, const char *class, size_t handle,
                    const char *more) {
    static const uint8_t zero[KEEPER_HANDLE + 1];
    uint8_t room[256];
    struct writer one = writer_to_span((struct span){room, sizeof room});
    write_u64(&one, 5);
    write_u32(&one, 6);
    write_text(&one, class);
    write_string(&one, view_of(zero, handle));
    write_text(&one, "words");
    write_bytes(&one, view_text(more));
    assert_int_equal(writer_end(&one), OK);
    write_string(w, view_of(room, one.n));
}

// A later version has classes and fields that are not known here; handles are as long as
// they are.
static void ends_of_other_versions(void **state) {
    (void)state;
    uint8_t room[1024];
    struct writer w = writer_to_span((struct span){room, sizeof room});
    put_end(&w, "weather", KEEPER_HANDLE, "a field of later");
    assert_int_equal(keeper_ends_read(&after, view_of(room, w.n)), OK);
    assert_int_equal(after.ends_n, 1);
    assert_int_equal(after.ends[0].class, ENDS_ERROR);
    assert_string_equal(after.ends[0].text, "words");
    for (size_t cut = 1; cut < w.n; cut++)
        assert_int_not_equal(keeper_ends_read(&after, view_of(room, cut)), OK);
    w = writer_to_span((struct span){room, sizeof room});
    put_end(&w, "exit", KEEPER_HANDLE + 1, "");
    assert_int_not_equal(keeper_ends_read(&after, view_of(room, w.n)), OK);
    assert_int_equal(after.ends_n, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_listener_that_is_ending, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_listener_that_drains, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_file_that_is_cut, set_up, tear_down),
        cmocka_unit_test_setup_teardown(ends_pass, set_up, tear_down),
        cmocka_unit_test_setup_teardown(ends_of_full_length, set_up, tear_down),
        cmocka_unit_test_setup_teardown(ends_of_other_versions, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
