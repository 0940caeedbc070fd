// The key types, one row each, in order of preference.
#include "key/key.h"

static const struct key_type types[] = {
    {"ssh-ed25519", "ED25519", PK_ED25519, PK_P256, NULL},
    {"ecdsa-sha2-nistp256", "ECDSA", PK_ECDSA, PK_P256, "nistp256"},
    {"ecdsa-sha2-nistp384", "ECDSA", PK_ECDSA, PK_P384, "nistp384"},
    {"ecdsa-sha2-nistp521", "ECDSA", PK_ECDSA, PK_P521, "nistp521"},
    {"ssh-rsa", "RSA", PK_RSA, PK_P256, NULL},
};

const struct key_type *key_type_at(size_t index) {
    return index < sizeof types / sizeof types[0] ? &types[index] : NULL;
}

const struct key_type *key_type_find(struct view name) {
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        if (view_is(name, types[i].name))
            return &types[i];
    }
    return NULL;
}
