// Telling an agent whose session a connection to it belongs to, with the host's own
// signature as proof (OpenSSH's PROTOCOL.agent, session-bind@openssh.com).
#pragma once

#include "client/client.h"
#include "signer/agent_link.h"

// Of our own connection, before it signs for the login. Agents without it are no error.
void agent_bind_login(struct client *c, struct agent_link *l);

// Of a connection that is forwarded: the request goes out in front of all else, and the
// first answer is ours and not the server's.
struct agent_bind {
    bool waits;  // the answer has not come wholly
    uint8_t head[4];
    size_t head_n;
    uint32_t left;
};
// Writes the request; ERR_IO where a fresh socket does not take it at once.
must_check enum err agent_bind_forward(struct agent_bind *b, struct client *c, int fd);
// Reads away what is there of the answer. ERR_CLOSED, ERR_LIMIT, ERR_IO.
must_check enum err agent_bind_skip(struct agent_bind *b, int fd);
