// Public-key signatures over libcrypto: Ed25519 (RFC 8032), ECDSA (RFC 5656), RSA PKCS#1
// v1.5 with SHA-2 (RFC 8332). SSH encodings of keys and signatures are src/key's.
#pragma once

#include "base/buf.h"
#include "base/secret.h"
#include "crypto/digest.h"

enum pk_kind {
    PK_ED25519,
    PK_ECDSA,
    PK_RSA,
};

enum pk_curve {
    PK_P256,
    PK_P384,
    PK_P521,
};

struct pk;  // public half, or both

// A signature algorithm of the registry (ALG_SIGNATURE).
struct signature_alg {
    const char *name;      // "rsa-sha2-512"
    const char *key_type;  // "ssh-rsa": name in the key blob
    enum pk_kind kind;
    enum pk_curve curve;            // of PK_ECDSA
    const struct digest_alg *hash;  // NULL for Ed25519
    const char *signature_name;     // in signature blobs: a certificate's key signs under
                                    // the name of the plain algorithm
};

// Raw parts, big-endian magnitudes; which are used depends on the kind.
struct pk_parts {
    struct view ed_public, ed_secret;  // 32 bytes each (secret: the seed)
    enum pk_curve curve;
    struct view ec_point, ec_scalar;  // SEC1 uncompressed point; private scalar
    struct view rsa_n, rsa_e, rsa_d, rsa_p, rsa_q, rsa_iqmp;
};

// `secret` false: public parts only. Checks sizes, point on curve, matching halves.
must_check enum err pk_from_parts(struct pk **out, enum pk_kind kind,
                                  const struct pk_parts *parts, bool secret);
// Looks up everything that signing and verifying need, once for each process tree:
// crypto_init() calls it.
must_check enum err pk_init(void);

// bits: RSA modulus, ignored for the others.
must_check enum err pk_generate(struct pk **out, enum pk_kind kind, enum pk_curve curve,
                                unsigned bits);
void pk_free(struct pk *k);  // wipes; also of NULL

// The parts of a key, copied into `arena` (secrets included when the key has them).
must_check enum err pk_to_parts(const struct pk *k, struct secret_arena *arena,
                                struct pk_parts *parts);
enum pk_kind pk_kind_of(const struct pk *k);
enum pk_curve pk_curve_of(const struct pk *k);
unsigned pk_bits(const struct pk *k);
bool pk_has_secret(const struct pk *k);

// PEM and PKCS#8 text, also encrypted. ERR_PASSPHRASE when one is needed (passphrase.p
// NULL) or wrong; ERR_FORMAT when it is no such file; ERR_LIMIT when it asks for more
// than LIMIT_PBKDF2_ROUNDS.
must_check enum err pk_from_pem(struct pk **out, struct view text,
                                struct view passphrase);

enum pk_pem {
    PK_PEM_PKCS8,
    PK_PEM_TRADITIONAL,  // "RSA PRIVATE KEY", "EC PRIVATE KEY"; ERR_UNSUPPORTED for
                         // Ed25519
    PK_PEM_PUBLIC,       // SubjectPublicKeyInfo, never encrypted
    PK_PEM_PUBLIC_RSA,   // "RSA PUBLIC KEY" (PKCS#1); ERR_UNSUPPORTED for the others
};
// Appends PEM text. An empty passphrase: not encrypted.
must_check enum err pk_to_pem(const struct pk *k, enum pk_pem form,
                              struct view passphrase, struct buf *out);

// Raw signature: Ed25519 64 bytes; ECDSA r || s, each of the curve's size; RSA the
// modulus' size. *n: room in, length out. An RSA signature is verified before it is
// handed out.
must_check enum err pk_sign(const struct pk *k, const struct signature_alg *alg,
                            struct view data, uint8_t *out, size_t *n);
// OK only when the signature is right; refuses S >= L, r or s of 0 or >= n, wrong
// lengths.
must_check enum err pk_verify(const struct pk *k, const struct signature_alg *alg,
                              struct view data, struct view signature);
