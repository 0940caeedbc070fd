// Sessions with a terminal, by their names, over all connections of a user: who has one,
// who may see it (doc/attach.md). The keeper brings the two processes together; it does
// not see what passes between them.
#pragma once

#include "server/keeper.h"

// CLAIM of a holder, which is answered.
void link_claim(struct link *l, const struct ipc_claim *m);
// HELD.
void link_held(struct link *l, const struct ipc_held *m);
// What its STATUS says of its terminals.
void link_sessions(struct link *l, struct view terminals);
void link_sessions_forget(struct link *l);

// For somebody on this machine: an end of a socket to the session of that name, or of the
// only one that there is; root and the server's own user get anybody's. -1 with `why`.
int keeper_view(struct keeper *k, uid_t uid, struct view name, uint32_t flags,
                const char *who, char *why, size_t why_size);
