// Hybrids: a key encapsulation and a curve side by side
// (draft-ietf-sshm-mlkem-hybrid-kex, draft-ietf-sshm-ntruprime-ssh).
//
// C_INIT is encapsulation key || point, S_REPLY ciphertext || point; K is the string
// HASH(the first secret || the second).
#include "crypto/kex_ops.h"

#define BOTH (KEM_SHARED + CURVE_SHARED)

// K from both secrets; wipes them.
static enum err hybrid_secret(const struct kex_alg *alg, uint8_t both[BOTH],
                              struct span *secret) {
    uint8_t digest[DIGEST_MAX];
    struct view part = view_of(both, BOTH);
    enum err e = digest_parts(alg->hash, &part, 1, digest);
    if (e == OK)
        e = kex_secret_string(secret, digest, alg->hash->size);
    secret_wipe(both, BOTH);
    secret_wipe(digest, sizeof digest);
    return e;
}

static enum err hybrid_start(struct kex_offer *o, const struct kex_group *group,
                             struct span *blob) {
    const struct kex_ops *ops = o->alg->ops;
    (void)group;
    TRY(ops->kem->offer(o, blob->p));
    return ops->curve->make(&o->key, blob->p + ops->kem->public_len);
}

static enum err hybrid_finish(struct kex_offer *o, struct view server_blob,
                              struct span *secret) {
    const struct kex_ops *ops = o->alg->ops;
    uint8_t both[BOTH];
    TRY(ops->kem->finish(o, server_blob.p, both));
    enum err e = ops->curve->shared(o->key, server_blob.p + ops->kem->ciphertext_len,
                                    both + KEM_SHARED);
    if (e == OK)
        return hybrid_secret(o->alg, both, secret);
    secret_wipe(both, sizeof both);
    return e;
}

static enum err hybrid_answer_curve(const struct curve *curve,
                                    const uint8_t *client_point, uint8_t *point,
                                    uint8_t *shared) {
    EVP_PKEY *key = NULL;
    enum err e = curve->make(&key, point);
    if (e == OK)
        e = curve->shared(key, client_point, shared);
    EVP_PKEY_free(key);
    return e;
}

static enum err hybrid_answer(const struct kex_alg *alg, const struct kex_group *group,
                              struct view client_blob, struct span *blob,
                              struct span *secret) {
    const struct kem *kem = alg->ops->kem;
    uint8_t both[BOTH];
    (void)group;
    TRY(kem->answer(client_blob.p, blob->p, both));
    enum err e = hybrid_answer_curve(alg->ops->curve, client_blob.p + kem->public_len,
                                     blob->p + kem->ciphertext_len, both + KEM_SHARED);
    if (e == OK)
        return hybrid_secret(alg, both, secret);
    secret_wipe(both, sizeof both);
    return e;
}

#define OPS(one, two)                                                                    \
    {                                                                                    \
        .start = hybrid_start, .finish = hybrid_finish, .answer = hybrid_answer,         \
        .kem = &(one), .curve = &(two)                                                   \
    }

const struct kex_ops kex_mlkem768x25519_ops = OPS(kem_mlkem768, curve_x25519);
const struct kex_ops kex_mlkem768nistp256_ops = OPS(kem_mlkem768, curve_p256);
const struct kex_ops kex_sntrup761x25519_ops = OPS(kem_sntrup761, curve_x25519);
