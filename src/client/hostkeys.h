// Is this the host that we mean? known_hosts files, the question at the first visit, the
// alarm.
#pragma once

#include "client/client.h"
#include "key/known_hosts.h"

// What to do with a key, from policy and verdict alone.
enum hostkeys_decision {
    HOSTKEYS_TRUST,
    HOSTKEYS_TRUST_AND_ADD,
    HOSTKEYS_ASK,
    HOSTKEYS_REFUSE,
    HOSTKEYS_TRUST_CHANGED,  // StrictHostKeyChecking no: on, but nothing secret goes
                             // there
};

enum hostkeys_decision hostkeys_decide(int strict, bool batch,
                                       enum known_hosts_result result);

// HostKeyAlgorithms for this host: those of known keys first. The result is owned by the
// client.
must_check enum err hostkeys_order(struct client *c);

// The whole check, with questions and messages. Errors refuse.
must_check enum err hostkeys_check(struct client *c, const struct transport_event *event,
                                   bool *trusted);

void hostkeys_forget(struct client *c);  // frees what was read
