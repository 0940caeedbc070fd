// EXT_INFO (RFC 8308): ours right after our first NEWKEYS; the peer's right after its
// own, or, from a server, right before USERAUTH_SUCCESS.
#include "transport/internal.h"

enum err ext_info_send(struct transport *t) {
    const struct transport_config *c = &t->config;
    bool algs = transport_is_server(t) && c->server_sig_algs != NULL;
    if (!t->peer_takes_ext || (!algs && c->ext_info_count == 0))
        return OK;
    scoped_buf entries = {.max = LIMIT_PACKET_PREAUTH};
    struct writer w = writer_to_buf(&entries);
    if (algs) {
        write_text(&w, "server-sig-algs");
        write_text(&w, c->server_sig_algs);
    }
    write_bytes(&w, c->ext_info);
    TRY(writer_end(&w));
    struct msg_ext_info m = {c->ext_info_count + (algs ? 1 : 0), buf_view(&entries)};
    return packet_out_message(t, SSH_MSG_EXT_INFO, &m, m.extensions.n + 16);
}

static bool may_come_now(struct transport *t) {
    if (t->packets_since_newkeys == 1)
        return true;
    // The second one of a server's; USERAUTH_SUCCESS must follow (RFC 8308 s.2.4).
    t->success_must_follow = !transport_is_server(t);
    return t->success_must_follow && t->ext_seen < 2;
}

static enum err check_entries(struct transport *t, const struct msg_ext_info *m) {
    if (m->count > LIMIT_EXT_INFO)
        return fault_set(&t->fault, ERR_LIMIT, SSH_MSG_EXT_INFO,
                         "EXT_INFO: field count: %u, over %d", m->count, LIMIT_EXT_INFO);
    struct reader r = reader_of(m->extensions);
    for (uint32_t i = 0; i < m->count; i++) {
        read_text(&r);
        read_string(&r);
    }
    enum err e = reader_end(&r);
    return e == OK ? OK
                   : fault_set(&t->fault, e, SSH_MSG_EXT_INFO,
                               "EXT_INFO: field extensions: %s", err_text(e));
}

enum err handle_ext_info(struct transport *t, const struct packet *p,
                         struct transport_event *event) {
    struct msg_ext_info m;
    if (!may_come_now(t))
        return fault_set(
            &t->fault, ERR_UNEXPECTED, SSH_MSG_EXT_INFO,
            "EXT_INFO: neither right after NEWKEYS nor before USERAUTH_SUCCESS");
    TRY(message_decode(SSH_MSG_EXT_INFO, p->payload, &m, &t->fault));
    TRY(check_entries(t, &m));
    t->ext_seen++;
    t->ext_left = m.extensions;
    if (m.count > 0)
        ext_info_next(t, event);
    return OK;
}

void ext_info_next(struct transport *t, struct transport_event *event) {
    struct reader r = reader_of(t->ext_left);
    event->kind = TRANSPORT_EXT_INFO;
    event->name = read_text(&r);
    event->data = read_string(&r);
    t->ext_left = read_rest(&r);
    if (view_is(event->name, "ping@openssh.com") && view_is(event->data, "0"))
        t->peer_has_ping = true;
}
