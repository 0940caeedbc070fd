// The way that this machine takes to the peer of a socket (rtnetlink).
#pragma once

#include <stdbool.h>

#include "io/endpoint.h"

struct route {
    char gateway[ENDPOINT_TEXT_SIZE];  // "": the peer is on the same link, or here
    char hardware[64];                 // the gateway's link-layer address; "": not known
};

// False: the system does not tell.
bool route_of(int fd, struct route *out);
