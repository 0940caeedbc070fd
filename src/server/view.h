// A view of a terminal's session, from another process of the same machine: what the
// holder and a viewer (`bowline attach`, or the program that a named session's login
// runs) say to each other over a SOCK_SEQPACKET pair that the keeper has made. One byte
// for the number, then the fields in the codec of SSH.
//
// The viewer says SIZE first; the holder then START, the painted screen and what follows
// as OUT, and END last. A viewer that only watches says nothing but SIZE.
#pragma once

#include "base/bytes.h"
#include "base/err.h"

#define VIEW_VERSION 1u
#define VIEW_PIECE 16384u                 // bytes of a terminal in one message
#define VIEW_MESSAGE (VIEW_PIECE + 1024)  // at most
#define VIEW_NAME 64                      // with NUL
#define VIEW_WATCH 1u                     // flag: reads only

enum view_number {
    VIEW_SIZE = 1,  // viewer: u32 columns, rows, width, height in pixels
    VIEW_IN,        // viewer: bytes typed
    VIEW_START,     // holder: u32 version, string name
    VIEW_OUT,       // holder: bytes for the terminal
    VIEW_END,       // holder: u32 enum view_why, u32 status, string text
};

enum view_why {
    VIEW_EXITED,  // the program ended; status as a shell has it: 128 + a signal's number
    VIEW_TAKEN,   // somebody else took the session up
    VIEW_OVER,    // the server ended it
    VIEW_SLOW,    // a watcher that does not keep up
    VIEW_WHYS
};

// A session's name: a letter, then letters, digits, '.', '_', '-'; at most 32.
bool view_name_is_good(struct view name);

// Shows the session of that socket on this process's terminal until either ends. `keys`:
// ~d at the start of a line leaves, ~~ is ~. The exit status: the session's own; 0 when
// it was left. Takes the socket.
int view_run(int fd, bool watch, bool keys);
