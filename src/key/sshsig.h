// Signatures of files (OpenSSH's PROTOCOL.sshsig): armour, blob, what is signed.
//
// The message itself comes in as its hash, so that it may be of any size.
#pragma once

#include "key/key.h"

#define SSHSIG_HASH_DEFAULT "sha512"

struct sshsig {
    struct key *key;  // who signed; a certificate perhaps
    struct view name_space, signature;
    const struct digest_alg *hash;  // of the message
    struct buf bytes;               // what the views point into
};

// The hash of a name that signatures may use; NULL for all others.
const struct digest_alg *sshsig_hash_find(struct view name);

// From the armoured text; nothing may stand around the armour but blanks. On success the
// caller frees it.
must_check enum err sshsig_parse(struct sshsig *s, struct view text, struct fault *fault);
void sshsig_free(struct sshsig *s);  // also of a zeroed one

// Is the signature over a message of this hash (s->hash->size bytes) in this name space?
// Allowed signers can not say that a key need not be touched, so that no touch is asked
// for; a certificate with verify-required asks for its PIN.
must_check enum err sshsig_verify(const struct sshsig *s, const char *name_space,
                                  const uint8_t *message_hash, struct fault *fault);

// Appends what is signed for a message's hash.
must_check enum err sshsig_signed_data(const char *name_space,
                                       const struct digest_alg *hash,
                                       const uint8_t *message_hash, struct buf *out);
// Appends the armoured signature. `public` stands in it (a certificate, perhaps); NULL:
// the key itself.
must_check enum err sshsig_make(const struct key *key, const struct key *public,
                                const char *name_space, const struct digest_alg *hash,
                                const uint8_t *message_hash, struct buf *out,
                                struct fault *fault);

// Its last step for keys whose secret half is elsewhere: the armour around the blob of a
// signature over sshsig_signed_data().
must_check enum err sshsig_write(const struct key *public, const char *name_space,
                                 const struct digest_alg *hash, struct view signature,
                                 struct buf *out);
// With what a plain key signs files; NULL: with nothing.
const struct signature_alg *sshsig_algorithm(const struct key *key);
