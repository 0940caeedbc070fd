// The messages between a program and its helpers ssh-sk-helper and ssh-pkcs11-helper, the
// processes that load libraries of tokens: one request on standard input, one answer on
// standard output. Ours alone; both ends are of one version.
#pragma once

#include "wire/fields.h"

#define TOKEN_MESSAGE_MAX (512u * 1024u)

struct token_request {
    struct view provider;     // a library's path, or "internal"
    struct view type;         // of a security key: its type's name. PKCS#11: the
                              // signature algorithm; empty: the keys are to be listed
    struct view application;  // "ssh:…"
    struct view handle;       // PKCS#11: the public blob
    uint32_t flags;           // KEY_HANDLE_…
    struct view pin;
    struct view data;  // what is signed
};

struct token_answer {
    bool signed_;
    // The signature's blob, or a list of strings: blob, label, blob, …; else why not.
    struct view text;
};

void token_request_encode(struct writer *w, const struct token_request *m);
must_check enum err token_request_decode(struct view bytes, struct token_request *m,
                                         struct fault *f);
void token_answer_encode(struct writer *w, const struct token_answer *m);
must_check enum err token_answer_decode(struct view bytes, struct token_answer *m,
                                        struct fault *f);
