// Public keys in PEM; without armour in the input it is put around it.
#include <stdlib.h>

#include "crypto/crypto.h"
#include "key/base64.h"
#include "key/public_pem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void parse(struct view text) {
    struct key *k = NULL, *again = NULL;
    struct fault f = {0};
    if (public_pem_parse(&k, text, &f) != OK)
        return;
    if (key_from_blob(&again, key_blob(k), NULL) != OK)
        abort();
    key_free(again);
    key_free(k);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    scoped_buf text;
    if (crypto_init() != OK)
        abort();
    parse(view_of(data, size));
    buf_init(&text, 4 * size + 256);
    const char *kind = size % 2 == 0 ? "" : "RSA ";
    if (buf_append(&text, view_text("-----BEGIN ")) == OK &&
        buf_append(&text, view_text(kind)) == OK &&
        buf_append(&text, view_text("PUBLIC KEY-----\n")) == OK &&
        base64_encode(&text, view_of(data, size)) == OK &&
        buf_append(&text, view_text("\n-----END ")) == OK &&
        buf_append(&text, view_text(kind)) == OK &&
        buf_append(&text, view_text("PUBLIC KEY-----\n")) == OK)
        parse(buf_view(&text));
    return 0;
}
