// What the peer does with a channel (RFC 4254 s.5.1 to s.5.3). Each message is decoded
// and checked whole before anything changes.
#include "connection/connection.h"
#include "connection/state.h"

// ---- open ----

static enum err refuse_at_once(struct connection *c, uint32_t peer,
                               enum open_failure reason, const char *text) {
    struct msg_channel_open_failure m = {
        .recipient = peer,
        .reason = reason,
        .description = view_text(text),
    };
    return queue_message(c, NULL, SSH_MSG_CHANNEL_OPEN_FAILURE, &m);
}

static uint32_t least(uint32_t a, uint32_t b) {
    return a < b ? a : b;
}

enum err on_channel_open(struct connection *c, struct channel *none, struct view message,
                         uint64_t now) {
    (void)none;
    (void)now;
    struct msg_channel_open m;
    TRY(message_decode(SSH_MSG_CHANNEL_OPEN, message, &m, &c->fault));
    if (m.max_packet == 0)
        return refuse_at_once(c, m.sender, OPEN_CONNECT_FAILED,
                              "maximum packet size is 0");
    uint32_t number = channel_new(c, CHANNEL_ASKED);
    if (number == NO_CHANNEL)
        return refuse_at_once(c, m.sender, OPEN_RESOURCE_SHORTAGE, "too many channels");
    struct channel *ch = &c->slots[number];
    ch->peer = m.sender;
    ch->out_window = m.window;
    ch->out_packet = least(m.max_packet, c->config.max_packet_out);
    struct connection_event *event = event_set(c, CONNECTION_OPEN, ch);
    event->type = type_for_peer(c, REQUEST_OPEN, m.type);
    event->name = m.type;
    event->fields = m.fields;
    return OK;
}

enum err on_open_confirmation(struct connection *c, struct channel *ch,
                              struct view message, uint64_t now) {
    (void)now;
    uint32_t number = channel_number(c, ch);
    struct msg_channel_open_confirmation m;
    TRY(message_decode(SSH_MSG_CHANNEL_OPEN_CONFIRMATION, message, &m, &c->fault));
    if (m.max_packet == 0)
        return fault_set(&c->fault, ERR_PROTOCOL, SSH_MSG_CHANNEL_OPEN_CONFIRMATION,
                         "channel %u: maximum packet size is 0", number);
    if (ch->guessed && ch->peer != m.sender)
        return fault_set(&c->fault, ERR_PROTOCOL, SSH_MSG_CHANNEL_OPEN_CONFIRMATION,
                         "channel %u: the peer calls it %u, not %u as guessed", number,
                         m.sender, ch->peer);
    ch->peer = m.sender;
    ch->out_window = m.window;
    ch->out_packet = least(m.max_packet, c->config.max_packet_out);
    TRY(queue_release_held(c, ch));
    ch->state = ch->close_wanted ? CHANNEL_CLOSING : CHANNEL_OPEN;
    if (!ch->close_wanted)
        event_set(c, CONNECTION_OPENED, ch)->fields = m.fields;
    return OK;
}

enum err on_open_failure(struct connection *c, struct channel *ch, struct view message,
                         uint64_t now) {
    (void)now;
    struct msg_channel_open_failure m;
    TRY(message_decode(SSH_MSG_CHANNEL_OPEN_FAILURE, message, &m, &c->fault));
    ch->state = CHANNEL_DONE;
    buf_free(&ch->held);
    struct connection_event *event = event_set(c, CONNECTION_OPEN_REFUSED, ch);
    event->reason = m.reason;
    event->text = m.description;
    return OK;
}

// ---- data ----

enum err on_window_adjust(struct connection *c, struct channel *ch, struct view message,
                          uint64_t now) {
    (void)now;
    struct msg_channel_window_adjust m;
    TRY(message_decode(SSH_MSG_CHANNEL_WINDOW_ADJUST, message, &m, &c->fault));
    if (m.bytes > UINT32_MAX - ch->out_window)
        return fault_set(&c->fault, ERR_PROTOCOL, SSH_MSG_CHANNEL_WINDOW_ADJUST,
                         "channel %u: window over 2^32-1", m.recipient);
    ch->out_window += m.bytes;
    event_set(c, CONNECTION_WINDOW, ch);
    return OK;
}

// Data of `number` with its type (0: plain) whose string begins at `at`.
static enum err take_data(struct connection *c, struct channel *ch, struct view message,
                          size_t at, uint64_t now) {
    uint8_t number = at == 5 ? SSH_MSG_CHANNEL_DATA : SSH_MSG_CHANNEL_EXTENDED_DATA;
    if (message.n < at + 4)
        return fault_set(&c->fault, ERR_SHORT, number, "%s: ends too early",
                         message_name(number));
    uint32_t extended = at == 9 ? load_u32(message.p + 5) : 0;
    uint32_t n = load_u32(message.p + at);
    if (n != message.n - at - 4)
        return fault_set(&c->fault, n < message.n - at - 4 ? ERR_TRAILING : ERR_SHORT,
                         number, "%s: %zu bytes, not %u", message_name(number),
                         message.n - at - 4, n);
    if (n > c->config.max_packet)
        return fault_set(&c->fault, ERR_PROTOCOL, number,
                         "channel %u: %u bytes in one message, over our %u",
                         channel_number(c, ch), n, c->config.max_packet);
    uint32_t grant = 0;
    if (!window_take(&ch->in, n, now, &grant))
        return fault_set(&c->fault, ERR_PROTOCOL, number,
                         "channel %u: %u bytes, and the window is %u",
                         channel_number(c, ch), n, ch->in.left);
    if (ch->state != CHANNEL_OPEN || n == 0)
        return OK;  // closing: counted, and of no interest any more
    TRY(queue_adjust(c, ch, grant));
    struct connection_event *event = event_set(c, CONNECTION_DATA, ch);
    event->extended = extended;
    event->data = view_of(message.p + at + 4, n);
    return OK;
}

enum err on_data(struct connection *c, struct channel *ch, struct view message,
                 uint64_t now) {
    return take_data(c, ch, message, 5, now);
}

enum err on_extended_data(struct connection *c, struct channel *ch, struct view message,
                          uint64_t now) {
    return take_data(c, ch, message, 9, now);
}

// ---- end ----

enum err on_eof(struct connection *c, struct channel *ch, struct view message,
                uint64_t now) {
    (void)now;
    struct msg_channel m;
    TRY(message_decode(SSH_MSG_CHANNEL_EOF, message, &m, &c->fault));
    if (ch->state == CHANNEL_OPEN) {
        ch->state = CHANNEL_EOF;
        event_set(c, CONNECTION_EOF, ch);
    } else if (ch->state == CHANNEL_CLOSING) {
        ch->state = CHANNEL_CLOSING_EOF;
    }
    return OK;
}

enum err on_close(struct connection *c, struct channel *ch, struct view message,
                  uint64_t now) {
    (void)now;
    struct msg_channel m;
    TRY(message_decode(SSH_MSG_CHANNEL_CLOSE, message, &m, &c->fault));
    if (ch->state == CHANNEL_CLOSING || ch->state == CHANNEL_CLOSING_EOF) {
        channel_done(c, channel_number(c, ch));
    } else {
        ch->state = CHANNEL_PEER_CLOSED;
        event_set(c, CONNECTION_PEER_CLOSE, ch);
    }
    return OK;
}
