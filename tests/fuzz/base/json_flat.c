// Lines of a journal: any bytes give a value that ends within its room, or none.
#include <stdlib.h>

#include "base/json_flat.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const names[] = {"a", "class", "text", ""};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char out[32];
        memset(out, 'x', sizeof out);
        bool found = json_flat_get(view_of(data, size), names[i], out, sizeof out);
        if (memchr(out, '\0', sizeof out) == NULL || (!found && out[0] != '\0'))
            abort();
        (void)json_flat_u64(view_of(data, size), names[i], 1);
    }
    return 0;
}
