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

// A secret that was agreed on is well-formed.
static void check(enum err e, const struct kex_alg *alg, struct span secret) {
    if (e == OK && (load_u32(secret.p) != secret.n - 4 || secret.n > KEX_SECRET_MAX ||
                    (alg->post_quantum && secret.n != 4 + alg->hash->size)))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const struct alg *a = size > 0 ? alg_at(ALG_KEX, data[0] / 2 % 16) : NULL;
    if (a == NULL)
        return 0;
    static struct kex_group group;
    uint8_t blob[KEX_BLOB_MAX], k[KEX_SECRET_MAX];
    struct span secret = {k, sizeof k}, room = {blob, sizeof blob};
    struct view foreign = view_of(data + 1, size - 1);
    if (group.p_len == 0 &&
        kex_group_choose(&group, view_of(NULL, 0), 2048, 2048, 2048) != OK)
        abort();
    const struct kex_group *g = a->kex->group_exchange ? &group : NULL;
    if (data[0] % 2 == 0) {
        check(kex_answer(a->kex, g, foreign, &room, &secret), a->kex, secret);
        return 0;
    }
    struct kex_offer *o = NULL;
    if (kex_offer_new(&o, a->kex, g, &room) != OK)
        abort();
    check(kex_offer_finish(o, foreign, &secret), a->kex, secret);
    kex_offer_free(o);
    return 0;
}
