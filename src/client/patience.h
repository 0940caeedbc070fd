// How long a silent link is waited for before another one is dialled, and for how long
// that is tried. Sans-IO: times are milliseconds of any monotonic clock.
//
// A link that is dead is given up after three seconds. One that is only slow brings its
// data by itself, as TCP sends it again and again; a dial beside it is one more load on a
// poor path. So patience follows what TCP knows: it lasts for as long as TCP's first
// three tries would take, more of them on a path that loses more. Where the other end's
// TCP still answers, the path is alive, and only after four times as long it is believed
// that nobody stands behind it. A dial that turned out needless, since the old link spoke
// after all, doubles patience; quiet minutes halve it again.
//
// A network that has changed has no use for patience; that is not asked here.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define PATIENCE_LEAST_MS 3000u
#define PATIENCE_RTTS 4u  // at least, where that is longer
// From then on a host that does not answer is dialled as seldom as one that refuses.
#define PATIENCE_DIALS_FOR_MS (10u * 60u * 1000u)

// What TCP knows of a link's path; all 0: it is no TCP.
struct patience_path {
    uint32_t rtt_ms;    // smoothed
    uint32_t rto_ms;    // its wait for an answer before it sends again, the first one
    uint32_t heard_ms;  // since anything came, an ACK included; UINT32_MAX: not known
    uint32_t sent;      // segments with data
    uint32_t again;     // of these sent again
    uint32_t row;       // of these in a row, without any answer
};

struct patience {
    unsigned loss;         // 0: hardly any, 1: some, 2: much
    unsigned doubled;      // times
    uint64_t changed;      // either of them, last
    uint64_t calm;         // when what the last silence had lost is sent again; 0: it is
    uint32_t sent, again;  // by the link's counts then
};

// A link's counts begin anew.
void patience_linked(struct patience *p);
// It is another network: nothing is known of it.
void patience_changed(struct patience *p, uint64_t now);
// A silence is noticed: how much was lost before it?
void patience_begin(struct patience *p, const struct patience_path *path, uint64_t now);
// It is over since the old link spoke; dialled: another one was under way.
void patience_spoke(struct patience *p, const struct patience_path *path, bool dialled,
                    uint64_t now);
// It is over since another link took over. since: when it began.
void patience_replaced(struct patience *p, const struct patience_path *old,
                       uint64_t since, uint64_t now);

// To be called often: after a silence, what is lost is counted anew from some seconds
// later on, since all that went into the silence is sent again first.
bool patience_is_calm(const struct patience *p, uint64_t now);
void patience_calm(struct patience *p, const struct patience_path *path);

// Of silence, before another link is dialled.
uint64_t patience_ms(const struct patience *p, const struct patience_path *path);
// When to dial, or to ask again, of a silence that began at `since`. Not after now: dial.
uint64_t patience_due(const struct patience *p, const struct patience_path *path,
                      uint64_t since, uint64_t now);
// Beyond what a failed attempt is followed by anyway.
uint64_t patience_pause_ms(const struct patience *p, const struct patience_path *path);
// For connecting and keys together, and for each wait of a login. attempts: before it.
uint32_t patience_attempt_s(const struct patience *p, unsigned attempts);
// For the host to answer a dial at all, after so many; 0: as long as the attempt lasts.
// A network that comes back is noticed by the next dial alone.
uint64_t patience_dial_ms(const struct patience *p, const struct patience_path *path,
                          unsigned dials, uint64_t silent_ms);
