// Pseudo terminals (the server's side) and the user's own terminal (the client's).
#pragma once

#include <sys/types.h>

#include "base/bytes.h"
#include "base/fault.h"

struct pty_size {
    uint32_t columns, rows, width_px, height_px;
};

struct pty {
    int master, slave;  // close-on-exec; master non-blocking
    char name[64];      // /dev/pts/N
};

// Opens a pair; works in a chroot without /dev (TIOCGPTPEER) as long as /dev/ptmx opens.
must_check enum err pty_open(struct pty *p, struct fault *f);
void pty_close(struct pty *p);  // also after one end was closed and set to -1

must_check enum err pty_set_size(int fd, struct pty_size size);
must_check enum err pty_get_size(int fd, struct pty_size *size);

// Sends a break, as far as a pty has one: the peer's "break" request (RFC 4335).
void pty_break(int fd, uint32_t ms);

// The user's terminal. Raw mode is left by tty_raw_leave(), at exit(3), and by the
// default-death signals if tty_raw_guard() was called. One terminal for each process.
bool tty_is(int fd);
must_check enum err tty_raw_enter(int fd);
void tty_raw_leave(void);  // async-signal safe; may be called when not raw
bool tty_raw_active(void);
// SIGTERM, SIGHUP, SIGQUIT, SIGSEGV, SIGBUS, SIGABRT, SIGILL, SIGFPE that have their
// default action restore the terminal first, then do what they did.
void tty_raw_guard(void);
