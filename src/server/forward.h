// Forwarding in the holder (RFC 4254 s.6.3, s.7; OpenSSH's PROTOCOL, s.2): sockets that
// are carried on channels, listeners that make such channels, and who may have them.
#pragma once

#include "connection/requests.h"
#include "io/tcp_connect.h"
#include "server/holder.h"

// ---- holder_permit.c: who may; pure ----
enum forward_want {
    FORWARD_WANT_TCP,          // direct-tcpip
    FORWARD_WANT_UNIX,         // direct-streamlocal@openssh.com
    FORWARD_WANT_TCP_LISTEN,   // tcpip-forward
    FORWARD_WANT_UNIX_LISTEN,  // streamlocal-forward@openssh.com
    FORWARD_WANT_AGENT,
    FORWARD_WANT_X11,
    FORWARD_WANT_TUNNEL,
    FORWARD_WANTS
};
// By sshd_config and what the key permits (enum verdict_permit).
bool forward_allowed(const struct server_config *config, uint32_t permits,
                     enum forward_want want);
// Is host and port in a list of "host:port", "[v6]:port", "*:port", "host:*", "port"? An
// empty list or "any" has everything, "none" nothing. Hosts are patterns, in any case.
bool forward_in_list(const struct conf_list *list, const char *host, uint32_t port);
// X11: an authentication protocol's name, a cookie in hexadecimal: nothing else reaches
// xauth.
bool x11_protocol_is_good(struct view protocol);
bool x11_cookie_is_good(struct view cookie);

// ---- holder_connect.c: connecting, never waiting ----
struct connect_job {
    struct holder *holder;
    struct tcp_connect *race;  // to an address
    struct loop_watch watch;
    int socket;  // to the helper that looks a name up; -1: none
    struct loop_child helper;
    bool helping, waiting;  // waiting: for a helper to be free
    // fd -1: `why` says why not. The job is over by then.
    void (*done)(void *arg, int fd, const char *why);
    void *arg;
    char host[256];  // or the path
    uint16_t port;
    bool is_path;
};
// May call done() at once.
void connect_start(struct connect_job *job);
void connect_drop(struct connect_job *job);  // also of one that is over
void connect_next(struct connect_job *job);  // one that waits: its turn may have come

// ---- holder_forward.c: one socket on one channel ----
struct forward {
    struct carrier c;
    struct forward *next;
    struct stream stream;
    struct connect_job job;
    int fd;            // accepted, and the channel is not confirmed yet
    bool asked;        // the peer opened it and waits for our word
    bool offered;      // we opened it and wait for the peer's
    const char *kind;  // the channel's type
    bool told;         // the keeper knows that it was opened
    uint64_t ends;     // left over by the channel, to write what it had: until then
};

// NULL: no memory.
struct forward *forward_new(struct holder *h, uint32_t channel);
// What the peer wanted and does not get; `reason` is the event's.
struct forward_refusal {
    const char *kind, *host, *reason, *text;
    uint32_t port;
    enum open_failure failure;
    const char *answer;  // for the peer
};
void forward_refuse(struct holder *h, uint32_t channel, const struct forward_refusal *r);
void forward_tell(struct forward *f, enum event_number number);
// direct-tcpip, direct-streamlocal@openssh.com
void forward_open(struct holder *h, const struct connection_event *event);
// A socket that was accepted: opens a channel of that type for it, or closes it. NULL: it
// was closed.
struct forward *forward_offer(struct holder *h, int fd, const char *type,
                              const void *fields, const char *timeout_type);
void forwards_update(struct holder *h);
void forwards_sweep(struct holder *h);
void forwards_end(struct holder *h);  // the connection ends

// ---- holder_tunnel.c: tun@openssh.com ----
void tunnel_open(struct holder *h, const struct connection_event *event);

// ---- holder_listen.c: sockets that listen for the peer ----
enum listen_kind {
    LISTEN_TCP,
    LISTEN_UNIX,
    LISTEN_AGENT,
    LISTEN_X11
};
#define LISTEN_SOCKETS 4
struct forward_listener {
    struct forward_listener *next;
    struct holder *holder;
    enum listen_kind kind;
    struct loop_watch watches[LISTEN_SOCKETS];
    int fds[LISTEN_SOCKETS];
    size_t n;
    char host[256];            // as the peer asked; or the path
    uint16_t port;             // that it listens on
    const char *type;          // of the channels that it makes
    struct loop_timer resume;  // accepting pauses until then
    bool single;               // ends after its first connection
    bool told;                 // the keeper knows it
};

// NULL: too many, or no memory. Takes the descriptors over in any case.
struct forward_listener *listener_add(struct holder *h, enum listen_kind kind,
                                      const int *fds, size_t n);
// It listens, on what is in it: for the keeper.
void listener_opened(struct forward_listener *l);
void listener_end(struct forward_listener *l);
void listeners_end(struct holder *h);
// Both loopback addresses, or every address, on one port; `port` 0: one that is free,
// told in *port. False if any family that there is refuses.
bool listen_tcp(const struct holder *h, bool loopback, uint16_t *port, int *fds,
                size_t *n);
// tcpip-forward and the others; false: refused. *port: for the reply, where 0 was asked.
bool listen_request(struct holder *h, const struct request_forward *r, uint32_t *port);
bool listen_cancel(struct holder *h, const struct request_forward *r);
bool listen_unix_request(struct holder *h, const struct request_streamlocal *r);
bool listen_unix_cancel(struct holder *h, const struct request_streamlocal *r);

// ---- holder_agent.c, holder_x11.c ----
bool agent_listen(struct holder *h, const char *type);
void agent_end(struct holder *h);
bool x11_request(struct session *s, const struct request_x11 *r);
void x11_session_end(struct session *s);
// "localhost:10.0" for DISPLAY; what xauth is to call it: "unix:10.0". NULL: none.
const char *x11_display(const struct session *s, char *out, size_t size);
const char *x11_auth_display(const struct session *s, char *out, size_t size);

// ---- holder_global.c: global requests ----
void global_request(struct holder *h, const struct connection_event *event);
void global_announce_keys(struct holder *h);                   // hostkeys-00@openssh.com
void global_proved(struct holder *h, struct view signatures);  // empty: refused
