// A narrow provider: of libcrypto's default provider only what SSH uses.
//
// At the first fetch of a kind (ciphers, say) libcrypto builds objects for everything
// that a provider has of this kind: 130 ciphers, a quarter of a client's start and a
// third of the heap that every process of a server copies. So fetches with a NULL library
// context go to a context whose only provider hands on a short list. Digests are fetched
// where the default provider lives, which looks them up there itself (Ed25519, RSA,
// HMAC).
#pragma once

#include <openssl/crypto.h>

#include "base/err.h"

// Once, before any fetch: NULL means the narrow context from here on, and random numbers
// of libcrypto's own making come from random_bytes().
must_check enum err provider_narrow(void);

// NULL means libcrypto's own context again.
void provider_restore(void);

// Where the default provider is loaded whole.
OSSL_LIB_CTX *provider_wide(void);

// Everything of the default provider in the narrow context too, and the names that PEM
// files use: for key files in old formats. May open nothing, but costs a millisecond.
must_check enum err provider_widen(void);
