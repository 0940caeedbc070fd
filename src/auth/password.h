// The password method (RFC 4252 s.8): formats. Whoever holds the messages wipes them.
#pragma once

#include "base/fault.h"
#include "wire/messages.h"

struct password_request {
    struct view user, service;
    struct view password;  // UTF-8 by the RFC, not checked; no NUL
    bool change;
    struct view new_password;
};

must_check enum err password_decode(const struct msg_userauth_request *m,
                                    struct password_request *out, struct fault *fault);
void password_encode(struct writer *w, const struct password_request *q);

// PASSWD_CHANGEREQ (message 60).
void password_encode_change(struct writer *w, struct view prompt);
must_check enum err password_decode_change(struct view message, struct view *prompt,
                                           struct fault *fault);
