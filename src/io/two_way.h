// One socket in place of two descriptors: sshd -i below a ProxyCommand reads from one
// pipe and writes to another, while a link is one descriptor everywhere else.
#pragma once

#include "base/bytes.h"
#include "base/fault.h"

// True when `in` and `out` are one and the same socket.
bool two_way_is_socket(int in, int out);

// Starts a process that copies both ways between the two and a socket, which is *socket,
// close-on-exec and the caller's. The process closes what it does not need, gives up
// every capability, looks at nothing, and ends when the socket does. The caller no longer
// needs `in` and `out`; as long as it keeps `out` its reader sees no end. ERR_IO.
must_check enum err two_way_join(int in, int out, int *socket, struct fault *f);
