// After a login that was refused: what was offered, what was not and why, what the server
// would still take, and what to do.
#pragma once

#include "client/client.h"
#include "client/identities.h"

// `methods`: the server's list.
void refusal_say(struct client *c, const struct identities *ids, const char *methods);
