// Names that OpenSSH 10.5 knows and we do not have: lists written for it may contain
// them, and are taken without them.
#include "crypto/registry_rows.h"

static const char *const ciphers[] = {"3des-cbc", "aes128-cbc", "aes192-cbc",
                                      "aes256-cbc", NULL};

static const char *const macs[] = {"hmac-md5",
                                   "hmac-md5-96",
                                   "hmac-sha1-96",
                                   "hmac-md5-etm@openssh.com",
                                   "hmac-md5-96-etm@openssh.com",
                                   "hmac-sha1-96-etm@openssh.com",
                                   NULL};

static const char *const signatures[] = {
    "ssh-rsa", "ssh-rsa-cert-v01@openssh.com", "ssh-mldsa44-ed25519@openssh.com",
    "ssh-mldsa44-ed25519-cert-v01@openssh.com", NULL};

static const char *const none[] = {NULL};

const char *const *const absent_names[ALG_KINDS] = {
    [ALG_KEX] = none, [ALG_SIGNATURE] = signatures, [ALG_CIPHER] = ciphers,
    [ALG_MAC] = macs, [ALG_COMPRESSION] = none,
};
