// The file of idle limits: whatever is read is written and read again the same.
#include <stdlib.h>

#include "client/idle_book.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct idle_book b, again;
    unsigned line;
    uint8_t *copy = malloc(size > 0 ? size : 1);
    if (copy == NULL)
        abort();
    memcpy(copy, data, size);
    bool good = idle_book_parse(&b, view_of(copy, size), &line);
    free(copy);
    if (!good && (b.n != 0 || line == 0))
        abort();
    for (size_t i = 0; i < b.n; i++)
        if (!idle_limit_is_valid(&b.at[i].limit))
            abort();
    scoped_buf text;
    buf_init(&text, IDLE_BOOK_TEXT);
    if (idle_book_format(&b, &text) != OK ||
        !idle_book_parse(&again, buf_view(&text), &line) || again.n != b.n)
        abort();
    return 0;
}
