// The keys of this very host, for hostbased: public halves from /etc/ssh, signatures by
// ssh-keysign, which alone may read the private ones (EnableSSHKeysign).
#pragma once

#include <netdb.h>

#include "auth/client.h"
#include "client/client.h"

#define HOST_IDENTITIES_MAX 6

// Zeroed at first.
struct host_identities {
    bool opened;
    struct key *keys[HOST_IDENTITIES_MAX];  // owned
    struct view algorithms;                 // of HostbasedAcceptedAlgorithms, left to try
    size_t next;                            // key for the first of them
    char host[NI_MAXHOST + 1], user[256];
};

// The next key and algorithm, in the order of HostbasedAcceptedAlgorithms; false: no
// more.
bool host_identities_next(struct host_identities *h, struct client *c,
                          struct auth_host_identity *out);
// Has ssh-keysign sign; the signature's blob is appended.
must_check enum err host_identities_sign(const struct client *c, struct view data,
                                         struct buf *out, struct fault *fault);
void host_identities_close(struct host_identities *h);
