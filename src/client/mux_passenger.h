// The other side of a control socket: a session on the connection of a master that runs
// already, and the commands of -O.
#pragma once

#include "client/client.h"

// Where the configuration names a control socket: takes its way if a master is there
// (*done; exit_code is set then), or does what -O asks. Not *done: connect as usual.
must_check enum err mux_passenger_try(struct client *c, bool *done);
// The session by the master of `path`, which must be there.
must_check enum err mux_passenger_attach(struct client *c, const char *path);
// Whether -O knows that command.
bool mux_command_is_known(const char *name);
