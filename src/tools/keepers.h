// The keepers of this machine's servers, asked through their control sockets
// (server/control.h) by the tools.
#pragma once

#include "base/bytes.h"
#include "base/fault.h"
#include "server/control.h"

// Which are meant: all that are found, unless something of it is given.
struct keepers {
    const char *socket, *config;  // --socket, -f
    uint16_t port;                // --port; 0: any
};

// --socket, -f or --port with its value. False: it is none of them, or no port.
bool keepers_flag(struct keepers *k, const char *name, const char *value);

// Connects to each and calls ask(); one that does not answer there is passed over. ask()
// gives false when no other is to be asked. At most 64. The fault: of --socket's, where
// nobody answers.
void keepers_each(const struct keepers *k,
                  bool (*ask)(void *arg, int fd, const char *path), void *arg,
                  struct fault *fault);

// HELLO. False: no answer within ten seconds; or it refuses, and why says so.
must_check bool keeper_hello(int fd, char *why, size_t size);
// False: it has gone.
must_check bool keeper_say(int fd, enum control_number number, const void *body);
// The next message; its views are into room. passed, where a descriptor is awaited: the
// one that came along, the caller's, or left as it was. False: none within ten seconds.
must_check bool keeper_hear(int fd, struct span room, struct control_message *m,
                            int *passed);
