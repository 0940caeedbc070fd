#include "terminal/repeat.h"

#include <string.h>

#define ESC 0x1b
#define CAN 0x18  // ends a sequence that is begun
#define SUB 0x1a
#define COUNT_MAX 10000u
#define SEPARATORS_MAX 15  // of parameters
#define LEAD 0xc2          // of U+0080 to U+00BF

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
    r->marked = false;
    r->count = r->separators = 0;
    if (c == 'c')
        r->font = 0;
    r->sgr = (struct repeat_sgr){.font = r->font};
}

// ---- faint and hidden ----

static void on_attribute(struct repeat_sgr *g, uint32_t value) {
    static const struct {
        uint8_t from, to, clears, sets;
    } rows[] = {
        {0, 0, REPEAT_FAINT | REPEAT_HIDDEN, 0},
        {2, 2, 0, REPEAT_FAINT},
        {8, 8, 0, REPEAT_HIDDEN},
        {10, 19, 0, 0},  // a font that the program asks for is not ours
        {22, 22, REPEAT_FAINT, 0},
        {28, 28, REPEAT_HIDDEN, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (value >= rows[i].from && value <= rows[i].to) {
            g->font = (uint8_t)((g->font & ~rows[i].clears) | rows[i].sets);
            g->said = true;
        }
}

// A parameter is over, by `end`.
static void on_parameter(struct repeat_sgr *g, uint32_t value, uint8_t end) {
    bool colour = value == 38 || value == 48 || value == 58;
    if (g->sub) {
        // what stands behind ':' belongs to what stands before it
    } else if (g->colour == UINT8_MAX) {
        g->colour = value == 5 ? 1 : value == 2 ? 3 : 0;
    } else if (g->colour > 0) {
        g->colour--;
    } else if (colour) {
        g->colour = end == ';' ? UINT8_MAX : 0;
    } else {
        on_attribute(g, value);
    }
    g->sub = end == ':';
}

static void on_sgr(struct repeat *r) {
    on_parameter(&r->sgr, r->count, 'm');
    if (r->marked || !r->sgr.said)
        return;
    r->font = r->sgr.font;
    const uint8_t font[] = {ESC, '[', '1', (uint8_t)('0' + r->font), 'm'};
    memcpy(r->due, font, sizeof font);
    r->due_n = sizeof font;
    r->due_times = 1;
}

// ---- sequences ----

// In place of what libvterm passes over.
static uint8_t skip(struct repeat *r, uint8_t c) {
    if (c >= 0x40 && c != 0x7f)
        r->state = TEXT;
    return '\0';
}

static void on_separator(struct repeat *r, uint8_t c) {
    bool between = c == ';' || c == ':';
    if (between)
        on_parameter(&r->sgr, r->count, c);
    r->marked = r->marked || !between;
    r->count = between ? 0 : r->count;
    r->plain = false;
}

static uint8_t on_final(struct repeat *r, uint8_t c) {
    r->state = TEXT;
    if (c == 'm')
        on_sgr(r);
    if (c == 'p' && r->marked)  // DECSTR
        r->font = 0;
    if (c != 'b')
        return c;
    if (r->plain && r->last_n > 0) {
        memcpy(r->due, r->last, r->last_n);
        r->due_n = r->last_n;
        r->due_times = r->count > 0 ? r->count : 1;
    }
    return CAN;
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
        on_separator(r, c);
        return c;
    }
    return on_final(r, c);
}

static uint8_t take(struct repeat *r, uint8_t c) {
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

static size_t take_all(struct repeat *r, struct view v, uint8_t *out) {
    for (size_t i = 0; i < v.n; i++)
        out[i] = take(r, v.p[i]);
    return v.n;
}

size_t repeat_take(struct repeat *r, uint8_t c, uint8_t out[REPEAT_OUT]) {
    static const uint8_t unknown[] = {0xef, 0xbf, 0xbd};  // U+FFFD
    const uint8_t whole[] = {LEAD, c};
    size_t n = 0;
    bool held = r->held, more = (c & 0xc0) == 0x80;
    r->due_times = 0;
    r->held = c == LEAD;
    if (held && more)
        return c >= 0xa0 ? take_all(r, view_of(whole, 2), out) : 0;
    if (held)
        n = take_all(r, view_of(unknown, sizeof unknown), out);
    return r->held ? n : n + take_all(r, view_of(&c, 1), out + n);
}
