// What silence the way to a host bears before something between (NAT, firewall, load
// balancer) forgets the connection, as far as was learned: and from that, after how much
// silence a probe is due.
//
// Begins at a minute, which is below every limit in common use. Where probes are
// answered, it grows by a quarter after every second one, to 210 seconds: below the
// shortest limit that is common (240). A probe that was not answered, although the host
// could be reached, halves it, and from then on it stays at three quarters of the silence
// that was too long; that is forgotten after 30 days, since networks change. Sans-IO:
// seconds are arguments.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define IDLE_LIMIT_FIRST_S 60u
#define IDLE_LIMIT_LEAST_S 15u
#define IDLE_LIMIT_MOST_S 210u
#define IDLE_LIMIT_KEPT_S (30ull * 24 * 3600)

struct idle_limit {
    uint32_t interval_s;
    uint32_t answered;   // probes in a row, at this interval
    uint32_t bears_s;    // the longest silence that was borne; 0: none
    uint32_t fails_s;    // the shortest that was too long; 0: none is known
    uint64_t failed_at;  // wall clock, s
};

void idle_limit_init(struct idle_limit *l);
// May stand in a file?
bool idle_limit_is_valid(const struct idle_limit *l);

// A probe after that much silence was answered, or was not while the host could be
// reached. `wall_s`: now. False: nothing has changed.
bool idle_limit_bears(struct idle_limit *l, uint64_t silence_s, uint64_t wall_s);
bool idle_limit_fails(struct idle_limit *l, uint64_t silence_s, uint64_t wall_s);
