// Blowfish (Schneier, 1993) as bcrypt uses it: states to be keyed, nothing else. For this
// folder.
#pragma once

#include <stdint.h>

#define BLOWFISH_ROUNDS 16

struct blowfish {
    uint32_t p[BLOWFISH_ROUNDS + 2];
    uint32_t s[4][256];
};

extern const struct blowfish blowfish_pi;  // the state before any key
