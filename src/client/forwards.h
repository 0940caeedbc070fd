// All that this run forwards: rules from the configuration, their listeners, and the
// relays that came of them. forwards.c (life, events, waiting), forward_local.c
// (listeners here), forward_remote.c (listeners there), relay*.c (one connection).
#pragma once

#include <poll.h>

#include "client/client.h"
#include "client/forward_spec.h"
#include "client/relay.h"

#define FORWARD_RULES_MAX 256
#define FORWARD_LISTENERS_MAX 512

struct forward_rule {
    enum forward_kind kind;
    struct forward_spec spec;
    bool waits, active;    // remote: unanswered; there
    uint32_t ordinal;      // of its request
    uint32_t listen_port;  // remote: that the server gave
};

struct forward_listener {
    int fd;
    struct forward_rule *rule;
};

struct forwards {
    struct client *c;
    struct connection *connection;
    struct forward_rule *rules;
    size_t rules_n, waiting;
    struct forward_listener listeners[FORWARD_LISTENERS_MAX];
    size_t listeners_n;
    struct relay *relays;
    size_t relays_n;
    uint64_t pause;  // no accept before: descriptors or channels ran out
    bool agent;      // the server may open channels to it
    char agent_path[PATH_MAX];
};

// ---- forwards.c ----
// Rules and local listeners. An error (said in the fault) only with
// ExitOnForwardFailure.
must_check enum err forwards_open(struct forwards *f, struct client *c,
                                  struct connection *connection);
void forwards_close(struct forwards *f);
// Whether the event was one of ours, and what became of it.
must_check enum err forwards_event(struct forwards *f, const struct connection_event *e,
                                   bool *mine);
// Descriptors to wait for: at most forwards_poll_room() of them.
size_t forwards_poll_room(const struct forwards *f);
size_t forwards_poll(struct forwards *f, struct pollfd *p);
must_check enum err forwards_ready(struct forwards *f, const struct pollfd *p);
uint64_t forwards_deadline(const struct forwards *f);
// Connections in use: the end of the session waits for them.
bool forwards_busy(const struct forwards *f);
void forwards_add(struct forwards *f, struct relay *r);
// One line for each relay, for ~#.
void forwards_show(const struct forwards *f, void (*show)(const char *, size_t));

// ---- forward_local.c ----
must_check enum err forward_listen(struct forwards *f, struct forward_rule *rule);
must_check enum err forward_accept(struct forwards *f, struct forward_listener *l);

// ---- forward_remote.c ----
must_check enum err forward_request(struct forwards *f, struct forward_rule *rule);
must_check enum err forward_reply(struct forwards *f, struct forward_rule *rule,
                                  const struct connection_event *event);
must_check enum err forward_peer_open(struct forwards *f,
                                      const struct connection_event *event);
// PermitRemoteOpen
bool forward_may_open(const struct client_config *o, const char *host, uint32_t port);
