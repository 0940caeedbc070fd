// The connection to a running agent, for ssh and the tools: which keys it has, its
// signatures, and any other request. Waits for answers, but not for ever. Nothing it says
// is trusted beyond its format.
#pragma once

#include "agent/client.h"
#include "base/buf.h"
#include "base/fault.h"

#define AGENT_LINK_KEYS_MAX 2048

struct agent_link {
    int fd;  // -1: none
    struct buf list;
    struct agent_link_key {
        struct view blob, comment;  // into list
    } * keys;                       // owned
    size_t n;
};

// Connects. ERR_NOT_FOUND and others: there is none; l is empty then.
must_check enum err agent_link_open(struct agent_link *l, const char *path,
                                    struct fault *fault);
void agent_link_close(struct agent_link *l);
// One request, one answer, which is appended; the request is wiped. ERR_TIMEOUT,
// ERR_LIMIT (an answer that is too long), ERR_CLOSED, ERR_IO: the connection is of no use
// any more.
must_check enum err agent_link_exchange(struct agent_link *l, struct buf *request,
                                        struct buf *answer);
// A request whose answer is success or refusal.
must_check enum err agent_link_do(struct agent_link *l, struct buf *request);
// Asks which keys it has.
must_check enum err agent_link_list(struct agent_link *l);
const struct agent_link_key *agent_link_find(const struct agent_link *l,
                                             struct view blob);
// Signature blob, appended.
must_check enum err agent_link_sign(struct agent_link *l, struct view blob,
                                    const struct signature_alg *alg, struct view data,
                                    struct buf *out);
