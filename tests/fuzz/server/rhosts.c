// hosts.equiv and its like: any text. A line is never for a host or user that it does not
// name, numbers grow, and a bare plus or minus lets nobody in.
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "server/rhosts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool no_group(const char *group, const char *host, const char *user) {
    (void)group;
    (void)host;
    (void)user;
    return false;
}

// Is the name anywhere in the text, in whatever case?
static bool mentions(struct view text, const char *name) {
    size_t n = strlen(name);
    for (size_t i = 0; i + n <= text.n; i++)
        if (strncasecmp((const char *)text.p + i, name, n) == 0)
            return true;
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct view text = view_of(data, size);
    struct rhosts_scan scan = rhosts_scan_of(text);
    struct rhosts_line line;
    unsigned long last = 0, number;
    while (rhosts_next(&scan, &line)) {
        if (line.host.n == 0 || line.number <= last)
            abort();
        last = line.number;
    }
    struct rhosts_case c = {"far.example", "192.0.2.7", "bob", "ann", no_group};
    if (rhosts_search(text, &c, &number) == RHOSTS_NOTHING)
        return 0;
    if (number > last || !mentions(text, "bob") ||
        (!mentions(text, c.host) && !mentions(text, c.address)))
        abort();
    return 0;
}
