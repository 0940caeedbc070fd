// Any bytes in any field of any event make one line of bounded length, and an event's
// line has nothing but printable text and UTF-8.
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "server/event_table.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct view take(struct view *rest) {
    if (rest->n == 0)
        return view_of(NULL, 0);
    size_t n = rest->p[0] * 9u;
    n = n < rest->n - 1 ? n : rest->n - 1;
    struct view v = view_of(rest->p + 1, n);
    *rest = view_of(rest->p + 1 + n, rest->n - 1 - n);
    return v;
}

#define FILL_TEXT(name) e.name = take(&rest)
#define FILL_NUMBER(name) e.name = size
#define FILL_OPTION(name) e.name = size & 1 ? size : EVENT_UNKNOWN

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct event e;
    struct view rest = view_of(data, size);
    scoped_buf out = {0};
    if (size == 0)
        return 0;
    enum event_number number = (enum event_number)(data[0] % EVENT_COUNT);
#define X(NAME, name, kind, max, meaning) FILL_##kind(name);
    EVENT_FIELDS(X)
#undef X
    if (event_encode(number, &e, (uint64_t)size << 40, &out) != OK)
        abort();
    struct view line = buf_view(&out);
    if (line.n > EVENT_LINE_MAX || line.n < 3 ||
        memcmp(line.p + line.n - 2, "}\n", 2) != 0)
        abort();
    for (size_t i = 0, n; i + 1 < line.n; i += n) {
        uint32_t rune;
        n = text_utf8(view_of(line.p + i, line.n - i), &rune);
        if (n == 0 || rune < 0x20 || rune == 0x7f)
            abort();
    }
    return 0;
}
