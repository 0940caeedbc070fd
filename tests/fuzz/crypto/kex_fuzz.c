// Blobs of strangers in key agreement: the first byte picks the method and the side.
#include <stdlib.h>

#include "crypto/crypto.h"
#include "crypto/registry.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    (void)argc, (void)argv;
    if (crypto_init() != OK)
        abort();
    return 0;
}

// A secret that was agreed on is well-formed, and there is none where there was an error.
static void check(enum err e, const struct kex_alg *alg, size_t want, size_t n,
                  struct span secret) {
    if (n != want && e != ERR_KEX)
        abort();
    if (e == OK && (load_u32(secret.p) != secret.n - 4 || secret.n > KEX_SECRET_MAX ||
                    (alg->post_quantum && secret.n != 36)))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const struct alg *a = size > 0 ? alg_at(ALG_KEX, data[0] / 2 % 6) : NULL;
    if (a == NULL)
        return 0;
    uint8_t blob[KEX_BLOB_MAX], k[KEX_SECRET_MAX];
    struct span secret = {k, sizeof k};
    struct view foreign = view_of(data + 1, size - 1);
    if (data[0] % 2 == 0) {
        check(kex_answer(a->kex, foreign, blob, &secret), a->kex, a->kex->client_blob_len,
              foreign.n, secret);
        return 0;
    }
    struct kex_offer *o = NULL;
    if (kex_offer_new(&o, a->kex, blob) != OK)
        abort();
    check(kex_offer_finish(o, foreign, &secret), a->kex, a->kex->server_blob_len,
          foreign.n, secret);
    kex_offer_free(o);
    return 0;
}
