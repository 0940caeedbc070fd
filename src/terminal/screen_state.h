// What screen.c and paint.c share.
#pragma once

#include "terminal/repeat.h"
#include "terminal/screen.h"

#define SCREEN_TAIL_MAX 4096  // of an unfinished sequence
#define SCREEN_TITLE_MAX 512

struct screen {
    const struct screen_library *library;
    VTerm *vterm;
    VTermScreen *screen;
    VTermState *state;
    int rows, columns;
    struct terminal_modes modes;
    struct repeat repeat;
    struct buf tail;   // what may be the beginning of a sequence or a character
    struct buf lines;  // that were scrolled away: u32 length, bytes
    size_t lines_n;
    char title[SCREEN_TITLE_MAX];
    enum err failed;
};

// One row of cells as text with colours, without the blanks at its end.
must_check enum err paint_cells(const VTermScreenCell *cells, int n, struct buf *out);
