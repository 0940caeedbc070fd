// What the files of crypto/pk share.
#pragma once

#include <openssl/evp.h>

#include "crypto/pk.h"

struct pk {
    enum pk_kind kind;
    enum pk_curve curve;
    bool secret;
    unsigned bits;
    size_t size;     // bytes: RSA modulus, curve's field, 32
    EVP_PKEY *pkey;  // libcrypto wipes secret numbers when it frees them
};

struct pk_curve_info {
    const char *group;  // libcrypto's name
    size_t size;        // bytes of a coordinate and of the order
    unsigned bits;
};

extern const struct pk_curve_info pk_curves[];  // by enum pk_curve
#define PK_CURVES 3
#define PK_EC_SIZE_MAX 66
#define PK_ED25519_SIZE 32

// Wraps `pkey` and takes it over, also when it fails. ERR_UNSUPPORTED for kinds and
// curves that SSH does not have.
must_check enum err pk_adopt(struct pk **out, EVP_PKEY *pkey, bool secret);
