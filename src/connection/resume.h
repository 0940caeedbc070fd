// resume-v1@bowline (doc/resume.md): a connection outlives its link. Both ends, sans-IO.
//
// It stands between the connection machine and whatever carries its messages. What goes
// out is counted and kept (replay.h), what was taken in is counted and confirmed to the
// peer by ACK. When the link is lost, nothing happens here: the owner goes on, within the
// room that the store has. On a new link, whose peer has proved anew who it is,
//
//   client                                        server
//   resume_attach()        ATTACH      →          resume_attach_in(): proof, counts
//   resume_attached_in()               ← ATTACHED resume_attach_in()'s reply
//   what the peer lacks    ←  resume_replay()  →  what the peer lacks
//
// after which both are as if the link had never been lost. Times are milliseconds of any
// monotonic clock.
//
// The life of one, and what may be called when:
//   OFF       nothing is counted. Client: resume_open() → ASKED. Server: resume_open_in()
//             as the first connection message → ON
//   ASKED     client: what is sent is kept already; OPENED → ON, REFUSED → OFF
//   ON        counted, kept, confirmed
//   ATTACHING client: ATTACH is under way; nothing else may go, what resume_out() takes
//             is only kept. ATTACHED → ON, and resume_replay() until it is empty
#pragma once

#include "base/buf.h"
#include "base/fault.h"
#include "connection/replay.h"

#define RESUME_NAME "resume-v1@bowline"
#define RESUME_SECRET 32
#define RESUME_HANDLE 16
#define RESUME_MADE 6  // bytes of it: when it was made, ms since 1970; server's own
// Kept at most; then nothing more is to be read that would have to be sent. Control
// messages may go over it by LIMIT_CONTROL_OUT.
#define RESUME_STORE (64u * 1024u * 1024u)

enum resume_state {
    RESUME_OFF,
    RESUME_ASKED,
    RESUME_ON,
    RESUME_ATTACHING
};

// Why a server does not resume: of REFUSED.
enum resume_refusal {
    RESUME_REFUSED_NONE,
    RESUME_REFUSED_DISABLED,  // OPEN: not here, not for this login, or not as the first
                              // message
    RESUME_REFUSED_UNKNOWN,   // no such connection, or another user's
    RESUME_REFUSED_ENDED,     // it ended meanwhile
    RESUME_REFUSED_IDENTITY,  // the login was by another key than the first one
    RESUME_REFUSED_PROOF,     // the proof is wrong
    RESUME_REFUSED_EPOCH,     // another link resumed it since
    RESUME_REFUSED_GAP,       // what the client lacks is not kept, or it counts what was
                              // never sent
    RESUME_REFUSED_BUSY,      // too many attempts at once
    RESUME_REFUSALS
};
const char *resume_refusal_text(enum resume_refusal why);  // "unknown connection"

struct resume_lane {
    uint64_t taken;  // messages taken in
    bool dirty;      // and not all of them were told to the peer
};

struct resume {
    bool server;
    enum resume_state state;
    uint64_t epoch;  // links so far, from 0
    uint32_t grace;  // seconds, granted
    uint8_t handle[RESUME_HANDLE];
    uint64_t made;  // server: ms since 1970 that the next handle begins with
    struct replay store;
    struct resume_lane *lanes;
    uint32_t lane_count;
    // To be confirmed: lanes, bytes and messages since the last ACK; when the first came.
    uint32_t dirty, messages;
    uint64_t bytes, since;
    bool confirm_now;  // an ACK is due whatever has come
    // Client: OPENED came then, and the server does not know it yet.
    bool untold;
    uint64_t opened;
    bool replaying;
    // The exporter and both randoms until the secret was made of them.
    uint8_t exporter[RESUME_SECRET], random[RESUME_SECRET], theirs[RESUME_SECRET];
    uint8_t secret[RESUME_SECRET];
    bool has_secret;
    // Server: of the epoch before, until the client has shown that it knows the present
    // one: ATTACHED may have been lost with its link.
    uint8_t before[RESUME_SECRET];
    bool unproved;
    bool known;  // server: the client has shown that OPENED reached it
};

void resume_init(struct resume *r, bool server);
void resume_free(struct resume *r);  // wipes

// Is this one of the messages below (208 to 213), and not the connection machine's?
bool resume_is(struct view message);

// ---- opening ----
// Client, before anything else is sent on the connection. exporter: RESUME_SECRET bytes
// of transport_exporter(). grace: seconds wished for, 0: the server's. Appends OPEN to
// out.
must_check enum err resume_open(struct resume *r, const uint8_t *exporter, uint32_t grace,
                                struct buf *out);
