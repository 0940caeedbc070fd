// What happened on a link, as lines of the text log in the words that log parsers know
// from OpenSSH 10.5. Every text of the peer's is cleaned here. Typed events are
// server/event_table.h's.
#pragma once

#include "base/bytes.h"
#include "base/log.h"
#include "server/ipc_table.h"

struct event_link {
    const char *user;  // "" before one is named
    const char *peer, *local;
    uint16_t port;
    long pid;  // of the gate
    bool valid_user, authenticated;
};

// "ED25519 SHA256:…", or with " ID id (serial n) CA …" behind it.
struct event_key {
    struct view key;  // type and fingerprint; empty: none
    struct view certificate_id, ca;
    uint64_t serial;
};

void event_accepted(const struct log *log, const struct event_link *l, struct view method,
                    const struct event_key *key);
void event_partial(const struct log *log, const struct event_link *l, struct view method,
                   const struct event_key *key);
// It goes on with questions. `loud`: at INFO, else VERBOSE.
void event_postponed(const struct log *log, const struct event_link *l,
                     struct view method, bool loud);
// `loud`: at INFO, else VERBOSE.
void event_failed(const struct log *log, const struct event_link *l, struct view method,
                  const struct event_key *key, bool loud);
void event_end(const struct log *log, const struct event_link *l,
               const struct ipc_gate_end *m);
// The gate vanished without a word.
void event_lost(const struct log *log, const struct event_link *l);
// A connection that was not taken.
void event_refused(const struct log *log, const struct ipc_refused *m, bool loud);
