// Escapes typed at a terminal (ssh(1), ESCAPE CHARACTERS): the escape character counts
// only at the start of a line. A parser over bytes; what an escape does is the session's.
#pragma once

#include "base/bytes.h"

enum escape_action {
    ESCAPE_NOTHING,
    ESCAPE_DISCONNECT,  // ~.
    ESCAPE_SUSPEND,     // ~^Z
    ESCAPE_BACKGROUND,  // ~&
    ESCAPE_CHANNELS,    // ~#
    ESCAPE_HELP,        // ~?
    ESCAPE_BREAK,       // ~B
    ESCAPE_REKEY,       // ~R
    ESCAPE_LOUDER,      // ~v
    ESCAPE_QUIETER,     // ~V
    ESCAPE_INFO,        // ~I
    ESCAPE_COMMAND,     // ~C
    ESCAPE_LEAVE,       // ~d
};

struct escape {
    int character;    // a byte; negative: none
    bool line_start;  // the next byte begins a line
    bool pending;     // the escape character came
};

void escape_init(struct escape *e, int character);

// Takes bytes off *in and puts those for the peer into `out`, which has room for in->n +
// 1; *n is their count. Stops behind an escape and returns it; NOTHING when all of *in
// was taken.
enum escape_action escape_filter(struct escape *e, struct view *in, uint8_t *out,
                                 size_t *n);

// Only in a session of one's own: what it does is the whole ssh's business.
bool escape_is_own(enum escape_action action);

// The help text, one escape a line, "\r\n" between; the character in front. `own`: with
// those of one's own session.
size_t escape_help(const struct escape *e, bool own, char *out, size_t size);
