// The method resume-v1@bowline (doc/resume.md): the proof of a connection's secret, in
// place of what a person was asked for at its first login. Format alone: what it proves
// is for others to find out.
#pragma once

#include "wire/messages.h"

#define RESUMPTION_METHOD "resume-v1@bowline"
#define RESUMPTION_PROOF 32

struct resumption_request {
    uint64_t epoch;
    struct view proof;  // RESUMPTION_PROOF bytes
};

// `m`: USERAUTH_REQUEST of this method. The view is into the message.
must_check enum err resumption_decode(const struct msg_userauth_request *m,
                                      struct resumption_request *out,
                                      struct fault *fault);
void resumption_encode(struct writer *w, struct view user, struct view service,
                       const struct resumption_request *q);
