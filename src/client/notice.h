// The line that tells of a silent link: on the last line of the terminal of each session
// that has one, else once on standard error; never among a program's output.
//
// What stood on a terminal's last line is covered by it, and nobody here knows what that
// was. So the line of the cursor is moved up first, if it is the last, and the program is
// asked to paint anew afterwards: by a window that is a line lower for a moment.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"

struct run;
struct session;

struct notice {
    bool said;     // on standard error
    uint64_t due;  // clock_ms()
};

// Of one session's terminal.
enum notice_state {
    NOTICE_NONE,
    NOTICE_SHOWN,   // the link is silent
    NOTICE_OVER,    // it says that the link is back, until `due` or the next output
    NOTICE_REPAINT  // the program knows a smaller window until `due`
};

struct notice_line {
    enum notice_state state;
    uint64_t due;  // clock_ms(); CLOCK_NEVER: no deadline
};

// When the link has been silent since `since`.
void notice_start(struct notice *n, uint64_t since);
// Shows it when it is due; `why`: what went wrong last, may be "".
void notice_tick(struct notice *n, const struct run *r, uint64_t now, uint64_t since,
                 const char *why);
// It is over, well or not; `linked`: there is a link again.
void notice_end(struct notice *n, const struct run *r, uint64_t now, uint64_t since,
                bool linked);

// ---- for sessions ----
// Before the program's output is written: the last line is the program's again.
must_check enum err notice_make_way(struct session *s);
uint64_t notice_deadline(const struct session *s);
must_check enum err notice_turn(struct session *s, uint64_t now);
