// Key agreement: the methods' rows, offers and answers, and the keys made of K (RFC 4253
// s.7.2).
#include "crypto/kex.h"

#include <stdlib.h>

#include "crypto/kex_ops.h"
#include "crypto/registry_rows.h"

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

// name, hash, Q_C, Q_S, post-quantum, ops
static const struct kex_alg mlkem768x25519 = {
    "mlkem768x25519-sha256",          &digest_sha256, MLKEM768_PUBLIC + X25519_LEN,
    MLKEM768_CIPHERTEXT + X25519_LEN, true,           &kex_mlkem768x25519_ops};
static const struct kex_alg curve25519 = {
    "curve25519-sha256", &digest_sha256, X25519_LEN,
    X25519_LEN,          false,          &kex_curve25519_ops};
static const struct kex_alg curve25519_libssh = {"curve25519-sha256@libssh.org",
                                                 &digest_sha256,
                                                 X25519_LEN,
                                                 X25519_LEN,
                                                 false,
                                                 &kex_curve25519_ops};
static const struct kex_alg nistp256 = {
    "ecdh-sha2-nistp256", &digest_sha256, 65, 65, false, &kex_nistp256_ops};
static const struct kex_alg nistp384 = {
    "ecdh-sha2-nistp384", &digest_sha384, 97, 97, false, &kex_nistp384_ops};
static const struct kex_alg nistp521 = {
    "ecdh-sha2-nistp521", &digest_sha512, 133, 133, false, &kex_nistp521_ops};

static const struct alg rows[] = {
    {ALG_KEX, "mlkem768x25519-sha256", ALG_DEFAULT | ALG_POST_QUANTUM, {&mlkem768x25519}},
    {ALG_KEX, "curve25519-sha256", ALG_DEFAULT, {&curve25519}},
    {ALG_KEX, "curve25519-sha256@libssh.org", ALG_DEFAULT, {&curve25519_libssh}},
    {ALG_KEX, "ecdh-sha2-nistp256", ALG_DEFAULT, {&nistp256}},
    {ALG_KEX, "ecdh-sha2-nistp384", ALG_DEFAULT, {&nistp384}},
    {ALG_KEX, "ecdh-sha2-nistp521", ALG_DEFAULT, {&nistp521}},
};
const struct alg_rows kex_rows = {rows, COUNT(rows)};

enum err kex_offer_new(struct kex_offer **out, const struct kex_alg *alg, uint8_t *blob) {
    struct kex_offer *o = calloc(1, sizeof *o);
    if (o == NULL)
        return ERR_MEMORY;
    o->alg = alg;
    enum err e = alg->ops->start(o, blob);
    if (e != OK) {
        kex_offer_free(o);
        return fetched_failed(e);
    }
    *out = o;
    return OK;
}

enum err kex_offer_finish(struct kex_offer *o, struct view server_blob,
                          struct span *secret) {
    if (server_blob.n != o->alg->server_blob_len)
        return ERR_KEX;
    enum err e = o->alg->ops->finish(o, server_blob.p, secret);
    return e == OK ? OK : fetched_failed(e);
}

void kex_offer_free(struct kex_offer *o) {
    if (o == NULL)
        return;
    EVP_PKEY_free(o->key);  // libcrypto wipes private halves
    EVP_PKEY_free(o->mlkem);
    secret_wipe(o, sizeof *o);
    free(o);
}

enum err kex_answer(const struct kex_alg *alg, struct view client_blob, uint8_t *blob,
                    struct span *secret) {
    if (client_blob.n != alg->client_blob_len)
        return ERR_KEX;
    enum err e = alg->ops->answer(alg->ops, client_blob.p, blob, secret);
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
                    char letter, struct view session_id, uint8_t *out, size_t n) {
    uint8_t block[DIGEST_MAX];
    struct view first[] = {secret, h, view_of(&letter, 1), session_id};
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
