// Connecting by happy eyeballs (RFC 8305): the addresses of a name, families interleaved,
// are raced with 250 ms between the starts; the first that answers wins. All limits are
// deadlines.
//
// Looking the name up blocks (getaddrinfo). The race itself is a state machine for
// poll(2), or tcp_connect() as a whole.
#pragma once

#include <poll.h>

#include "io/clock.h"
#include "io/endpoint.h"

#define TCP_CONNECT_ADDRESSES 16  // raced at most; more are left out
#define TCP_CONNECT_STEP_MS 250   // RFC 8305 s.5

struct tcp_target {
    const char *host;  // name or numeric (with or without zone)
    uint16_t port;
    int family;                  // AF_UNSPEC, AF_INET, AF_INET6
    const char *bind_address;    // NULL: any
    const char *bind_interface;  // NULL: any
    uint32_t step_ms;            // 0: TCP_CONNECT_STEP_MS
    uint32_t each_ms;            // limit for one address; 0: none but the deadline
    uint64_t deadline;           // clock_ms(); CLOCK_NEVER for none
    bool keepalive;
    int dscp;  // -1: leave it
};

struct tcp_connect;

// Looks the name up; no attempt is made yet. ERR_NOT_FOUND: no such name, with the fault
// filled.
must_check enum err tcp_connect_new(struct tcp_connect **c, const struct tcp_target *t,
                                    struct fault *f);
// One more address to try, behind those of the name (one that is known from before).
// False if there are TCP_CONNECT_ADDRESSES already. Before the first step.
bool tcp_connect_add(struct tcp_connect *c, const struct sockaddr *address, socklen_t n);
void tcp_connect_drop(
    struct tcp_connect *c);  // closes what is not handed over; NULL is fine

// Starts, finishes and gives up attempts. OK with *fd >= 0: connected, non-blocking,
// close-on-exec, TCP_NODELAY; the caller's. OK with *fd = -1: go on, by poll(2) on
// tcp_connect_poll() until tcp_connect_deadline(). ERR_TIMEOUT, ERR_REFUSED, ERR_IO: all
// failed, with the fault filled: "connect to HOST port N: reason".
must_check enum err tcp_connect_step(struct tcp_connect *c, uint64_t now, int *fd,
                                     struct fault *f);
size_t tcp_connect_poll(const struct tcp_connect *c, struct pollfd *out, size_t room);
uint64_t tcp_connect_deadline(const struct tcp_connect *c);

// The next line of the story ("connecting to ::1 port 22", "… refused"), for -v; NULL
// when told.
const char *tcp_connect_note(struct tcp_connect *c);

// errno of the last attempt that failed; 0: none has.
int tcp_connect_error(const struct tcp_connect *c);

// The whole, waiting. Lines of the story go to `note` (may be NULL).
must_check enum err tcp_connect(const struct tcp_target *t, int *fd,
                                void (*note)(void *arg, const char *line), void *arg,
                                struct fault *f);

// The canonical name of a host (AI_CANONNAME, lower case, "" if there is none) into out,
// looked up in the family; ERR_NOT_FOUND: no such host.
must_check enum err tcp_canonical_name(const char *host, int family, char *out,
                                       size_t size);
