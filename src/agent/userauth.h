// What an agent is asked to sign: a login, whose request it can take apart (RFC 4252 s.7,
// with the host's key in it OpenSSH's PROTOCOL, publickey-hostbound-v00@openssh.com), or
// a signature of a file (PROTOCOL.sshsig).
#pragma once

#include "key/key.h"

struct agent_userauth {
    struct view session_id, user;
    struct view host_key;  // p NULL: not hostbound
};

// Is it a request to log in with this very key? Exact to the last byte.
bool agent_userauth_read(struct agent_userauth *out, struct view data,
                         const struct key *key);
// Is it what a file's signature covers?
bool agent_is_sshsig(struct view data);
