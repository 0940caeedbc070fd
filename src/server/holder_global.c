// Global requests (RFC 4254 s.4, s.7.1; OpenSSH's PROTOCOL s.2.2 to s.2.5): listeners, no
// more sessions, the host keys and their proof.
#include "base/limits.h"
#include "server/forward.h"

static void failed(struct holder *h) {
    holder_end(h, DISCONNECT_PROTOCOL_ERROR, fault_text(connection_fault(h->connection)));
}

static void reply(struct holder *h, bool success, struct view fields) {
    if (connection_global_reply(h->connection, success, fields) != OK)
        failed(h);
}

// ---- host keys ----

void global_announce_keys(struct holder *h) {
    if (h->start->host_keys.n > 0 &&
        connection_global_request(h->connection, "hostkeys-00@openssh.com", false,
                                  h->start->host_keys) != OK)
        h->ending = true;
}

// The keeper signs; until it has, nothing else is read, so that answers keep their order.
static bool prove(struct holder *h, struct view blobs) {
    struct ipc_prove m = {blobs};
    bool sent = false;
    if (h->start->host_keys.n == 0 || blobs.n > h->start->host_keys.n)
        return false;
    enum err e = ipc_try_send(h->start->keeper, IPC_PROVE, &m, -1, &sent);
    h->proving = e == OK && sent;
    return h->proving;
}

void global_proved(struct holder *h, struct view signatures) {
    if (!h->proving)
        return;
    h->proving = false;
    reply(h, signatures.n > 0, signatures);
}

// ---- all of them ----

union global {
    struct request_forward forward;
    struct request_streamlocal local;
    struct request_blobs blobs;
    struct request_empty none;
};

struct answer {
    uint32_t port;
    bool with_port, later;
};

static bool on_forward(struct holder *h, const union global *r, struct answer *a) {
    a->with_port = r->forward.port == 0;
    return listen_request(h, &r->forward, &a->port);
}

static bool on_cancel(struct holder *h, const union global *r, struct answer *a) {
    (void)a;
    return listen_cancel(h, &r->forward);
}

static bool on_local(struct holder *h, const union global *r, struct answer *a) {
    (void)a;
    return listen_unix_request(h, &r->local);
}

static bool on_cancel_local(struct holder *h, const union global *r, struct answer *a) {
    (void)a;
    return listen_unix_cancel(h, &r->local);
}

static bool on_no_more(struct holder *h, const union global *r, struct answer *a) {
    (void)r;
    (void)a;
    h->no_more_sessions = true;
    return true;
}

static bool on_prove(struct holder *h, const union global *r, struct answer *a) {
    a->later = prove(h, r->blobs.blobs);
    return a->later;
}

static const struct {
    const char *name;
    bool (*act)(struct holder *h, const union global *r, struct answer *a);
} requests[] = {
    {"tcpip-forward", on_forward},
    {"cancel-tcpip-forward", on_cancel},
    {"streamlocal-forward@openssh.com", on_local},
    {"cancel-streamlocal-forward@openssh.com", on_cancel_local},
    {"no-more-sessions@openssh.com", on_no_more},
    {"hostkeys-prove-00@openssh.com", on_prove},
};

static bool act(struct holder *h, const struct connection_event *event,
                struct answer *a) {
    union global r;
    struct fault fault = {0};
    for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++) {
        if (event->type == NULL || strcmp(requests[i].name, event->type->name) != 0)
            continue;
        if (request_decode(event->type, event->fields, &r, &fault) == OK)
            return requests[i].act(h, &r, a);
        log_info(&h->log, "request refused: %s", fault_text(&fault));
        return false;
    }
    return false;
}

void global_request(struct holder *h, const struct connection_event *event) {
    struct answer a = {0};
    uint8_t room[4];
    bool success = act(h, event, &a);
    if (a.later && event->want_reply)
        return;
    h->proving = false;
    store_u32(room, a.port);
    if (event->want_reply)
        reply(h, success, view_of(room, success && a.with_port ? sizeof room : 0));
}
