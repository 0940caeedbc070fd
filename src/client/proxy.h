// A link through a program: ProxyCommand, ProxyJump (our own ssh -W on the last hop), and
// descriptors passed by a program (ProxyUseFdpass).
#pragma once

#include "client/client.h"

// Whether the configuration asks for a program instead of a connection of our own.
bool proxy_wanted(const struct client *c);
// Starts it: link.fd is our end. c->proxy is the program until proxy_end().
must_check enum err proxy_connect(struct client *c);
// Ends the program if there is one; after link_close().
void proxy_end(struct client *c);
// The same, and waits until nothing of it is left: in a process that goes on.
void proxy_reap(struct client *c);
