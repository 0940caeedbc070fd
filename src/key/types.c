// The key types, one row each, plain ones in order of preference, then their
// certificates.
#include "key/key.h"

#define CERT "-cert-v01@openssh.com"
#define SK_ED25519 "sk-ssh-ed25519"
#define SK_P256 "sk-ecdsa-sha2-nistp256"
#define OPENSSH "@openssh.com"

static const struct key_type types[] = {
    // clang-format off
    // name, for people, kind, curve, curve's name, plain, security key
    {"ssh-ed25519", "ED25519", PK_ED25519, PK_P256, NULL, NULL, false},
    {"ecdsa-sha2-nistp256", "ECDSA", PK_ECDSA, PK_P256, "nistp256", NULL, false},
    {"ecdsa-sha2-nistp384", "ECDSA", PK_ECDSA, PK_P384, "nistp384", NULL, false},
    {"ecdsa-sha2-nistp521", "ECDSA", PK_ECDSA, PK_P521, "nistp521", NULL, false},
    {SK_ED25519 OPENSSH, "ED25519-SK", PK_ED25519, PK_P256, NULL, NULL, true},
    {SK_P256 OPENSSH, "ECDSA-SK", PK_ECDSA, PK_P256, "nistp256", NULL, true},
    {"ssh-rsa", "RSA", PK_RSA, PK_P256, NULL, NULL, false},
    {"ssh-ed25519" CERT, "ED25519-CERT", PK_ED25519, PK_P256, NULL, "ssh-ed25519", false},
    {"ecdsa-sha2-nistp256" CERT, "ECDSA-CERT", PK_ECDSA, PK_P256, "nistp256",
     "ecdsa-sha2-nistp256", false},
    {"ecdsa-sha2-nistp384" CERT, "ECDSA-CERT", PK_ECDSA, PK_P384, "nistp384",
     "ecdsa-sha2-nistp384", false},
    {"ecdsa-sha2-nistp521" CERT, "ECDSA-CERT", PK_ECDSA, PK_P521, "nistp521",
     "ecdsa-sha2-nistp521", false},
    {SK_ED25519 CERT, "ED25519-SK-CERT", PK_ED25519, PK_P256, NULL, SK_ED25519 OPENSSH,
     true},
    {SK_P256 CERT, "ECDSA-SK-CERT", PK_ECDSA, PK_P256, "nistp256", SK_P256 OPENSSH, true},
    {"ssh-rsa" CERT, "RSA-CERT", PK_RSA, PK_P256, NULL, "ssh-rsa", false},
    // clang-format on
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

const struct key_type *key_type_plain(const struct key_type *type) {
    return type->plain != NULL ? key_type_find(view_text(type->plain)) : type;
}
