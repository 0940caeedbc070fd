// Hashes and HMAC over libcrypto, fetched once (crypto_init) and then without locks or
// look-ups.
#pragma once

#include "base/bytes.h"
#include "base/err.h"

#define DIGEST_MAX 64

struct digest_alg {
    const char *name;  // "sha256"
    size_t size;       // bytes
    int id;            // index into the fetched objects
};

extern const struct digest_alg digest_md5, digest_sha1, digest_sha256, digest_sha384,
    digest_sha512;

const struct digest_alg *digest_find(const char *name);

// Hash of the parts one after another; out has alg->size bytes.
must_check enum err digest_parts(const struct digest_alg *alg, const struct view *parts,
                                 size_t count, uint8_t *out);
must_check enum err digest_hmac(const struct digest_alg *alg, struct view key,
                                struct view data, uint8_t *out);

// Incremental.
struct digest;
must_check enum err digest_new(struct digest **out, const struct digest_alg *alg);
must_check enum err digest_add(struct digest *d, struct view v);
must_check enum err digest_end(struct digest *d, uint8_t *out);  // and starts again
void digest_free(struct digest *d);
