// Where a key may be used: destination constraints (OpenSSH's PROTOCOL.agent,
// restrict-destination-v00@openssh.com).
//
// A constraint is one hop: from a host (or from here, where the agent runs) to a host as
// a user. The way of a request, as the session bindings of its connection prove it, must
// be covered hop by hop.
#pragma once

#include "key/key.h"
#include "wire/reader.h"
#include "wire/writer.h"

// Bounds on what a client may make us keep.
#define AGENT_DESTINATIONS_MAX 1024
#define AGENT_HOP_KEYS_MAX 1024

struct agent_hop {
    char *host, *user;  // NULL: none. host is for people and for certificates
    struct agent_hop_key {
        struct key *key;
        bool authority;  // hosts whose certificate this key signed
    } * keys;
    size_t keys_n;
};

struct agent_destination {
    struct agent_hop from, to;  // from without host and keys: where the agent runs
};

struct agent_destinations {
    struct agent_destination *list;
    size_t n;  // 0: no constraint
};

void agent_destinations_free(struct agent_destinations *d);  // also of a zeroed one

// The contents of the extension's string. On failure nothing is kept.
must_check enum err agent_destinations_read(struct agent_destinations *out,
                                            struct view contents, struct fault *fault);
void agent_destinations_write(struct writer *w, const struct agent_destinations *d);

// A hop that a connection to the agent is known to have come over: the peer showed a
// signature of this host's key over the session.
struct agent_binding {
    struct key *host_key;
    uint8_t session_id[64];
    size_t session_id_n;
    bool forwarding;  // for use beyond that host; else for logging in there
};

// May the key be seen and used over these bindings? user is whom a login is asked for;
// NULL: it is only listed, replaced or removed.
bool agent_destinations_permit(const struct agent_destinations *d,
                               const struct agent_binding *way, size_t n,
                               const char *user);
