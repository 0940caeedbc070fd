// Sending and receiving messages of server/ipc_table.h over SOCK_SEQPACKET sockets.
#pragma once

#include <stdarg.h>

#include "base/buf.h"
#include "base/limits.h"
#include "base/log.h"
#include "server/ipc_table.h"

// A pair that takes the largest message; see io/unix_socket.h.
must_check enum err ipc_pair(int fds[2]);

// fd -1: none goes along (it stays open here). OK with *sent false: no room now.
must_check enum err ipc_try_send(int socket, enum ipc_number number, const void *body,
                                 int fd, bool *sent);
// The same, for a receiver that must take it at once: ERR_LIMIT if it has no room.
must_check enum err ipc_send(int socket, enum ipc_number number, const void *body,
                             int fd);

// Messages for a process that has no room now, in their order: nothing is lost that it
// must come to know. Zeroed: none wait.
struct ipc_outbox {
    struct buf waiting;  // strings; at most LIMIT_IPC_WAITING
};
// Sends at once, or keeps it behind those that wait. ERR_LIMIT: too many do; it is lost.
// ERR_CLOSED, ERR_IO: of the socket.
must_check enum err ipc_outbox_send(struct ipc_outbox *o, int socket,
                                    enum ipc_number number, const void *body);
// As many as there is room for.
must_check enum err ipc_outbox_flush(struct ipc_outbox *o, int socket);
static inline bool ipc_outbox_waits(const struct ipc_outbox *o) {
    return buf_len(&o->waiting) > 0;
}
void ipc_outbox_free(struct ipc_outbox *o);  // also of a zeroed one

// Receives and judges one message. *ready false: none there. `room` (LIMIT_IPC_MESSAGE)
// holds its bytes. ERR_CLOSED: the other end is gone. out->fd is the caller's.
must_check enum err ipc_recv(int socket, struct ipc_side *side, struct span room,
                             struct ipc_message *out, bool *ready, struct fault *fault);

// A log whose lines go to the keeper as LOG messages over `socket` (kept, not owned).
struct ipc_log_sink {
    int socket;
};
void ipc_log_open(struct ipc_log_sink *sink, struct log *log, int socket,
                  enum log_level level);
