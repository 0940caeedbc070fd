// The SSH connection protocol (RFC 4254), sans-IO, both sides: channels, windows,
// requests.
//
// Messages 80 and up are pushed in and pulled out; where they go (a transport, a ring to
// the gate) is the caller's business. Data is never queued here: what comes in is handed
// on as a view, what goes out is written by the caller into its own room behind a header
// made here, as much as connection_data_max() allows. So bulk is copied by nobody.
//
// Channels are named by their local number, which is a slot: the lowest free of 0, 1, 2,
// …; it is reused once both sides have closed and CONNECTION_CLOSED was pulled. Whatever
// the caller asks of a channel that is closed already is quietly nothing (the peer may
// have been faster), so that tear-down works in any order. Asking for what the protocol
// never allows is ERR_UNEXPECTED.
//
// Times are milliseconds of any monotonic clock.
#pragma once

#include "base/buf.h"
#include "base/bytes.h"
#include "base/fault.h"

// Bytes before the data of CHANNEL_DATA and CHANNEL_EXTENDED_DATA.
#define CONNECTION_DATA_HEADER 9
#define CONNECTION_EXTENDED_HEADER 13

// RFC 4254 s.5.1
enum open_failure {
    OPEN_ADMINISTRATIVELY_PROHIBITED = 1,
    OPEN_CONNECT_FAILED = 2,
    OPEN_UNKNOWN_CHANNEL_TYPE = 3,
    OPEN_RESOURCE_SHORTAGE = 4,
};

struct connection_config {
    bool
        server;  // our role: what a client may ask is known, what a server may ask is not
    uint32_t max_channels;              // at most LIMIT_CHANNELS
    uint32_t window_start, window_max;  // LIMIT_WINDOW_START, LIMIT_WINDOW_MAX
    uint32_t max_packet;                // data in one message that we take
    // Data that we put in one message, however much the peer would take:
    // LIMIT_CHANNEL_PACKET, or LIMIT_CHANNEL_PACKET_BOWLINE with a peer that is known to
    // take such packets.
    uint32_t max_packet_out;
};
// A zero in the configuration stands for the constant named (max_packet:
// LIMIT_CHANNEL_PACKET).

struct request_type;

enum connection_event_kind {
    CONNECTION_NONE,
    CONNECTION_OPEN,          // the peer opens a channel: accept or refuse it
    CONNECTION_OPENED,        // a channel of ours was confirmed
    CONNECTION_OPEN_REFUSED,  // .. or refused; its number is free again
    CONNECTION_DATA,          // extended: 0, or the type (1: stderr)
    CONNECTION_EOF,           // no more data from the peer
    CONNECTION_CLOSED,  // both sides closed: the number is free again after this event
    CONNECTION_PEER_CLOSE,  // the peer closed (perhaps without EOF): unanswered requests
                            // stay unanswered; connection_close() when done, then CLOSED
                            // follows
    CONNECTION_REQUEST,     // on a channel; want_reply: answer in order with
                            // connection_reply()
    CONNECTION_REPLY,       // to the oldest unanswered request of ours on that channel
    CONNECTION_GLOBAL_REQUEST,  // want_reply: answer in order with
                                // connection_global_reply()
    CONNECTION_GLOBAL_REPLY,    // to the oldest unanswered one of ours; fields of the
                                // success
    CONNECTION_WINDOW,  // the peer gave room: connection_data_max() may have grown
};

// Views point into the message that was pushed in.
struct connection_event {
    enum connection_event_kind kind;
    uint32_t channel;
    struct view name;    // OPEN: type; REQUEST, GLOBAL_REQUEST: name
    struct view fields;  // type-specific rest
    // OPEN, REQUEST, GLOBAL_REQUEST: its row of requests.h. NULL: unknown, or not for the
    // peer's role to ask; the answer is a refusal (OPEN_UNKNOWN_CHANNEL_TYPE, failure).
    const struct request_type *type;
    bool want_reply, success;  // success: REPLY, GLOBAL_REPLY
    uint32_t ordinal;   // REPLY, GLOBAL_REPLY: to which request with want_reply, from 0
    void *user;         // connection_set_user()'s, for events of channels
    uint32_t extended;  // DATA
    struct view data;   // DATA
    uint32_t reason;    // OPEN_REFUSED
    struct view text;   // OPEN_REFUSED: raw
};

struct connection;

must_check enum err connection_new(struct connection **out,
                                   const struct connection_config *config);
void connection_free(struct connection *c);

// ---- in ----
// One message; its events are to be pulled before the next one. An error is final for the
// link and the fault says why; ERR_UNSUPPORTED alone is not: the message number is
// unknown and is to be answered with UNIMPLEMENTED (RFC 4253 s.11.4). The header
// of a data message is read once, so that it may lie in memory shared with the sender;
// control messages may not.
must_check enum err connection_in(struct connection *c, struct view message,
                                  uint64_t now);
