// What a program has set on its terminal beside the characters: modes, margins, character
// sets, read from its output as it passes (ECMA-48, DEC's and xterm's private modes).
//
// It looks at escape sequences alone, costs a memchr() where there are none, and holds no
// memory. Invariant: whatever the bytes are, each sequence that it writes is complete.
#pragma once

#include "base/buf.h"

#define TERMINAL_SEQUENCE_MAX 64  // bytes of a control sequence's parameters

struct terminal_modes {
    uint8_t state;
    uint8_t n;
    char sequence[TERMINAL_SEQUENCE_MAX];  // of the control sequence that is being read
    uint64_t set;                          // a bit for each row of the table of modes
    bool keypad, shifted;                  // ESC =; SO
    uint8_t g0, g1;                        // designated sets: 'B' and the like
    uint8_t cursor_style, modify_keys;     // DECSCUSR; xterm's modifyOtherKeys
    uint16_t top, bottom;                  // DECSTBM; 0: none
};

void terminal_modes_init(struct terminal_modes *m);
void terminal_modes_feed(struct terminal_modes *m, struct view bytes);
// Is a sequence unfinished?
bool terminal_modes_open(const struct terminal_modes *m);
// Does the program show the alternate screen?
bool terminal_modes_alternate(const struct terminal_modes *m);
// Are rows counted from the upper margin (DECOM)?
bool terminal_modes_origin(const struct terminal_modes *m);

// The sequences that set a fresh terminal so, but for the alternate screen.
must_check enum err terminal_modes_restore(const struct terminal_modes *m,
                                           struct buf *out);
// Those that give a terminal in such a state back to a shell: what is not as on a fresh
// one.
must_check enum err terminal_modes_leave(const struct terminal_modes *m, struct buf *out);
// Nothing but text in lines, with colours: what comes before it has been scrolled away,
// if it has `lines` line feeds.
bool terminal_is_plain(struct view bytes, size_t lines);
