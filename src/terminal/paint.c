// The state of a screen as text and escape sequences.
#include <stdio.h>

#include "terminal/screen_state.h"

#define BLANK_WIDE UINT32_MAX  // the second cell of a wide character

static enum err put_text(struct buf *out, const char *text) {
    return buf_append(out, view_text(text));
}

// ---- colours ----

static bool same_colour(const VTermColor *a, const VTermColor *b, bool foreground) {
    bool a_default =
        foreground ? VTERM_COLOR_IS_DEFAULT_FG(a) : VTERM_COLOR_IS_DEFAULT_BG(a);
    bool b_default =
        foreground ? VTERM_COLOR_IS_DEFAULT_FG(b) : VTERM_COLOR_IS_DEFAULT_BG(b);
    if (a_default || b_default)
        return a_default && b_default;
    if (VTERM_COLOR_IS_INDEXED(a) != VTERM_COLOR_IS_INDEXED(b))
        return false;
    if (VTERM_COLOR_IS_INDEXED(a))
        return a->indexed.idx == b->indexed.idx;
    return a->rgb.red == b->rgb.red && a->rgb.green == b->rgb.green &&
           a->rgb.blue == b->rgb.blue;
}

static int colour_text(char *out, size_t size, const VTermColor *c, bool foreground) {
    int base = foreground ? 30 : 40;
    if (foreground ? VTERM_COLOR_IS_DEFAULT_FG(c) : VTERM_COLOR_IS_DEFAULT_BG(c))
        return 0;
    if (VTERM_COLOR_IS_RGB(c))
        return snprintf(out, size, ";%d;2;%u;%u;%u", base + 8, c->rgb.red, c->rgb.green,
                        c->rgb.blue);
    unsigned index = c->indexed.idx;
    if (index < 8)
        return snprintf(out, size, ";%u", (unsigned)base + index);
    if (index < 16)
        return snprintf(out, size, ";%u", (unsigned)base + 52 + index);
    return snprintf(out, size, ";%d;5;%u", base + 8, index);
}

struct pen {
    VTermScreenCellAttrs attrs;
    VTermColor fg, bg;
};

static const struct pen plain = {
    .fg = {.type = VTERM_COLOR_INDEXED | VTERM_COLOR_DEFAULT_FG},
    .bg = {.type = VTERM_COLOR_INDEXED | VTERM_COLOR_DEFAULT_BG},
};

static bool same_pen(const struct pen *a, const struct pen *b) {
    const VTermScreenCellAttrs *x = &a->attrs, *y = &b->attrs;
    return x->bold == y->bold && x->underline == y->underline && x->italic == y->italic &&
           x->blink == y->blink && x->reverse == y->reverse && x->strike == y->strike &&
           x->font == y->font && same_colour(&a->fg, &b->fg, true) &&
           same_colour(&a->bg, &b->bg, false);
}

static enum err put_pen(const struct pen *p, struct buf *out) {
    char text[128] = "\x1b[0";
    size_t n = 3;
    const struct {
        bool on;
        const char *code;
    } codes[] = {{p->attrs.bold, ";1"},
                 {(p->attrs.font & REPEAT_FAINT) != 0, ";2"},
                 {p->attrs.italic, ";3"},
                 {p->attrs.underline == VTERM_UNDERLINE_SINGLE, ";4"},
                 {p->attrs.underline == VTERM_UNDERLINE_DOUBLE, ";21"},
                 {p->attrs.underline == VTERM_UNDERLINE_CURLY, ";4:3"},
                 {p->attrs.blink, ";5"},
                 {p->attrs.reverse, ";7"},
                 {(p->attrs.font & REPEAT_HIDDEN) != 0, ";8"},
                 {p->attrs.strike, ";9"}};
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
        if (codes[i].on)
            n += (size_t)snprintf(text + n, sizeof text - n, "%s", codes[i].code);
    n += (size_t)colour_text(text + n, sizeof text - n, &p->fg, true);
    n += (size_t)colour_text(text + n, sizeof text - n, &p->bg, false);
    snprintf(text + n, sizeof text - n, "m");
    return put_text(out, text);
}

// ---- cells ----

static struct pen pen_of(const VTermScreenCell *cell) {
    return (struct pen){cell->attrs, cell->fg, cell->bg};
}

static bool is_blank(const VTermScreenCell *cell) {
    struct pen p = pen_of(cell);
    return (cell->chars[0] == 0 || cell->chars[0] == ' ') && same_pen(&p, &plain);
}

static enum err put_character(uint32_t c, struct buf *out) {
    uint8_t b[4];
    size_t n;
    if (c < 0x20 || c == 0x7f || c > 0x10ffff || (c >= 0x80 && c < 0xa0) ||
        (c >= 0xd800 && c < 0xe000))
        c = ' ';
    if (c < 0x80) {
        b[0] = (uint8_t)c;
        n = 1;
    } else if (c < 0x800) {
        b[0] = (uint8_t)(0xc0 | c >> 6);
        n = 2;
    } else if (c < 0x10000) {
        b[0] = (uint8_t)(0xe0 | c >> 12);
        n = 3;
    } else {
        b[0] = (uint8_t)(0xf0 | c >> 18);
        n = 4;
    }
    for (size_t i = 1; i < n; i++)
        b[i] = (uint8_t)(0x80 | (c >> 6 * (n - 1 - i) & 0x3f));
    return buf_append(out, view_of(b, n));
}

