// The hostbased method (RFC 4252 s.9): formats and the data that is signed, for both
// sides, for whoever verifies, and for ssh-keysign.
#pragma once

#include "base/fault.h"
#include "crypto/pk.h"
#include "wire/messages.h"

#define HOSTBASED_METHOD "hostbased"

// One request, whole. The views point into the message it was decoded from.
struct hostbased_request {
    struct view user, service;
    struct view algorithm;    // of the signature
    struct view blob;         // the client host's public key
    struct view host;         // its name, as it says; often with a dot at its end
    struct view client_user;  // who that is over there, as it says
    struct view signature;    // blob
};

// The method's fields of a decoded USERAUTH_REQUEST; exact end. *out is zero on failure.
must_check enum err hostbased_decode(const struct msg_userauth_request *m,
                                     struct hostbased_request *out, struct fault *fault);
// The whole USERAUTH_REQUEST.
void hostbased_encode(struct writer *w, const struct hostbased_request *q);
// What is signed: the session id, then the request up to the signature.
void hostbased_encode_signed(struct writer *w, struct view session_id,
                             const struct hostbased_request *q);
// What somebody wants signed, taken apart again; the signature is empty. Exact end.
must_check enum err hostbased_decode_signed(struct view data, struct view *session_id,
                                            struct hostbased_request *out,
                                            struct fault *fault);
// The algorithm of the request, if it is registered, in the list `allowed` (NULL: any),
// is for the type of key in the blob, and is the one named in the signature (if there is
// one); NULL otherwise.
const struct signature_alg *hostbased_algorithm(const struct hostbased_request *q,
                                                const char *allowed);
