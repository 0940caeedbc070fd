// Signatures of security keys (FIDO; OpenSSH's PROTOCOL.u2f): what stands behind the
// signature itself, and what was really signed. For this folder.
#pragma once

#include "key/key.h"
#include "wire/reader.h"

struct security_signature {
    struct view text;  // the signature as other keys have it
    uint8_t flags;
    uint32_t counter;
    bool webauthn;  // a browser's: the rest counts
    struct view origin, client_data, extensions;
};

// Behind the algorithm's name, exact end.
must_check enum err security_signature_read(struct security_signature *s,
                                            const struct signature_alg *alg,
                                            struct reader *r);

// Appends what the key signed: the application's hash, flags, counter, and the hash of
// the data; of a browser's signature its extensions, and the hash of its client data,
// which must be about this data and origin (ERR_SIGNATURE).
must_check enum err security_signature_data(const struct security_signature *s,
                                            struct view application, struct view data,
                                            struct buf *out);

struct key_touch security_signature_touch(const struct security_signature *s);
