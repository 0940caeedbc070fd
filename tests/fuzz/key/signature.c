// Signature blobs against fixed keys: none that the fuzzer makes up may verify. The first
// byte chooses the algorithm.
#include <stdlib.h>

#include "crypto/crypto.h"
#include "key/key.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct key *key_for(const struct signature_alg *alg) {
    static struct key *keys[16];
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        struct pk *pk;
        if (keys[i] == NULL && (pk_generate(&pk, alg->kind, alg->curve, 1024) != OK ||
                                key_from_pk(&keys[i], pk) != OK))
            abort();
        if (key_can_sign_with(keys[i], alg))
            return keys[i];
    }
    abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (crypto_init() != OK)
        abort();
    if (size == 0)
        return 0;
    static const char *const names[] = {"ssh-ed25519",         "ecdsa-sha2-nistp256",
                                        "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521",
                                        "rsa-sha2-512",        "rsa-sha2-256"};
    const struct alg *a = alg_find(ALG_SIGNATURE, view_text(names[data[0] % 6]));
    if (a == NULL)
        return 0;
    struct key *k = key_for(a->signature);
    if (key_verify(k, a->signature, view_of(data + 1, size - 1), view_text("data")) == OK)
        abort();
    return 0;
}
