// Why sessions ended: the words and the place of the journal, for who writes and who
// reads it.
//
// Lines are flat JSON objects (base/json_flat.h); the file keeps the newest
// ENDS_FILE_MAX bytes.
#pragma once

#define ENDS_FILE "ends.jsonl"
#define ENDS_FILE_MAX (256u * 1024u)
#define ENDS_LINE_MAX 4096u

// What an end was, the word in the journal.
enum ends_class {
    ENDS_EXIT,         // the command or shell ended by itself
    ENDS_USER,         // ended here: escape, signal
    ENDS_UNREACHABLE,  // no link came to be
    ENDS_HOST_KEY,     // the host is not trusted
    ENDS_REFUSED,      // the login was refused
    ENDS_SILENCE,      // nothing came any more, and probes were not answered
    ENDS_RESET,        // the link was reset
    ENDS_CLOSED,       // the link ended without a word
    ENDS_DISCONNECT,   // the server said why
    ENDS_LOST,         // the link was lost, and the connection could not be resumed
    ENDS_GRACE,        // .. because the host was out of reach for longer than it waits
    ENDS_GONE,         // .. because the host does not have it any more
    ENDS_REMOVED,      // .. because the host does not let this user or key in any more
    ENDS_IDLE,         // nothing went by for longer than ChannelTimeout
    ENDS_TIMEOUT,      // a deadline of ours, before the session
    ENDS_ERROR,        // anything else; the text says what
    ENDS_CLASSES
};

const char *ends_class_name(enum ends_class class);
// What to make of it, by the word; NULL: nothing, or there is no such class.
const char *ends_class_advice(const char *name);
