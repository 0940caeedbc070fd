// Private key files without passphrase (a derivation would only cost time); what is taken
// can be written and read again.
#include <stdlib.h>

#include "crypto/crypto.h"
#include "key/private_key.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void comes_back(const struct key *k) {
    scoped_buf out;
    struct key *again = NULL;
    buf_init(&out, 4u << 20);
    if (private_key_write(k, &(struct private_key_options){0}, &out, NULL) != OK ||
        private_key_parse(&again, buf_view(&out), (struct view){0}, NULL) != OK ||
        !view_equal(key_blob(again), key_blob(k)))
        abort();
    key_free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct key *k = NULL;
    struct fault f = {0};
    if (crypto_init() != OK)
        abort();
    struct view text = view_of(data, size);
    if (private_key_parse(&k, text, (struct view){0}, &f) == OK) {
        if (!pk_has_secret(k->pk))
            abort();
        comes_back(k);
        key_free(k);
    }
    k = NULL;
    if (private_key_public_half(&k, text, &f) == OK)
        key_free(k);
    return 0;
}
