// Control messages on their way out, in order: u32 length, message. Data does not pass
// here.
#include "connection/connection.h"
#include "connection/state.h"

// Memory that an idle connection may keep for its next messages.
#define QUEUE_KEPT 4096

enum err queue_message(struct connection *c, struct channel *ch, uint8_t number,
                       const void *msg) {
    size_t before = buf_len(&c->out);
    struct writer w = writer_to_buf(&c->out);
    write_u32(&w, 0);
    message_encode(&w, number, msg);
    enum err e = writer_end(&w);
    if (e != OK) {
        c->out.end = c->out.start + before;
        return fault_set(&c->fault, e, number, "%s: control queue: %s",
                         message_name(number), err_text(e));
    }
    store_u32(c->out.p + c->out.start + before, (uint32_t)(w.n - 4));
    c->queued++;
    if (ch != NULL)
        ch->last_queued = c->queued;
    return OK;
}

static enum err hold(struct channel *ch, uint8_t number, const void *msg) {
    size_t before = buf_len(&ch->held);
    struct writer w = writer_to_buf(&ch->held);
    write_u32(&w, 0);
    message_encode(&w, number, msg);
    enum err e = writer_end(&w);
    if (e != OK) {
        ch->held.end = ch->held.start + before;
        return e;
    }
    store_u32(ch->held.p + ch->held.start + before, (uint32_t)(w.n - 4));
    return OK;
}

enum err queue_for_peer(struct connection *c, struct channel *ch, uint8_t number,
                        void *msg) {
    *(uint32_t *)msg = ch->peer;
    if (ch->state == CHANNEL_OPENING && !ch->guessed)
        return hold(ch, number, msg);
    return queue_message(c, ch, number, msg);
}

enum err queue_release_held(struct connection *c, struct channel *ch) {
    struct view held = buf_view(&ch->held);
    for (size_t at = 0; at < held.n; c->queued++) {
        uint32_t n = load_u32(held.p + at);
        store_u32(ch->held.p + ch->held.start + at + 4 + 1, ch->peer);
        at += 4 + n;
    }
    if (held.n > 0) {
        enum err e = buf_append(&c->out, held);
        if (e != OK)
            return fault_set(&c->fault, e, SSH_MSG_CHANNEL_OPEN_CONFIRMATION,
                             "held messages: control queue: %s", err_text(e));
        ch->last_queued = c->queued;
    }
    buf_free(&ch->held);
    return OK;
}

enum err queue_adjust(struct connection *c, struct channel *ch, uint32_t n) {
    if (n == 0)
        return OK;
    struct msg_channel_window_adjust m = {.recipient = ch->peer, .bytes = n};
    return queue_message(c, NULL, SSH_MSG_CHANNEL_WINDOW_ADJUST, &m);
}

struct view connection_out(struct connection *c) {
    if (buf_len(&c->out) == 0)
        return view_of(NULL, 0);
    const uint8_t *p = c->out.p + c->out.start;
    return view_of(p + 4, load_u32(p));
}

void connection_out_done(struct connection *c) {
    if (buf_len(&c->out) == 0)
        return;
    buf_taken(&c->out, 4 + (size_t)load_u32(c->out.p + c->out.start));
    c->dequeued++;
    if (c->out.room > QUEUE_KEPT)
        buf_release_if_empty(&c->out);
}

bool connection_out_pending(const struct connection *c, uint32_t channel) {
    const struct channel *ch = channel_at(c, channel);
    return ch != NULL && ch->last_queued > c->dequeued;
}

bool connection_in_ready(const struct connection *c) {
    return buf_len(&c->out) < LIMIT_CONTROL_PAUSE;
}
