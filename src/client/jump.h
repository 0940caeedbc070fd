// One hop of ProxyJump: [user@]host[:port], or an ssh:// address; and the cut between the
// last hop of a list and those before it. A pure parser.
#pragma once

#include "base/bytes.h"

#define JUMP_PART 1025

struct jump {
    char before[4096];     // the hops in front of it, comma-separated; empty: none
    char user[JUMP_PART];  // empty: not given
    char host[JUMP_PART];  // without brackets; of an ssh:// address: all of it
    uint16_t port;         // 0: not given
};

// The last hop of the list. False if it is malformed or a name is not safe.
bool jump_parse(struct jump *j, const char *list);
