// Key constraints (draft-ietf-sshm-ssh-agent s.3.2.7; OpenSSH's PROTOCOL.agent): what
// comes behind a key when it is added. Unknown, doubled or malformed ones are refused: a
// key would be freer than its owner wanted.
#pragma once

#include "agent/destination.h"

#define AGENT_CERTIFICATES_MAX 1024

struct agent_constraints {
    uint32_t lifetime_s;  // 0: none
    bool confirm;
    struct agent_destinations destinations;
    struct view provider;  // of a security key; p NULL: none
    // For the keys of a token: certificates that go with them.
    struct key **certificates;
    size_t certificates_n;
    bool certificates_only;
};

void agent_constraints_free(struct agent_constraints *c);  // also of a zeroed one

// Reads to the end. `provider` views into what is read. smartcard: of a provider's keys,
// where a provider of security keys has no place but certificates have. On failure
// nothing is kept.
must_check enum err agent_constraints_read(struct agent_constraints *out,
                                           struct reader *r, bool smartcard,
                                           struct fault *fault);
void agent_constraints_write(struct writer *w, const struct agent_constraints *c);
// Is there anything to write?
bool agent_constraints_any(const struct agent_constraints *c);
