// The connection as a whole: its life, its events, its facts, and the header of outgoing
// data.
#include "connection/connection.h"

#include <assert.h>
#include <stdlib.h>

#include "connection/state.h"

static uint32_t or_default(uint32_t value, uint32_t otherwise) {
    return value != 0 ? value : otherwise;
}

enum err connection_new(struct connection **out, const struct connection_config *config) {
    struct connection *c = calloc(1, sizeof *c);
    if (c == NULL)
        return ERR_MEMORY;
    c->config = *config;
    struct connection_config *k = &c->config;
    k->max_channels = or_default(k->max_channels, LIMIT_CHANNELS);
    if (k->max_channels > LIMIT_CHANNELS)
        k->max_channels = LIMIT_CHANNELS;
    k->window_start = or_default(k->window_start, LIMIT_WINDOW_START);
    k->window_max = or_default(k->window_max, LIMIT_WINDOW_MAX);
    k->max_packet = or_default(k->max_packet, LIMIT_CHANNEL_PACKET);
    k->max_packet_out = or_default(k->max_packet_out, LIMIT_CHANNEL_PACKET);
    c->done = c->reaped = NO_CHANNEL;
    buf_init(&c->out, LIMIT_CONTROL_OUT);
    *out = c;
    return OK;
}

void connection_free(struct connection *c) {
    if (c == NULL)
        return;
    for (uint32_t i = 0; i < c->slot_count; i++)
        channel_free(&c->slots[i]);
    free(c->slots);
    buf_free(&c->out);
    free(c);
}

// ---- events ----

struct connection_event *event_set(struct connection *c, enum connection_event_kind kind,
                                   const struct channel *ch) {
    c->has_event = true;
    c->event = (struct connection_event){
        .kind = kind,
        .channel = ch != NULL ? channel_number(c, ch) : NO_CHANNEL,
        .user = ch != NULL ? ch->user : NULL,
    };
    return &c->event;
}

bool connection_next(struct connection *c, struct connection_event *event) {
    channel_reap(c);
    if (!c->has_event && c->done != NO_CHANNEL) {
        struct channel *ch = &c->slots[c->done];
        event_set(c, CONNECTION_CLOSED, ch);
        c->done = ch->next_done;
    }
    if (!c->has_event) {
        event->kind = CONNECTION_NONE;
        return false;
    }
    c->has_event = false;
    *event = c->event;
    if (event->kind == CONNECTION_CLOSED || event->kind == CONNECTION_OPEN_REFUSED) {
        c->reaped = event->channel;
        c->used--;
    }
    return true;
}

const struct request_type *type_for_peer(const struct connection *c,
                                         enum request_kind kind, struct view name) {
    return request_find(kind, c->config.server ? REQUEST_BY_CLIENT : REQUEST_BY_SERVER,
                        name);
}

// ---- data ----

enum err connection_consumed(struct connection *c, uint32_t channel, size_t n,
                             uint64_t now) {
    struct channel *ch = channel_at(c, channel);
    if (ch == NULL || ch->state == CHANNEL_FREE)
        return OK;
    if (n > ch->in.unread)
        return ERR_LIMIT;
    uint32_t grant = window_consume(&ch->in, (uint32_t)n, now);
    return ch->state == CHANNEL_OPEN ? queue_adjust(c, ch, grant) : OK;
}

size_t connection_data_max(const struct connection *c, uint32_t channel) {
    uint64_t window = connection_data_window(c, channel);
    return window == 0                             ? 0
           : window < c->slots[channel].out_packet ? (size_t)window
                                                   : c->slots[channel].out_packet;
}

uint64_t connection_data_window(const struct connection *c, uint32_t channel) {
    const struct channel *ch = channel_at(c, channel);
    if (ch == NULL || (ch->state != CHANNEL_OPEN && ch->state != CHANNEL_EOF) ||
        ch->eof_sent)
        return 0;
    return ch->out_window > ch->overhead ? ch->out_window - ch->overhead : 0;
}

void connection_data_header(struct connection *c, uint32_t channel, uint32_t extended,
                            size_t n, uint8_t *header) {
    assert(n <= connection_data_max(c, channel));
    struct channel *ch = &c->slots[channel];
    ch->out_window -= (uint32_t)n + ch->overhead;
    c->counted_data++;
    header[0] = extended != 0 ? SSH_MSG_CHANNEL_EXTENDED_DATA : SSH_MSG_CHANNEL_DATA;
    store_u32(header + 1, ch->peer);
    if (extended != 0)
        store_u32(header + 5, extended);
    store_u32(header + (extended != 0 ? 9 : 5), (uint32_t)n);
}

void connection_set_overhead(struct connection *c, uint32_t channel, uint8_t more) {
    struct channel *ch = channel_at(c, channel);
    if (ch != NULL)
        ch->overhead = more;
}

// ---- facts ----

bool connection_is_open(const struct connection *c, uint32_t channel) {
    const struct channel *ch = channel_at(c, channel);
    return ch != NULL && (ch->state == CHANNEL_OPEN || ch->state == CHANNEL_EOF);
}

size_t connection_count(const struct connection *c) {
    return c->used;
}

bool connection_eof_sent(const struct connection *c, uint32_t channel) {
    const struct channel *ch = channel_at(c, channel);
    return ch == NULL || ch->state == CHANNEL_FREE || ch->state == CHANNEL_DONE ||
           ch->eof_sent;
}

void connection_set_user(struct connection *c, uint32_t channel, void *user) {
    struct channel *ch = channel_at(c, channel);
    assert(ch != NULL);
    ch->user = user;
}

void *connection_user(const struct connection *c, uint32_t channel) {
    const struct channel *ch = channel_at(c, channel);
    return ch != NULL ? ch->user : NULL;
}

size_t connection_replies_due(const struct connection *c, uint32_t channel) {
    const struct channel *ch = channel_at(c, channel);
    return ch != NULL ? ch->asked - ch->answered : 0;
}

size_t connection_replies_owed(const struct connection *c, uint32_t channel) {
    const struct channel *ch = channel_at(c, channel);
    return ch != NULL ? ch->owed : 0;
}

uint32_t connection_next_ordinal(const struct connection *c, uint32_t channel) {
    const struct channel *ch = channel_at(c, channel);
    return ch != NULL ? ch->asked : 0;
}

uint32_t connection_next_global_ordinal(const struct connection *c) {
    return c->asked;
}

struct connection_counts connection_counts(const struct connection *c) {
    return (struct connection_counts){c->counted_in, c->dequeued + c->counted_data};
}

const struct fault *connection_fault(const struct connection *c) {
    return &c->fault;
}
