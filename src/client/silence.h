// Whether a link that can be replaced is still alive (resume-v1@bowline): asked with
// pings of our own where ServerAliveInterval asks for none.
//
// Two reasons to ask: something that was sent is not confirmed for half our patience, or
// nothing was heard for as long as the way bears, which is learned (idle_memory.h). What
// stays unanswered leads to another link, never to an end.
//
// A link that cannot be replaced (a stock server's, Resume no) is asked for the second
// reason alone, so that boxes between do not forget it; nothing follows from silence, and
// the system waits for the answer as long as TCP's keepalive would (TCP_USER_TIMEOUT), so
// that an outage that it would have outlived unasked does not end it.
//
// Whoever sets ServerAliveInterval has keepalive.c instead; set to 0, nobody asks for the
// second reason.
#pragma once

#include "base/err.h"
#include "client/idle_memory.h"
#include "client/patience.h"
#include "io/changes.h"
#include "io/route.h"

struct run;

struct silence {
    struct changes changes;
    struct route_way way;  // of the link, where it is no program's
    uint64_t settle;   // clock_ms(): what only a connection that lasts is worth; 0: not
                       // begun; CLOCK_NEVER: done
    uint64_t waiting;  // something is unconfirmed since; 0: nothing
    uint64_t probe;    // asked at; 0: not
    uint64_t read;     // link.read then
    uint64_t since;    // of what it was asked about
    uint64_t wait_ms;  // for its answer
    bool changed;      // the network has, since an answer came
    struct patience_path path;  // of the link, when it was looked at last
    struct patience patience;
    struct idle_memory memory;
    uint64_t idle_s;     // of silence before the probe that is not answered; 0: it tells
                         // nothing of the way's limit
    uint64_t asleep_ms;  // of this machine, up to the last probe
};

void silence_init(struct silence *s);
void silence_close(struct silence *s);
// Looks at what was sent and came; before each wait.
void silence_note(struct run *r, uint64_t now);
uint64_t silence_deadline(const struct run *r);
must_check enum err silence_tick(struct run *r, uint64_t now);
// A silence has begun that another link may end: when to dial it, which is to be asked
// again then.
void silence_begins(struct run *r, uint64_t now);
uint64_t silence_due(struct run *r, uint64_t since, uint64_t now);
// Between attempts, beside what they cost anyway.
uint64_t silence_pause_ms(const struct run *r);
// patience_dial_ms().
uint64_t silence_dial_ms(const struct run *r, unsigned dials, uint64_t silent_ms);
// The link spoke again; dialled: another one was under way.
void silence_spoke(struct run *r, bool dialled, uint64_t now);
// The link, silent since then, is let go of, and another one is about to take over.
void silence_replaced(struct run *r, uint64_t since, uint64_t now);
// Another link took over, by the first attempt or by a later one.
void silence_resumed(struct run *r, bool first);
// The link has ended for good.
void silence_ended(const struct run *r);
// Something has changed (io/changes.h): is the link still there? What does not touch its
// way is none of its business: on some machines networks come and go all day.
must_check enum err silence_changed(struct run *r, const struct changes_seen *seen,
                                    uint64_t now);
