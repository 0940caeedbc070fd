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

// What an address is called, as name services have it, and whether that name has the
// address in turn: whoever has the network says what its addresses are called, but not
// what another's name leads to.
enum look_up_name {
    LOOK_UP_NAMED,     // `name` has it, in lower case
    LOOK_UP_NAMELESS,  // there is none, or it could not be asked for
    LOOK_UP_ODD,       // `name` looks like an address, or is no host's name
    LOOK_UP_UNKNOWN,   // `name` has no address
    LOOK_UP_DIFFERS,   // `name` has other addresses
    LOOK_UP_LATE,      // no answer within the time
};
// Asks in a child and waits `ms` at most; from a process with one thread. `address` is
// numeric. `name` is NUL-terminated, printable ASCII, and only to be believed if NAMED.
#define LOOK_UP_NAME_SIZE 256
enum look_up_name look_up_name(const char *address, unsigned ms,
                               char name[static LOOK_UP_NAME_SIZE]);
