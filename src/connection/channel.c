// The slot table, and what the caller does with a channel: open, accept, refuse, EOF,
// close (RFC 4254 s.5.1, s.5.3).
#include <stdlib.h>

#include "base/text.h"
#include "connection/connection.h"
#include "connection/state.h"

#define SLOTS_FIRST 4

// ---- slots ----

struct channel *channel_at(const struct connection *c, uint32_t number) {
    return number < c->slot_count ? &c->slots[number] : NULL;
}

uint32_t channel_number(const struct connection *c, const struct channel *ch) {
    return (uint32_t)(ch - c->slots);
}

static bool slots_grow(struct connection *c) {
    if (c->slot_room >= c->config.max_channels)
        return false;
    uint32_t room = c->slot_room == 0 ? SLOTS_FIRST : c->slot_room * 2;
    if (room > c->config.max_channels)
        room = c->config.max_channels;
    struct channel *slots = reallocarray(c->slots, room, sizeof *slots);
    if (slots == NULL)
        return false;
    c->slots = slots;
    c->slot_room = room;
    return true;
}

uint32_t channel_new(struct connection *c, enum channel_state state) {
    uint32_t number = 0;
    while (number < c->slot_count && c->slots[number].state != CHANNEL_FREE)
        number++;
    if (number == c->slot_room && !slots_grow(c))
        return NO_CHANNEL;
    if (number == c->slot_count)
        c->slot_count++;
    struct channel *ch = &c->slots[number];
    *ch = (struct channel){.state = (uint8_t)state, .next_done = NO_CHANNEL};
    buf_init(&ch->held, LIMIT_CONTROL_HELD);
    window_init(&ch->in, c->config.window_start, c->config.window_max);
    c->used++;
    return number;
}

void channel_free(struct channel *ch) {
    buf_free(&ch->held);
    *ch = (struct channel){.state = CHANNEL_FREE};
}

void channel_done(struct connection *c, uint32_t number) {
    struct channel *ch = &c->slots[number];
    ch->state = CHANNEL_DONE;
    buf_free(&ch->held);
    ch->next_done = NO_CHANNEL;
    uint32_t *at = &c->done;
    while (*at != NO_CHANNEL)
        at = &c->slots[*at].next_done;
    *at = number;
}

void channel_reap(struct connection *c) {
    if (c->reaped != NO_CHANNEL)
        channel_free(&c->slots[c->reaped]);
    c->reaped = NO_CHANNEL;
}

// ---- open ----

enum err connection_open(struct connection *c, const char *type, struct view fields,
                         uint32_t *channel) {
    uint32_t number = channel_new(c, CHANNEL_OPENING);
    if (number == NO_CHANNEL)
        return ERR_LIMIT;
    struct msg_channel_open m = {
        .type = view_text(type),
        .sender = number,
        .window = c->config.window_start,
        .max_packet = c->config.max_packet,
        .fields = fields,
    };
    enum err e = queue_message(c, &c->slots[number], SSH_MSG_CHANNEL_OPEN, &m);
    if (e != OK) {
        channel_free(&c->slots[number]);
        c->used--;
        return e;
    }
    *channel = number;
    return OK;
}

enum err connection_guess(struct connection *c, uint32_t channel, uint32_t peer_number) {
    struct channel *ch = channel_at(c, channel);
    if (ch == NULL || ch->state != CHANNEL_OPENING || ch->guessed)
        return ERR_UNEXPECTED;
    ch->guessed = true;
    ch->peer = peer_number;
    return queue_release_held(c, ch);
}

enum err connection_accept(struct connection *c, uint32_t channel, struct view fields) {
    struct channel *ch = channel_at(c, channel);
    if (ch == NULL || ch->state != CHANNEL_ASKED)
        return ERR_UNEXPECTED;
    struct msg_channel_open_confirmation m = {
        .recipient = ch->peer,
        .sender = channel,
        .window = c->config.window_start,
        .max_packet = c->config.max_packet,
        .fields = fields,
    };
    TRY(queue_message(c, ch, SSH_MSG_CHANNEL_OPEN_CONFIRMATION, &m));
    ch->state = CHANNEL_OPEN;
    return OK;
}

enum err connection_refuse(struct connection *c, uint32_t channel,
                           enum open_failure reason, const char *text) {
    struct channel *ch = channel_at(c, channel);
    if (ch == NULL || ch->state != CHANNEL_ASKED)
        return ERR_UNEXPECTED;
    struct msg_channel_open_failure m = {
        .recipient = ch->peer,
        .reason = reason,
        .description = view_text(text),
    };
    TRY(queue_message(c, NULL, SSH_MSG_CHANNEL_OPEN_FAILURE, &m));
    channel_free(ch);
    c->used--;
    return OK;
}

// ---- end ----

enum err connection_eof(struct connection *c, uint32_t channel) {
    struct channel *ch = channel_at(c, channel);
    if (ch == NULL || ch->eof_sent || ch->close_wanted)
        return OK;
    switch ((enum channel_state)ch->state) {
    case CHANNEL_ASKED:
        return ERR_UNEXPECTED;
    case CHANNEL_OPENING:
    case CHANNEL_OPEN:
    case CHANNEL_EOF:
        break;
    default:
        return OK;
    }
    struct msg_channel m;
    TRY(queue_for_peer(c, ch, SSH_MSG_CHANNEL_EOF, &m));
    ch->eof_sent = true;
    return OK;
}

enum err connection_close(struct connection *c, uint32_t channel) {
    // What becomes of each state; CHANNEL_FREE (0) where there is nothing to close.
    static const uint8_t after[CHANNEL_STATE_COUNT] = {
        [CHANNEL_OPENING] = CHANNEL_OPENING,
        [CHANNEL_OPEN] = CHANNEL_CLOSING,
        [CHANNEL_EOF] = CHANNEL_CLOSING_EOF,
        [CHANNEL_PEER_CLOSED] = CHANNEL_DONE,
    };
    struct channel *ch = channel_at(c, channel);
    if (ch == NULL)
        return OK;
    if (ch->state == CHANNEL_ASKED)
        return connection_refuse(c, channel, OPEN_CONNECT_FAILED, "closed");
    if (after[ch->state] == CHANNEL_FREE || ch->close_wanted)
        return OK;
    struct msg_channel m;
    TRY(queue_for_peer(c, ch, SSH_MSG_CHANNEL_CLOSE, &m));
    ch->state = after[ch->state];
    ch->close_wanted = true;
    ch->eof_sent = true;
    if (ch->state == CHANNEL_DONE)
        channel_done(c, channel);
    return OK;
}
