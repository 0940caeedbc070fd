// What a session is to be: from our command line and configuration (want_own()), or from
// a passenger's request. The same words go to the server and, by a passenger, to the
// master.
#pragma once

#include "base/buf.h"
#include "base/limits.h"
#include "client/client.h"
#include "client/forward_spec.h"

struct want {
    bool tty, x11, agent, subsystem;
    int escape;                       // a byte; negative: none
    struct view term, command;        // command: empty for a shell
    struct view environment;          // strings "NAME=value": mux_next_string()
    const struct forward_end *stdio;  // -W: what to connect to; NULL: a session
};

// What the views of one's own point into.
struct want_room {
    char command[LIMIT_PACKET_DEFAULT];
    struct forward_end stdio;
    struct buf environment;
};

// Of this command line. `room` is zeroed by it and to be given back in either case.
must_check enum err want_own(struct client *c, struct want *w, struct want_room *room);
// Is it to have a terminal?
bool want_terminal(const struct client *c);
void want_room_free(struct want_room *room);
