#include "client/patience.h"

#define MOST_MS 30000u
// With doublings, and for a path that lives.
#define MOST_EVER_MS 60000u
#define ALIVE_TIMES 4u
#define DOUBLED_MOST 4u
#define QUIET_MS (5u * 60u * 1000u)
#define CALM_MS 2000u
// A confirmation may be behind the last data by that, and it is dead all the same.
#define BEHIND_MS 500u
// An attempt: short at first, since a packet lost at the beginning is waited for longest.
#define ATTEMPT_S 5u
#define ATTEMPT_MOST_S 15u
#define ATTEMPT_LOSS_S 30u
// A dial that nobody answers: the system's own tries are further and further apart, so
// another one is begun instead. Each fifth is for a way that is slower than the old one,
// each twentieth for any.
#define DIAL_FIRST_MS 500u
#define DIAL_MS 1000u
#define DIAL_SLOW_MS 3500u
#define DIAL_SLOW_EACH 5u
#define DIAL_WHOLE_EACH 20u
#define FIRST_FOR_MS 60000u

// From so many segments on, of which so many were sent again, and of a hundred: TCP gets
// so many tries.
static const struct {
    uint32_t sent, again, percent;
    unsigned tries;
} LOSS[] = {{0, 0, 0, 3}, {30, 4, 5, 4}, {40, 8, 12, 5}};
#define LOSSES (sizeof LOSS / sizeof LOSS[0])

void patience_linked(struct patience *p) {
    p->calm = p->sent = p->again = 0;
}

void patience_changed(struct patience *p, uint64_t now) {
    *p = (struct patience){.calm = now};
}

static uint64_t at_most(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}

static uint64_t at_least(uint64_t a, uint64_t b) {
    return a > b ? a : b;
}

static uint32_t less(uint32_t a, uint32_t b) {
    return a > b ? a - b : 0;
}

// ---- what is learned ----

static void calm_down(struct patience *p, uint64_t now) {
    for (; now - p->changed >= QUIET_MS && (p->loss > 0 || p->doubled > 0);
         p->changed += QUIET_MS) {
        p->loss -= p->loss > 0;
        p->doubled -= p->doubled > 0;
    }
}

static unsigned loss_of(const struct patience *p, const struct patience_path *path) {
    uint32_t sent = less(path->sent, p->sent);
    // Those of the silence itself tell of a link that is gone as well.
    uint32_t again = less(less(path->again, p->again), path->row > 0 ? path->row + 1 : 0);
    unsigned loss = 0;
    for (unsigned i = 1; i < LOSSES; i++)
        if (sent >= LOSS[i].sent && again >= LOSS[i].again &&
            again * 100ull >= (uint64_t)LOSS[i].percent * sent)
            loss = i;
    return loss;
}

void patience_begin(struct patience *p, const struct patience_path *path, uint64_t now) {
    calm_down(p, now);
    unsigned loss = p->calm == 0 ? loss_of(p, path) : 0;
    if (loss < p->loss || loss == 0)
        return;
    p->loss = loss;
    p->changed = now;
}

static void was_needless(struct patience *p, uint64_t now) {
    p->doubled += p->doubled < DOUBLED_MOST;
    p->changed = now;
}

// A path on which nothing is lost but all, for a while, was worth trying another link:
// TCP is slow to notice that it is back.
void patience_spoke(struct patience *p, const struct patience_path *path, bool dialled,
                    uint64_t now) {
    if (dialled && p->loss > 0)
        was_needless(p, now);
    p->calm = now + CALM_MS + PATIENCE_RTTS * (uint64_t)path->rtt_ms;
}

bool patience_is_calm(const struct patience *p, uint64_t now) {
    return p->calm != 0 && now >= p->calm;
}

void patience_calm(struct patience *p, const struct patience_path *path) {
    p->calm = 0;
    p->sent = path->sent;
    p->again = path->again;
}

void patience_replaced(struct patience *p, const struct patience_path *old,
                       uint64_t since, uint64_t now) {
    bool alive = old->rto_ms > 0 && old->heard_ms < now - since &&
                 now - since - old->heard_ms > patience_ms(p, old) / 2;
    if (alive)
        was_needless(p, now);
    patience_linked(p);
}

// ---- what follows ----

uint64_t patience_ms(const struct patience *p, const struct patience_path *path) {
    uint64_t tries = ((1ull << LOSS[p->loss].tries) - 1) * path->rto_ms;
    uint64_t ms = at_least(PATIENCE_RTTS * (uint64_t)path->rtt_ms, tries);
    ms = at_least(at_most(ms, MOST_MS), PATIENCE_LEAST_MS);
    return at_most(ms << p->doubled, MOST_EVER_MS);
}

uint64_t patience_due(const struct patience *p, const struct patience_path *path,
                      uint64_t since, uint64_t now) {
    uint64_t ms = patience_ms(p, path);
    uint64_t due = since + ms, last = since + at_most(ALIVE_TIMES * ms, MOST_EVER_MS);
    if (path->rto_ms == 0 || path->heard_ms > now)
        return due;
    uint64_t behind = at_least(BEHIND_MS, 2ull * path->rtt_ms);
    uint64_t alive = now - path->heard_ms + (ms > behind ? ms - behind : 0);
    return at_least(due, at_most(alive, last));
}

uint64_t patience_pause_ms(const struct patience *p, const struct patience_path *path) {
    return patience_ms(p, path) - PATIENCE_LEAST_MS;
}

uint32_t patience_attempt_s(const struct patience *p, unsigned attempts) {
    uint64_t s = at_most(ATTEMPT_S * ((uint64_t)attempts + 1), ATTEMPT_MOST_S);
    return p->loss > 0 ? ATTEMPT_LOSS_S : (uint32_t)s;
}

uint64_t patience_dial_ms(const struct patience *p, const struct patience_path *path,
                          unsigned dials, uint64_t silent_ms) {
    if (p->loss > 0 || silent_ms >= PATIENCE_DIALS_FOR_MS || dials % DIAL_WHOLE_EACH == 0)
        return 0;
    uint64_t ms = dials % DIAL_SLOW_EACH == 0 ? DIAL_SLOW_MS
                  : silent_ms < FIRST_FOR_MS  ? DIAL_FIRST_MS
                                              : DIAL_MS;
    return at_least(ms, PATIENCE_RTTS * (uint64_t)path->rtt_ms);
}
