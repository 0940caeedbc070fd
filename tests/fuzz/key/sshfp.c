// DNS answers: a verdict, or an error with an empty one.
#include <stdlib.h>

#include "crypto/crypto.h"
#include "key/sshfp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct key *key;
    struct sshfp_verdict v;
    if (key == NULL &&
        (crypto_init() != OK || key_from_blob(&key,
                                              view_of("\0\0\0\013ssh-ed25519\0\0\0 "
                                                      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdef",
                                                      51),
                                              NULL) != OK))
        abort();
    if (sshfp_check(view_of(data, size), key, &v) != OK && (v.found > 0 || v.matches))
        abort();
    if (v.matches && v.found == 0)
        abort();
    return 0;
}
