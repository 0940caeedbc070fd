// Proxy mode: the bridge's bytes, and the client's global requests.
#include "client/mux_proxy.h"

#include <stdlib.h>

#include "base/text.h"
#include "client/mux_master.h"
#include "client/run.h"
#include "connection/requests.h"
#include "io/clock.h"
#include "wire/writer.h"

#define OUT_ENOUGH (128u * 1024u)

// ---- what the server is to listen on ----

static enum err answer(struct mux_proxy *p, bool success, struct view fields) {
    struct bridge *b = &p->bridge;
    b->waits = false;
    b->broken = b->broken || connection_global_reply(b->near, success, fields) != OK;
    return OK;
}

static enum err refuse(struct mux_proxy *p, const struct connection_event *event) {
    return event->want_reply ? answer(p, false, (struct view){0}) : OK;
}

static bool read_spec(const struct connection_event *event, struct forward_spec *spec) {
    struct request_forward port;
    struct request_streamlocal place;
    struct fault fault = {0};
    bool is_port = event->type->size == sizeof port;
    *spec = (struct forward_spec){.host_given = is_port};
    if (request_decode(event->type, event->fields, is_port ? (void *)&port : &place,
                       &fault) != OK)
        return false;
    if (!is_port)
        return place.path.n > 0 &&
               text_copy(spec->listen.path, sizeof spec->listen.path, place.path);
    spec->listen.port = port.port;
    return port.port <= UINT16_MAX &&
           text_copy(spec->listen.host, sizeof spec->listen.host,
                     port.address.n > 0 ? port.address : view_text("*"));
}

static enum err on_forward(struct mux_proxy *p, const struct connection_event *event) {
    struct forward_spec spec;
    struct forward_rule *rule;
    // Without an answer nobody would know what there is to be cancelled.
    if (!event->want_reply || !read_spec(event, &spec))
        return refuse(p, event);
    TRY(forwards_lend(&p->run->forwards, &spec, p->client, &rule));
    if (rule == NULL)
        return refuse(p, event);
    p->bridge.waits = true;
    return OK;
}

static enum err on_cancel(struct mux_proxy *p, const struct connection_event *event) {
    struct forward_spec spec;
    bool found = false;
    if (read_spec(event, &spec))
        TRY(forwards_take_back(&p->run->forwards, &spec, p->client, &found));
    return event->want_reply ? answer(p, found, (struct view){0}) : OK;
}

// That this client wants no more sessions is not for the others.
static enum err on_no_more(struct mux_proxy *p, const struct connection_event *event) {
    return event->want_reply ? answer(p, true, (struct view){0}) : OK;
}

static enum err on_global(void *context, const struct connection_event *event) {
    static const struct {
        const char *name;
        enum err (*handler)(struct mux_proxy *p, const struct connection_event *event);
    } requests[] = {
        {"tcpip-forward", on_forward},
        {"cancel-tcpip-forward", on_cancel},
        {"streamlocal-forward@openssh.com", on_forward},
        {"cancel-streamlocal-forward@openssh.com", on_cancel},
        {"no-more-sessions@openssh.com", on_no_more},
    };
    struct mux_proxy *p = context;
    for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++)
        if (view_is(event->name, requests[i].name))
            return requests[i].handler(p, event);
    return refuse(p, event);
}

void mux_proxy_answered(struct mux_proxy *p, const struct forward_rule *rule,
                        bool success) {
    uint8_t room[4];
    bool asked_for_any = rule->spec.listen.path[0] == 0 && rule->spec.listen.port == 0;
    store_u32(room, rule->listen_port);
    (void)!answer(p, success, view_of(room, success && asked_for_any ? sizeof room : 0));
}

// ---- life ----

struct mux_proxy *mux_proxy_new(struct mux_client *k) {
    struct mux_proxy *p = calloc(1, sizeof *p);
    if (p == NULL)
        return NULL;
    *p = (struct mux_proxy){
        .run = k->run, .client = k, .bridge = {.global = on_global, .context = p}};
    if (bridge_open(&p->bridge, k->run->connection) == OK)
        return p;
    free(p);
    return NULL;
}

void mux_proxy_free(struct mux_proxy *p) {
    if (p != NULL)
        bridge_free(&p->bridge);
    free(p);
}

enum err mux_proxy_end(struct mux_proxy *p) {
    TRY(forwards_take_back(&p->run->forwards, NULL, p->client, NULL));
    return bridge_end(&p->bridge);
}

// ---- bytes ----

static enum err feed_server(struct mux_proxy *p, struct bridge_link *l) {
    struct bridge *b = &p->bridge;
    struct carrier *w = &p->run->carrier;
    if (bridge_far_data(b, l).n == 0)
        return OK;
    // Requests queued before belong before the data.
    TRY(run_send_control(p->run));
    while (!connection_out_pending(b->far, l->far) && carrier_wants_data(w)) {
        struct view v = bridge_far_data(b, l);
        struct span room = {0};
        if (v.n > 0)
            room = carrier_message(w, CONNECTION_DATA_HEADER + v.n);
        if (room.p == NULL)
            return OK;
        connection_data_header(b->far, l->far, 0, v.n, room.p);
        memcpy(room.p + CONNECTION_DATA_HEADER, v.p, v.n);
        TRY(carrier_send(w, CONNECTION_DATA_HEADER + v.n));
        bridge_far_sent(b, l, v.n, clock_ms());
    }
    return OK;
}

static enum err exchange(struct mux_proxy *p) {
    struct bridge *b = &p->bridge;
    TRY(bridge_take(b, &p->client->in, clock_ms()));
    for (struct bridge_link *l = b->links; l != NULL; l = l->next)
        TRY(feed_server(p, l));
    TRY(bridge_settle(b));
    bridge_give(b, &p->client->out, OUT_ENOUGH, clock_ms());
    return bridge_settle(b);
}

enum err mux_proxy_turn(struct mux_proxy *p) {
    struct mux_client *k = p->client;
    size_t given;
    do {
        TRY(exchange(p));
        given = buf_len(&k->out);
        mux_flush(k);
    } while (given > 0 && buf_len(&k->out) == 0 && !k->gone && !p->bridge.broken);
    if (p->bridge.broken)
        log_error(&k->run->c->log, "control socket: a client in proxy mode does not keep "
                                   "to the protocol: its channels are closed");
    k->gone = k->gone || p->bridge.broken;
    return OK;
}

bool mux_proxy_wants(const struct mux_proxy *p) {
    const struct bridge *b = &p->bridge;
    return !b->broken && !b->waits && !b->stalled && connection_in_ready(b->near);
}
