// The messages between a program and its helpers ssh-sk-helper and ssh-pkcs11-helper, the
// processes that load libraries of tokens: one request on standard input, one answer on
// standard output. Ours alone; both ends are of one version.
#pragma once

#include "wire/fields.h"

#define TOKEN_MESSAGE_MAX (512u * 1024u)

enum token_operation {
    TOKEN_SIGN,
    TOKEN_LIST,      // PKCS#11: the public keys of all tokens
    TOKEN_ENROL,     // a security key makes a new key
    TOKEN_RESIDENT,  // a security key tells the keys that it keeps itself
};

struct token_request {
    uint32_t operation;
    struct view provider;     // a library's path, or "internal"
    struct view type;         // of a security key: its type's name. PKCS#11: the
                              // signature algorithm
    struct view application;  // "ssh:…"
    struct view handle;       // PKCS#11: the public blob
    uint32_t flags;           // KEY_HANDLE_…; TOKEN_FORCE
    struct view pin;
    struct view data;          // what is signed; the challenge of an enrolment
    struct view device, user;  // of security keys: which, and for whom; empty: any, none
};

// A resident key may take the place of another one.
#define TOKEN_FORCE 0x10u

enum token_outcome {
    TOKEN_DONE,
    TOKEN_FAILED,
    TOKEN_NEEDS_PIN,  // none came, or a wrong one
    TOKEN_NO_DEVICE,
    TOKEN_UNSUPPORTED,
    TOKEN_EXISTS,  // a resident key for that application and user, which stays
};

struct token_answer {
    uint32_t outcome;
    // TOKEN_DONE: the signature's blob; of TOKEN_LIST strings blob, label, blob, …; of
    // TOKEN_ENROL one struct token_key; of TOKEN_RESIDENT strings, each a token_key.
    // Else why not.
    struct view text;
};

// What a security key tells about one key of its.
struct token_key {
    struct view blob, handle;
    uint32_t flags;
    struct view user;                              // of a resident one
    struct view certificate, signature, authdata;  // of a new one: its attestation
};

void token_request_encode(struct writer *w, const struct token_request *m);
must_check enum err token_request_decode(struct view bytes, struct token_request *m,
                                         struct fault *f);
void token_answer_encode(struct writer *w, const struct token_answer *m);
must_check enum err token_answer_decode(struct view bytes, struct token_answer *m,
                                        struct fault *f);
void token_key_encode(struct writer *w, const struct token_key *m);
must_check enum err token_key_decode(struct view bytes, struct token_key *m,
                                     struct fault *f);
