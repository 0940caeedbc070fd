// The seam between gate and holder: SSH messages 80 and up, both ways. The same code at
// both ends.
//
// Control and small messages go by a SOCK_SEQPACKET socket, bulk CHANNEL_DATA by a ring
// in shared memory in each direction (io/ring.h), made at the first burst: by the holder,
// on the gate's wish for the other direction, since a gate may not make one. Order holds
// within a channel, not between channels, so that a keystroke overtakes another channel's
// bulk:
//   - each socket message says after which ring position it comes: that of the last ring
//   record
//     of its channel (0: none). The receiver keeps it back until it has consumed so far.
//   - the receiver looks how far the ring is filled, then empties the socket, and only
//   then takes
//     records, up to where it had looked: so a socket message sent before a record is
//     seen first.
//
// The holder of a connection that can be resumed keeps what it has put into its ring
// until the peer has confirmed it (seam_keep()). Then the ring is the larger one, if the
// gate has said that it maps it: along with its secret, SEAM_RING_MOST in place of a
// position.
//
// Neither end trusts the other; a bad message ends the seam with an error.
#pragma once

#include "base/buf.h"
#include "base/fault.h"
#include "io/ring.h"

#define SEAM_VERSION 1u  // what came since is only said to who knows it
#define SEAM_LANES 64
// The ring of who keeps what is in it: twice what is usually under way, and where it does
// not do on a long path, the memory is as well spent on copies.
#define SEAM_RING_MOST (16u * 1024u * 1024u)
// From this size on CHANNEL_DATA is bulk: the ring is made for it.
#define SEAM_BULK 8192u
#define SEAM_IDENT_MAX 256
// Socket messages kept back at most; past it the socket is not read until the ring has
// moved.
#define SEAM_PENDING_MAX (512u * 1024u)

enum seam_event_kind {
    SEAM_NONE,
    SEAM_HELLO,    // once, first: version, and text (gate: the client's identification)
    SEAM_MESSAGE,  // an SSH message, from the socket; valid until the next call
    SEAM_SLOT,    // an SSH message in the ring, RING_HEADROOM and _TAILROOM around it are
                  // free; seam_taken() when done with it
    SEAM_END,     // the other end says why it ends: reason, text
    SEAM_SECRET,  // to the holder, once: bytes, which are at `slot` too, to be wiped
};

struct seam_event {
    enum seam_event_kind kind;
    struct view message;
    uint8_t *slot;  // SLOT, SECRET: message.p, writable
    uint32_t reason;
};

struct seam_counts {
    uint64_t socket_out, ring_out, socket_in, ring_in, wakes;
    uint64_t bytes_in, bytes_out;  // of SSH messages
};

struct seam {
    int fd;
    struct ring out, in;
    uint64_t lane[SEAM_LANES];  // ring position behind the last record of a channel
    uint64_t sampled;           // records below this may be taken
    bool drained;               // the socket was seen empty since `sampled` was set
    bool maker;                 // the holder's end: makes the rings
    bool wished;  // not the maker: asked for a ring; the maker: was asked and has yet to
                  // send it
    bool hello_seen, secret_seen, closed, ring_failed;
    bool keeps;            // what goes out by the ring is kept there
    bool peer_maps;        // a ring of SEAM_RING_MOST
    struct buf pending;    // kept back: {after u64, length u32, kind u8, message}
    uint64_t pending_min;  // the smallest position that one of them waits for, or less
    uint8_t *room;  // for the socket: LIMIT_PACKET and header, mapped, touched as needed
    uint8_t *reserved;  // what seam_room() gave
    struct seam_counts counts;
};

// Takes over the descriptor. maker: this is the holder's end.
must_check enum err seam_init(struct seam *s, int fd, bool maker);
void seam_free(struct seam *s);  // also of a zeroed one

// A fitting pair of descriptors for seam_init().
must_check enum err seam_pair(int fds[2]);

// ---- out ----
must_check enum err seam_hello(struct seam *s, struct view text);
// One SSH message by the socket. *sent false: no room now (wait for the descriptor to be
// writable). ERR_CLOSED: the other end is gone.
must_check enum err seam_send(struct seam *s, struct view message, bool *sent);
// The gate's, behind its HELLO, to a holder that knows of it (IPC_VERSION 3): what the
// connection's secret is made from (doc/resume.md).
#define SEAM_SECRET_SIZE 32
must_check enum err seam_secret(struct seam *s, struct view secret);
// Says why this end ends; best effort. Reason 0, to a gate that has sent a secret: it is
// to let go of its link without a word, since the connection goes on.
void seam_end(struct seam *s, uint32_t reason, const char *text);

// Room in the ring for one CHANNEL_DATA message of at most `want`, at least `least`
// bytes. room->n = 0: full, or no ring can be had (seam_bulk() tells). The first call
// makes the ring, or asks for it.
must_check enum err seam_room(struct seam *s, size_t least, size_t want,
                              struct span *room);
// The first n bytes of that room are a message now; n >= 9.
must_check enum err seam_publish(struct seam *s, size_t n);
// The maker, before its first seam_room(): it is going to keep what it sends there.
void seam_keeps(struct seam *s);
// From that position on, which seam_position() was before a message was published, they
// stay where they are; UINT64_MAX: none.
void seam_keep(struct seam *s, uint64_t from);
static inline uint64_t seam_position(const struct seam *s) {
    return ring_head(&s->out);
}
// Messages below it were taken by the other end, as far as is known.
static inline uint64_t seam_gone(const struct seam *s) {
    return ring_tail(&s->out);
}
// Is there a ring for what goes out, or could one be made?
static inline bool seam_bulk(const struct seam *s) {
    return !s->ring_failed;
}
static inline bool seam_has_ring(const struct seam *s) {
    return ring_mapped(&s->out);
}

// ---- in ----
// A turn begins: the socket is looked at again before more of the ring.
void seam_turn(struct seam *s);
// The next event. ERR_CLOSED once everything was delivered and the other end is gone;
// ERR_PROTOCOL with the fault when it misbehaves.
must_check enum err seam_next(struct seam *s, struct seam_event *event,
                              struct fault *fault);
// Done with a SLOT.
must_check enum err seam_taken(struct seam *s);

// ---- waiting ----
// Before poll(2). False: there is work already. `least` > 0: we also wait for so much
// room.
bool seam_may_sleep(struct seam *s, size_t least);
// The link is quiet: gives memory back.
void seam_idle(struct seam *s);
