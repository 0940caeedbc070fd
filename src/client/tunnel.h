// -w, Tunnel: a tunnel device here, one there, and the channel between them
// (tun@openssh.com). After its beginning it is a relay like others.
#pragma once

#include "client/forwards.h"

// Opens the device of TunnelDevice and asks the server for its own. An error (said in the
// fault) only with ExitOnForwardFailure.
must_check enum err tunnel_start(struct forwards *f);
// The server's answers.
must_check enum err tunnel_opened(struct relay *r);
must_check enum err tunnel_refused(struct relay *r, const struct connection_event *e);
