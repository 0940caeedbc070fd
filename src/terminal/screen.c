#include "terminal/screen_state.h"

#include <stdlib.h>

// ---- lines that are scrolled away ----

static void drop_line(struct screen *s) {
    uint32_t n = load_u32(s->lines.p + s->lines.start);
    buf_taken(&s->lines, sizeof n + n);
    s->lines_n--;
}

static enum err keep_line(struct screen *s, const VTermScreenCell *cells, int n) {
    scoped_buf text = {.max = SCREEN_LINES_BYTES};
    uint8_t length[4];
    TRY(paint_cells(cells, n, &text));
    store_u32(length, (uint32_t)buf_len(&text));
    while (s->lines_n > 0 &&
           (s->lines_n >= SCREEN_LINES ||
            buf_len(&s->lines) + buf_len(&text) + sizeof length > SCREEN_LINES_BYTES))
        drop_line(s);
    TRY(buf_append(&s->lines, view_of(length, sizeof length)));
    TRY(buf_append(&s->lines, buf_view(&text)));
    s->lines_n++;
    return OK;
}

static int on_line(int columns, const VTermScreenCell *cells, void *arg) {
    struct screen *s = arg;
    enum err e = keep_line(s, cells, columns);
    if (e != OK)
        s->failed = e;
    return 1;
}

// What passes to the person's terminal again later is text alone.
static void keep_title(struct screen *s, const char *text) {
    size_t n = 0;
    for (; text != NULL && *text != '\0' && n + 1 < sizeof s->title; text++)
        if ((uint8_t)*text >= 0x20 && *text != 0x7f)
            s->title[n++] = *text;
    s->title[n] = '\0';
}

static int on_property(VTermProp property, VTermValue *value, void *arg) {
    if (property == VTERM_PROP_TITLE)
        keep_title(arg, value->string);
    return 1;
}

static const VTermScreenCallbacks callbacks = {
    .settermprop = on_property,
    .sb_pushline = on_line,
};

// ---- life ----

static int between(uint32_t value, uint32_t unset, uint32_t most) {
    value = value == 0 ? unset : value;
    return (int)(value > most ? most : value);
}

enum err screen_new(struct screen **out, const struct screen_library *library,
                    uint32_t rows, uint32_t columns) {
    struct screen *s = calloc(1, sizeof *s);
    if (s == NULL)
        return ERR_MEMORY;
    s->library = library;
    s->rows = between(rows, 24, SCREEN_ROWS_MAX);
    s->columns = between(columns, 80, SCREEN_COLUMNS_MAX);
    s->vterm = library->new (s->rows, s->columns);
    if (s->vterm == NULL) {
        free(s);
        return ERR_MEMORY;
    }
    buf_init(&s->tail, SCREEN_TAIL_MAX);
    buf_init(&s->lines, 2 * SCREEN_LINES_BYTES);
    terminal_modes_init(&s->modes);
    library->set_utf8(s->vterm, 1);
    s->state = library->obtain_state(s->vterm);
    s->screen = library->obtain_screen(s->vterm);
    library->screen_enable_altscreen(s->screen, 1);
    library->screen_set_callbacks(s->screen, &callbacks, s);
    library->screen_reset(s->screen, 1);
    *out = s;
    return OK;
}

void screen_free(struct screen *s) {
    if (s == NULL)
        return;
    s->library->free(s->vterm);
    buf_free(&s->tail);
    buf_free(&s->lines);
    free(s);
}

void screen_resize(struct screen *s, uint32_t rows, uint32_t columns) {
    int r = between(rows, 24, SCREEN_ROWS_MAX),
        c = between(columns, 80, SCREEN_COLUMNS_MAX);
    if (r == s->rows && c == s->columns)
        return;
    s->rows = r;
    s->columns = c;
    s->library->set_size(s->vterm, r, c);
}

// ---- bytes ----

// Bytes at the end that begin a character of UTF-8 whose rest is missing.
static size_t begun_character(struct view v) {
    for (size_t back = 1; back <= 3 && back <= v.n; back++) {
        uint8_t c = v.p[v.n - back];
        size_t length = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : c >= 0xc0 ? 2 : 1;
        if ((c & 0xc0) == 0x80)
            continue;
        return length > back ? back : 0;
    }
    return 0;
}

// How much of it is whole.
static size_t whole(struct terminal_modes *m, struct view v) {
    size_t n = 0;
    for (size_t at = 0; at < v.n; at++) {
        bool open = terminal_modes_open(m);
        if (!open && v.p[at] == 0x1b)
            n = at;
        terminal_modes_feed(m, view_of(v.p + at, 1));
    }
    return terminal_modes_open(m) ? n : v.n - begun_character(v);
}

static void write_vterm(struct screen *s, struct view v) {
    for (size_t n = 0; n < v.n;) {
        size_t one = s->library->input_write(s->vterm, (const char *)v.p + n, v.n - n);
        if (one == 0)
            return;
        n += one;
    }
}

// No more than a line of them.
static void write_repeated(struct screen *s) {
    const struct repeat *r = &s->repeat;
    uint32_t most = (uint32_t)s->columns;
    for (uint32_t i = 0; i < r->due_times && i < most; i++)
        write_vterm(s, view_of(r->due, r->due_n));
}

// At most SCREEN_TAIL_MAX bytes.
static void write_piece(struct screen *s, struct view v) {
    uint8_t out[SCREEN_TAIL_MAX * REPEAT_OUT];
    size_t n = 0;
    for (size_t i = 0; i < v.n; i++) {
        n += repeat_take(&s->repeat, v.p[i], out + n);
        if (s->repeat.due_times == 0)
            continue;
        write_vterm(s, view_of(out, n));
        write_repeated(s);
        n = 0;
    }
    write_vterm(s, view_of(out, n));
}

enum err screen_feed(struct screen *s, struct view bytes) {
    while (bytes.n > 0 && s->failed == OK) {
        size_t room = SCREEN_TAIL_MAX - buf_len(&s->tail);
        size_t n = bytes.n < room ? bytes.n : room;
        struct terminal_modes modes = s->modes;
        TRY(buf_append(&s->tail, view_of(bytes.p, n)));
        bytes.p += n;
        bytes.n -= n;
        struct view v = buf_view(&s->tail);
        size_t good = whole(&modes, v);
        // A string longer than all this is not waited for.
        if (good == 0 && v.n == SCREEN_TAIL_MAX)
            good = v.n;
        terminal_modes_feed(&s->modes, view_of(v.p, good));
        write_piece(s, view_of(v.p, good));
        buf_taken(&s->tail, good);
    }
    return s->failed;
}
