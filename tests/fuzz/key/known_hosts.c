// known_hosts: every question about a file; what is removed is gone, and nothing else;
// what UpdateHostKeys makes of it has the announced key, and is made once.
#include <stdlib.h>

#include "base/limits.h"
#include "crypto/crypto.h"
#include "key/known_hosts.h"
#include "key/known_hosts_update.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// An Ed25519 key of the test corpus.
static const uint8_t blob[51] =
    "\0\0\0\013ssh-ed25519\0\0\0 ABCDEFGHIJKLMNOPQRSTUVWXYZabcdef";

static void update(const struct known_hosts_file *file, const char *name) {
    struct known_hosts_offer offer = {0};
    struct known_hosts_names names = {{name, "10.0.0.9"}, 2};
    struct known_hosts_plan plan;
    struct known_hosts_verdict v;
    bool changed = false;
    scoped_buf out, again;
    buf_init(&out, file->text.n + 1024);
    buf_init(&again, file->text.n + 1024);
    struct key *key = NULL;
    if (key_from_blob(&key, view_of(blob, sizeof blob), NULL) != OK)
        abort();
    offer.key = key;
    if (known_hosts_check_authority(file, 1, name, key_blob(key), &v) != OK ||
        v.result == KNOWN_HOSTS_CHANGED || v.result == KNOWN_HOSTS_OTHER_TYPE)
        abort();
    if (known_hosts_plan(file, 1, &names, &offer, 1, &plan) != OK ||
        known_hosts_replace(file, &names, &offer, 1, true, false, &out, &changed) != OK)
        abort();
    struct known_hosts_file next = {"n", buf_view(&out)};
    if (known_hosts_replace(&next, &names, &offer, 1, true, false, &again, &changed) !=
            OK ||
        changed || !view_equal(buf_view(&out), buf_view(&again)))
        abort();
    key_free(key);
}

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
        update(&file, names[i]);
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
