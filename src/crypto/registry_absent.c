// Names that OpenSSH 10.5 knows and we do not have: lists written for it may contain
// them, and are taken without them.
#include "crypto/registry_rows.h"

static const char *const signatures[] = {
    "ssh-mldsa44-ed25519@openssh.com", "ssh-mldsa44-ed25519-cert-v01@openssh.com", NULL};

static const char *const none[] = {NULL};

const char *const *const absent_names[ALG_KINDS] = {
    [ALG_KEX] = none, [ALG_SIGNATURE] = signatures, [ALG_CIPHER] = none,
    [ALG_MAC] = none, [ALG_COMPRESSION] = none,
};
