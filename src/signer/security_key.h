// Having a security key sign, with the questions to a person that belong to it. For
// programs that may wait.
#pragma once

#include "base/log.h"
#include "key/key.h"
#include "signer/helper.h"

struct security_key_use {
    const char *provider;  // a middleware library's path, or "internal"
    const struct log *log;
    bool nobody;  // there is nobody to ask for a PIN or to tell of a touch
};

// The middleware that SecurityKeyProvider or an option (NULL: none; "$NAME": of the
// environment) and SSH_SK_PROVIDER name; "internal" where none does.
const char *security_key_provider(const char *configured);

// Asks for a PIN and says that a touch is waited for. The key has its handle. Appends the
// signature's blob, which was verified.
must_check enum err security_key_sign(const struct key *k,
                                      const struct security_key_use *use,
                                      const struct signature_alg *alg, struct view data,
                                      struct buf *out, struct fault *f);
