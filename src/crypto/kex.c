// Key agreement: the methods' rows, offers and answers, and the keys made of K (RFC 4253
// s.7.2).
#include "crypto/kex.h"

#include <stdlib.h>

#include "crypto/kex_ops.h"
#include "crypto/registry_rows.h"

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

#define MLKEM_X25519_C (MLKEM768_PUBLIC + X25519_LEN)
#define MLKEM_X25519_S (MLKEM768_CIPHERTEXT + X25519_LEN)
#define MLKEM_P256_C (MLKEM768_PUBLIC + P256_LEN)
#define MLKEM_P256_S (MLKEM768_CIPHERTEXT + P256_LEN)
#define SNTRUP_C (SNTRUP761_PUBLIC + X25519_LEN)
#define SNTRUP_S (SNTRUP761_CIPHERTEXT + X25519_LEN)
#define FIELD(bits) ((bits) / 8 + 1)  // an mpint's contents

#define ECDHE false, false  // neither post-quantum nor with group exchange
#define HYBRID true, false
#define DH false, false
#define DH_GEX false, true

// In OpenSSH's order. Where servers are left to choose, those over finite fields are off:
// they are the slowest by far.
#define CLIENT ALG_DEFAULT_CLIENT
#define BOTH ALG_DEFAULT
#define PQ ALG_POST_QUANTUM

// name, flags, hash, Q_C, Q_S, kind, ops
#define METHODS(X)                                                                       \
    X(mlkem768x25519, "mlkem768x25519-sha256", BOTH | PQ, sha256, MLKEM_X25519_C,        \
      MLKEM_X25519_S, HYBRID, mlkem768x25519)                                            \
    X(sntrup761, "sntrup761x25519-sha512", BOTH | PQ, sha512, SNTRUP_C, SNTRUP_S,        \
      HYBRID, sntrup761x25519)                                                           \
    X(sntrup761_openssh, "sntrup761x25519-sha512@openssh.com", BOTH | PQ, sha512,        \
      SNTRUP_C, SNTRUP_S, HYBRID, sntrup761x25519)                                       \
    X(curve25519, "curve25519-sha256", BOTH, sha256, X25519_LEN, X25519_LEN, ECDHE,      \
      curve25519)                                                                        \
    X(curve25519_libssh, "curve25519-sha256@libssh.org", BOTH, sha256, X25519_LEN,       \
      X25519_LEN, ECDHE, curve25519)                                                     \
    X(nistp256, "ecdh-sha2-nistp256", BOTH, sha256, P256_LEN, P256_LEN, ECDHE, nistp256) \
    X(nistp384, "ecdh-sha2-nistp384", BOTH, sha384, 97, 97, ECDHE, nistp384)             \
    X(nistp521, "ecdh-sha2-nistp521", BOTH, sha512, 133, 133, ECDHE, nistp521)           \
    X(gex_sha256, "diffie-hellman-group-exchange-sha256", CLIENT, sha256, FIELD(8192),   \
      FIELD(8192), DH_GEX, group_exchange)                                               \
    X(group16, "diffie-hellman-group16-sha512", CLIENT, sha512, FIELD(4096),             \
      FIELD(4096), DH, group16)                                                          \
    X(group18, "diffie-hellman-group18-sha512", CLIENT, sha512, FIELD(8192),             \
      FIELD(8192), DH, group18)                                                          \
    X(group14, "diffie-hellman-group14-sha256", CLIENT, sha256, FIELD(2048),             \
      FIELD(2048), DH, group14)                                                          \
    X(mlkem768nistp256, "mlkem768nistp256-sha256", PQ, sha256, MLKEM_P256_C,             \
      MLKEM_P256_S, HYBRID, mlkem768nistp256)                                            \
    X(group14_sha1, "diffie-hellman-group14-sha1", 0, sha1, FIELD(2048), FIELD(2048),    \
      DH, group14)                                                                       \
    X(gex_sha1, "diffie-hellman-group-exchange-sha1", 0, sha1, FIELD(8192), FIELD(8192), \
      DH_GEX, group_exchange)                                                            \
    X(group1, "diffie-hellman-group1-sha1", 0, sha1, FIELD(1024), FIELD(1024), DH, group1)

