// authorized_keys: each line by itself, and the scan; both must find the same.
#include <stdlib.h>

#include "crypto/crypto.h"
#include "key/authorized_keys.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// The lines that the scan finds for a key, as the plain walk would: none lost, none
// invented.
static size_t scanned(struct view text, struct view blob) {
    struct authkey_scan s;
    struct authkey_line l;
    size_t n = 0;
    if (authkey_scan_init(&s, text, "f", blob) != OK)
        abort();
    for (enum err e; (e = authkey_scan_next(&s, &l, NULL)) != ERR_NOT_FOUND;) {
        if (e != OK)
            continue;
        if (!view_equal(key_blob(l.key), blob))
            abort();
        n++;
        authkey_free(&l);
    }
    authkey_scan_free(&s);
    return n;
}

static struct view cut_line(struct view *rest) {
    const uint8_t *end = memchr(rest->p, '\n', rest->n);
    size_t n = end != NULL ? (size_t)(end - rest->p) : rest->n;
    struct view line = view_of(rest->p, n);
    size_t used = n + (end != NULL);
    *rest = view_of(rest->p + used, rest->n - used);
    return line;
}

static size_t walked(struct view text, struct view blob) {
    size_t n = 0;
    for (struct view rest = text; rest.n > 0;) {
        struct authkey_line l;
        if (authkey_parse(&l, cut_line(&rest), "f", 1, NULL) != OK)
            continue;
        n += view_equal(key_blob(l.key), blob);
        authkey_free(&l);
    }
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct view text = view_of(data, size), rest = text;
    struct fault f = {0};
    if (crypto_init() != OK)
        abort();
    for (unsigned i = 0; rest.n > 0 && i < 8; i++) {
        struct authkey_line l;
        if (authkey_parse(&l, cut_line(&rest), "f", i, &f) != OK)
            continue;
        if (scanned(text, key_blob(l.key)) != walked(text, key_blob(l.key)))
            abort();
        authkey_free(&l);
    }
    return 0;
}
