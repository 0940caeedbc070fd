// Both ends of a transport in one process, joined in memory, with a real host key.
#pragma once

// cmocka's order of includes
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "key/key.h"
#include "transport/internal.h"

#define PAIR_MESSAGES_MAX (8u << 20)

struct pair_end {
    struct transport_config config;
    struct transport *t;
    struct transport_host_key key_row;
    enum err err;                         // the first error of transport_next()
    unsigned seen[TRANSPORT_CLOSED + 1];  // events by kind
    struct buf messages;                  // what came, as strings
    struct buf notes;  // names of EXT_INFO, data of PONG, lines of TEXT: as strings
    struct transport_event last_question;
    bool hold_questions;  // leave SIGN and HOST_KEY to the test
    bool distrust;
    uint32_t reason;  // of CLOSED
    uint8_t *room;    // for transport_next_into(), when set
    size_t room_size;
    size_t rooms_used;
    size_t out_peak;  // most bytes that ever waited
};

struct pair {
    struct pair_end client, server;
    struct key *host_key;
    size_t split;  // bytes for each piece; 0: all there is; SIZE_MAX: random
    uint32_t random;
    uint64_t now;
    char host_key_name[64];
};

// Defaults that a test may change before pair_start().
void pair_init(struct pair *p);
void pair_host_key(struct pair *p, enum pk_kind kind, enum pk_curve curve,
                   const char *algorithms);
void pair_start(struct pair *p);
void pair_free(struct pair *p);
uint32_t pair_random(struct pair *p);

// Takes events until there are none.
void pair_events(struct pair *p, struct pair_end *e);
// Gives an end bytes, in one piece, and takes its events.
void pair_feed(struct pair *p, struct pair_end *e, struct view bytes);
// Carries what waits from one end to the other; false if nothing did.
bool pair_carry(struct pair *p, struct pair_end *from, struct pair_end *to);
// Until nothing moves.
void pair_run(struct pair *p);
// Through service request and authentication: both ends OPEN.
void pair_login(struct pair *p);
void pair_answer(struct pair *p, struct pair_end *e);

void pair_send(struct pair_end *e, uint8_t number, struct view rest);
// The number of the only message that came, taken off.
uint8_t pair_message(struct pair_end *e);

// A packet of the null cipher.
void pair_raw_packet(struct buf *out, struct view payload);
// The next ident line or null-cipher packet of a stream; n == 0 at its end.
struct view pair_split(struct view *stream);
