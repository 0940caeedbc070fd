// AuthenticationMethods: which methods may go on, and what is still missing. Pure.
#pragma once

#include "conf/server_config.h"

enum judge_method {
    METHOD_NONE,
    METHOD_PUBLICKEY,
    METHOD_PASSWORD,
    METHOD_KBDINT,
    METHOD_HOSTBASED,
    METHOD_COUNT
};

#define JUDGE_LISTS_MAX 64
#define JUDGE_METHODS_TEXT 128

// What is left of each list of AuthenticationMethods.
struct judge_methods {
    bool enabled[METHOD_COUNT];
    bool any;  // a single method is enough
    const char *lists[JUDGE_LISTS_MAX];
    size_t lists_n;
};

// False: lists are configured, and each needs a method that is not enabled.
bool judge_methods_start(struct judge_methods *m, const struct server_config *config);
// Those that may be tried now, with commas, without "none".
const char *judge_methods_text(const struct judge_methods *m, char *out, size_t size);
bool judge_methods_may(const struct judge_methods *m, enum judge_method method);
// The method is fulfilled: true when nothing is missing any more.
bool judge_methods_done(struct judge_methods *m, enum judge_method method);
// Is there a key that its log lines name?
bool judge_method_has_key(enum judge_method method);
// Is it a person who is asked? What they say may be replaced, at a further link of their
// connection, by a proof of its secret (doc/resume.md).
bool judge_method_asks(enum judge_method method);
const char *judge_method_name(enum judge_method method);  // for the wire and logs
