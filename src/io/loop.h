// The event loop: epoll, a timer heap, signals by signalfd, child exits by pidfd.
//
// Watches, timers, signals and children are structs of the caller, put into the loop and
// taken out again; the loop allocates only the timer heap. Each may be taken out (and
// freed) from within any callback, its own included: it is not called afterwards, not
// even for events already fetched. A watch must be taken out before its descriptor is
// closed.
//
// Fork: a child calls loop_drop() on its copy (which closes the child's descriptors and
// touches nothing of the parent's) and loop_init() again, if it wants one.
#pragma once

#include <signal.h>
#include <sys/types.h>

#include "base/bytes.h"
#include "base/err.h"
#include "io/clock.h"

// Events: the values of EPOLLIN and so on.
#define LOOP_IN 0x001u
#define LOOP_OUT 0x004u
#define LOOP_ERR 0x008u     // always reported
#define LOOP_HUP 0x010u     // always reported while the watch has any event
#define LOOP_RDHUP 0x2000u  // the peer has shut down its writing side

struct loop;

struct loop_watch {
    void (*fn)(void *arg, uint32_t ready);
    void *arg;
    int fd;
    uint32_t events;
    bool always;  // a regular file: epoll refuses it, it is always ready
    bool in_epoll;
    struct loop_watch *next, *prev;  // in loop->watches; prev NULL: not in a loop
};

struct loop_timer {
    void (*fn)(void *arg);
    void *arg;
    uint64_t deadline;  // clock_ms()
    size_t place;       // index in the heap + 1; 0: not set
};

struct loop_signal {
    void (*fn)(void *arg, int number);
    void *arg;
    int number;
    struct loop_signal *next;
};

struct loop_child {
    // status as waitpid(2) gives it; the process is reaped and the watch already taken
    // out.
    void (*fn)(void *arg, int status);
    void *arg;
    pid_t pid;
    int pidfd;  // owned by the loop while the child is in it
    struct loop *loop;
    struct loop_watch watch;
};

struct loop {
    int epoll, signalfd;
    bool stopped;
    struct loop_watch watches;  // list head
    struct loop_timer **heap;
    size_t timers, heap_room;
    struct loop_signal *signals;
    sigset_t wanted, before;  // blocked by us; the mask found at loop_init()
    struct loop_watch signal_watch;
    struct loop_watch *
        *fetched;  // the batch being dispatched, so that removal can blank it
    size_t fetched_n;
    size_t always_n;  // watches of regular files with events
};

must_check enum err loop_init(struct loop *l);

// Takes everything out (children are neither killed nor reaped, their pidfds are closed),
// closes the descriptors, restores the signal mask. Also of a zeroed loop.
void loop_drop(struct loop *l);

// Watches fd for `events` (may be 0: nothing is reported, not even LOOP_HUP). Regular
// files and directories are allowed: they are always ready. One watch for each
// descriptor. fn, arg are kept.
must_check enum err loop_watch(struct loop *l, struct loop_watch *w, int fd,
                               uint32_t events, void (*fn)(void *arg, uint32_t ready),
                               void *arg);
// Changes the events; costs nothing when they are the same.
must_check enum err loop_change(struct loop *l, struct loop_watch *w, uint32_t events);
// Also of one that is not in the loop (zeroed).
void loop_unwatch(struct loop *l, struct loop_watch *w);
static inline bool loop_watches(const struct loop_watch *w) {
    return w->prev != NULL;
}

// Calls fn once when clock_ms() reaches the deadline; set again moves it; CLOCK_NEVER
// unsets. The struct must be zeroed before its first use.
must_check enum err loop_timer_set(struct loop *l, struct loop_timer *t,
                                   uint64_t deadline, void (*fn)(void *arg), void *arg);
void loop_timer_unset(struct loop *l, struct loop_timer *t);

// Blocks the signal and has it reported. One struct for each number. SIGCHLD is not
// needed.
must_check enum err loop_signal(struct loop *l, struct loop_signal *s, int number,
                                void (*fn)(void *arg, int number), void *arg);

// Has the exit of a child of this process reported, and reaps it. pidfd -1: one is
// opened; otherwise it passes to the loop.
must_check enum err loop_child(struct loop *l, struct loop_child *c, pid_t pid, int pidfd,
                               void (*fn)(void *arg, int status), void *arg);
// Forgets it unreaped, and closes the pidfd.
void loop_unchild(struct loop *l, struct loop_child *c);

// One wait and one batch of callbacks; waits at most max_ms (-1: no limit).
must_check enum err loop_turn(struct loop *l, int max_ms);

// Turns until loop_stop(). ERR_IO if waiting fails.
must_check enum err loop_run(struct loop *l);
void loop_stop(struct loop *l);
