// What both machines are fed with: bytes that decide, and messages behind their length.
#pragma once

#include "base/bytes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
    const uint8_t *p, *end;
};

static inline uint8_t next_byte(struct input *in) {
    return in->p < in->end ? *in->p++ : 0;
}

static inline struct view next_message(struct input *in) {
    size_t n = next_byte(in);
    if (n >= 0xf0)
        n = (n & 15) << 8 | next_byte(in);
    if (n > (size_t)(in->end - in->p))
        n = (size_t)(in->end - in->p);
    struct view v = view_of(in->p, n);
    in->p += n;
    return v;
}
