// Changes of this machine's place in the world: addresses and routes (rtnetlink), and
// waking up from sleep (the wall clock jumps against the monotonic one). What exactly has
// changed is not told: whoever waits for a peer looks anew.
#pragma once

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>

#define CHANGES_POLLS 2

struct changes {
    int netlink, clock;  // -1: the system does not tell
};

#define CHANGES_NONE ((struct changes){-1, -1})

// What cannot be watched is not, which is no error.
void changes_open(struct changes *c);
void changes_close(struct changes *c);
// Fills CHANGES_POLLS entries.
void changes_poll(const struct changes *c, struct pollfd *p);
// Something has changed since the last call.
bool changes_take(struct changes *c, const struct pollfd *p);
