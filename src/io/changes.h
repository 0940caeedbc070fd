// Changes of this machine's place in the world: addresses and routes (rtnetlink), and
// waking up from sleep (the wall clock jumps against the monotonic one). What exactly has
// changed is not told: whoever waits for a peer looks anew (io/route.h).
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
// What has changed since the last call.
struct changes_seen {
    bool network;  // some address or route
    bool awake;    // the machine was asleep, or its clock was set
};
struct changes_seen changes_take(struct changes *c, const struct pollfd *p);
