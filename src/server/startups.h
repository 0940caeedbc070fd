// MaxStartups: who is turned away while many links are not authenticated yet
// (sshd_config(5)).
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct startups {
    uint32_t begin, rate, full;  // rate in percent
};

// `pending` links are not authenticated; `random` is uniform. True: refuse the next one.
bool startups_refuse(const struct startups *s, uint32_t pending, uint32_t random);
