// A second SSH connection without encryption whose channels are those of another one: the
// near end is a program that speaks the connection protocol itself (OpenSSH's
// MUX_C_PROXY), the far end the server. Two state machines of connection/connection.h,
// joined channel by channel, so that each message is checked where it comes in and each
// end numbers its channels for itself. No I/O.
//
// What the near end does wrong, and what it does not read, ends it alone (`broken`).
#pragma once

#include "connection/connection.h"

// A near message with its length: a command may be long, data may not.
#define BRIDGE_FRAME_MAX (192u * 1024u)

struct bridge_link {
    struct bridge_link *next;
    uint32_t near, far;
    const char *type;               // of the channel
    uint64_t used;                  // when data last moved
    bool open;                      // confirmed by the end that was asked
    struct buf to_near[2], to_far;  // data on its way; [1]: standard error
    bool near_eof, far_eof;
    bool near_closed, far_closed;
    bool refuses;  // a request of the near end, once those before it are answered
};

struct bridge {
    struct connection *near, *far;  // near: ours
    struct bridge_link *links;
    // A global request of the near end, to be answered now or later by
    // connection_global_reply(); nothing is taken in before.
    enum err (*global)(void *context, const struct connection_event *event);
    void *context;
    bool waits;    // for that answer, or before a refusal
    bool stalled;  // the far end has too many messages already
    bool broken;
};

must_check enum err bridge_open(struct bridge *b, struct connection *far);
// All channels are closed at the far end.
must_check enum err bridge_end(struct bridge *b);
void bridge_free(struct bridge *b);  // also of a zeroed one; the far end is not touched

// Takes what is complete off the bytes of the near end; errors are the far end's.
must_check enum err bridge_take(struct bridge *b, struct buf *in, uint64_t now);
// An event of the far end; *mine: of a channel that is bridged.
must_check enum err bridge_far_event(struct bridge *b,
                                     const struct connection_event *event, bool *mine,
                                     uint64_t now);
// The far end opens a channel that the near end has asked for.
must_check enum err bridge_far_open(struct bridge *b,
                                    const struct connection_event *event, uint64_t now);
// Messages for the near end, as long as there are fewer than `enough` bytes in `out`.
void bridge_give(struct bridge *b, struct buf *out, size_t enough, uint64_t now);
// Data that the far end can have now in one message; what was sent of it.
struct view bridge_far_data(const struct bridge *b, const struct bridge_link *l);
void bridge_far_sent(struct bridge *b, struct bridge_link *l, size_t n, uint64_t now);
// Closes one at both ends, with what was on its way; it is gone then.
must_check enum err bridge_close(struct bridge *b, struct bridge_link *l);
// Hands on ends, and takes away channels that are over.
must_check enum err bridge_settle(struct bridge *b);
