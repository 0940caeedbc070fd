// How much bulk data may be under way beside somebody who types.
//
// A window lets megabytes queue in a peer that is slower than the path, and each
// keystroke's echo waits behind them. So a probe (a channel request that wants a reply,
// which a peer answers in its place in the channel) goes behind every PACE_PROBE bytes,
// and its answer tells what the peer has dealt with and how long that took. What is over
// the shortest time seen is queue: a long one makes the limit smaller, a short one that
// held the sender back makes it larger, up to whatever the path carries.
//
// Times are microseconds of a monotonic clock.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PACE_PROBE (64u * 1024u)   // bytes between two probes, at least
#define PACE_LEAST (192u * 1024u)  // may always be under way
#define PACE_PROBES 16u            // unanswered

struct pace {
    uint64_t sent, answered;   // bytes put on the way; of these known to have been taken
    uint64_t probed;           // sent, at the last probe
    uint64_t limit;            // bytes that may be under way
    uint64_t least, least_at;  // the shortest answer, and when it came
    uint64_t shrunk_at;
    bool held;  // the limit held the sender back since the last answer
    bool off;   // the peer does not answer: no limit any more
    unsigned first, n;
    struct {
        uint64_t sent, at;
    } probes[PACE_PROBES];
};

void pace_init(struct pace *p);
// Bytes that may be sent now.
uint64_t pace_room(struct pace *p);
// n bytes went. True: a probe is due behind them; when it is on its way: pace_probed().
bool pace_sent(struct pace *p, size_t n);
void pace_probed(struct pace *p, uint64_t now);
// The oldest probe was answered. Nothing happens if none is out.
void pace_answered(struct pace *p, uint64_t now);
// To be called from time to time while it holds the sender back: a peer that leaves
// probes unanswered for PACE_PATIENCE is not held to any pace.
#define PACE_PATIENCE 2000000u
void pace_tick(struct pace *p, uint64_t now);
