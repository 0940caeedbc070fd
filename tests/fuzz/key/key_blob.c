// Public key blobs and public key text: what is taken must come back byte by byte.
#include <stdlib.h>

#include "crypto/crypto.h"
#include "key/key.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void text_comes_back(const struct key *k) {
    scoped_buf out;
    struct key *again = NULL;
    buf_init(&out, 1u << 20);
    if (key_public_text(k, &out) != OK)
        abort();
    if (key_from_public_text(&again, buf_view(&out), NULL) != OK ||
        !view_equal(key_blob(again), key_blob(k)))
        abort();
    key_free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct key *k = NULL;
    struct fault f = {0};
    if (crypto_init() != OK)
        abort();
    if (key_from_blob(&k, view_of(data, size), &f) == OK) {
        if (!view_equal(key_blob(k), view_of(data, size)))
            abort();
        text_comes_back(k);
        key_free(k);
    }
    k = NULL;
    if (key_from_public_text(&k, view_of(data, size), &f) == OK) {
        text_comes_back(k);
        key_free(k);
    }
    return 0;
}
