// Key files of ssh.com's programs, public and private; what is taken is whole.
#include <stdlib.h>

#include "crypto/crypto.h"
#include "key/ssh2_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct key *k = NULL;
    struct fault f = {0};
    struct view text = view_of(data, size);
    if (crypto_init() != OK)
        abort();
    if (ssh2_file_private(&k, text, &f) == OK) {
        if (!pk_has_secret(k->pk) || !ssh2_file_is_private(text))
            abort();
        key_free(k);
    }
    k = NULL;
    fault_clear(&f);
    if (ssh2_file_public(&k, text, &f) == OK) {
        if (k->blob_len == 0)
            abort();
        key_free(k);
    }
    return 0;
}
