#include "transfer/interrupt.h"

#include <signal.h>
#include <stddef.h>

static volatile sig_atomic_t came;

static void note(int number) {
    (void)number;
    came = 1;
}

void interrupt_watch(void) {
    // Without SA_RESTART: a wait ends with EINTR, so that the flag is seen.
    struct sigaction act = {.sa_handler = note};
    sigemptyset(&act.sa_mask);
    sigaction(SIGINT, &act, NULL);
}

bool interrupted(void) {
    return came != 0;
}

void interrupt_clear(void) {
    came = 0;
}
