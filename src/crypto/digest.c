#include "crypto/digest.h"

#include <openssl/evp.h>
#include <stdlib.h>

#include "crypto/fetched.h"

const struct digest_alg digest_md5 = {"md5", 16, FETCHED_MD5};
const struct digest_alg digest_sha1 = {"sha1", 20, FETCHED_SHA1};
const struct digest_alg digest_sha256 = {"sha256", 32, FETCHED_SHA256};
const struct digest_alg digest_sha384 = {"sha384", 48, FETCHED_SHA384};
const struct digest_alg digest_sha512 = {"sha512", 64, FETCHED_SHA512};

struct digest {
    const struct digest_alg *alg;
    EVP_MD_CTX *ctx;
};

const struct digest_alg *digest_find(const char *name) {
    static const struct digest_alg *const all[] = {
        &digest_md5, &digest_sha1, &digest_sha256, &digest_sha384, &digest_sha512};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (strcmp(all[i]->name, name) == 0)
            return all[i];
    return NULL;
}

static enum err digest_start(struct digest *d) {
    return EVP_DigestInit_ex2(d->ctx, fetched_md(d->alg), NULL) == 1
               ? OK
               : fetched_failed(ERR_CRYPTO);
}

static enum err digest_open(struct digest *d, const struct digest_alg *alg) {
    *d = (struct digest){alg, EVP_MD_CTX_new()};
    return d->ctx == NULL ? ERR_MEMORY : digest_start(d);
}

static void digest_close(struct digest *d) {
    EVP_MD_CTX_free(d->ctx);
}

enum err digest_parts(const struct digest_alg *alg, const struct view *parts,
                      size_t count, uint8_t *out) {
    __attribute__((cleanup(digest_close))) struct digest d;
    TRY(digest_open(&d, alg));
    for (size_t i = 0; i < count; i++)
        TRY(digest_add(&d, parts[i]));
    return EVP_DigestFinal_ex(d.ctx, out, NULL) == 1 ? OK : fetched_failed(ERR_CRYPTO);
}

enum err digest_hmac(const struct digest_alg *alg, struct view key, struct view data,
                     uint8_t *out) {
    EVP_MAC_CTX *ctx = EVP_MAC_CTX_dup(fetched()->hmac[alg->id]);
    if (ctx == NULL)
        return fetched_failed(ERR_MEMORY);
    static const uint8_t none[1];  // a NULL key would mean "the last one"
    size_t n = 0;
    bool good = EVP_MAC_init(ctx, key.n > 0 ? key.p : none, key.n, NULL) == 1 &&
                (data.n == 0 || EVP_MAC_update(ctx, data.p, data.n) == 1) &&
                EVP_MAC_final(ctx, out, &n, alg->size) == 1 && n == alg->size;
    EVP_MAC_CTX_free(ctx);
    return good ? OK : fetched_failed(ERR_CRYPTO);
}

enum err digest_new(struct digest **out, const struct digest_alg *alg) {
    struct digest *d = malloc(sizeof *d);
    if (d == NULL)
        return ERR_MEMORY;
    enum err e = digest_open(d, alg);
    if (e != OK) {
        digest_free(d);
        return e;
    }
    *out = d;
    return OK;
}

enum err digest_add(struct digest *d, struct view v) {
    if (v.n == 0)
        return OK;
    return EVP_DigestUpdate(d->ctx, v.p, v.n) == 1 ? OK : fetched_failed(ERR_CRYPTO);
}

enum err digest_end(struct digest *d, uint8_t *out) {
    if (EVP_DigestFinal_ex(d->ctx, out, NULL) != 1)
        return fetched_failed(ERR_CRYPTO);
    return digest_start(d);
}

void digest_free(struct digest *d) {
    if (d == NULL)
        return;
    digest_close(d);
    free(d);
}
