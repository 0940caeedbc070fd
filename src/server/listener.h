// The listener: accepts, turns away by MaxStartups, and forks a gate for each link. It is
// executed anew by the keeper (sshd with LISTENER_FLAG) after a gate's abnormal death and
// every so many forks, so that no two templates share an address layout for long. It
// holds no secret and has no file to open; its slots are freed by process exit or the
// keeper's word alone.
#pragma once

#define LISTENER_FLAG "--listener"

// `fds`: keeper's socket, settings (a memfd), then listening sockets, comma-separated;
// "=N" in their place is one link accepted already (inetd). Runs until it is done; the
// exit status.
int listener_main(const char *fds);