// The next event, also those that calls of the caller's own led to (CLOSED). False: none.
bool connection_next(struct connection *c, struct connection_event *event);
// False while so many of our answers wait in connection_out() that the peer is not to be
// read.
bool connection_in_ready(const struct connection *c);
// The caller is done with n bytes of a channel's data (written, or thrown away): the
// window is given back, in rare large adjusts. It grows only when it is what holds the
// peer back: the reader keeps up, and the peer was seen to wait for the adjust.
// ERR_LIMIT: more than was delivered.
must_check enum err connection_consumed(struct connection *c, uint32_t channel, size_t n,
                                        uint64_t now);

// ---- out: control messages, queued here in order ----
// The oldest queued message, empty if none; it stays until connection_out_done().
struct view connection_out(struct connection *c);
void connection_out_done(struct connection *c);
// Must connection_out() be drained before data of this channel may be sent? (Order within
// a channel.)
bool connection_out_pending(const struct connection *c, uint32_t channel);

// ERR_LIMIT: no channel is free.
must_check enum err connection_open(struct connection *c, const char *type,
                                    struct view fields, uint32_t *channel);
must_check enum err connection_accept(struct connection *c, uint32_t channel,
                                      struct view fields);
must_check enum err connection_refuse(struct connection *c, uint32_t channel,
                                      enum open_failure reason, const char *text);
// Sends what follows on a channel of ours that is not confirmed yet at once, to the
// number that the peer is expected to give it. Only for peers known to number from 0 and
// to decide an open of this type before they read on: a refusal, or another number, ends
// the connection.
must_check enum err connection_guess(struct connection *c, uint32_t channel,
                                     uint32_t peer_number);
// May be called before CONNECTION_OPENED: then it is queued until the peer's number is
// known, or, with connection_guess(), sent at once with the number guessed. The same goes
// for EOF and close. ERR_LIMIT: LIMIT_REQUESTS_PENDING of ours are unanswered.
must_check enum err connection_request(struct connection *c, uint32_t channel,
                                       const char *name, bool want_reply,
                                       struct view fields);
// ERR_UNEXPECTED: none is due.
must_check enum err connection_reply(struct connection *c, uint32_t channel,
                                     bool success);
must_check enum err connection_global_request(struct connection *c, const char *name,
                                              bool want_reply, struct view fields);
must_check enum err connection_global_reply(struct connection *c, bool success,
                                            struct view fields);
must_check enum err connection_eof(struct connection *c, uint32_t channel);
// From here on nothing of this channel is delivered but its end. One that was not
// confirmed yet ends in CLOSED or OPEN_REFUSED, one that was not accepted yet is refused.
must_check enum err connection_close(struct connection *c, uint32_t channel);

// ---- out: data ----
// Bytes of data that may be sent now in one message on this channel: the least of window
// and the peer's packet size; 0 if closed, after EOF, not open yet, or the window is
// empty.
size_t connection_data_max(const struct connection *c, uint32_t channel);
// Window left, over all messages.
uint64_t connection_data_window(const struct connection *c, uint32_t channel);
// Writes the header for n bytes of data (CONNECTION_DATA_HEADER, or
// CONNECTION_EXTENDED_HEADER when extended is not 0) to `header` and takes them off the
// window. n <= connection_data_max().
void connection_data_header(struct connection *c, uint32_t channel, uint32_t extended,
                            size_t n, uint8_t *header);

// The peer counts `more` bytes besides the data for each of our messages on this channel:
// OpenSSH does so for tun@openssh.com. They come off the window with the data.
void connection_set_overhead(struct connection *c, uint32_t channel, uint8_t more);

// ---- facts ----
bool connection_is_open(const struct connection *c, uint32_t channel);
size_t connection_count(const struct connection *c);  // channels in use
bool connection_eof_sent(const struct connection *c, uint32_t channel);
// Caller's own pointer for a channel.
void connection_set_user(struct connection *c, uint32_t channel, void *user);
void *connection_user(const struct connection *c, uint32_t channel);
// Unanswered requests of ours; of the peer's.
size_t connection_replies_due(const struct connection *c, uint32_t channel);
size_t connection_replies_owed(const struct connection *c, uint32_t channel);
// The ordinal that the next request with want_reply on that channel, or the next global
// one, gets.
uint32_t connection_next_ordinal(const struct connection *c, uint32_t channel);
uint32_t connection_next_global_ordinal(const struct connection *c);
// Messages taken in and given out (connection_out_done(), connection_data_header()).
struct connection_counts {
    uint64_t in, out;
};
struct connection_counts connection_counts(const struct connection *c);
const struct fault *connection_fault(const struct connection *c);
