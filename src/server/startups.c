#include "server/startups.h"

bool startups_refuse(const struct startups *s, uint32_t pending, uint32_t random) {
    if (pending < s->begin)
        return false;
    if (pending >= s->full || s->rate >= 100)
        return true;
    // The chance grows in a line from rate % at begin to 100 % at full.
    uint64_t percent =
        s->rate + (uint64_t)(100 - s->rate) * (pending - s->begin) / (s->full - s->begin);
    return random % 100 < percent;
}
