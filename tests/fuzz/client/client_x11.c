// The greeting of an X client, a display's name, and what xauth prints.
#include <stdlib.h>

#include "client/x11.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void greet(const uint8_t *data, size_t size) {
    static const uint8_t fake[] = "0123456789abcdef", real[] = "ABCDEFGHIJKLMNOP";
    uint8_t *copy = malloc(size > 0 ? size : 1);
    if (copy == NULL)
        abort();
    memcpy(copy, data, size);
    enum x11_auth found = x11_auth_substitute((struct span){copy, size},
                                              "MIT-MAGIC-COOKIE-1", fake, real, 16);
    bool changed = memcmp(copy, data, size) != 0;
    if (changed != (found == X11_AUTH_GOOD))
        abort();
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct x11_display display;
    char protocol[64], text[512];
    uint8_t cookie[X11_COOKIE_MAX];
    size_t n = 0;
    if (size == 0)
        return 0;
    switch (data[0] % 3) {
    case 0:
        greet(data + 1, size - 1);
        break;
    case 1:
        if (x11_xauth_parse(view_of(data + 1, size - 1), protocol, sizeof protocol,
                            cookie, &n) &&
            (n == 0 || n > sizeof cookie))
            abort();
        break;
    default:
        if (size > sizeof text)
            return 0;
        memcpy(text, data + 1, size - 1);
        text[size - 1] = 0;
        if (x11_display_parse(&display, text) && strchr(display.host, ';') != NULL)
            abort();
    }
    return 0;
}
