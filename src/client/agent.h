// A running ssh-agent (draft-ietf-sshm-ssh-agent): which keys it has, and its signatures.
// Waits for the answer, but not for ever. Nothing it says is trusted beyond its format.
#pragma once

#include "base/buf.h"
#include "base/fault.h"
#include "crypto/pk.h"

#define AGENT_KEYS_MAX 256

struct agent {
    int fd;  // -1: none
    struct buf list;
    struct agent_key {
        struct view blob, comment;  // into list
    } keys[AGENT_KEYS_MAX];
    size_t n;
};

// Connects and asks for the list. ERR_NOT_FOUND and others: there is none; a is empty
// then.
must_check enum err agent_open(struct agent *a, const char *path, struct fault *fault);
void agent_close(struct agent *a);
const struct agent_key *agent_find(const struct agent *a, struct view blob);
// Signature blob, appended.
must_check enum err agent_sign(struct agent *a, struct view blob,
                               const struct signature_alg *alg, struct view data,
                               struct buf *out);
