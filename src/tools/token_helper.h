// What the helpers share: a request on standard input, an answer on standard output
// (signer/token.h), libraries loaded in between.
#pragma once

#include "base/buf.h"
#include "signer/token.h"

#define TOKEN_PATH 4096

struct token_work {
    struct token_request m;
    char provider[TOKEN_PATH], application[1024], pin[1024], device[1024], user[256];
    struct buf out;              // the answer's text when it went well
    enum token_outcome outcome;  // else, with a word
    char why[512];
};

// "what: detail", the latter cleaned; false.
bool token_fail(struct token_work *w, const char *what, const char *detail);
// A function of the library; false: it has none of that name. fn points to a function
// pointer.
bool token_find(void *library, const char *name, void *fn, size_t n);
// The library at w->provider; NULL: it was said why.
void *token_load(struct token_work *w);
// Reads the request, has it done, answers; exit status.
int token_main(bool (*work)(struct token_work *w));
