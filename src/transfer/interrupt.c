#include "transfer/interrupt.h"

#include <signal.h>
#include <stddef.h>
#include <unistd.h>

#define CHILDREN 4  // two ssh at most, and a command of the person's

static volatile sig_atomic_t came, held;
static volatile pid_t children[CHILDREN];
static bool ends_at_once;

static void end_all(void) {
    for (size_t i = 0; i < CHILDREN; i++)
        if (children[i] > 0)
            kill(children[i], SIGTERM);
    _exit(1);
}

static void note(int number) {
    if (number == SIGINT && held)
        return;
    if (number != SIGINT || ends_at_once || came)
        end_all();
    came = 1;
}

void interrupt_watch(bool ends) {
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
    // Without SA_RESTART: a wait ends with EINTR, so that the flag is seen.
    struct sigaction act = {.sa_handler = note}, old;
    ends_at_once = ends;
    sigemptyset(&act.sa_mask);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        if (sigaction(numbers[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
            sigaction(numbers[i], &act, NULL);
}

bool interrupted(void) {
    return came != 0;
}

void interrupt_clear(void) {
    came = 0;
}

void interrupt_hold(bool on) {
    held = on;
}

void interrupt_child(pid_t pid, bool alive) {
    for (size_t i = 0; i < CHILDREN; i++) {
        if (children[i] != (alive ? 0 : pid))
            continue;
        children[i] = alive ? pid : 0;
        return;
    }
}
