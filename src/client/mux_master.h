// The master of a shared connection (ControlMaster, ControlPath, ControlPersist): the
// control socket and its clients, in OpenSSH's protocol (mux_message.h). mux_master.c has
// the socket and the pumping, mux_requests.c what clients ask for.
//
// The socket appears under its name when it listens already, with mode 0600, and only
// this user (or root) is talked to. A client is not trusted to be well-behaved: it has
// bounded buffers, three descriptors at most, and one session.
#pragma once

#include <limits.h>
#include <poll.h>

#include "client/forwards.h"
#include "client/mux_message.h"

#define MUX_CLIENTS_MAX 512
#define MUX_FDS 3

struct mux_proxy;
struct run;
struct session;

struct mux_client {
    struct mux_client *next;
    struct run *run;
    int fd;
    struct buf in, out;
    bool greeted;
    bool wants_reasons;  // a Bowline: is told why a session ends without a status
    bool ending;         // closed once all is written
    bool gone;           // its end came, or an error
    int fds[MUX_FDS];    // passed, not used yet
    size_t fds_n;
    struct session *session;  // its own, NULL: none
    uint32_t request;         // that asked for it
    struct mux_proxy *proxy;  // it speaks the connection protocol; NULL: it does not
    size_t poll_at;
};

struct mux_master {
    struct run *run;
    int listener;  // -1: none
    char path[PATH_MAX];
    struct mux_client *clients;
    size_t clients_n;
    bool persists;        // ControlPersist, in the background: we end when nobody is left
    uint64_t idle_until;  // CLOCK_NEVER: busy, or for ever
};

// ---- mux_master.c ----
// With ControlMaster and ControlPath: the socket. That it cannot be made is said and ends
// nothing.
void mux_master_open(struct mux_master *m, struct run *r);
// No more clients, and the name goes; those there are stay.
void mux_master_stop(struct mux_master *m);
void mux_master_close(struct mux_master *m);
// The same in a process that is the master no more: the name stays.
void mux_master_abandon(struct mux_master *m);
size_t mux_master_poll_room(const struct mux_master *m);
size_t mux_master_poll(struct mux_master *m, struct pollfd *p);
must_check enum err mux_master_ready(struct mux_master *m, const struct pollfd *p);
// Drops clients that are over; a session that is left goes with its passenger.
must_check enum err mux_master_sweep(struct mux_master *m);
uint64_t mux_master_deadline(const struct mux_master *m);
// ControlPersist: starts or stops the time; true when it is over.
bool mux_master_expired(struct mux_master *m, bool busy, uint64_t now);
// Something waits that no descriptor will announce.
bool mux_master_is_due(const struct mux_master *m);
// An event of the connection's; *mine: of a channel of a client in proxy mode.
must_check enum err mux_master_event(struct mux_master *m,
                                     const struct connection_event *event, bool *mine);
// Writes what goes.
void mux_flush(struct mux_client *k);
// A message to a client; what cannot be kept ends it.
void mux_send(struct mux_client *k, enum mux_number number, const void *fields);

// ---- mux_requests.c ----
// All complete requests in the client's buffer.
must_check enum err mux_take(struct mux_client *k);
// Why all ends, for those who are told.
void mux_tell_reason(struct mux_master *m, const char *why);
// What becomes of a passenger's session; `k` NULL: it is nobody's.
void mux_session_opened(struct mux_client *k, struct session *s);
void mux_session_refused(struct mux_client *k, const char *why);
void mux_session_no_tty(struct mux_client *k, const struct session *s);
void mux_session_ended(struct mux_client *k, struct session *s);
void mux_forward_answered(struct forward_asker asker, const struct forward_rule *rule,
                          bool success);
