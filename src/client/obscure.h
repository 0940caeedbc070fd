// ObscureKeystrokeTiming: while somebody types, what was typed leaves at fixed ticks, and
// where nothing was typed a ping of the same size does (ping@openssh.com), for a second
// or more after the last key; so that who watches the link sees neither when keys were
// pressed nor how many. Only with servers that answer pings.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct session;

struct obscure {
    bool active, sent;     // sent: typed bytes left since the last tick
    bool looked;           // what is typed was asked for in this turn of the loop
    uint64_t next, until;  // clock_ms(): the tick; the end of it all
};

// Input is read in the turn of the loop that begins, or only at the next tick.
bool obscure_reads_now(struct obscure *o);
uint64_t obscure_deadline(const struct obscure *o);
// n bytes of the session's input were just sent.
void obscure_sent(struct session *s, uint64_t n);
// Behind the reading: chaff, if it is time and nothing was there to be read.
must_check enum err obscure_tick(struct session *s);
