// What happened on a link, in the words that log parsers know from OpenSSH. Every text of
// the peer's is cleaned here.
#pragma once

#include "base/bytes.h"
#include "base/log.h"
#include "server/ipc_table.h"

struct event_link {
    const char *user;  // "" before one is named
    const char *peer;
    uint16_t port;
    bool valid_user, authenticated;
};

void event_accepted(const struct log *log, const struct event_link *l, struct view method,
                    struct view key);
void event_partial(const struct log *log, const struct event_link *l, struct view method,
                   struct view key);
// `loud`: at INFO, else VERBOSE.
void event_failed(const struct log *log, const struct event_link *l, struct view method,
                  struct view key, bool loud);
void event_end(const struct log *log, const struct event_link *l,
               const struct ipc_gate_end *m);
// The gate vanished without a word.
void event_lost(const struct log *log, const struct event_link *l);
