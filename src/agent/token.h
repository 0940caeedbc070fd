// The messages between a program and ssh-sk-helper, the process that loads a security
// key's middleware: one request on its standard input, one answer on its standard output.
// Ours alone; both ends are of one version.
#pragma once

#include "wire/fields.h"

#define TOKEN_MESSAGE_MAX (512u * 1024u)

struct token_request {
    struct view provider;     // a library's path, or "internal"
    struct view type;         // the key type's name
    struct view application;  // "ssh:…"
    struct view handle;
    uint32_t flags;  // KEY_HANDLE_…
    struct view pin;
    struct view data;  // what is signed
};

struct token_answer {
    bool signed_;
    struct view text;  // the signature's blob; else why not
};

void token_request_encode(struct writer *w, const struct token_request *m);
must_check enum err token_request_decode(struct view bytes, struct token_request *m,
                                         struct fault *f);
void token_answer_encode(struct writer *w, const struct token_answer *m);
must_check enum err token_answer_decode(struct view bytes, struct token_answer *m,
                                        struct fault *f);
