// The line that tells of a silent link: on the last line of the terminal of a session
// that has one, else once on standard error; never among a program's output.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

struct run;

struct notice {
    bool shown;
    bool on_terminal;
    uint64_t due;  // clock_ms()
};

// When the link has been silent since `since`.
void notice_start(struct notice *n, uint64_t since);
// Shows it when it is due; `why`: what went wrong last, may be "".
void notice_tick(struct notice *n, const struct run *r, uint64_t now, uint64_t since,
                 const char *why);
// It is over, well or not; `resumed`: there is a new link.
void notice_end(struct notice *n, const struct run *r, uint64_t now, uint64_t since,
                bool resumed);
