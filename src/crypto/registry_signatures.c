// The rows of signature algorithms, for host keys and user keys: Ed25519 (RFC 8709),
// ECDSA (RFC 5656), RSA with SHA-2 (RFC 8332); security keys (OpenSSH's PROTOCOL.u2f),
// and certificates of them all (draft-miller-ssh-cert). ssh-rsa with SHA-1 is for old
// peers alone: in no default list, and the last choice of all.
//
// Certificates stand in no default list but of a program that judges them
// (ALG_CERTIFICATE).
#include "crypto/pk.h"
#include "crypto/registry_rows.h"

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

#define CERT "-cert-v01@openssh.com"
#define SK_ED25519 "sk-ssh-ed25519"
#define SK_P256 "sk-ecdsa-sha2-nistp256"
#define WEBAUTHN "webauthn-sk-ecdsa-sha2-nistp256"
#define OPENSSH "@openssh.com"

// identifier, name, key type, kind, curve, hash, name in signatures, flags
#define ROWS(X)                                                                          \
    X(ed25519, "ssh-ed25519", "ssh-ed25519", PK_ED25519, PK_P256, NULL, "ssh-ed25519",   \
      ALG_DEFAULT)                                                                       \
    X(p256, "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256", PK_ECDSA, PK_P256,             \
      &digest_sha256, "ecdsa-sha2-nistp256", ALG_DEFAULT)                                \
    X(p384, "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp384", PK_ECDSA, PK_P384,             \
      &digest_sha384, "ecdsa-sha2-nistp384", ALG_DEFAULT)                                \
    X(p521, "ecdsa-sha2-nistp521", "ecdsa-sha2-nistp521", PK_ECDSA, PK_P521,             \
      &digest_sha512, "ecdsa-sha2-nistp521", ALG_DEFAULT)                                \
    X(sk_ed25519, SK_ED25519 OPENSSH, SK_ED25519 OPENSSH, PK_ED25519, PK_P256, NULL,     \
      SK_ED25519 OPENSSH, ALG_DEFAULT)                                                   \
    X(sk_p256, SK_P256 OPENSSH, SK_P256 OPENSSH, PK_ECDSA, PK_P256, &digest_sha256,      \
      SK_P256 OPENSSH, ALG_DEFAULT)                                                      \
    X(webauthn, WEBAUTHN OPENSSH, SK_P256 OPENSSH, PK_ECDSA, PK_P256, &digest_sha256,    \
      WEBAUTHN OPENSSH, ALG_DEFAULT)                                                     \
    X(rsa512, "rsa-sha2-512", "ssh-rsa", PK_RSA, PK_P256, &digest_sha512,                \
      "rsa-sha2-512", ALG_DEFAULT)                                                       \
    X(rsa256, "rsa-sha2-256", "ssh-rsa", PK_RSA, PK_P256, &digest_sha256,                \
      "rsa-sha2-256", ALG_DEFAULT)                                                       \
    X(rsa1, "ssh-rsa", "ssh-rsa", PK_RSA, PK_P256, &digest_sha1, "ssh-rsa", 0)           \
    X(ed25519_cert, "ssh-ed25519" CERT, "ssh-ed25519" CERT, PK_ED25519, PK_P256, NULL,   \
      "ssh-ed25519", ALG_CERTIFICATE)                                                    \
    X(p256_cert, "ecdsa-sha2-nistp256" CERT, "ecdsa-sha2-nistp256" CERT, PK_ECDSA,       \
      PK_P256, &digest_sha256, "ecdsa-sha2-nistp256", ALG_CERTIFICATE)                   \
    X(p384_cert, "ecdsa-sha2-nistp384" CERT, "ecdsa-sha2-nistp384" CERT, PK_ECDSA,       \
      PK_P384, &digest_sha384, "ecdsa-sha2-nistp384", ALG_CERTIFICATE)                   \
    X(p521_cert, "ecdsa-sha2-nistp521" CERT, "ecdsa-sha2-nistp521" CERT, PK_ECDSA,       \
      PK_P521, &digest_sha512, "ecdsa-sha2-nistp521", ALG_CERTIFICATE)                   \
    X(sk_ed25519_cert, SK_ED25519 CERT, SK_ED25519 CERT, PK_ED25519, PK_P256, NULL,      \
      SK_ED25519 OPENSSH, ALG_CERTIFICATE)                                               \
    X(sk_p256_cert, SK_P256 CERT, SK_P256 CERT, PK_ECDSA, PK_P256, &digest_sha256,       \
      SK_P256 OPENSSH, ALG_CERTIFICATE)                                                  \
    X(webauthn_cert, WEBAUTHN CERT, SK_P256 CERT, PK_ECDSA, PK_P256, &digest_sha256,     \
      WEBAUTHN OPENSSH, ALG_CERTIFICATE)                                                 \
    X(rsa512_cert, "rsa-sha2-512" CERT, "ssh-rsa" CERT, PK_RSA, PK_P256, &digest_sha512, \
      "rsa-sha2-512", ALG_CERTIFICATE)                                                   \
    X(rsa256_cert, "rsa-sha2-256" CERT, "ssh-rsa" CERT, PK_RSA, PK_P256, &digest_sha256, \
      "rsa-sha2-256", ALG_CERTIFICATE)                                                   \
    X(rsa1_cert, "ssh-rsa" CERT, "ssh-rsa" CERT, PK_RSA, PK_P256, &digest_sha1,          \
      "ssh-rsa", 0)

#define X(id, name, key_type, kind, curve, hash, in_signature, flags)                    \
    static const struct signature_alg id = {name,  key_type, kind,                       \
                                            curve, hash,     in_signature};
ROWS(X)
#undef X

#define X(id, name, key_type, kind, curve, hash, in_signature, flags)                    \
    {ALG_SIGNATURE, name, flags, {&id}},
static const struct alg signatures[] = {ROWS(X)};
#undef X
const struct alg_rows signature_rows = {signatures, COUNT(signatures)};
