// The messages that say nothing to the layers above (RFC 4253 s.11, ping@openssh.com).
// Answers that fall into an exchange wait for our NEWKEYS, up to LIMIT_DEFERRED.
#include "transport/internal.h"

// Sends a payload now, or after our NEWKEYS.
static enum err control_send(struct transport *t, struct view payload) {
    if (!t->blocked)
        return packet_out_view(t, payload);
    uint8_t length[4];
    store_u32(length, (uint32_t)payload.n);
    enum err e = buf_append(&t->deferred, view_of(length, 4));
    if (e == OK)
        e = buf_append(&t->deferred, payload);
    return e == ERR_LIMIT
               ? fault_set(&t->fault, e, 0, "over %u bytes to answer after a rekey",
                           LIMIT_DEFERRED)
               : e;
}

enum err control_flush(struct transport *t) {
    struct reader r = reader_of(buf_view(&t->deferred));
    while (reader_left(&r) > 0)
        TRY(packet_out_view(t, read_string(&r)));
    buf_free(&t->deferred);
    return OK;
}

static enum err send_message(struct transport *t, uint8_t number, const void *fields,
                             size_t cap) {
    if (!t->blocked)
        return packet_out_message(t, number, fields, cap);
    scoped_buf payload = {.max = LIMIT_PACKET};
    struct writer w = writer_to_buf(&payload);
    message_encode(&w, number, fields);
    TRY(writer_end(&w));
    return control_send(t, buf_view(&payload));
}

enum err handle_disconnect(struct transport *t, const struct packet *p,
                           struct transport_event *event) {
    struct msg_disconnect m;
    (void)event;
    TRY(message_decode(SSH_MSG_DISCONNECT, p->payload, &m, &t->fault));
    transport_set_closed(t, m.reason, m.description);
    return OK;
}

enum err handle_ignore(struct transport *t, const struct packet *p,
                       struct transport_event *event) {
    (void)t;
    (void)p;
    (void)event;
    return OK;
}

enum err handle_unimplemented(struct transport *t, const struct packet *p,
                              struct transport_event *event) {
    struct msg_unimplemented m;
    TRY(message_decode(SSH_MSG_UNIMPLEMENTED, p->payload, &m, &t->fault));
    event->kind = TRANSPORT_UNIMPLEMENTED;
    event->sequence = m.sequence;
    return OK;
}

enum err handle_debug(struct transport *t, const struct packet *p,
                      struct transport_event *event) {
    struct msg_debug m;
    TRY(message_decode(SSH_MSG_DEBUG, p->payload, &m, &t->fault));
    event->kind = TRANSPORT_DEBUG;
    event->data = m.text;
    return OK;
}

enum err handle_ping(struct transport *t, const struct packet *p,
                     struct transport_event *event) {
    struct msg_ping m;
    (void)event;
    TRY(message_decode(SSH_MSG_PING, p->payload, &m, &t->fault));
    return send_message(t, SSH_MSG_PONG, &m, m.data.n + 8);
}

enum err handle_pong(struct transport *t, const struct packet *p,
                     struct transport_event *event) {
    struct msg_ping m;
    TRY(message_decode(SSH_MSG_PONG, p->payload, &m, &t->fault));
    if (t->pings == 0)
        return fault_set(&t->fault, ERR_UNEXPECTED, SSH_MSG_PONG,
                         "PONG: nothing was asked");
    t->pings--;
    event->kind = TRANSPORT_PONG;
    event->data = m.data;
    return OK;
}

static enum err send_unimplemented(struct transport *t, uint32_t sequence) {
    struct msg_unimplemented m = {sequence};
    return send_message(t, SSH_MSG_UNIMPLEMENTED, &m, 8);
}

enum err handle_unassigned(struct transport *t, const struct packet *p,
                           struct transport_event *event) {
    (void)event;
    return send_unimplemented(t, p->sequence);
}

enum err handle_deliver(struct transport *t, const struct packet *p,
                        struct transport_event *event) {
    if (p->number == SSH_MSG_USERAUTH_SUCCESS)
        t->success_must_follow = false;
    event->kind = TRANSPORT_MESSAGE;
    event->message = p->payload;
    event->sequence = p->sequence;
    return OK;
}

enum err handle_early(struct transport *t, const struct packet *p,
                      struct transport_event *event) {
    if (t->config.early)
        return handle_deliver(t, p, event);
    return fault_set(&t->fault, ERR_UNEXPECTED, p->number, "%s (%u): not allowed",
                     message_name(p->number), p->number);
}

enum err transport_unimplemented(struct transport *t, uint32_t sequence) {
    if (t->failed != OK)
        return t->failed;
    if (t->closed || t->exchanges == 0)
        return ERR_REFUSED;
    enum err e = send_unimplemented(t, sequence);
    return e == OK ? OK : transport_fail(t, e);
}

enum err transport_ping(struct transport *t, struct view data) {
    struct msg_ping m = {data};
    if (t->failed != OK)
        return t->failed;
    if (!t->out_open || t->closed)
        return ERR_REFUSED;
    if (!t->peer_has_ping)
        return ERR_UNSUPPORTED;
    enum err e = send_message(t, SSH_MSG_PING, &m, data.n + 8);
    if (e != OK)
        return transport_fail(t, e);
    t->pings++;
    return OK;
}
