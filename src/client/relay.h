// One forwarded connection: a socket of ours and a channel, bytes in both directions with
// the channel's windows as the only brake. The socket may be accepted (the channel is
// opened then) or connected (for a channel that the server opened); SOCKS may come before
// from either side.
#pragma once

#include "client/agent_bind.h"
#include "client/socks.h"
#include "client/stream.h"
#include "connection/connection.h"
#include "io/tcp_connect.h"
#include "io/tun.h"
#include "transport/transport.h"

enum relay_state {
    RELAY_ASKED,       // SOCKS from the socket; no channel yet
    RELAY_OPENING,     // the channel is opened
    RELAY_PEER_ASKED,  // SOCKS from the channel; no socket yet
    RELAY_PEER_X11,    // X11's greeting from the channel; no socket yet
    RELAY_CONNECTING,  // the socket is connected
    RELAY_OPEN,
    RELAY_ENDING,  // what is left is written, then it is gone
};

struct forwards;

struct relay {
    struct relay *next;
    struct forwards *f;
    enum relay_state state;
    struct stream stream;
    uint32_t channel;
    bool has_channel, accepted;  // accepted: a channel of the peer's was confirmed
    bool in_ended, out_ended;    // EOF was sent; came
    bool shut;                   // and was handed on
    struct tcp_connect *connect;
    struct socks socks;
    bool by_socks, by_x11;
    enum tun_mode tunnel;             // the device that the stream is; 0: it is none
    const char *type;                 // of the channel, as ChannelTimeout has it
    const struct forward_rule *rule;  // NULL: agent, X11
    struct agent_bind bind;           // of an agent's
    struct buf early;                 // came before there was somewhere to write it
    uint64_t used;                    // clock_ms() of the last data
    size_t poll_at, poll_n;
    char what[160];  // for people
};

// fd -1: none yet. NULL: no memory (fd is closed then).
struct relay *relay_new(struct forwards *f, enum relay_state state, int fd);
void relay_free(struct relay *r);

// ---- relay.c: bytes ----
must_check enum err relay_event(struct relay *r, const struct connection_event *event);
size_t relay_poll(struct relay *r, struct pollfd *p);
must_check enum err relay_ready(struct relay *r, const struct pollfd *p);
uint64_t relay_deadline(const struct relay *r);
bool relay_is_over(const struct relay *r);
must_check enum err relay_close_channel(struct relay *r);
// Hands an end on when nothing is left before it, and closes when both have ended.
must_check enum err relay_settle(struct relay *r);

// ---- relay_open.c: how it comes to be open ----
// Opens the channel for an accepted socket.
must_check enum err relay_open_channel(struct relay *r, const char *host, uint32_t port);
// Starts to connect the socket for a channel of the server's.
must_check enum err relay_connect(struct relay *r, const char *host, uint32_t port);
must_check enum err relay_connect_path(struct relay *r, const char *path);
must_check enum err relay_connect_agent(struct relay *r, const char *path);
must_check enum err relay_connect_step(struct relay *r);
must_check enum err relay_opened(struct relay *r);
must_check enum err relay_open_refused(struct relay *r, const struct connection_event *e);
// Opens the channel for a tunnel device, to the server's device of that number.
must_check enum err relay_open_tunnel(struct relay *r, uint32_t unit);
must_check enum err relay_socks(struct relay *r);
must_check enum err relay_x11(struct relay *r);
