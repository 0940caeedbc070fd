#include "io_test.h"

#include <fcntl.h>

#include "io/fd.h"
#include "io/loop.h"

struct counter {
    struct loop *loop;
    struct loop_watch *victim;
    int calls, fd;
    uint32_t ready;
};

static void count(void *arg, uint32_t ready) {
    struct counter *c = arg;
    c->calls++;
    c->ready = ready;
    if (c->victim != NULL)
        loop_unwatch(c->loop, c->victim);
}

static void watches_change_and_go(void **state) {
    (void)state;
    struct loop l;
    struct loop_watch w;
    struct counter c = {0};
    int p[2];
    assert_int_equal(loop_init(&l), OK);
    assert_int_equal(pipe(p), 0);
    assert_int_equal(loop_watch(&l, &w, p[0], LOOP_IN, count, &c), OK);
    assert_int_equal(loop_turn(&l, 0), OK);
    assert_int_equal(c.calls, 0);
    assert_int_equal(write(p[1], "x", 1), 1);
    assert_int_equal(loop_turn(&l, 0), OK);
    assert_int_equal(c.calls, 1);
    assert_int_equal(c.ready, LOOP_IN);
    assert_int_equal(loop_change(&l, &w, 0), OK);
    close(p[1]);
    assert_int_equal(loop_turn(&l, 0), OK);
    assert_int_equal(c.calls, 1);  // not even the hang-up
    assert_int_equal(loop_change(&l, &w, LOOP_IN), OK);
    assert_int_equal(loop_turn(&l, 0), OK);
    assert_int_equal(c.calls, 2);
    assert_int_equal(c.ready, LOOP_IN | LOOP_HUP);
    loop_unwatch(&l, &w);
    loop_unwatch(&l, &w);
    assert_false(loop_watches(&w));
    assert_int_equal(loop_turn(&l, 0), OK);
    assert_int_equal(c.calls, 2);
    close(p[0]);
    assert_int_not_equal(loop_watch(&l, &w, -1, LOOP_IN, count, &c), OK);
    assert_false(loop_watches(&w));
    loop_drop(&l);
    loop_drop(&l);
}

// Two ready watches, each of which removes the other: exactly one is called.
static void removal_within_a_batch(void **state) {
    (void)state;
    struct loop l;
    struct loop_watch *w[2] = {malloc(sizeof *w[0]), malloc(sizeof *w[1])};
    struct counter c[2] = {{&l, w[1], 0, 0, 0}, {&l, w[0], 0, 0, 0}};
    int p[2];
    assert_int_equal(loop_init(&l), OK);
    assert_int_equal(pipe(p), 0);
    int again = dup(p[1]);
    assert_int_equal(loop_watch(&l, w[0], p[1], LOOP_OUT, count, &c[0]), OK);
    assert_int_equal(loop_watch(&l, w[1], again, LOOP_OUT, count, &c[1]), OK);
    assert_int_equal(loop_turn(&l, 0), OK);
    assert_int_equal(c[0].calls + c[1].calls, 1);
    loop_drop(&l);
    free(w[0]);
    free(w[1]);
    close(p[0]);
    close(p[1]);
    close(again);
}

static void regular_files_are_ready(void **state) {
    (void)state;
    struct loop l;
    struct loop_watch w;
    struct counter c = {0};
    int fd = open("/etc/passwd", O_RDONLY);
    assert_int_equal(loop_init(&l), OK);
    assert_int_equal(loop_watch(&l, &w, fd, LOOP_IN, count, &c), OK);
    assert_int_equal(loop_turn(&l, -1), OK);
    assert_int_equal(loop_turn(&l, -1), OK);
    assert_int_equal(c.calls, 2);
    assert_int_equal(loop_change(&l, &w, 0), OK);
    assert_int_equal(loop_turn(&l, 0), OK);
    assert_int_equal(c.calls, 2);
    assert_int_equal(loop_change(&l, &w, LOOP_IN), OK);
    assert_int_equal(l.always_n, 1);
    loop_unwatch(&l, &w);
    assert_int_equal(l.always_n, 0);
    loop_drop(&l);
    close(fd);
}

#define TIMERS 200
static int order[TIMERS + 10], order_n;

struct alarm {
    struct loop_timer timer;
    struct loop *loop;
    int number;
};

static void ring(void *arg) {
    struct alarm *a = arg;
    order[order_n++] = a->number;
}

static void ring_again(void *arg) {
    struct alarm *a = arg;
    a->number++;
    assert_int_equal(loop_timer_set(a->loop, &a->timer, 0, ring_again, a), OK);
}

