// A key with its secret half as fields: what stands in openssh-key-v1 files (OpenSSH's
// PROTOCOL.key) and in the agent's ADD_IDENTITY (draft-ietf-sshm-ssh-agent s.3.2).
//
//     string type   the type's public and secret fields
// or, with a certificate,
//     string type   string certificate   [Ed25519: public half]   secret fields
#pragma once

#include "key/key.h"
#include "wire/reader.h"
#include "wire/writer.h"

// Reads type and fields; halves that do not belong together are ERR_KEY. *key has both
// halves (a security key its handle). *certificate is the certificate that came instead
// of the public fields, or NULL; with certificate NULL none may come (ERR_UNSUPPORTED).
// Both are the caller's.
must_check enum err secret_fields_read(struct reader *r, struct key **key,
                                       struct key **certificate, struct fault *fault);

// Writes them. The key has both halves; certificate (may be NULL) is one for it.
// ERR_KEY when a half is missing.
must_check enum err secret_fields_write(struct writer *w, const struct key *key,
                                        const struct key *certificate);
