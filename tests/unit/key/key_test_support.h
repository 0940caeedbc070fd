// Helpers of this folder's tests.
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/limits.h"
#include "crypto/crypto.h"
#include "fixtures.h"
#include "key/private_key.h"

static inline int start_crypto(void **state) {
    (void)state;
    return crypto_init() == OK ? 0 : -1;
}

static inline struct view passphrase_of(const struct fixture *f) {
    return f->passphrase != NULL ? view_text(f->passphrase) : (struct view){0};
}

static inline const struct signature_alg *signature_named(const char *name) {
    const struct alg *a = alg_find(ALG_SIGNATURE, view_text(name));
    assert_non_null(a);
    return a->signature;
}

static inline const struct fixture *fixture_named(const char *name) {
    for (size_t i = 0; i < sizeof fixtures / sizeof fixtures[0]; i++) {
        if (strcmp(fixtures[i].name, name) == 0)
            return &fixtures[i];
    }
    fail_msg("no fixture %s", name);
    return NULL;
}

static inline struct key *key_of(const char *name) {
    struct key *k = NULL;
    struct fault f = {0};
    assert_int_equal(
        key_from_public_text(&k, view_text(fixture_named(name)->public_line), &f), OK);
    return k;
}
