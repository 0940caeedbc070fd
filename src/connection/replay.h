// The store of a connection that may outlive its link: messages that were sent and that
// the peer has not confirmed yet, in the order in which they were sent, each with its
// lane and the number that it has there. Only what was stored can come out again.
//
// A lane is a row of messages whose order holds: the global ones and window adjusts, and
// what else belongs to each channel (the seam between gate and holder keeps no more,
// server/seam.h). Its messages are counted from 0, without end; numbers are implicit on
// the wire.
//
// Memory comes in blocks as it is needed and goes when they are confirmed; what was
// confirmed is wiped before it is given back or used again for less than it held.
//
// A message's body may be lent instead: it stays where it is, in memory of the owner's,
// who does not write there before it is confirmed, or spilled, which copies it after all.
// What is lent and length are remembered here, so that whoever else can write to that
// memory changes a body's bytes, and never where they belong.
#pragma once

#include "base/bytes.h"
#include "base/err.h"
#include "base/limits.h"

// 0: global requests, their replies, CHANNEL_OPEN and WINDOW_ADJUST. Else one more than
// the recipient's number of the channel.
#define REPLAY_LANES (LIMIT_CHANNELS + 1u)

struct replay_block;

struct replay_lane {
    uint64_t sent;       // messages so far
    uint64_t confirmed;  // of these: not in the store any more, or about to leave it
};

// A place in the store.
struct replay_place {
    struct replay_block *block;  // NULL: before the first
    size_t offset;
};

struct replay {
    struct replay_block *first, *last, *spare;
    struct replay_block *spilled, *spilled_last;  // bodies that were lent, in order
    struct replay_lane *lanes;
    uint32_t lane_count;
    size_t bytes;              // of messages that are not confirmed
    size_t own;                // of these not lent, with their records
    size_t held, spare_bytes;  // of memory; of these not in use
    size_t lent;               // messages whose body is elsewhere
    struct replay_place at;    // replay_next()
    struct replay_place loan;  // the oldest that is lent, or before it
};

void replay_init(struct replay *r);
void replay_free(struct replay *r);  // wipes; also of a zeroed one

// An array of `*count` things of that size, one for each lane, grown with zeros until it
// has this one, in place of `lanes`. NULL: no memory, and `lanes` is as it was.
void *replay_lanes_for(void *lanes, uint32_t *count, size_t size, uint32_t lane);

// The lane of a message; REPLAY_LANES: it has none, and is neither counted nor kept.
uint32_t replay_lane_of(struct view message);

// Keeps a message that is head and then body (body may be empty). ERR_MEMORY; ERR_LIMIT:
// it is longer than LIMIT_PACKET.
must_check enum err replay_put(struct replay *r, uint32_t lane, struct view head,
                               struct view body);
// The same, but the body stays where it is. Marks are numbers of the owner's that rise
// from one loan to the next. head: 1 to REPLAY_HEAD
// bytes.
#define REPLAY_HEAD 16u
must_check enum err replay_lend(struct replay *r, uint32_t lane, struct view head,
                                struct view body, uint64_t mark);
// The mark of the oldest body that is still lent; UINT64_MAX: none is.
uint64_t replay_lent_from(struct replay *r);
// Copies the bodies whose marks are below `mark`: they are lent no more. ERR_MEMORY: some
// still are.
must_check enum err replay_spill(struct replay *r, uint64_t mark);
// The peer has all messages of that lane below `count`. ERR_PROTOCOL, and nothing is
// changed: more than were sent, or fewer than it had confirmed before.
must_check enum err replay_confirm(struct replay *r, uint32_t lane, uint64_t count);
uint64_t replay_sent(const struct replay *r, uint32_t lane);

// From the oldest message on: replay_next() gives each that is not confirmed, those put
// meanwhile included, until there is none. Valid until the store is changed. Nothing is
// lent meanwhile: the owner spills what was, before the memory goes.
void replay_rewind(struct replay *r);
bool replay_next(struct replay *r, struct view *message);
// Quiet: gives back what is not needed.
void replay_idle(struct replay *r);