static void timers_in_order(void **state) {
    (void)state;
    struct loop l;
    static struct alarm a[TIMERS];
    assert_int_equal(loop_init(&l), OK);
    order_n = 0;
    for (int i = 0; i < TIMERS; i++) {
        int place = i * 37 % TIMERS;
        a[i] = (struct alarm){.number = place};
        assert_int_equal(
            loop_timer_set(&l, &a[i].timer, (uint64_t)(1000000 + place), ring, &a[i]),
            OK);
    }
    // Take each third out, bring the others into the past, in another order.
    for (int i = 0; i < TIMERS; i++) {
        if (i % 3 == 0)
            loop_timer_unset(&l, &a[i].timer);
        else
            assert_int_equal(
                loop_timer_set(&l, &a[i].timer, (uint64_t)a[i].number, ring, &a[i]), OK);
    }
    assert_int_equal(loop_turn(&l, 0), OK);
    assert_int_equal(order_n, TIMERS - (TIMERS + 2) / 3);
    for (int i = 1; i < order_n; i++)
        assert_true(order[i - 1] < order[i]);
    struct alarm self = {.loop = &l};
    assert_int_equal(loop_timer_set(&l, &self.timer, 0, ring_again, &self), OK);
    assert_int_equal(loop_turn(&l, 0), OK);
    assert_int_equal(self.number, 1);
    assert_int_equal(loop_timer_set(&l, &self.timer, CLOCK_NEVER, ring_again, &self), OK);
    assert_int_equal(l.timers, 0);
    struct alarm soon = {.loop = &l, .number = 7};
    uint64_t before = clock_ms();
    assert_int_equal(loop_timer_set(&l, &soon.timer, before + 30, ring, &soon), OK);
    order_n = 0;
    while (order_n == 0)
        assert_int_equal(loop_turn(&l, -1), OK);
    assert_true(clock_ms() >= before + 30);
    loop_drop(&l);
}

static int signals_seen;
static void on_signal(void *arg, int number) {
    signals_seen += number == SIGUSR1;
    loop_stop(arg);
}

static void signals_come_as_events(void **state) {
    (void)state;
    struct loop l;
    struct loop_signal s, t;
    sigset_t before, after;
    sigprocmask(SIG_BLOCK, NULL, &before);
    assert_int_equal(loop_init(&l), OK);
    assert_int_equal(loop_signal(&l, &s, SIGUSR1, on_signal, &l), OK);
    assert_int_equal(loop_signal(&l, &t, SIGUSR2, on_signal, &l), OK);
    kill(getpid(), SIGUSR1);
    assert_int_equal(loop_run(&l), OK);
    assert_int_equal(signals_seen, 1);
    loop_drop(&l);
    sigprocmask(SIG_BLOCK, NULL, &after);
    assert_int_equal(sigismember(&after, SIGUSR1), sigismember(&before, SIGUSR1));
    assert_int_equal(sigismember(&after, SIGUSR2), sigismember(&before, SIGUSR2));
}

static int child_status = -1;
static void on_exit_of_child(void *arg, int status) {
    child_status = status;
    loop_stop(arg);
}

static void children_are_reaped(void **state) {
    (void)state;
    struct loop l;
    struct loop_child c;
    size_t open = fd_count_open();
    assert_int_equal(loop_init(&l), OK);
    pid_t pid = fork();
    if (pid == 0)
        _exit(42);
    assert_int_equal(loop_child(&l, &c, pid, -1, on_exit_of_child, &l), OK);
    assert_int_equal(loop_run(&l), OK);
    assert_true(WIFEXITED(child_status));
    assert_int_equal(WEXITSTATUS(child_status), 42);
    assert_int_equal(waitpid(pid, NULL, WNOHANG), -1);
    pid = fork();
    if (pid == 0) {
        pause();
        _exit(0);
    }
    assert_int_equal(loop_child(&l, &c, pid, -1, on_exit_of_child, &l), OK);
    loop_drop(&l);
    assert_int_equal(fd_count_open(), open);
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

// A child drops its copy and makes its own; the parent's set is as it was.
static void fork_leaves_the_parent_alone(void **state) {
    (void)state;
    struct loop l;
    struct loop_watch w;
    struct counter c = {0};
    int p[2], status;
    assert_int_equal(loop_init(&l), OK);
    assert_int_equal(pipe(p), 0);
    assert_int_equal(loop_watch(&l, &w, p[0], LOOP_IN, count, &c), OK);
    pid_t pid = fork();
    if (pid == 0) {
        loop_drop(&l);
        bool good = loop_init(&l) == OK && !loop_watches(&w) &&
                    loop_watch(&l, &w, p[1], LOOP_OUT, count, &c) == OK &&
                    loop_turn(&l, 0) == OK && c.calls == 1;
        loop_drop(&l);
        _exit(good ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_int_equal(write(p[1], "x", 1), 1);
    assert_int_equal(loop_turn(&l, 0), OK);
    assert_int_equal(c.calls, 1);
    loop_drop(&l);
    close(p[0]);
    close(p[1]);
}

static void drop_the_loop(void *arg, uint32_t ready) {
    (void)ready;
    loop_drop(arg);
}

static void dropped_in_a_callback(void **state) {
    (void)state;
    struct loop l;
    struct loop_watch w, v;
    assert_int_equal(loop_init(&l), OK);
    assert_int_equal(
        loop_watch(&l, &w, open("/etc/passwd", O_RDONLY), LOOP_IN, drop_the_loop, &l),
        OK);
    assert_int_equal(
        loop_watch(&l, &v, open("/etc/passwd", O_RDONLY), LOOP_IN, drop_the_loop, &l),
        OK);
    int fds[] = {w.fd, v.fd};
    assert_int_equal(loop_turn(&l, 0), OK);
    assert_false(loop_watches(&w));
    close(fds[0]);
    close(fds[1]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(watches_change_and_go),
        cmocka_unit_test(removal_within_a_batch),
        cmocka_unit_test(regular_files_are_ready),
        cmocka_unit_test(timers_in_order),
        cmocka_unit_test(signals_come_as_events),
        cmocka_unit_test(children_are_reaped),
        cmocka_unit_test(fork_leaves_the_parent_alone),
        cmocka_unit_test(dropped_in_a_callback),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
