// What a program writes to its terminal, painted: any bytes. Text comes out the same
// however it was cut (what is no UTF-8 need not: libvterm reads it by the piece), and
// modes are given back completely.
#include <stdlib.h>

#include "server/screen_library.h"

#define SIZE_MAX_OUT (64u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct screen_library library;

static void paint(struct view v, uint32_t rows, uint32_t columns, size_t piece,
                  struct buf *out) {
    struct screen *s;
    if (screen_new(&s, &library, rows, columns) != OK)
        abort();
    for (size_t at = 0, n; at < v.n; at += n) {
        n = v.n - at < piece ? v.n - at : piece;
        if (screen_feed(s, view_of(v.p + at, n)) != OK)
            abort();
    }
    if (screen_paint(s, SCREEN_STATE, out) != OK)
        abort();
    screen_free(s);
}

// ASCII with the controls of text, and no longer than what is waited for. Others within a
// title or its like libvterm deals with by the piece, and for it ESC * ] begins one.
static bool is_text(struct view v) {
    static const char controls[] = "\a\b\t\n\r\x1b";
    for (size_t i = 0; i < v.n; i++)
        if (v.p[i] >= 0x7f ||
            (v.p[i] < 0x20 && memchr(controls, v.p[i], sizeof controls - 1) == NULL))
            return false;
    for (size_t i = 1; i < v.n; i++)
        if (v.p[i - 1] == 0x1b && v.p[i] < 0x30)
            return false;
    return v.n < 4000;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct fault fault = {0};
    if (library.new == NULL && screen_library_load(&library, &fault) != OK)
        abort();
    if (size < 3)
        return 0;
    uint32_t rows = 1 + data[0] % 30, columns = 2 + data[1] % 90;
    size_t piece = 1 + data[2];
    struct view v = view_of(data + 3, size - 3);
    scoped_buf whole = {.max = SIZE_MAX_OUT}, pieces = {.max = SIZE_MAX_OUT};
    paint(v, rows, columns, SIZE_MAX, &whole);
    paint(v, rows, columns, piece, &pieces);
    if (is_text(v) && !view_equal(buf_view(&whole), buf_view(&pieces)))
        abort();
    struct terminal_modes m, fresh;
    scoped_buf back = {.max = 4096};
    terminal_modes_init(&m);
    terminal_modes_feed(&m, v);
    if (terminal_modes_leave(&m, &back) != OK)
        abort();
    terminal_modes_feed(&m, buf_view(&back));
    buf_clear(&back);
    terminal_modes_init(&fresh);
    if (terminal_modes_restore(&m, &back) != OK || buf_len(&back) != 0 ||
        terminal_modes_alternate(&m) || terminal_modes_open(&m))
        abort();
    return 0;
}
