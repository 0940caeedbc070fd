// The keys that let us in, kept for the logins of further links (redial.h): nobody is
// asked for a passphrase a second time, least of all in the middle of a session. One, as
// a rule; several where the server wants several, in the order of their use.
//
// A secret half that was read from a file lies in locked memory between logins
// (agent/store.h); what an agent has is asked of the agent again.
#pragma once

#include "client/identities.h"

struct kept;

// The one on offer goes to the end of the list; its secret half is taken over. False: it
// cannot be kept.
bool kept_add(struct kept **list, struct identities *ids);
struct kept *kept_next(const struct kept *k);  // NULL: that was the last one
// Puts the secret halves into locked memory, which is not worth its while for a
// connection that ends at once.
void kept_lock(struct kept *list);
void kept_free(struct kept *list);  // wipes; also of NULL

// Is it to be had? Asks the agent where that has it; no link is needed.
bool kept_is_there(const struct kept *k, struct client *c);
const char *kept_name(const struct kept *k);
// Opens `ids` with this one alone, on offer. False: it is not to be had any more.
bool kept_offer(struct kept *k, struct identities *ids, struct client *c,
                const struct auth_client *auth, struct auth_identity *out);