static enum err put_cell(const VTermScreenCell *cell, struct buf *out) {
    if (cell->chars[0] == 0)
        return put_character(' ', out);
    for (size_t i = 0; i < VTERM_MAX_CHARS_PER_CELL && cell->chars[i] != 0; i++)
        TRY(put_character(cell->chars[i], out));
    return OK;
}

enum err paint_cells(const VTermScreenCell *cells, int n, struct buf *out) {
    struct pen pen = plain;
    while (n > 0 && is_blank(&cells[n - 1]))
        n--;
    for (int i = 0; i < n; i++) {
        struct pen own = pen_of(&cells[i]);
        if (cells[i].chars[0] == BLANK_WIDE)
            continue;
        if (!same_pen(&own, &pen))
            TRY(put_pen(&own, out));
        pen = own;
        TRY(put_cell(&cells[i], out));
    }
    return same_pen(&pen, &plain) ? OK : put_pen(&plain, out);
}

static enum err paint_rows(struct screen *s, struct buf *out) {
    VTermScreenCell cells[SCREEN_COLUMNS_MAX];
    for (int row = 0; row < s->rows; row++) {
        for (int column = 0; column < s->columns; column++)
            (void)s->library->screen_get_cell(s->screen, (VTermPos){row, column},
                                              &cells[column]);
        if (row > 0)
            TRY(put_text(out, "\r\n"));
        TRY(paint_cells(cells, s->columns, out));
    }
    return OK;
}

// ---- all of it ----

static enum err put_cursor(struct screen *s, struct buf *out, int above) {
    VTermPos at;
    char text[32];
    s->library->state_get_cursorpos(s->state, &at);
    snprintf(text, sizeof text, "\x1b[%d;%dH", (at.row < above ? 0 : at.row - above) + 1,
             at.col + 1);
    return put_text(out, text);
}

static enum err put_own_pen(struct screen *s, struct buf *out) {
    struct pen pen = plain;
    VTermValue v;
#define GET(ATTRIBUTE, to, from)                                                         \
    if (s->library->state_get_penattr(s->state, VTERM_ATTR_##ATTRIBUTE, &v))             \
    pen.to = from
    GET(BOLD, attrs.bold, v.boolean != 0);
    GET(UNDERLINE, attrs.underline, (unsigned)v.number & 3);
    GET(ITALIC, attrs.italic, v.boolean != 0);
    GET(BLINK, attrs.blink, v.boolean != 0);
    GET(REVERSE, attrs.reverse, v.boolean != 0);
    GET(STRIKE, attrs.strike, v.boolean != 0);
    GET(FONT, attrs.font, (unsigned)v.number & 15);
    GET(FOREGROUND, fg, v.color);
    GET(BACKGROUND, bg, v.color);
#undef GET
    return same_pen(&pen, &plain) ? OK : put_pen(&pen, out);
}

static enum err put_lines(struct screen *s, struct buf *out) {
    for (struct view v = buf_view(&s->lines); v.n >= 4;) {
        uint32_t n = load_u32(v.p);
        TRY(buf_append(out, view_of(v.p + 4, n)));
        TRY(put_text(out, "\r\n"));
        v = view_of(v.p + 4 + n, v.n - 4 - n);
    }
    return OK;
}

// What the terminal shows goes up, into its own memory of lines.
static enum err put_start(const struct screen *s, struct buf *out) {
    char text[64];
    TRY(put_text(out, "\x1b[?1049l\x1b[!p\x1b[?7h\x1b[0m"));
    snprintf(text, sizeof text, "\x1b[%d;1H", s->rows);
    TRY(put_text(out, text));
    for (int i = 0; i < s->rows; i++)
        TRY(put_text(out, "\n"));
    return put_text(out, "\x1b[H");
}

static enum err put_title(const struct screen *s, struct buf *out) {
    if (s->title[0] == '\0')
        return OK;
    TRY(put_text(out, "\x1b]2;"));
    TRY(put_text(out, s->title));
    return put_text(out, "\a");
}

static enum err put_modes(struct screen *s, struct buf *out) {
    int above =
        terminal_modes_origin(&s->modes) && s->modes.top > 0 ? s->modes.top - 1 : 0;
    TRY(terminal_modes_restore(&s->modes, out));
    TRY(put_cursor(s, out, above));
    return put_own_pen(s, out);
}

// The alternate screen is painted over the other one, which is looked at behind it; of a
// program that has ended, below the other one, so that it stays.
static enum err put_screens(struct screen *s, bool last, struct buf *out) {
    static const char other[] = "\x1b[?1049l\x1b[?1047l\x1b[?47l";
    scoped_buf rows = {.max = SCREEN_PAINT_MAX};
    bool alternate = terminal_modes_alternate(&s->modes);
    char below[32];
    snprintf(below, sizeof below, "\x1b[%d;1H\r\n", s->rows);
    if (alternate) {
        TRY(put_text(&rows, last ? below : "\x1b[?1049h\x1b[H"));
        TRY(paint_rows(s, &rows));
    }
    if (!last)
        TRY(put_modes(s, &rows));
    if (alternate)
        (void)s->library->input_write(s->vterm, other, sizeof other - 1);
    TRY(paint_rows(s, out));
    TRY(put_cursor(s, out, 0));
    return buf_append(out, buf_view(&rows));
}

enum err screen_paint(struct screen *s, enum screen_paint how, struct buf *out) {
    TRY(s->failed);
    if (how != SCREEN_STATE)
        TRY(put_start(s, out));
    TRY(put_title(s, out));
    TRY(put_lines(s, out));
    TRY(put_screens(s, how == SCREEN_LAST, out));
    return how == SCREEN_LAST ? OK : buf_append(out, buf_view(&s->tail));
}
