// The key that let us in, kept for the logins of further links (redial.h): nobody is
// asked for a passphrase a second time, least of all in the middle of a session.
//
// A secret half that was read from a file lies in locked memory between logins
// (agent/store.h); what an agent has is asked of the agent again.
#pragma once

#include "client/identities.h"

struct kept;

// The one on offer, whose secret half is taken over. NULL: it cannot be kept.
struct kept *kept_new(struct identities *ids);
// Puts the secret half into locked memory, which is not worth its while for a connection
// that ends at once.
void kept_lock(struct kept *k);
void kept_free(struct kept *k);  // wipes; also of NULL

// Opens `ids` with this one alone, on offer. False: it is not to be had any more.
bool kept_offer(struct kept *k, struct identities *ids, struct client *c,
                const struct auth_client *auth, struct auth_identity *out);
