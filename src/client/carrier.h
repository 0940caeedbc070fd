// What carries the messages of a connection: the link, and where the server can resume,
// what is kept for the next link (resume-v1@bowline, connection/resume.h).
//
// Whoever sends puts bytes into carrier_message()'s room, whether there is a link or not:
// what no link can take now is kept, and goes when there is one.
#pragma once

#include "connection/resume.h"

struct client;
struct transport_event;

struct carrier {
    struct client *c;  // whose link
    struct resume resume;
    bool lost;  // the link is gone: what is sent is kept alone. Only while resume is ON
                // or ATTACHING
    // The entry of EXT_INFO that names the connection on further links.
    uint8_t info[8 + sizeof RESUME_NAME - 1 + RESUME_HANDLE];
    uint8_t *room;   // for messages meanwhile; owned
    uint8_t *given;  // by carrier_message()
};

void carrier_init(struct carrier *w, struct client *c);
void carrier_free(struct carrier *w);  // wipes

// Where the server offers to resume, and we want to: asks for it, before anything else is
// sent on the connection. *n: bytes of the message, 0 if there was none.
must_check enum err carrier_open(struct carrier *w, size_t *n);
// May what comes to an end now be gone on with on another link?
bool carrier_can_resume(const struct carrier *w);

// May a message be sent? False during an exchange of keys.
bool carrier_can_send(const struct carrier *w);
// May sources be read for data to be sent? There is room, and not too much waits already.
bool carrier_wants_data(const struct carrier *w);
// Room for a message of up to cap bytes; {NULL, 0}: it cannot be sent now. Then
// carrier_send(), with nothing in between, or nothing.
struct span carrier_message(struct carrier *w, size_t cap);
must_check enum err carrier_send(struct carrier *w, size_t n);
// May a control message be sent?
bool carrier_can_send_control(const struct carrier *w);
must_check enum err carrier_send_view(struct carrier *w, struct view message);

// A message of the connection's was taken in.
must_check enum err carrier_took(struct carrier *w, struct view message, uint64_t now);
// A message of resume-v1@bowline's.
must_check enum err carrier_in(struct carrier *w, struct view message);
// What is due: ACK, and what is to be sent again. Before other messages; more: there are
// some.
must_check enum err carrier_flush(struct carrier *w, uint64_t now, bool more);
uint64_t carrier_deadline(const struct carrier *w, uint64_t now);
