// The rows of signature algorithms, for host keys and user keys: Ed25519 (RFC 8709),
// ECDSA (RFC 5656), RSA with SHA-2 (RFC 8332). ssh-rsa with SHA-1 is not there at all.
#include "crypto/pk.h"
#include "crypto/registry_rows.h"

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

// name, key type, kind, curve, hash
static const struct signature_alg ed25519 = {"ssh-ed25519", "ssh-ed25519", PK_ED25519,
                                             PK_P256, NULL};
static const struct signature_alg p256 = {"ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256",
                                          PK_ECDSA, PK_P256, &digest_sha256};
static const struct signature_alg p384 = {"ecdsa-sha2-nistp384", "ecdsa-sha2-nistp384",
                                          PK_ECDSA, PK_P384, &digest_sha384};
static const struct signature_alg p521 = {"ecdsa-sha2-nistp521", "ecdsa-sha2-nistp521",
                                          PK_ECDSA, PK_P521, &digest_sha512};
static const struct signature_alg rsa512 = {"rsa-sha2-512", "ssh-rsa", PK_RSA, PK_P256,
                                            &digest_sha512};
static const struct signature_alg rsa256 = {"rsa-sha2-256", "ssh-rsa", PK_RSA, PK_P256,
                                            &digest_sha256};

static const struct alg signatures[] = {
    {ALG_SIGNATURE, "ssh-ed25519", ALG_DEFAULT, {&ed25519}},
    {ALG_SIGNATURE, "ecdsa-sha2-nistp256", ALG_DEFAULT, {&p256}},
    {ALG_SIGNATURE, "ecdsa-sha2-nistp384", ALG_DEFAULT, {&p384}},
    {ALG_SIGNATURE, "ecdsa-sha2-nistp521", ALG_DEFAULT, {&p521}},
    {ALG_SIGNATURE, "rsa-sha2-512", ALG_DEFAULT, {&rsa512}},
    {ALG_SIGNATURE, "rsa-sha2-256", ALG_DEFAULT, {&rsa256}},
};
const struct alg_rows signature_rows = {signatures, COUNT(signatures)};
