// Why a session ended, in one word: the same at both ends (doc/ends.md). In the client's
// journal, in the server's log and events, and in what one end tells the other.
#pragma once

#include "base/bytes.h"

enum ends_class {
    ENDS_EXIT,           // the command or shell ended by itself
    ENDS_USER,           // its person ended or left it: escape, signal, ~d
    ENDS_UNREACHABLE,    // no link came to be
    ENDS_HOST_KEY,       // the host is not trusted
    ENDS_REFUSED,        // the login was refused
    ENDS_SILENCE,        // nothing came any more, and probes were not answered
    ENDS_RESET,          // the link was reset
    ENDS_CLOSED,         // the link ended without a word
    ENDS_DISCONNECT,     // the server said why
    ENDS_LOST,           // the link was lost, and the connection could not be resumed
    ENDS_GRACE,          // .. because the client did not come within the grace
    ENDS_GONE,           // .. because the host does not have it any more
    ENDS_REMOVED,        // .. because the host does not let this user or key in any more
    ENDS_IDLE,           // nothing went by for longer than a rule allows
    ENDS_TIMEOUT,        // a deadline, before the session
    ENDS_ERROR,          // anything else; the text says what
    ENDS_ADMINISTRATOR,  // by `bowline sessions end`
    ENDS_RESTARTED,      // host or server were restarted, and it went with them
    ENDS_LIMIT,          // more of a user's connections had no link than are kept
    ENDS_CLASSES
};

const char *ends_class_name(enum ends_class class);
// By its name; false: there is no such class.
bool ends_class_of(struct view name, enum ends_class *class);

// What one end tells the other in a text for people (DISCONNECT, RESUME_REFUSED):
// "CLASS: words". False: the text does not begin so. rest may be NULL.
bool ends_class_in(struct view text, enum ends_class *class, struct view *rest);
