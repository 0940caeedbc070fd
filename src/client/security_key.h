// Having a token sign, by the helpers beside the programs (ssh-sk-helper,
// ssh-pkcs11-helper): no library of a token's is ever loaded here. For ssh and the agent.
#pragma once

#include "agent/token.h"
#include "base/log.h"
#include "io/process.h"
#include "key/key.h"

enum token_kind {
    TOKEN_SECURITY_KEY,
    TOKEN_PKCS11,
};

// Starts the helper with a request; *out is what it answers, up to its end (the
// caller's). SSH_SK_HELPER and SSH_PKCS11_HELPER name other ones.
must_check enum err token_start(enum token_kind kind, const struct token_request *m,
                                struct process *p, int *out, struct fault *f);
// The whole, waiting; asks for a PIN and says that a touch is waited for. The key has its
// handle. Appends the signature's blob, which was verified.
must_check enum err security_key_sign(const struct key *k, const char *provider,
                                      const struct signature_alg *alg, struct view data,
                                      const struct log *log, struct buf *out,
                                      struct fault *f);
