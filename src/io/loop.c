// The event loop. Invariant while a batch runs: l->fetched[i] is the watch of event i, or
// NULL when it was taken out since the batch was fetched; so nothing freed is ever
// called.
#include "io/loop.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io/fault_errno.h"
#include "io/fd.h"

#define BATCH 64
#define TIMERS_MAX 65536u

_Static_assert(LOOP_IN == EPOLLIN && LOOP_OUT == EPOLLOUT && LOOP_ERR == EPOLLERR &&
                   LOOP_HUP == EPOLLHUP && LOOP_RDHUP == EPOLLRDHUP,
               "events are epoll's");

static void on_child(void *arg, uint32_t ready);

enum err loop_init(struct loop *l) {
    memset(l, 0, sizeof *l);
    l->watches.next = l->watches.prev = &l->watches;
    l->signalfd = -1;
    sigemptyset(&l->wanted);
    sigprocmask(SIG_BLOCK, NULL, &l->before);
    l->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (l->epoll < 0) {
        enum err e = err_of_errno(errno);
        l->watches.prev = NULL;
        return e;
    }
    return OK;
}

static void forget_watch(struct loop *l, struct loop_watch *w) {
    for (size_t i = 0; i < l->fetched_n; i++)
        if (l->fetched[i] == w)
            l->fetched[i] = NULL;
    if (w->always && w->events != 0)
        l->always_n--;
    w->prev->next = w->next;
    w->next->prev = w->prev;
    w->next = w->prev = NULL;
    w->in_epoll = false;
}

void loop_drop(struct loop *l) {
    if (l->watches.prev == NULL)
        return;
    // No EPOLL_CTL_DEL here: in a forked child it would reach into the parent's set.
    while (l->watches.next != &l->watches) {
        struct loop_watch *w = l->watches.next;
        forget_watch(l, w);
        if (w->fn == on_child)
            fd_close(&((struct loop_child *)w->arg)->pidfd);
    }
    for (size_t i = 0; i < l->timers; i++)
        l->heap[i]->place = 0;
    free(l->heap);
    fd_close(&l->epoll);
    fd_close(&l->signalfd);
    sigprocmask(SIG_SETMASK, &l->before, NULL);
    memset(l, 0, sizeof *l);
}

enum err loop_watch(struct loop *l, struct loop_watch *w, int fd, uint32_t events,
                    void (*fn)(void *arg, uint32_t ready), void *arg) {
    *w = (struct loop_watch){.fn = fn, .arg = arg, .fd = fd};
    w->next = &l->watches;
    w->prev = l->watches.prev;
    w->prev->next = l->watches.prev = w;
    enum err e = loop_change(l, w, events);
    if (e != OK)
        forget_watch(l, w);
    return e;
}

// A watch without events leaves the epoll set: else a hang-up would be reported for ever.
enum err loop_change(struct loop *l, struct loop_watch *w, uint32_t events) {
    if (events == w->events)
        return OK;
    if (w->always) {
        l->always_n += (size_t)(events != 0) - (size_t)(w->events != 0);
        w->events = events;
        return OK;
    }
    struct epoll_event event = {.events = events, .data.ptr = w};
    int op = events == 0 ? EPOLL_CTL_DEL : w->in_epoll ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
    if (epoll_ctl(l->epoll, op, w->fd, &event) != 0) {
        if (errno != EPERM || op != EPOLL_CTL_ADD)
            return err_of_errno(errno);
        w->always = true;
        l->always_n++;
    } else {
        w->in_epoll = events != 0;
    }
    w->events = events;
    return OK;
}

void loop_unwatch(struct loop *l, struct loop_watch *w) {
    if (w->prev == NULL)
        return;
    if (w->in_epoll)
        epoll_ctl(l->epoll, EPOLL_CTL_DEL, w->fd, NULL);
    forget_watch(l, w);
}

