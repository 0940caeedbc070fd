// Unix sockets: pairs and messages with descriptors between processes of ours, stream
// sockets for agents and forwards.
#pragma once

#include <sys/types.h>

#include "base/bytes.h"
#include "base/fault.h"

#define UNIX_FDS_MAX 8     // descriptors in one message
#define UNIX_PATH_MAX 107  // bytes of a socket's path

// A connected SOCK_SEQPACKET pair, close-on-exec, non-blocking, each end with a send
// buffer that takes messages of `message_max` bytes (0: the system's). ERR_IO, ERR_LIMIT.
must_check enum err unix_pair(int fds[2], size_t message_max);

// Sends the parts (at most 8) as one message, with the descriptors (which stay open here
// and stay the caller's). OK with *sent false: no room now. ERR_CLOSED: nobody there.
// ERR_LIMIT: over what the socket takes. ERR_IO. Never raises SIGPIPE.
must_check enum err unix_send(int fd, const struct view *parts, size_t parts_n,
                              const int *fds, size_t fds_n, bool *sent);

struct unix_message {
    bool ready;  // false: none there now (would block)
    size_t n;    // bytes of it in the room
    int fds[UNIX_FDS_MAX];
    size_t fds_n;  // close-on-exec; the caller's: unix_message_close() or taken over one
                   // by one
};

// Receives one message of at most room.n bytes with at most fds_max descriptors. Those
// beyond are closed and the message is ERR_PROTOCOL. ERR_LIMIT: longer than the room, or
// this process has no room for its descriptors (nothing is kept). ERR_CLOSED: the other
// end is closed (also for an empty message). ERR_IO. After an error no descriptor is left
// open.
must_check enum err unix_recv(int fd, struct span room, size_t fds_max,
                              struct unix_message *m);
void unix_message_close(struct unix_message *m);

// Who was at the other end when it connected or made the pair (SO_PEERCRED).
struct unix_peer {
    pid_t pid;
    uid_t uid;
    gid_t gid;
};
must_check enum err unix_peer(int fd, struct unix_peer *peer);

// type: SOCK_STREAM or SOCK_SEQPACKET. Listening makes the socket with `mode` at once,
// without a moment in which others may connect; an existing path is ERR_REFUSED unless
// `replace`, which removes a socket (nothing else) first. A path over 107 bytes is
// ERR_LIMIT. A path that starts with '@' is taken as a file name, never as an abstract
// address.
must_check enum err unix_listen(const char *path, int type, mode_t mode, bool replace,
                                int *fd, struct fault *f);
// Removes those sockets of our user in `folder` whose names begin with `prefix` that no
// process has: what those leave behind that end by a signal, or may not remove it. A
// socket that is in use, listening or not, notices nothing.
void unix_remove_stale(const char *folder, const char *prefix);
// Non-blocking afterwards. Waits only if the backlog is full.
must_check enum err unix_connect(const char *path, int type, int *fd, struct fault *f);
// The same without waiting: ERR_TIMEOUT if it would have to.
must_check enum err unix_connect_now(const char *path, int type, int *fd,
                                     struct fault *f);
// Ends the connection whoever else has a copy of the descriptor, and closes ours.
void unix_hang_up(int *fd);
// OK with *fd = -1: nobody there.
must_check enum err unix_accept(int listener, int *fd);
