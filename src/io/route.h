// The way that this machine takes to the peer of a socket (rtnetlink).
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "io/endpoint.h"

struct route {
    char gateway[ENDPOINT_TEXT_SIZE];  // "": the peer is on the same link, or here
    char hardware[64];                 // the gateway's link-layer address; "": not known
};

// False: the system does not tell.
bool route_of(int fd, struct route *out);

// ---- has it changed? ----

// Where packets for that peer leave this machine, and from which address.
struct route_exit {
    bool there;  // false: nowhere
    uint32_t interface;
    uint8_t gateway[16], source[16];
};

// The way of one connection.
struct route_way {
    int family;  // 0: not known
    uint8_t peer[16], local[16];
    struct route_exit own;    // of packets from `local`; not there where that has gone
    struct route_exit fresh;  // of a new connection to the same peer
};

// Of that connected socket, now. Where the system does not tell, it is not known.
void route_way_note(struct route_way *w, int fd);
// Asks again, notes what it hears, and tells what is another one than before.
struct route_changed {
    bool own, fresh;
};
struct route_changed route_way_look(struct route_way *w);
