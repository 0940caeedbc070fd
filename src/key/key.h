// SSH keys: blobs (RFC 4253 s.6.6, RFC 8709, RFC 5656), signatures, fingerprints, public
// key text.
#pragma once

#include "base/buf.h"
#include "base/fault.h"
#include "crypto/pk.h"
#include "crypto/registry.h"

#define KEY_FINGERPRINT_SIZE 128
#define KEY_SIGNATURE_MAX 4096  // blob of the largest RSA signature, names included

// A key type: one row of the table in key/types.c.
struct key_type {
    const char *name;        // in blobs: "ssh-ed25519"
    const char *short_name;  // for people and ssh-keygen -t: "ED25519"
    enum pk_kind kind;
    enum pk_curve curve;
    const char *curve_name;  // of ECDSA, in blobs: "nistp256"; else NULL
    const char *plain;       // of a certificate's type: that of the key in it; else NULL
    bool security_key;       // FIDO: an application in blobs, flags in signatures
};

struct certificate;

struct key {
    const struct key_type *type;
    struct pk *pk;
    uint8_t *blob;  // public blob, owned
    size_t blob_len;
    char *comment;                    // owned, may be NULL
    struct view application;          // of a security key: "ssh:…"; into the blob
    struct certificate *certificate;  // of a certificate's type (key/certificate.h)
    // The secret half of a security key, which means something to its token alone; owned,
    // NULL where only the public half is known.
    uint8_t *handle;
    size_t handle_len;
    uint8_t handle_flags;  // KEY_HANDLE_…
};

// What a token demands before it signs (OpenSSH's PROTOCOL.u2f).
#define KEY_HANDLE_TOUCH 0x01u     // somebody touches it
#define KEY_HANDLE_VERIFY 0x04u    // and proves by PIN or finger who it is
#define KEY_HANDLE_RESIDENT 0x20u  // it is kept in the token
#define KEY_HANDLE_SIZE_MAX 4096   // FIDO: 1023; OpenSSH's dummy puts a PEM file there

const struct key_type *key_type_at(size_t index);        // NULL past the end
const struct key_type *key_type_find(struct view name);  // by the name in blobs

// The row of the key in a certificate's type; the type itself when it is plain.
const struct key_type *key_type_plain(const struct key_type *type);

// From a public blob; exact end, sizes and curve names checked. *out is owned by the
// caller. A certificate is taken apart but not judged: nothing that it says counts before
// certificate_check(), while `pk` is the key in it.
must_check enum err key_from_blob(struct key **out, struct view blob,
                                  struct fault *fault);
// Takes over pk.
must_check enum err key_from_pk(struct key **out, struct pk *pk);
void key_free(struct key *k);

static inline struct view key_blob(const struct key *k) {
    return view_of(k->blob, k->blob_len);
}

// The blob of the key in a certificate; of a plain key its own blob. This is what
// fingerprints, revocation lists and comparisons of keys are about.
struct view key_plain_blob(const struct key *k);

// Gives a security key a copy of its handle, in place of one that it has. ERR_LIMIT: it
// is empty, or over KEY_HANDLE_SIZE_MAX.
must_check enum err key_set_handle(struct key *k, uint8_t flags, struct view handle);

// Sets a copy of the comment (may be NULL).
must_check enum err key_set_comment(struct key *k, struct view comment);

// May a key of this type make or check signatures of that algorithm?
bool key_can_sign_with(const struct key *k, const struct signature_alg *alg);

// The same, and a plain key fits the algorithms of its certificates too: it makes their
// signatures.
bool key_can_make(const struct key *k, const struct signature_alg *alg);

// Signature blob (string algorithm, string signature) into out. `alg` must fit the key in
// the sense of key_can_make(). ERR_KEY for security keys: they sign in their hardware.
must_check enum err key_sign(const struct key *k, const struct signature_alg *alg,
                             struct view data, struct buf *out);
// Verifies a signature blob whose algorithm must be exactly that of `alg`. Of a security
// key: only when it was touched (ERR_REFUSED if not); key_verify_touch() leaves that to
// the caller.
must_check enum err key_verify(const struct key *k, const struct signature_alg *alg,
                               struct view signature_blob, struct view data);

// What a security key says about a signature (PROTOCOL.u2f); all zero for other keys.
struct key_touch {
    bool security_key;
    bool present;   // somebody touched it
    bool verified;  // by PIN or finger
    uint8_t flags;  // the two, and what else it set
    uint32_t counter;
};
// The same without demanding a touch: the caller looks at *touch.
must_check enum err key_verify_touch(const struct key *k, const struct signature_alg *alg,
                                     struct view signature_blob, struct view data,
                                     struct key_touch *touch);

// The algorithm named in a signature blob, or NULL.
const struct signature_alg *key_signature_alg(struct view signature_blob);

// "SHA256:…" without padding, or "MD5:aa:bb…"; returns out.
const char *key_fingerprint(char *out, size_t size, struct view blob,
                            const struct digest_alg *hash);

// The SHA-1 of a blob in Bubble Babble (ssh-keygen -B); out has KEY_FINGERPRINT_SIZE
// bytes or so; returns it.
const char *key_bubblebabble(char *out, size_t size, struct view blob);

// A picture of a fingerprint's hash: lines of 19 characters, each ended by a newline but
// the last (ssh-keygen -l -v, VisualHostKey). out has KEY_ART_SIZE bytes; returns it.
#define KEY_ART_SIZE 256
const char *key_art(char *out, const struct key *k, const struct digest_alg *hash);

// "type base64 [comment]" with no newline, appended as text.
must_check enum err key_public_text(const struct key *k, struct buf *out);
// Parses "type base64 [comment]"; the name must be that of the blob.
must_check enum err key_from_public_text(struct key **out, struct view line,
                                         struct fault *fault);
