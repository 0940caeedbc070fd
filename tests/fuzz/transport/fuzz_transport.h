// One end of a transport under fuzzing. The input is cut into pieces of changing size;
// questions are answered, messages answered now and then, so that both directions run.
#pragma once

#include "transport/internal.h"

// What the harness starts from: a first exchange, or the null cipher as if it were done.
struct fuzz_start {
    enum transport_role role;
    enum phase phase;  // PHASE_IDENT: from the beginning
    bool raw;  // the input is the byte stream; else payloads, framed by the harness
};

int fuzz_transport(const struct fuzz_start *start, const uint8_t *data, size_t size);
