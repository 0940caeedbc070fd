// Private key files: openssh-key-v1 read and written (own decoding), PEM and PKCS#8 read
// through libcrypto. The text of a file in, a key out; opening files and asking for
// passphrases is the caller's.
#pragma once

#include "key/key.h"

#define PRIVATE_KEY_ROUNDS 24  // of the derivation, by default
#define PRIVATE_KEY_CIPHER "aes256-ctr"

// The key of a file. passphrase.p NULL: none was given.
// ERR_PASSPHRASE: one is needed (none given) or it was wrong; ERR_FORMAT: no private key
// file; ERR_UNSUPPORTED: a type, cipher or derivation that we do not have; ERR_LIMIT: too
// many rounds; ERR_KEY: halves do not match, sizes out of bounds. *out is the caller's,
// with its comment.
must_check enum err private_key_parse(struct key **out, struct view file_text,
                                      struct view passphrase, struct fault *fault);

// The public half of an openssh-key-v1 file, no passphrase needed; the comment is not in
// it. ERR_UNSUPPORTED for PEM files, where the public half is encrypted too.
must_check enum err private_key_public_half(struct key **out, struct view file_text,
                                            struct fault *fault);

enum private_key_format {
    PRIVATE_KEY_OPENSSH,
    PRIVATE_KEY_PKCS8,
    PRIVATE_KEY_PEM,  // the traditional forms of RSA and ECDSA; not for Ed25519
};

struct private_key_options {
    struct view passphrase;  // empty: not encrypted
    const char *cipher;      // NULL: PRIVATE_KEY_CIPHER; openssh-key-v1 only
    uint32_t rounds;         // 0: PRIVATE_KEY_ROUNDS; openssh-key-v1 only
    enum private_key_format format;
};

// Appends the file's text to out (a secret: wipe it). The key must have its secret half;
// its comment goes into the file (openssh-key-v1).
must_check enum err private_key_write(const struct key *k,
                                      const struct private_key_options *o,
                                      struct buf *out, struct fault *fault);
