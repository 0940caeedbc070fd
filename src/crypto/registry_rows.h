// The algorithm objects, for the registry: each kind's rows stand in one file.
#pragma once

#include "crypto/registry.h"

struct alg_rows {
    const struct alg *rows;
    size_t count;
};

extern const struct alg_rows kex_rows, signature_rows, cipher_rows, mac_rows,
    compression_rows;

// By kind: names that are known and not there, up to a NULL. A name may be in a table of
// rows as well: then it is there.
extern const char *const *const absent_names[ALG_KINDS];
