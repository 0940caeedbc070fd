// Who signs for ssh-keygen (-s, -Y sign): a private file, a running agent, a security
// key, or a PKCS#11 token.
#pragma once

#include "signer/agent_link.h"
#include "tools/keygen.h"

struct keygen_signer {
    const struct keygen *k;
    const char *name;         // of the file, for people
    struct key *public;       // what -f or -s names: plain, or a certificate
    struct key *secret;       // of a private file, may be a security key's handle
    struct agent_link agent;  // fd -1: not with an agent
    struct view agent_key;    // the blob under which the agent has it; into agent
    char pin[1024];           // of the token of -D
};

// Finds who signs for the key of the file: with -D the token; the agent of SSH_AUTH_SOCK
// if it has the key and `agent_first`, or if -U demands it; else the private file. It has
// said why not. The caller closes it also then.
bool keygen_signer_open(struct keygen_signer *s, const struct keygen *k, const char *file,
                        bool agent_first);
void keygen_signer_close(struct keygen_signer *s);
// Of the key without its certificate; the caller's. NULL: out of memory.
struct key *keygen_signer_plain(const struct keygen_signer *s);
// Appends the signature's blob; alg fits the plain key.
must_check enum err keygen_signer_sign(struct keygen_signer *s,
                                       const struct signature_alg *alg, struct view data,
                                       struct buf *out, struct fault *f);
