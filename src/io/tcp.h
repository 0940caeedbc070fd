// TCP: listening, accepting, tuning. Connecting: io/tcp_connect.h
#pragma once

#include "io/endpoint.h"

// address NULL: any; numeric or a name. port 0: the system chooses (see
// endpoint_local()). interface NULL: any. Sockets are close-on-exec, non-blocking,
// SO_REUSEADDR, and IPV6_V6ONLY.
struct tcp_listen {
    const char *address;
    uint16_t port;
    int family;  // AF_UNSPEC, AF_INET, AF_INET6
    int backlog;
    const char *interface;
};

// Opens a socket for each address that `want` means, at most `room`. OK if at least one
// works; the fault then stays empty. ERR_NOT_FOUND, ERR_REFUSED, ERR_IO with the fault
// filled.
must_check enum err tcp_listen(const struct tcp_listen *want, int *fds, size_t room,
                               size_t *n, struct fault *f);

// The interface or routing domain (VRF) that a socket is bound to, by itself or by the
// listening one that it comes from. False: none.
#define TCP_INTERFACE_SIZE 16
bool tcp_interface(int fd, char *out);

// Non-blocking, close-on-exec, TCP_NODELAY already set. OK with *fd = -1: nobody there
// (or gone again). ERR_LIMIT: out of descriptors or memory, stop accepting for a while.
// ERR_IO.
must_check enum err tcp_accept(int listener, int *fd, struct endpoint *peer);

// What a link wants of its socket. Each is tried; those that the descriptor cannot have
// (it is a pipe or a Unix socket) are no error.
struct tcp_tuning {
    bool keepalive;
    int dscp;                  // type-of-service byte, e.g. 0x48 (af21); -1: leave it
    uint32_t user_timeout_ms;  // TCP_USER_TIMEOUT; 0: the system's
    uint32_t notsent_lowat;    // TCP_NOTSENT_LOWAT, bytes; 0: the system's
};
void tcp_tune(int fd, const struct tcp_tuning *t);
void tcp_set_dscp(int fd, int dscp);
void tcp_set_user_timeout(int fd, uint32_t ms);  // 0: the system's

// A snapshot for people: zeros where unknown.
struct tcp_info_short {
    uint32_t rtt_us, rtt_var_us;
    uint32_t rto_us;         // its wait for an answer, without doublings
    uint32_t retransmits;    // in all
    uint32_t row;            // of these without any answer yet
    uint32_t data_segments;  // sent, those sent again included; 0: not told
    uint32_t cwnd;           // segments
    uint32_t unacked;        // segments in flight
    uint64_t bytes_acked, bytes_received;
    uint32_t last_received_ms, last_sent_ms;  // since data came, went last
    uint32_t last_ack_ms;  // since anything came that the other end's TCP had sent
};
bool tcp_info(int fd, struct tcp_info_short *info);  // false if it is no TCP socket
