// A terminal's screen, made from what a program wrote: cells, cursor, colours, title, and
// the lines that were scrolled away. By libvterm, whose functions the caller brings,
// since only a process that paints is to have the library.
//
// It is for a process of its own that ends afterwards: bytes in, screen_paint() once.
// What comes out paints the same state onto a terminal of that size, so that it also
// stands for the bytes themselves: a screen fed with it paints the same.
#pragma once

#include <vterm.h>

#include "base/buf.h"
#include "terminal/modes.h"

#define SCREEN_LINES 10000u                   // that were scrolled away
#define SCREEN_LINES_BYTES (4 * 1024 * 1024)  // .. with their colours
#define SCREEN_ROWS_MAX 500u
#define SCREEN_COLUMNS_MAX 1000u
#define SCREEN_PAINT_MAX (32u * 1024 * 1024)

#define SCREEN_FUNCTIONS(X)                                                              \
    X(new)                                                                               \
    X(free)                                                                              \
    X(set_utf8)                                                                          \
    X(set_size)                                                                          \
    X(input_write)                                                                       \
    X(obtain_screen)                                                                     \
    X(obtain_state)                                                                      \
    X(screen_enable_altscreen)                                                           \
    X(screen_set_callbacks)                                                              \
    X(screen_reset)                                                                      \
    X(screen_get_cell)                                                                   \
    X(state_get_cursorpos)                                                               \
    X(state_get_penattr)

struct screen_library {
#define SCREEN_MEMBER(name) __typeof__(vterm_##name) *name;
    SCREEN_FUNCTIONS(SCREEN_MEMBER)
#undef SCREEN_MEMBER
};

struct screen;

// Rows and columns beyond the limits are cut to them; 0 is 24 and 80.
must_check enum err screen_new(struct screen **out, const struct screen_library *library,
                               uint32_t rows, uint32_t columns);
void screen_free(struct screen *s);
must_check enum err screen_feed(struct screen *s, struct view bytes);
void screen_resize(struct screen *s, uint32_t rows, uint32_t columns);

enum screen_paint {
    SCREEN_STATE,     // for a fresh terminal: stands for what was fed
    SCREEN_TERMINAL,  // for a person's, which may show something: that is scrolled away
    SCREEN_LAST,      // the same, of a program that has ended: its modes are over
};
// Ends the screen's use. ERR_LIMIT: more than `out` takes.
must_check enum err screen_paint(struct screen *s, enum screen_paint how,
                                 struct buf *out);