static void heap_put(struct loop *l, size_t at, struct loop_timer *t) {
    l->heap[at] = t;
    t->place = at + 1;
}

static void heap_up(struct loop *l, size_t at) {
    struct loop_timer *t = l->heap[at];
    while (at > 0 && l->heap[(at - 1) / 2]->deadline > t->deadline) {
        heap_put(l, at, l->heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    heap_put(l, at, t);
}

static void heap_down(struct loop *l, size_t at) {
    struct loop_timer *t = l->heap[at];
    for (;;) {
        size_t kid = 2 * at + 1;
        if (kid >= l->timers)
            break;
        if (kid + 1 < l->timers && l->heap[kid + 1]->deadline < l->heap[kid]->deadline)
            kid++;
        if (l->heap[kid]->deadline >= t->deadline)
            break;
        heap_put(l, at, l->heap[kid]);
        at = kid;
    }
    heap_put(l, at, t);
}

static enum err heap_grow(struct loop *l) {
    if (l->timers < l->heap_room)
        return OK;
    if (l->timers >= TIMERS_MAX)
        return ERR_LIMIT;
    size_t room = l->heap_room == 0 ? 4 : l->heap_room * 2;
    struct loop_timer **heap = realloc(l->heap, room * sizeof *heap);
    if (heap == NULL)
        return ERR_MEMORY;
    l->heap = heap;
    l->heap_room = room;
    return OK;
}

enum err loop_timer_set(struct loop *l, struct loop_timer *t, uint64_t deadline,
                        void (*fn)(void *arg), void *arg) {
    if (deadline == CLOCK_NEVER) {
        loop_timer_unset(l, t);
        return OK;
    }
    t->fn = fn;
    t->arg = arg;
    if (t->place == 0) {
        TRY(heap_grow(l));
        t->deadline = deadline;
        heap_put(l, l->timers++, t);
        heap_up(l, t->place - 1);
        return OK;
    }
    t->deadline = deadline;
    heap_up(l, t->place - 1);
    heap_down(l, t->place - 1);
    return OK;
}

void loop_timer_unset(struct loop *l, struct loop_timer *t) {
    if (t->place == 0)
        return;
    size_t at = t->place - 1;
    t->place = 0;
    struct loop_timer *last = l->heap[--l->timers];
    if (last == t)
        return;
    heap_put(l, at, last);
    heap_up(l, at);
    heap_down(l, last->place - 1);
}

static void run_timers(struct loop *l) {
    // Those set by the callbacks themselves wait for the next turn, or a timer that sets
    // itself at once would starve the rest.
    uint64_t now = clock_ms();
    for (size_t most = l->timers; most > 0 && l->timers > 0; most--) {
        struct loop_timer *t = l->heap[0];
        if (t->deadline > now)
            break;
        loop_timer_unset(l, t);
        t->fn(t->arg);
    }
}

static void on_signals(void *arg, uint32_t ready) {
    struct loop *l = arg;
    struct signalfd_siginfo info;
    (void)ready;
    if (read(l->signalfd, &info, sizeof info) != (ssize_t)sizeof info)
        return;
    for (struct loop_signal *s = l->signals; s != NULL; s = s->next) {
        if (s->number == (int)info.ssi_signo) {
            s->fn(s->arg, s->number);
            return;
        }
    }
}

static enum err signals_changed(struct loop *l) {
    int fd = signalfd(l->signalfd, &l->wanted, SFD_CLOEXEC | SFD_NONBLOCK);
    if (fd < 0)
        return err_of_errno(errno);
    if (l->signalfd >= 0)
        return OK;
    l->signalfd = fd;
    return loop_watch(l, &l->signal_watch, fd, LOOP_IN, on_signals, l);
}

static void block(int number) {
    sigset_t one;
    sigemptyset(&one);
    sigaddset(&one, number);
    sigprocmask(SIG_BLOCK, &one, NULL);
}

enum err loop_signal(struct loop *l, struct loop_signal *s, int number,
                     void (*fn)(void *arg, int number), void *arg) {
    *s = (struct loop_signal){.fn = fn, .arg = arg, .number = number};
    sigaddset(&l->wanted, number);
    block(number);
    enum err e = signals_changed(l);
    if (e != OK) {
        sigdelset(&l->wanted, number);
        return e;
    }
    s->next = l->signals;
    l->signals = s;
    return OK;
}

static void on_child(void *arg, uint32_t ready) {
    struct loop_child *c = arg;
    int status = 0;
    (void)ready;
    pid_t got = waitpid(c->pid, &status, WNOHANG);
    if (got == 0 || (got < 0 && errno == EINTR))
        return;
    loop_unchild(c->loop, c);
    // Somebody else has reaped it: an end without a known status.
    c->fn(c->arg, got < 0 ? 255 << 8 : status);
}

enum err loop_child(struct loop *l, struct loop_child *c, pid_t pid, int pidfd,
                    void (*fn)(void *arg, int status), void *arg) {
    if (pidfd < 0)
        pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (pidfd < 0)
        return err_of_errno(errno);
    *c = (struct loop_child){.fn = fn, .arg = arg, .pid = pid, .pidfd = pidfd, .loop = l};
    return loop_watch(l, &c->watch, pidfd, LOOP_IN, on_child, c);
}

void loop_unchild(struct loop *l, struct loop_child *c) {
    if (!loop_watches(&c->watch))
        return;
    loop_unwatch(l, &c->watch);
    fd_close(&c->pidfd);
}

// How long this turn may wait.
static int wait_ms(const struct loop *l, int max_ms) {
    if (l->always_n > 0)
        return 0;
    if (l->timers == 0)
        return max_ms;
    int ms = clock_poll_ms(clock_ms(), l->heap[0]->deadline);
    return max_ms >= 0 && max_ms < ms ? max_ms : ms;
}

// Regular files join the batch behind what epoll reported.
static size_t add_always(struct loop *l, struct loop_watch **batch, uint32_t *ready,
                         size_t n) {
    if (l->always_n == 0)
        return n;
    for (struct loop_watch *w = l->watches.next; w != &l->watches && n < BATCH;
         w = w->next) {
        if (w->always && w->events != 0) {
            batch[n] = w;
            ready[n++] = w->events & (LOOP_IN | LOOP_OUT);
        }
    }
    return n;
}

enum err loop_turn(struct loop *l, int max_ms) {
    struct epoll_event events[BATCH / 2];
    struct loop_watch *batch[BATCH];
    uint32_t ready[BATCH];
    int got = epoll_wait(l->epoll, events, BATCH / 2, wait_ms(l, max_ms));
    if (got < 0 && errno != EINTR)
        return err_of_errno(errno);
    size_t n = 0;
    for (; (int)n < got; n++) {
        batch[n] = events[n].data.ptr;
        ready[n] = events[n].events;
    }
    n = add_always(l, batch, ready, n);
    l->fetched = batch;
    l->fetched_n = n;
    for (size_t i = 0; i < n; i++) {
        struct loop_watch *w = batch[i];
        uint32_t now = w == NULL ? 0 : ready[i] & (w->events | LOOP_ERR | LOOP_HUP);
        // Its events may have been changed since by another callback of this batch.
        if (now != 0 && w->events != 0)
            w->fn(w->arg, now);
        if (l->fetched != batch)
            return OK;  // the loop was dropped in a callback
    }
    l->fetched = NULL;
    l->fetched_n = 0;
    run_timers(l);
    return OK;
}

enum err loop_run(struct loop *l) {
    // Not reset at the start: a stop while things were being set up counts.
    while (!l->stopped)
        TRY(loop_turn(l, -1));
    l->stopped = false;
    return OK;
}

void loop_stop(struct loop *l) {
    l->stopped = true;
}