// Client: OPENED, or REFUSED (then the state is OFF, and nothing is kept any more). An
// ACK is due soon behind OPENED: before it, the server cannot know whether anybody could
// come back.
must_check enum err resume_opened_in(struct resume *r, struct view message, uint64_t now,
                                     struct fault *fault);
// Server: OPEN. granted: seconds; 0: refused as DISABLED. Appends the answer to out; what
// is sent behind it is counted. ERR_UNEXPECTED when it is not OFF.
must_check enum err resume_open_in(struct resume *r, struct view message,
                                   const uint8_t *exporter, uint32_t granted,
                                   struct buf *out, struct fault *fault);
// Server: the answer to OPEN, or to an ATTACH that nobody looks at. Appends REFUSED.
// text: for people, and for the client's class of the end (base/ends_class.h); NULL: that
// of the reason.
must_check enum err resume_refuse(enum resume_refusal why, const char *text,
                                  struct buf *out);
// When a server made that handle, ms since 1970.
uint64_t resume_handle_made(const uint8_t *handle);

// ---- going on ----
// Every connection message that goes out, in order, before or after it is sent: counted
// and kept. Nothing happens when OFF. ERR_MEMORY and ERR_LIMIT are final for the
// connection.
must_check enum err resume_out(struct resume *r, struct view head, struct view body);
// The same for a message that stays where it is for now, in the owner's memory: see
// replay_lend(). The owner looks at `store` for what is still lent, and spills it before
// that memory goes, and before a new link is attached to.
must_check enum err resume_lend(struct resume *r, struct view head, struct view body,
                                uint64_t mark);
// May it be sent on the link now? False while attaching, and until resume_replay() was
// empty: it is sent from there.
bool resume_may_send(const struct resume *r);
// Bytes of data that may be read from the sources now; 0: wait for ACKs.
size_t resume_room(const struct resume *r);
// A connection message was taken in and dealt with, so that it outlives the link.
must_check enum err resume_in(struct resume *r, struct view message, uint64_t now);
// Is an ACK to be sent now? along: something else is about to be sent, with which it
// would travel. *deadline: when to look again (UINT64_MAX: not before the next message).
bool resume_ack_due(const struct resume *r, uint64_t now, bool along, uint64_t *deadline);
must_check enum err resume_ack(struct resume *r, struct buf *out);  // appends it
// ACK. ERR_PROTOCOL with the fault: it confirms what was never sent.
must_check enum err resume_ack_in(struct resume *r, struct view message,
                                  struct fault *fault);

// ---- a new link ----
// Client: appends ATTACH. session_id: of the new link. From here on everything that the
// old link could still give must have been taken in or dropped.
must_check enum err resume_attach(struct resume *r, struct view session_id,
                                  struct buf *out);
// Client: ATTACHED (ON, replaying) or REFUSED (*why; the state stays ATTACHING).
must_check enum err resume_attached_in(struct resume *r, struct view message,
                                       struct view session_id, enum resume_refusal *why,
                                       struct fault *fault);
// The text of REFUSED, the peer's; empty where it is no such message.
struct view resume_refused_text(struct view message);
// Server, first: is it right? Changes nothing. NONE: it is; the owner now lets go of the
// old link without taking anything more from it, and calls resume_attach_in().
enum resume_refusal resume_attach_check(struct resume *r, struct view message,
                                        struct view session_id);
// Server: takes it over, appends ATTACHED. Fails where resume_attach_check() would.
must_check enum err resume_attach_in(struct resume *r, struct view message,
                                     struct view session_id, struct buf *out,
                                     struct fault *fault);
// ---- the login of a new link, in place of what a person was asked for ----
// Client: proof (RESUME_SECRET bytes) for the login of `user` on the link of session_id.
must_check enum err resume_login_proof(const struct resume *r, struct view session_id,
                                       struct view user, uint8_t *proof);
// Server: is it right? Changes nothing, as resume_attach_check().
enum resume_refusal resume_login_check(struct resume *r, uint64_t epoch,
                                       struct view session_id, struct view user,
                                       struct view proof);
// The next message to be sent again, to be called while it can be sent at once; false:
// there is none, and resume_may_send() is true from here on. Valid until the next call
// of anything here.
bool resume_replay(struct resume *r, struct view *message);
// Quiet for some seconds: memory is given back.
void resume_idle(struct resume *r);
