// All that this run forwards: rules from the configuration, their listeners, and the
// relays that came of them. forwards.c (life, events, waiting), forward_local.c
// (listeners here), forward_remote.c (listeners there), relay*.c (one connection).
#pragma once

#include <poll.h>

#include "client/carrier.h"
#include "client/client.h"
#include "client/forward_spec.h"
#include "client/relay.h"
#include "client/x11.h"

#define FORWARD_RULES_MAX 256
#define FORWARD_LISTENERS_MAX 512

// A client of the control socket that waits for a rule.
struct forward_asker {
    struct mux_client *client;  // NULL: none
    uint32_t id;                // of its request
};

struct forward_rule {
    bool in_use;
    struct forward_asker asker;
    enum forward_kind kind;
    struct forward_spec spec;
    bool late;                   // past the start: its failure ends nothing
    bool waits, active;          // remote: unanswered; there
    struct mux_client *lent_to;  // remote: gets what is opened; NULL: we do
    bool unwanted;               // .. and is gone: cancelled once it is answered
    uint32_t ordinal;            // of its request
    uint32_t listen_port;        // remote: that the server gave
};

struct forward_listener {
    int fd;
    struct forward_rule *rule;
};

struct forwards {
    struct client *c;
    struct connection *connection;
    struct carrier *carrier;
    struct forward_rule *rules;
    size_t rules_n, waiting;
    struct forward_listener listeners[FORWARD_LISTENERS_MAX];
    size_t listeners_n;
    struct relay *relays;
    size_t relays_n;
    struct x11 x11;     // x11.h
    uint64_t x11_used;  // clock_ms() of X11's last data, for ObscureKeystrokeTiming
    uint64_t used;      // clock_ms() of the last data, for ChannelTimeout global
    uint64_t pause;     // no accept before: descriptors or channels ran out
    bool agent;         // the server may open channels to it
    char agent_path[PATH_MAX];
};

// ---- forwards.c ----
// A line of the configuration, paths expanded; the fault says what is wrong.
must_check enum err forward_spec_expand(struct client *c, enum forward_kind kind,
                                        const char *text, struct forward_spec *spec);
// Rules and local listeners. An error (said in the fault) only with
// ExitOnForwardFailure.
must_check enum err forwards_open(struct forwards *f, struct client *c,
                                  struct connection *connection, struct carrier *carrier);
void forwards_close(struct forwards *f);
// The same without an end for others: another process has them now.
void forwards_abandon(struct forwards *f);
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
void forwards_tell(const struct forwards *f, struct buf *out);

// ---- forward_change.c: while the session runs ----
enum forward_outcome {
    FORWARD_DONE,
    FORWARD_WAITS,   // for the server's answer
    FORWARD_FAILED,  // was said in the log
};
// One rule more. The asker, if there is one, gets the answer of one that waits by
// mux_forward_answered(). *rule is the one made, or that there was already.
must_check enum err forwards_ask(struct forwards *f, enum forward_kind kind,
                                 const struct forward_spec *spec,
                                 struct forward_asker asker, struct forward_rule **rule,
                                 enum forward_outcome *outcome);
// Stops listening for the rule with that listening end (and what it connects to, if
// `spec` has that); what is connected stays. *found: there was one.
must_check enum err forwards_cancel(struct forwards *f, enum forward_kind kind,
                                    const struct forward_spec *spec, bool *found);
// A remote one for a client in proxy mode; NULL: it cannot be. mux_forward_answered().
must_check enum err forwards_lend(struct forwards *f, const struct forward_spec *spec,
                                  struct mux_client *client, struct forward_rule **rule);
// Cancels that one of the client's, or all (spec, found NULL).
must_check enum err forwards_take_back(struct forwards *f,
                                       const struct forward_spec *spec,
                                       const struct mux_client *client, bool *found);
// A client that is gone waits no more.
void forwards_forget_asker(struct forwards *f, const struct mux_client *client);
// A rule to be filled in; NULL: there are too many, or no memory.
struct forward_rule *forwards_new_rule(struct forwards *f);

// ---- forward_local.c ----
must_check enum err forward_listen(struct forwards *f, struct forward_rule *rule);
must_check enum err forward_accept(struct forwards *f, struct forward_listener *l);
// Closes the listeners of a rule (NULL: all); `unlinks`: with their paths.
void forward_unlisten(struct forwards *f, const struct forward_rule *rule, bool unlinks);

// ---- forward_remote.c ----
must_check enum err forward_request(struct forwards *f, struct forward_rule *rule);
must_check enum err forward_cancel_request(struct forwards *f,
                                           const struct forward_rule *rule);
must_check enum err forward_reply(struct forwards *f, struct forward_rule *rule,
                                  const struct connection_event *event);
must_check enum err forward_peer_open(struct forwards *f,
                                      const struct connection_event *event);
// PermitRemoteOpen
bool forward_may_open(const struct client_config *o, const char *host, uint32_t port);
