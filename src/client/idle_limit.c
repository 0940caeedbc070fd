#include "client/idle_limit.h"

// After as many answers at one interval a longer one is tried.
#define ANSWERS 2u
// Longer silences tell nothing about limits that matter.
#define SILENCE_MOST_S (24u * 3600)

void idle_limit_init(struct idle_limit *l) {
    *l = (struct idle_limit){.interval_s = IDLE_LIMIT_FIRST_S};
}

bool idle_limit_is_valid(const struct idle_limit *l) {
    return l->interval_s >= IDLE_LIMIT_LEAST_S && l->interval_s <= IDLE_LIMIT_MOST_S &&
           l->answered < ANSWERS && l->bears_s <= SILENCE_MOST_S &&
           l->fails_s <= SILENCE_MOST_S;
}

static uint32_t bounded(uint32_t s) {
    return s < IDLE_LIMIT_LEAST_S  ? IDLE_LIMIT_LEAST_S
           : s > IDLE_LIMIT_MOST_S ? IDLE_LIMIT_MOST_S
                                   : s;
}

static uint32_t cut(uint64_t s) {
    return s < SILENCE_MOST_S ? (uint32_t)s : SILENCE_MOST_S;
}

static uint32_t most_s(const struct idle_limit *l) {
    return l->fails_s == 0 ? IDLE_LIMIT_MOST_S : bounded(l->fails_s / 4 * 3);
}

static bool grow(struct idle_limit *l) {
    if (++l->answered < ANSWERS)
        return true;
    uint32_t before = l->interval_s, more = bounded(before + before / 4);
    l->answered = 0;
    l->interval_s = more < most_s(l) ? more : most_s(l);
    return l->interval_s != before;
}

bool idle_limit_bears(struct idle_limit *l, uint64_t silence_s, uint64_t wall_s) {
    uint32_t silence = cut(silence_s), before = l->bears_s;
    bool old = l->fails_s != 0 && wall_s > l->failed_at + IDLE_LIMIT_KEPT_S;
    // What bears more now has changed since.
    if (old || (l->fails_s != 0 && silence >= l->fails_s))
        l->fails_s = 0;
    // Not for each second more.
    if (silence > l->bears_s + l->bears_s / 16)
        l->bears_s = silence;
    bool can_grow = silence >= l->interval_s && l->interval_s < most_s(l);
    return (can_grow && grow(l)) || old || l->bears_s != before;
}

bool idle_limit_fails(struct idle_limit *l, uint64_t silence_s, uint64_t wall_s) {
    uint32_t silence = cut(silence_s);
    if (silence == 0)
        return false;
    if (l->fails_s == 0 || silence < l->fails_s)
        l->fails_s = silence;
    l->failed_at = wall_s;
    if (l->bears_s >= silence)
        l->bears_s = silence - 1;
    l->interval_s = bounded((silence < l->interval_s ? silence : l->interval_s) / 2);
    l->answered = 0;
    return true;
}
