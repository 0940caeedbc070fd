// known_hosts: every question about a file; what is removed is gone, and nothing else.
#include <stdlib.h>

#include "base/limits.h"
#include "crypto/crypto.h"
#include "key/known_hosts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// An Ed25519 key of the test corpus.
static const uint8_t blob[51] =
    "\0\0\0\013ssh-ed25519\0\0\0 ABCDEFGHIJKLMNOPQRSTUVWXYZabcdef";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const names[] = {"alpha", "[alpha]:2222", "10.0.0.1"};
    struct known_hosts_file file = {"f", view_of(data, size)};
    if (crypto_init() != OK)
        abort();
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct known_hosts_verdict v;
        struct known_hosts_line lines[4];
        const struct key_type *types[4];
        size_t n;
        if (known_hosts_check(&file, 1, names[i], view_of(blob, sizeof blob), &v) != OK)
            abort();
        if ((v.result == KNOWN_HOSTS_NEW) != (v.line.number == 0))
            abort();
        (void)known_hosts_types(&file, 1, names[i], types, 4);
        if (known_hosts_with_key(&file, 1, view_of(blob, sizeof blob), lines, 4, &n) !=
            OK)
            abort();
        scoped_buf out;
        buf_init(&out, size + 1);
        if (known_hosts_remove(&file, names[i], &out, &n) != OK)
            abort();
        if ((n == 0) != (buf_len(&out) == size))
            abort();
        struct known_hosts_file rest = {"r", buf_view(&out)};
        if (known_hosts_check(&rest, 1, names[i], view_of(blob, sizeof blob), &v) != OK ||
            v.result == KNOWN_HOSTS_OK || v.result == KNOWN_HOSTS_CHANGED)
            abort();
    }
    return 0;
}
