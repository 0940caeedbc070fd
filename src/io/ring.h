// A ring in shared memory for bulk, one direction, one producer and one consumer in
// different processes that do not trust each other.
//
// Layout: one page with the indices and sleep flags, then `size` bytes (a power of two)
// of records. A record starts on a 64-byte boundary: {length u32, tag u32}, then payload
// 64 bytes after its start, then room; it never wraps round the end. Each payload has at
// least RING_HEADROOM bytes before it and RING_TAILROOM after it that the consumer may
// write (packet header, padding, tag: so that a packet can be sealed from the ring in one
// go).
//
// Invariants: positions count bytes and only grow; each side owns its own position and
// keeps it in private memory; what it reads of the other's is read once, and checked
// against its own. A hostile peer can lose or garble its own records, never make this
// side read or write outside. The payload itself can change while it is looked at: copy
// what a decision depends on.
//
// A producer may keep records that are consumed already: it alone decides when it writes
// over them, the consumer sees no difference. It then starts anew at the front as soon as
// there is room, so that it goes round in no more memory than what is kept takes.
//
// Ordering with a control socket: send ring_head() of the producer along with a control
// message; the consumer takes records until its ring_tail() has reached it before it acts
// on the message.
//
// Waking is the caller's: whoever gets true from ring_wake() sends a byte or message to
// the other.
#pragma once

#include "base/bytes.h"
#include "base/err.h"

#define RING_SIZE (1024u * 1024u)
#define RING_HEADROOM 16u
#define RING_TAILROOM 288u

enum ring_role {
    RING_PRODUCER,
    RING_CONSUMER
};

struct ring_shared;

struct ring {
    struct ring_shared *shared;
    uint8_t *data;
    size_t size;
    enum ring_role role;
    uint64_t head, tail;  // own one: authoritative; the other: as last seen and checked
    uint64_t reserved;    // producer: where the record that ring_room() gave starts
    size_t reserved_n;    // its payload room, 0: none given
    uint64_t kept;        // producer: records from here on stay; UINT64_MAX: none
    bool anew;            // producer: the next record is to stand at the front
    size_t peeked;  // consumer: bytes from tail to the end of the record peeked, 0: none
};

// A memfd for a ring of `size` data bytes (power of two, 4 KiB to 64 MiB), sealed against
// shrinking and growing, close-on-exec. ERR_LIMIT for a bad size, ERR_MEMORY, ERR_IO.
must_check enum err ring_create(size_t size, int *fd);

// The size that it was made with; 0: it is none.
size_t ring_size_of(int fd);
// Maps it; fd may be closed afterwards. Both roles start at position 0: a ring is mapped
// once for each role. ERR_PROTOCOL: not a sealed ring of that size (an fd from a stranger
// is checked here).
must_check enum err ring_map(struct ring *r, int fd, size_t size, enum ring_role role);
void ring_unmap(struct ring *r);  // also of a zeroed one
static inline bool ring_mapped(const struct ring *r) {
    return r->data != NULL;
}

// The largest payload that a ring of this size is sure to take once it is empty.
size_t ring_payload_max(const struct ring *r);

// From one payload's place to that of the next, for records that follow each other within
// one contiguous room.
size_t ring_stride(size_t payload);

// Producer: contiguous room for one payload, at most `want`, at least `least` bytes (1 <=
// least <= want, least <= ring_payload_max). room->n = 0: too full now. Asking again
// replaces what was given. ERR_PROTOCOL: the consumer's index is impossible; the ring is
// dead.
must_check enum err ring_room(struct ring *r, size_t least, size_t want,
                              struct span *room);

// Producer: the first n bytes (n <= what ring_room() gave) are a record now; tag is any
// number.
void ring_publish(struct ring *r, size_t n, uint32_t tag);

// Producer: the records from that position on stay as they are, although consumed;
// UINT64_MAX: none. A position is what ring_head() was before the record was published.
// It rises, or falls from none to one of a record just published; rising, it takes back
// what ring_room() gave.
void ring_keep(struct ring *r, uint64_t from);

// Consumer: the oldest record. payload->n = 0: none. (Records are never empty.) The same
// one again until ring_consume(). ERR_PROTOCOL: impossible index or length; the ring is
// dead.
must_check enum err ring_peek(struct ring *r, struct span *payload, uint32_t *tag);

// Consumer: done with the record that was peeked.
void ring_consume(struct ring *r);

// After one or more ring_publish() or ring_consume(): true if the other side sleeps and
// is to be woken. A producer is woken when half of the ring is free.
bool ring_wake(struct ring *r);

// Before waiting, and after ring_wake(): who sleeps on what the other was never told of
// sleeps for ever. True: the other side will wake us. False: there is work, go on: a
// record; or room for `least` bytes (the producer's), once what is kept no longer is.
bool ring_sleep(struct ring *r, size_t least);

// Positions: of this side's own making; the other's as last seen.
static inline uint64_t ring_head(const struct ring *r) {
    return r->head;
}
static inline uint64_t ring_tail(const struct ring *r) {
    return r->tail;
}

// Producer: gives the memory back if the ring is empty and nothing is kept (MADV_REMOVE);
// false if not, or not ours to say.
bool ring_idle(struct ring *r);