// clang-format off
#define X(id, name, flags, hash, q_c, q_s, kind, ops)                                    \
    static const struct kex_alg id = {name, &digest_##hash, q_c, q_s, kind,              \
                                      &kex_##ops##_ops};
METHODS(X)
#undef X

#define X(id, name, flags, ...) {ALG_KEX, name, flags, {&id}},
static const struct alg rows[] = {METHODS(X)};
#undef X
// clang-format on
const struct alg_rows kex_rows = {rows, COUNT(rows)};

bool kex_blob_fits(const struct kex_alg *alg, size_t n, size_t want) {
    return alg->ops->field ? n > 0 && n <= want : n == want;
}

enum err kex_offer_new(struct kex_offer **out, const struct kex_alg *alg,
                       const struct kex_group *group, struct span *blob) {
    if (blob->n < alg->client_blob_len || alg->group_exchange != (group != NULL))
        return ERR_LIMIT;
    struct kex_offer *o = calloc(1, sizeof *o);
    if (o == NULL)
        return ERR_MEMORY;
    o->alg = alg;
    blob->n = alg->client_blob_len;
    enum err e = alg->ops->start(o, group, blob);
    if (e != OK) {
        kex_offer_free(o);
        return fetched_failed(e);
    }
    *out = o;
    return OK;
}

enum err kex_offer_finish(struct kex_offer *o, struct view server_blob,
                          struct span *secret) {
    if (!kex_blob_fits(o->alg, server_blob.n, o->alg->server_blob_len))
        return ERR_KEX;
    enum err e = o->alg->ops->finish(o, server_blob, secret);
    return e == OK ? OK : fetched_failed(e);
}

void kex_offer_free(struct kex_offer *o) {
    if (o == NULL)
        return;
    EVP_PKEY_free(o->key);  // libcrypto wipes private halves
    EVP_PKEY_free(o->kem_key);
    BN_free(o->p);
    BN_clear_free(o->x);
    secret_wipe(o, sizeof *o);
    free(o);
}

enum err kex_answer(const struct kex_alg *alg, const struct kex_group *group,
                    struct view client_blob, struct span *blob, struct span *secret) {
    if (blob->n < alg->server_blob_len || alg->group_exchange != (group != NULL))
        return ERR_LIMIT;
    if (!kex_blob_fits(alg, client_blob.n, alg->client_blob_len))
        return ERR_KEX;
    blob->n = alg->server_blob_len;
    enum err e = alg->ops->answer(alg, group, client_blob, blob, secret);
    return e == OK ? OK : fetched_failed(e);
}

enum err kex_secret_string(struct span *secret, const uint8_t *p, size_t n) {
    if (secret->n < 4 + n)
        return ERR_LIMIT;
    store_u32(secret->p, (uint32_t)n);
    memcpy(secret->p + 4, p, n);
    secret->n = 4 + n;
    return OK;
}

// The length of an mpint tells how many zero bytes the secret starts with: that is the
// protocol's (RFC 5656 s.4, RFC 8731 s.3.1).
enum err kex_secret_mpint(struct span *secret, const uint8_t *p, size_t n) {
    while (n > 0 && p[0] == 0)
        p++, n--;
    size_t sign = n > 0 && p[0] >= 0x80;
    if (secret->n < 4 + sign + n)
        return ERR_LIMIT;
    store_u32(secret->p, (uint32_t)(sign + n));
    secret->p[4] = 0;
    memcpy(secret->p + 4 + sign, p, n);
    secret->n = 4 + sign + n;
    return OK;
}

// K1 = HASH(K || H || letter || session_id), K2 = HASH(K || H || K1), …
enum err kex_derive(const struct digest_alg *hash, struct view secret, struct view h,
                    struct view label, struct view session_id, uint8_t *out, size_t n) {
    uint8_t block[DIGEST_MAX];
    struct view first[] = {secret, h, label, session_id};
    enum err e = digest_parts(hash, first, COUNT(first), block);
    size_t done = 0;
    while (e == OK) {
        size_t take = n - done < hash->size ? n - done : hash->size;
        memcpy(out + done, block, take);
        done += take;
        if (done == n)
            break;
        struct view next[] = {secret, h, view_of(out, done)};
        e = digest_parts(hash, next, COUNT(next), block);
    }
    secret_wipe(block, sizeof block);
    return e;
}
