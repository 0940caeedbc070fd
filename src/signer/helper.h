// The helpers beside the programs (ssh-sk-helper, ssh-pkcs11-helper) that speak with
// tokens: no library of a token's is ever loaded here.
#pragma once

#include "base/buf.h"
#include "io/process.h"
#include "signer/token.h"

enum token_kind {
    TOKEN_SECURITY_KEY,
    TOKEN_PKCS11,
};

// Where a helper lies: in libexec beside the folder of the programs, or where the
// environment's `variable` (NULL: none) says. ERR_NOT_FOUND.
must_check enum err helper_path(const char *name, const char *variable, char *out,
                                size_t size, struct fault *f);

// Starts the helper with a request; *out is what it answers, up to its end (the
// caller's). SSH_SK_HELPER and SSH_PKCS11_HELPER name other ones.
must_check enum err token_start(enum token_kind kind, const struct token_request *m,
                                struct process *p, int *out, struct fault *f);

// The same, waiting: the answer's text is appended. ERR_PASSPHRASE: it wants a PIN, or
// another one; ERR_NOT_FOUND: no such device; ERR_UNSUPPORTED; ERR_REFUSED: anything
// else, also that such a key exists (*exists, may be NULL). The fault says it in words.
must_check enum err token_ask(enum token_kind kind, const struct token_request *m,
                              struct buf *out, bool *exists, struct fault *f);
