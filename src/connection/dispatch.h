// The dispatch table: which message in which state of its channel. The only gate between
// the peer and the handlers; a unit test prints it and compares it with a reviewed file.
#pragma once

#include "connection/state.h"

// Bits for sets of enum channel_state.
#define IN(state) (1u << CHANNEL_##state)

struct dispatch_row {
    uint8_t message;
    bool to_channel;  // its first field is the recipient, and the states below count
    uint16_t take,
        drop;  // sets of states: handled; dropped quietly. All else ends the connection
    message_handler *handler;
};

extern const struct dispatch_row dispatch_table[];
extern const unsigned dispatch_count;

const char *channel_state_name(enum channel_state state);
