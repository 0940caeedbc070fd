// Socket addresses as text and port.
#pragma once

#include <sys/socket.h>

#include "base/bytes.h"
#include "base/fault.h"

#define ENDPOINT_TEXT_SIZE 72  // IPv6 with a zone

struct endpoint {
    char text[ENDPOINT_TEXT_SIZE];  // numeric, IPv4-mapped IPv6 as IPv4; "UNKNOWN" if not
                                    // a socket
    uint16_t port;                  // 0 if not TCP; 65535 for UNKNOWN
    int family;                     // AF_INET, AF_INET6, AF_UNIX, AF_UNSPEC
};

void endpoint_of(struct endpoint *a, const struct sockaddr *sa, socklen_t n);

// The two ends of a connected socket. A descriptor that is no socket gives UNKNOWN, port
// 65535 (inetd mode over a pipe).
void endpoint_peer(struct endpoint *a, int fd);
void endpoint_local(struct endpoint *a, int fd);
