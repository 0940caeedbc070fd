// ssh-keyscan's lists of hosts: every name is told once, ranges are counted through.
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "tools/keyscan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

void keyscan_say(const char *format, ...) {
    (void)format;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct keyscan k = {.files = {"-"}, .files_n = 1};
    struct keyscan_hosts *h = calloc(1, sizeof *h);
    const char *addresses, *names;
    if (h == NULL || size == 0 ||
        (h->in = fmemopen((void *)(uintptr_t)data, size, "r")) == NULL) {
        free(h);
        return 0;
    }
    h->k = &k;
    for (int i = 0; i < 1000 && keyscan_hosts_next(h, &addresses, &names); i++)
        if (strlen(addresses) == 0 || strlen(names) == 0 || strlen(names) >= KEYSCAN_LINE)
            abort();
    if (h->in != NULL && h->in != stdin)
        fclose(h->in);
    free(h);
    return 0;
}
