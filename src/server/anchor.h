// The anchor: holds on to what a keeper cannot get back once it is killed: its ends of
// the sockets to gates and holders, what it knew of their links, how connections ended,
// and the penalties of sources (a file in memory). It is forked by the keeper, confined,
// and does nothing but keep descriptors, hand them to the next keeper, and end when the
// last session has, the last penalty is over, and no keeper has come for a minute for the
// ends.
//
// While it holds them, gates and holders do not even see that the keeper has gone: a
// rekey waits for the next one's signature.
//
// Messages: one table {number, fields}, SOCK_SEQPACKET. A keeper and its own anchor are
// of one version; the next keeper may be of another: it gets HELLO, KEEP for each link,
// PENALTIES (since version 2), ENDS (since version 3), DONE, and says END when it has
// taken everything over.
#pragma once

#include "io/sandbox.h"
#include "server/link_record.h"

#define ANCHOR_VERSION 3u

enum anchor_number {
    ANCHOR_HELLO = 1,  // both ways, first
    ANCHOR_KEEP,       // both ways; replaces what was kept for that serial
    ANCHOR_DONE,       // to the next keeper: that was all
    ANCHOR_END,        // by a keeper: nothing is needed any more
    ANCHOR_PENALTIES,  // both ways, with a file of them; replaces the one before
    ANCHOR_ENDS,       // both ways; replaces those before
    ANCHOR_NUMBERS
};

struct anchor_hello {
    uint32_t version;
    uint64_t serial;  // the highest that was kept; 0 from a keeper
};
struct anchor_keep {
    uint64_t serial;
    uint32_t fds;        // bit for each enum link_fd that comes along, in that order
    struct view record;  // link_record_write()
};
struct anchor_done {
    uint32_t count;
};
struct anchor_end {
    uint32_t unused;
};
struct anchor_penalties {
    uint64_t until;  // clock_ms() at which the last is over; 0: there are none
};

struct anchor_ends {
    uint64_t since;    // as in struct keeper
    struct view list;  // keeper_ends_write()
};

union anchor_body {
    struct anchor_hello hello;
    struct anchor_keep keep;
    struct anchor_done done;
    struct anchor_end end;
    struct anchor_penalties penalties;
    struct anchor_ends ends;
};

struct anchor_message {
    enum anchor_number number;
    union anchor_body body;  // views into the bytes
    int fds[LINK_FDS];  // of KEEP by their place, of PENALTIES the first; -1: none. The
                        // receiver's
};

// *sent false: no room now. fds: LINK_FDS of them for KEEP and PENALTIES, else NULL; they
// stay open.
must_check enum err anchor_send(int socket, enum anchor_number number, const void *body,
                                const int *fds, bool *sent);
// *ready false: none there. ERR_CLOSED, ERR_FORMAT, ERR_UNEXPECTED.
must_check enum err anchor_recv(int socket, struct span room, struct anchor_message *m,
                                bool *ready, struct fault *fault);
void anchor_message_close(struct anchor_message *m);  // what was not taken

struct anchor_start {
    int keeper;     // the anchor's end
    int listening;  // for the next keeper; -1: none can come
    uid_t uid;      // of keepers
    const struct sandbox_identity *as;
};
// Runs until nothing is left to keep.
_Noreturn void anchor_run(const struct anchor_start *start);
