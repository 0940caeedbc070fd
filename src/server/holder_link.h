// A holder's connection and its links (doc/resume.md): holder_link.c is what goes by a
// link, holder_resume.c is losing it and getting another one.
#pragma once

#include "server/holder.h"

// ---- holder_link.c ----

// May data be read from programs, files and sockets now, to be sent? False while what was
// said before does not go out, and while what is kept for the peer is as much as may be.
bool holder_takes_data(const struct holder *h);
// A whole message of data, with its header.
void holder_put(struct holder *h, struct view message);
// Room in the ring, as seam_room(). Without any: *waits tells whether there will be some;
// else the message goes by holder_put().
must_check enum err holder_room(struct holder *h, size_t least, size_t want,
                                struct span *room, bool *waits);
// What stands in that room is a message now. ERR_PROTOCOL: the ring is broken.
must_check enum err holder_publish(struct holder *h, const uint8_t *message, size_t n);
// The ring, and its seam, are about to go: what is kept there is copied. False: it cannot
// be, and the connection has ended.
bool holder_ring_goes(struct holder *h);
// A message that is not counted, on the link that there is, if any.
void holder_say(struct holder *h, struct view message);
// One message that the seam had no room for. True: it has gone, there is none, or nobody
// is there to take it.
bool holder_send_unsent(struct holder *h);

void holder_take_secret(struct holder *h, const struct seam_event *event);
// One of the messages of resume-v1@bowline, but ATTACH.
void holder_take_resume(struct holder *h, struct view message);
// Any other message was dealt with.
void holder_taken(struct holder *h, struct view message);
// ACK, when one is due; when to look again.
uint64_t holder_confirm(struct holder *h);
// What must not be lost.
void holder_tell_keeper(struct holder *h, enum ipc_number number, const void *body);

// The gate misbehaves: its link is let go of at the next turn, since this one may be in
// the middle of a message that stands in its memory.
void holder_link_broken(struct holder *h);

// ---- holder_resume.c ----

// The link is gone, or of no use (silent: the peer does not answer): the connection is
// suspended, or ends where it cannot be.
void holder_link_lost(struct holder *h, bool silent);
// The link goes, and nothing else.
void holder_drop_link(struct holder *h);
// A client comes for the connection, by that seam, which is taken over.
// The keeper asks about a proof for a login.
void holder_vouch(struct holder *h, const struct ipc_vouch *m);
void holder_attach(struct holder *h, const struct ipc_attach *m, int fd);
// The end of the grace, and of attempts; when to look again.
void holder_check_grace(struct holder *h);
uint64_t holder_grace_deadline(const struct holder *h);
