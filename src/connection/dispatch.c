#include "connection/dispatch.h"

#include <assert.h>

#define ANY_OPEN (IN(OPEN) | IN(EOF))
#define ANY_CLOSING (IN(CLOSING) | IN(CLOSING_EOF))

// All messages are the same for both roles: who may ask for what is in requests.c.
// What comes late for a channel that we have closed is dropped; data is still counted
// against its window. EOF twice does no harm. Window adjusts outlive their channel at
// some peers.
const struct dispatch_row dispatch_table[] = {
    {SSH_MSG_CHANNEL_DATA, true, IN(OPEN) | IN(CLOSING), 0, on_data},
    {SSH_MSG_CHANNEL_WINDOW_ADJUST, true, ANY_OPEN,
     ANY_CLOSING | IN(PEER_CLOSED) | IN(DONE) | IN(FREE), on_window_adjust},
    {SSH_MSG_CHANNEL_EXTENDED_DATA, true, IN(OPEN) | IN(CLOSING), 0, on_extended_data},
    {SSH_MSG_CHANNEL_REQUEST, true, ANY_OPEN, ANY_CLOSING, on_request},
    {SSH_MSG_CHANNEL_SUCCESS, true, ANY_OPEN | ANY_CLOSING, 0, on_success},
    {SSH_MSG_CHANNEL_FAILURE, true, ANY_OPEN | ANY_CLOSING, 0, on_failure},
    {SSH_MSG_CHANNEL_EOF, true, IN(OPEN) | IN(CLOSING), IN(EOF) | IN(CLOSING_EOF),
     on_eof},
    {SSH_MSG_CHANNEL_CLOSE, true, ANY_OPEN | ANY_CLOSING, 0, on_close},
    {SSH_MSG_CHANNEL_OPEN_CONFIRMATION, true, IN(OPENING), 0, on_open_confirmation},
    {SSH_MSG_CHANNEL_OPEN_FAILURE, true, IN(OPENING), 0, on_open_failure},
    {SSH_MSG_CHANNEL_OPEN, false, 0, 0, on_channel_open},
    {SSH_MSG_GLOBAL_REQUEST, false, 0, 0, on_global_request},
    {SSH_MSG_REQUEST_SUCCESS, false, 0, 0, on_global_success},
    {SSH_MSG_REQUEST_FAILURE, false, 0, 0, on_global_failure},
};
const unsigned dispatch_count = sizeof dispatch_table / sizeof dispatch_table[0];

const char *channel_state_name(enum channel_state state) {
    static const char *const names[CHANNEL_STATE_COUNT] = {
        [CHANNEL_FREE] = "free",
        [CHANNEL_OPENING] = "opening",
        [CHANNEL_ASKED] = "asked",
        [CHANNEL_OPEN] = "open",
        [CHANNEL_EOF] = "eof",
        [CHANNEL_CLOSING] = "closing",
        [CHANNEL_DONE] = "done",
        [CHANNEL_CLOSING_EOF] = "closing-eof",
        [CHANNEL_PEER_CLOSED] = "peer-closed",
    };
    return names[state];
}

static const struct dispatch_row *row_of(uint8_t message) {
    for (unsigned i = 0; i < dispatch_count; i++)
        if (dispatch_table[i].message == message)
            return &dispatch_table[i];
    return NULL;
}

static enum err dispatch_to_channel(struct connection *c, const struct dispatch_row *row,
                                    struct view message, uint64_t now) {
    const char *name = message_name(row->message);
    if (message.n < 5)
        return fault_set(&c->fault, ERR_SHORT, row->message, "%s: field recipient: %s",
                         name, err_text(ERR_SHORT));
    uint32_t number = load_u32(message.p + 1);
    struct channel *ch = channel_at(c, number);
    unsigned state = ch != NULL ? 1u << ch->state : 0;
    if ((row->take & state) != 0)
        return row->handler(c, ch, message, now);
    if ((row->drop & state) != 0)
        return OK;
    if (ch == NULL || ch->state == CHANNEL_FREE)
        return fault_set(&c->fault, ERR_PROTOCOL, row->message,
                         "%s for channel %u, which is none", name, number);
    return fault_set(&c->fault, ERR_UNEXPECTED, row->message,
                     "%s for channel %u, which is %s", name, number,
                     channel_state_name((enum channel_state)ch->state));
}

enum err connection_in(struct connection *c, struct view message, uint64_t now) {
    assert(!c->has_event);
    if (c->fault.code != OK)
        return c->fault.code;
    channel_reap(c);
    if (message.n == 0)
        return fault_set(&c->fault, ERR_SHORT, 0, "empty message");
    uint8_t number = message.p[0];
    const struct dispatch_row *row = row_of(number);
    c->counted_in++;
    if (row == NULL)
        return ERR_UNSUPPORTED;
    if (row->to_channel)
        return dispatch_to_channel(c, row, message, now);
    return row->handler(c, NULL, message, now);
}
