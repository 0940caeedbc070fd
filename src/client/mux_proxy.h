// A client of the control socket that speaks the connection protocol itself
// (MUX_C_PROXY): its channels and the ports that it has the server listen on. What goes
// to the server goes by the run's ordinary path.
#pragma once

#include "client/bridge.h"
#include "client/forwards.h"

struct mux_client;
struct run;

struct mux_proxy {
    struct bridge bridge;
    struct run *run;
    struct mux_client *client;
};

// NULL: no memory.
struct mux_proxy *mux_proxy_new(struct mux_client *k);
void mux_proxy_free(struct mux_proxy *p);  // the server is told nothing
// The client is gone: its channels are closed, its listeners given back.
must_check enum err mux_proxy_end(struct mux_proxy *p);
// Takes and gives what there is.
must_check enum err mux_proxy_turn(struct mux_proxy *p);
// Is there more to be had of the client?
bool mux_proxy_wants(const struct mux_proxy *p);
// The answer to its forwarding.
void mux_proxy_answered(struct mux_proxy *p, const struct forward_rule *rule,
                        bool success);
