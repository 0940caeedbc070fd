#include "terminal/repeat.h"

#define ESC 0x1b
#define CAN 0x18  // ends a sequence that is begun
#define SUB 0x1a
#define COUNT_MAX 10000u
#define SEPARATORS_MAX 15  // of parameters

enum {
    TEXT,
    ESCAPE,   // behind ESC
    CONTROL,  // behind ESC [
    SKIP,     // the rest of one with too many parameters
};

static void on_text(struct repeat *r, uint8_t c) {
    bool more = (c & 0xc0) == 0x80;
    if (c < 0x20 || c == 0x7f)
        return;
    if (!more)
        r->last_n = 0;
    if (more && (r->last_n == 0 || r->last_n == sizeof r->last))
        r->last_n = 0;  // no character
    else
        r->last[r->last_n++] = c;
}

static void on_escape(struct repeat *r, uint8_t c) {
    // libvterm passes over what stands between, also where nothing may.
    if (c < 0x30 || c >= 0x7f)
        return;
    r->state = c == '[' ? CONTROL : TEXT;
    r->plain = true;
    r->count = r->separators = 0;
}

// In place of what libvterm passes over.
static uint8_t skip(struct repeat *r, uint8_t c) {
    if (c >= 0x40 && c != 0x7f)
        r->state = TEXT;
    return '\0';
}

static uint8_t on_control(struct repeat *r, uint8_t c) {
    if (c < 0x20 || c == 0x7f)
        return c;
    if ((c == ';' || c == ':') && ++r->separators == SEPARATORS_MAX) {
        r->state = SKIP;
        return CAN;
    }
    if (c >= '0' && c <= '9') {
        r->count = r->count < COUNT_MAX ? 10 * r->count + (c - '0') : COUNT_MAX;
        return c;
    }
    if (c < 0x40) {
        r->plain = false;
        return c;
    }
    r->state = TEXT;
    if (c != 'b')
        return c;
    if (r->plain && r->last_n > 0)
        r->due = r->count > 0 ? r->count : 1;
    return CAN;
}

uint8_t repeat_take(struct repeat *r, uint8_t c) {
    r->due = 0;
    if (c == ESC || c == CAN || c == SUB) {
        r->state = c == ESC ? ESCAPE : TEXT;
    } else if (r->state == ESCAPE) {
        on_escape(r, c);
    } else if (r->state == CONTROL) {
        return on_control(r, c);
    } else if (r->state == SKIP) {
        return skip(r, c);
    } else {
        on_text(r, c);
    }
    return c;
}
