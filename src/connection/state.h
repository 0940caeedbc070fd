// What the files of this folder share; nobody outside includes it but tests.
//
// Invariants: slots beyond `slot_count` were never used; a channel in CHANNEL_FREE holds
// no memory; each channel in CHANNEL_DONE is on the list `done` or is the one that is
// reaped next.
#pragma once

#include "base/limits.h"
#include "connection/connection.h"
#include "connection/requests.h"
#include "connection/window.h"
#include "wire/messages.h"

#define NO_CHANNEL UINT32_MAX

enum channel_state {
    CHANNEL_FREE,
    CHANNEL_OPENING,  // we asked
    CHANNEL_ASKED,    // the peer asked; the caller is to accept or refuse
    CHANNEL_OPEN,
    CHANNEL_EOF,          // open, and the peer has sent EOF
    CHANNEL_CLOSING,      // we sent CLOSE, the peer has not
    CHANNEL_CLOSING_EOF,  // .. but EOF
    CHANNEL_PEER_CLOSED,  // the peer sent CLOSE, we have not
    CHANNEL_DONE,         // both did, or the open was refused
    CHANNEL_STATE_COUNT,
};

struct channel {
    uint8_t state;
    bool guessed;       // OPENING: `peer` is a guess
    bool close_wanted;  // OPENING: CLOSE is behind what is held
    bool eof_sent;
    uint8_t overhead;     // of each message of data, in out_window
    uint32_t peer;        // the peer's number
    uint32_t out_window;  // data that we may send
    uint32_t out_packet;  // .. in one message
    uint32_t asked;       // requests of ours with want_reply
    uint32_t answered;    // .. that were answered
    uint32_t owed;        // requests of the peer's that we have not answered
    uint32_t next_done;   // list `done`
    uint64_t
        last_queued;  // number of the last control message that data must not overtake
    struct window in;
    struct buf held;  // OPENING: control messages for when the peer's number is known
    void *user;
};

struct connection {
    struct connection_config config;
    struct channel *slots;
    uint32_t slot_count, slot_room;
    uint32_t used;      // channels that the caller knows of
    uint32_t done;      // list of channels whose end is to be told
    uint32_t reaped;    // its end was told: free with the next message or event
    struct buf out;     // control messages: u32 length, message
    uint64_t queued;    // control messages ever put into out
    uint64_t dequeued;  // .. and taken out
    uint64_t counted_in, counted_data;
    uint32_t asked, answered, owed;  // global requests, as in struct channel
    bool has_event;
    struct connection_event event;
    struct fault fault;
};

// ---- channel.c ----
// NULL for a number that was never used.
struct channel *channel_at(const struct connection *c, uint32_t number);
// A free slot, initialised as `state`; NO_CHANNEL if there is none.
uint32_t channel_new(struct connection *c, enum channel_state state);
void channel_free(struct channel *ch);
// Frees the slot whose end was told.
void channel_reap(struct connection *c);
void channel_done(struct connection *c, uint32_t number);
uint32_t channel_number(const struct connection *c, const struct channel *ch);
// The row of what the peer asks for; NULL: unknown, or not for its role.
const struct request_type *type_for_peer(const struct connection *c,
                                         enum request_kind kind, struct view name);
// The slot for the event of this message; kind and channel are filled in.
struct connection_event *event_set(struct connection *c, enum connection_event_kind kind,
                                   const struct channel *ch);

// ---- queue.c ----
// Encodes a message behind the others. `ch`: the channel whose data must not overtake it,
// or NULL.
enum err queue_message(struct connection *c, struct channel *ch, uint8_t number,
                       const void *msg);
// The same for a message whose first field is the recipient: held back while that is
// unknown.
enum err queue_for_peer(struct connection *c, struct channel *ch, uint8_t number,
                        void *msg);
// Sends on what was held, to the channel's peer number.
enum err queue_release_held(struct connection *c, struct channel *ch);
// A WINDOW_ADJUST of n bytes; nothing for 0.
enum err queue_adjust(struct connection *c, struct channel *ch, uint32_t n);

// ---- handlers: the message's state was checked by dispatch.c; ch is NULL without
// recipient ----
typedef enum err message_handler(struct connection *c, struct channel *ch,
                                 struct view message, uint64_t now);
message_handler on_channel_open, on_open_confirmation, on_open_failure, on_window_adjust;
message_handler on_data, on_extended_data, on_eof, on_close;
message_handler on_request, on_success, on_failure;
message_handler on_global_request, on_global_success, on_global_failure;
