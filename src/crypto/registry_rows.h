// The algorithm objects, for the registry: each kind's rows stand in one file.
#pragma once

#include "crypto/registry.h"

struct alg_rows {
    const struct alg *rows;
    size_t count;
};

extern const struct alg_rows kex_rows, signature_rows, cipher_rows, mac_rows,
    compression_rows;
