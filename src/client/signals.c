// Catching signals.
#include "client/signals.h"

#include <stddef.h>

static volatile sig_atomic_t got_resize, got_end;

// Until signals are caught nothing of ours is blocked.
static sigset_t waiting_mask;
static bool caught;

static void on_resize(int number) {
    (void)number;
    got_resize = 1;
}

static void on_end(int number) {
    got_end = number;
}

static void catch_one(int number, void (*handler)(int), sigset_t *blocked) {
    struct sigaction old, new = {.sa_handler = handler};
    sigemptyset(&new.sa_mask);
    if (sigaction(number, NULL, &old) == 0 && old.sa_handler == SIG_IGN)
        return;
    sigaction(number, &new, NULL);
    sigaddset(blocked, number);
}

void signals_catch(bool resize) {
    static const int ends[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT};
    sigset_t blocked;
    sigemptyset(&blocked);
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++)
        catch_one(ends[i], on_end, &blocked);
    if (resize)
        catch_one(SIGWINCH, on_resize, &blocked);
    sigprocmask(SIG_BLOCK, &blocked, caught ? NULL : &waiting_mask);
    caught = true;
}

void signals_release(void) {
    if (caught)
        sigprocmask(SIG_SETMASK, &waiting_mask, NULL);
}

const sigset_t *signals_waiting(void) {
    return &waiting_mask;
}

int signals_end(void) {
    return got_end;
}

bool signals_resized(void) {
    bool was = got_resize != 0;
    got_resize = 0;
    return was;
}
