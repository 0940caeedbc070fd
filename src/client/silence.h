// Whether a link that can be replaced is still alive (resume-v1@bowline): asked with
// pings of our own where ServerAliveInterval asks for none.
//
// Two reasons to ask: something that was sent is not confirmed for half our patience, or
// nothing was heard for a minute, which is below what boxes between forget connections
// after. What stays unanswered leads to another link, never to an end.
#pragma once

#include "base/err.h"
#include "io/changes.h"

struct run;

struct silence {
    struct changes changes;
    uint64_t settle;   // clock_ms(): what only a connection that lasts is worth; 0: not
                       // begun; CLOCK_NEVER: done
    uint64_t waiting;  // something is unconfirmed since; 0: nothing
    uint64_t probe;    // asked at; 0: not
    uint64_t read;     // link.read then
    uint64_t since;    // of what it was asked about
    uint64_t wait_ms;  // for its answer
    uint32_t rtt_ms;   // of the link, rounded up
};

void silence_init(struct silence *s);
void silence_close(struct silence *s);
// Looks at what was sent and came; before each wait.
void silence_note(struct run *r, uint64_t now);
uint64_t silence_deadline(const struct run *r);
must_check enum err silence_tick(struct run *r, uint64_t now);
// Something has changed (io/changes.h): is the link still there?
must_check enum err silence_hurry(struct run *r, uint64_t now);
