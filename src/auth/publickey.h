// The publickey method (RFC 4252 s.7) and publickey-hostbound-v00@openssh.com (the same
// with the server's host key inside the request): formats and the data that is signed,
// for both sides and for whoever verifies.
#pragma once

#include "base/fault.h"
#include "key/key.h"
#include "wire/messages.h"

#define PUBLICKEY_METHOD "publickey"
#define PUBLICKEY_METHOD_HOSTBOUND "publickey-hostbound-v00@openssh.com"
// EXT_INFO entry of servers that take the hostbound form; its value is "0".
#define PUBLICKEY_HOSTBOUND_EXTENSION "publickey-hostbound@openssh.com"

// One request, whole. The views point into the message it was decoded from.
struct publickey_request {
    struct view user, service;
    struct view algorithm;  // of the signature
    struct view blob;       // public key
    bool hostbound;
    struct view host_key;   // hostbound: K_S
    bool has_signature;     // false: only a query
    struct view signature;  // blob
};

// The method's fields of a decoded USERAUTH_REQUEST; exact end. *out is zero on failure.
must_check enum err publickey_decode(const struct msg_userauth_request *m,
                                     struct publickey_request *out, struct fault *fault);

// The whole USERAUTH_REQUEST; with the signature when has_signature.
void publickey_encode(struct writer *w, const struct publickey_request *q);

// What is signed (RFC 4252 s.7): the session id, then the request up to the signature,
// with has_signature TRUE whatever q says.
void publickey_encode_signed(struct writer *w, struct view session_id,
                             const struct publickey_request *q);

// The algorithm of the request, if it is registered, in the comma-separated list
// `allowed` (NULL: any), is for the type of key in the blob, and is the one named in the
// signature; NULL otherwise.
const struct signature_alg *publickey_algorithm(const struct publickey_request *q,
                                                const char *allowed);

// PK_OK (message 60): the algorithm and the key that were asked about.
void publickey_encode_ok(struct writer *w, struct view algorithm, struct view blob);
must_check enum err publickey_decode_ok(struct view message, struct view *algorithm,
                                        struct view *blob, struct fault *fault);
