#include "io/hostname.h"

#include <unistd.h>

void hostname_get(char *out, size_t size) {
    if (size == 0)
        return;
    if (gethostname(out, size) != 0)
        out[0] = '\0';
    out[size - 1] = '\0';
}
