// Requests and their replies, of channels and global (RFC 4254 s.4, s.5.4). Replies have
// no names: they answer in order, so counters are all the state there is.
#include "connection/connection.h"
#include "connection/state.h"

// ---- ours ----

enum err connection_request(struct connection *c, uint32_t channel, const char *name,
                            bool want_reply, struct view fields) {
    struct channel *ch = channel_at(c, channel);
    if (ch == NULL || ch->close_wanted)
        return OK;
    if (ch->state == CHANNEL_ASKED)
        return ERR_UNEXPECTED;
    // How a program ended is told also to a peer that has closed the channel already.
    bool last_word = c->config.server && !want_reply && ch->state == CHANNEL_PEER_CLOSED;
    if (ch->state != CHANNEL_OPENING && ch->state != CHANNEL_OPEN &&
        ch->state != CHANNEL_EOF && !last_word)
        return OK;
    if (want_reply && ch->asked - ch->answered >= LIMIT_REQUESTS_PENDING)
        return ERR_LIMIT;
    struct msg_channel_request m = {
        .name = view_text(name), .want_reply = want_reply, .fields = fields};
    TRY(queue_for_peer(c, ch, SSH_MSG_CHANNEL_REQUEST, &m));
    ch->asked += want_reply;
    return OK;
}

enum err connection_global_request(struct connection *c, const char *name,
                                   bool want_reply, struct view fields) {
    if (want_reply && c->asked - c->answered >= LIMIT_REQUESTS_PENDING)
        return ERR_LIMIT;
    struct msg_global_request m = {
        .name = view_text(name), .want_reply = want_reply, .fields = fields};
    TRY(queue_message(c, NULL, SSH_MSG_GLOBAL_REQUEST, &m));
    c->asked += want_reply;
    return OK;
}

static enum err take_reply(struct connection *c, struct channel *ch, struct view message,
                           uint8_t number) {
    struct msg_channel m;
    TRY(message_decode(number, message, &m, &c->fault));
    if (ch->asked == ch->answered)
        return fault_set(&c->fault, ERR_UNEXPECTED, number,
                         "channel %u: a reply, and nothing was asked", m.recipient);
    uint32_t ordinal = ch->answered++;
    if (ch->state == CHANNEL_CLOSING || ch->state == CHANNEL_CLOSING_EOF)
        return OK;
    struct connection_event *event = event_set(c, CONNECTION_REPLY, ch);
    event->ordinal = ordinal;
    event->success = number == SSH_MSG_CHANNEL_SUCCESS;
    return OK;
}

enum err on_success(struct connection *c, struct channel *ch, struct view message,
                    uint64_t now) {
    (void)now;
    return take_reply(c, ch, message, SSH_MSG_CHANNEL_SUCCESS);
}

enum err on_failure(struct connection *c, struct channel *ch, struct view message,
                    uint64_t now) {
    (void)now;
    return take_reply(c, ch, message, SSH_MSG_CHANNEL_FAILURE);
}

static enum err take_global_reply(struct connection *c, uint8_t number,
                                  struct view fields) {
    if (c->asked == c->answered)
        return fault_set(&c->fault, ERR_UNEXPECTED, number,
                         "a reply to a global request, and nothing was asked");
    struct connection_event *event = event_set(c, CONNECTION_GLOBAL_REPLY, NULL);
    event->ordinal = c->answered++;
    event->success = number == SSH_MSG_REQUEST_SUCCESS;
    event->fields = fields;
    return OK;
}

enum err on_global_success(struct connection *c, struct channel *none,
                           struct view message, uint64_t now) {
    (void)none;
    (void)now;
    struct msg_rest m;
    TRY(message_decode(SSH_MSG_REQUEST_SUCCESS, message, &m, &c->fault));
    return take_global_reply(c, SSH_MSG_REQUEST_SUCCESS, m.fields);
}

enum err on_global_failure(struct connection *c, struct channel *none,
                           struct view message, uint64_t now) {
    (void)none;
    (void)now;
    struct msg_empty m;
    TRY(message_decode(SSH_MSG_REQUEST_FAILURE, message, &m, &c->fault));
    return take_global_reply(c, SSH_MSG_REQUEST_FAILURE, view_of(NULL, 0));
}

// ---- the peer's ----

static enum err owe(struct connection *c, uint32_t *owed, uint8_t number) {
    if (*owed >= LIMIT_REQUESTS_PENDING)
        return fault_set(&c->fault, ERR_LIMIT, number, "%s: over %u wait for an answer",
                         message_name(number), LIMIT_REQUESTS_PENDING);
    ++*owed;
    return OK;
}

enum err on_request(struct connection *c, struct channel *ch, struct view message,
                    uint64_t now) {
    (void)now;
    struct msg_channel_request m;
    TRY(message_decode(SSH_MSG_CHANNEL_REQUEST, message, &m, &c->fault));
    if (m.want_reply)
        TRY(owe(c, &ch->owed, SSH_MSG_CHANNEL_REQUEST));
    struct connection_event *event = event_set(c, CONNECTION_REQUEST, ch);
    event->type = type_for_peer(c, REQUEST_CHANNEL, m.name);
    event->name = m.name;
    event->want_reply = m.want_reply;
    event->fields = m.fields;
    return OK;
}

enum err connection_reply(struct connection *c, uint32_t channel, bool success) {
    struct channel *ch = channel_at(c, channel);
    if (ch == NULL || (ch->state != CHANNEL_OPEN && ch->state != CHANNEL_EOF))
        return OK;
    if (ch->owed == 0)
        return ERR_UNEXPECTED;
    struct msg_channel m;
    TRY(queue_for_peer(c, ch, success ? SSH_MSG_CHANNEL_SUCCESS : SSH_MSG_CHANNEL_FAILURE,
                       &m));
    ch->owed--;
    return OK;
}

enum err on_global_request(struct connection *c, struct channel *none,
                           struct view message, uint64_t now) {
    (void)none;
    (void)now;
    struct msg_global_request m;
    TRY(message_decode(SSH_MSG_GLOBAL_REQUEST, message, &m, &c->fault));
    if (m.want_reply)
        TRY(owe(c, &c->owed, SSH_MSG_GLOBAL_REQUEST));
    struct connection_event *event = event_set(c, CONNECTION_GLOBAL_REQUEST, NULL);
    event->type = type_for_peer(c, REQUEST_GLOBAL, m.name);
    event->name = m.name;
    event->want_reply = m.want_reply;
    event->fields = m.fields;
    return OK;
}

enum err connection_global_reply(struct connection *c, bool success, struct view fields) {
    if (c->owed == 0)
        return ERR_UNEXPECTED;
    if (success) {
        struct msg_rest m = {fields};
        TRY(queue_message(c, NULL, SSH_MSG_REQUEST_SUCCESS, &m));
    } else {
        struct msg_empty m = {0};
        TRY(queue_message(c, NULL, SSH_MSG_REQUEST_FAILURE, &m));
    }
    c->owed--;
    return OK;
}
