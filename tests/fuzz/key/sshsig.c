// Armoured signatures of files: none that the fuzzer makes up is right.
#include <stdlib.h>

#include "crypto/crypto.h"
#include "key/sshsig.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const uint8_t md[DIGEST_MAX] = {1, 2, 3};
    struct sshsig s;
    struct fault f = {0};
    if (crypto_init() != OK)
        abort();
    if (sshsig_parse(&s, view_of(data, size), &f) != OK)
        return 0;
    if (s.key == NULL || s.name_space.n == 0 || s.hash == NULL)
        abort();
    if (sshsig_verify(&s, "file", md, &f) == OK)
        abort();
    sshsig_free(&s);
    return 0;
}
