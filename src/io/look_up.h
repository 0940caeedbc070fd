// A name looked up by a child, for somebody who must not wait: getaddrinfo(3) asks
// servers that may not answer for many seconds.
#pragma once

#include <sys/socket.h>

#include "io/process.h"

#define LOOK_UP_ADDRESSES 16

struct look_up {
    struct process child;
    int fd;  // readable when the answer is there, or nothing will come
};

// Only from a process with one thread. family: AF_UNSPEC, AF_INET, AF_INET6.
must_check enum err look_up_start(struct look_up *l, const char *host, int family);
// When fd is readable: the numeric addresses (with zone), one a line; "" if there are
// none.
void look_up_take(struct look_up *l, char *out, size_t size);
void look_up_drop(struct look_up *l);  // ends the child
