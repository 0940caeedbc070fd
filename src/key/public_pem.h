// Public keys in PEM: SubjectPublicKeyInfo (RFC 5280 s.4.1.2.7; RFC 8017, 5480, 8410) and
// RSAPublicKey (RFC 8017 A.1.1). Own decoding, DER alone.
#pragma once

#include "key/key.h"

// ERR_FORMAT: no such file, or damaged; ERR_UNSUPPORTED: a kind of key or curve that SSH
// does not have. *out is the caller's, without a comment.
must_check enum err public_pem_parse(struct key **out, struct view text,
                                     struct fault *fault);
