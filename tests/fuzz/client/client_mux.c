// A control socket's stream of messages, as the master and as a passenger reads it; what
// decodes encodes again to the same bytes.
#include <stdlib.h>

#include "client/mux_message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void walk(struct view strings) {
    struct view one;
    for (size_t left = strings.n; mux_next_string(&strings, &one); left = strings.n)
        if (strings.n >= left)
            abort();
}

static void check(const struct mux_message *m, struct view bytes) {
    scoped_buf out;
    buf_init(&out, MUX_MESSAGE_MAX);
    if (m->number == MUX_HELLO)
        walk(m->hello.extensions);
    if (m->number == MUX_C_NEW_SESSION)
        walk(m->session.environment);
    if (mux_encode(&out, (enum mux_number)m->number, &m->hello) != OK ||
        !view_equal(buf_view(&out), bytes))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    for (size_t at = 0; at < size;) {
        struct mux_message m;
        struct fault fault = {0};
        size_t n = size - at, taken = 0;
        // A copy of its exact size: a reader past its end is found.
        uint8_t *copy = malloc(n);
        if (copy == NULL)
            abort();
        memcpy(copy, data + at, n);
        enum err e = mux_decode(view_of(copy, n), &m, &taken, &fault);
        if (taken > n || (e == ERR_UNSUPPORTED && taken < 8))
            abort();
        if (e == OK && taken > 0)
            check(&m, view_of(copy, taken));
        free(copy);
        if ((e != OK && e != ERR_UNSUPPORTED) || taken == 0)
            return 0;
        at += taken;
    }
    return 0;
}
