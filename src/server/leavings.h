// What a holder has in /tmp: the folder of a forwarded agent's socket, and the file of
// ExposeAuthInfo. It makes and removes them itself; where it was killed, its keeper
// removes them, who was told their names.
#pragma once

#include <sys/types.h>

#include "base/bytes.h"

#define LEAVINGS_AT "/tmp/"
#define LEAVING_NAME 32  // with NUL

enum leaving {
    LEAVING_AGENT,      // ssh-XXXXXXXXXX, with agent.PID in it
    LEAVING_AUTH_INFO,  // sshauth.XXXXXXXXXXXXXXX
    LEAVING_KINDS
};

// Names below LEAVINGS_AT; "": none.
struct leavings {
    char name[LEAVING_KINDS][LEAVING_NAME];
};

// Templates for mkstemp(3) and its like.
#define LEAVING_AGENT_TEMPLATE LEAVINGS_AT "ssh-XXXXXXXXXX"
#define LEAVING_AUTH_INFO_TEMPLATE LEAVINGS_AT "sshauth.XXXXXXXXXXXXXXX"

// A name, as a holder tells it; what is none of that kind's is not taken (false).
bool leavings_take(struct leavings *l, enum leaving kind, struct view name);
// Removes what is there by that name and belongs to `uid`, of a holder with that process
// number, and forgets the name. It may be called by root for somebody else: no link is
// followed and no other file system entered, so that nobody can lead it elsewhere or make
// it wait.
void leaving_remove(struct leavings *l, enum leaving kind, uid_t uid, pid_t pid);
