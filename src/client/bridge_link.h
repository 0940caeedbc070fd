// What the bridge's files share.
#pragma once

#include "client/bridge.h"

// A channel more, not numbered yet; NULL: no memory.
struct bridge_link *bridge_link_new(struct bridge *b, const char *type, uint64_t now);
void bridge_link_drop(struct bridge *b, struct bridge_link *l);
must_check enum err bridge_near_event(struct bridge *b,
                                      const struct connection_event *event, uint64_t now);
