// Fingerprints of host keys in the domain name system: SSHFP (RFC 4255, RFC 6594,
// RFC 7479), out of whole answers (RFC 1035 s.4).
#pragma once

#include "key/key.h"

#define SSHFP_RECORD_TYPE 44

// The number of a key's algorithm in SSHFP; 0: there is none for its type.
int sshfp_algorithm(const struct key_type *type);

struct sshfp_verdict {
    size_t found;  // records of the key's algorithm and a hash of ours
    bool matches;  // one of them is the key's; SHA-1 counts only where no SHA-256 is
    bool authenticated;  // the resolver vouches for the answer (AD, RFC 4035 s.3.2.3)
};

// What an answer to a question for SSHFP says about the key (of a certificate: the key in
// it). ERR_FORMAT: malformed; then the verdict is empty. A name that does not exist has
// an empty verdict and is no error.
must_check enum err sshfp_check(struct view answer, const struct key *key,
                                struct sshfp_verdict *v);
