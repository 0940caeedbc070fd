// What is known of the silence that the way to a host bears (idle_limit.h), kept between
// runs: ${XDG_STATE_HOME:-~/.local/state}/bowline/idle (idle_book.h).
//
// A network is known by its gateway (address and link-layer address) or, without one, by
// the local address, together with the host's name; all that only as a hash. Behind a
// program (ProxyCommand, ProxyJump) the host's name alone is known. A hint:
// whatever goes wrong with it is passed over, but a damaged file is told once, when it is
// begun anew.
#pragma once

#include "client/client.h"
#include "client/idle_book.h"

struct idle_memory {
    char key[IDLE_BOOK_KEY + 1];  // "": not known
    struct idle_limit limit;
};

// Looks up what is known of the way of the client's link.
void idle_memory_open(struct idle_memory *m, const struct client *c);
// To what the file says now, other processes' knowledge too, and back into it.
void idle_memory_bears(struct idle_memory *m, const struct client *c, uint64_t silence_s);
void idle_memory_fails(struct idle_memory *m, const struct client *c, uint64_t silence_s);
