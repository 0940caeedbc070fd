// The bridge of proxy mode against any client, and any server: the input is a list of
// pieces {0: of the client's bytes; else: a message of the server's}, each with a length
// of two bytes before it. What the client does may never make the server's end fail.
#include <assert.h>
#include <stdlib.h>

#include "client/bridge.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct world {
    struct connection *far;
    struct bridge bridge;
    struct buf in, out;
    uint64_t now;
};

static enum err on_global(void *context, const struct connection_event *event) {
    struct bridge *b = context;
    b->waits = event->want_reply && event->name.n % 2 == 1;
    return event->want_reply && !b->waits
               ? connection_global_reply(b->near, true, (struct view){0})
               : OK;
}

// As the run does it: true while the server's end goes on.
static bool take_far(struct world *w, struct view message) {
    struct connection_event event;
    if (connection_in(w->far, message, w->now) != OK)
        return false;
    while (connection_next(w->far, &event)) {
        bool mine = false;
        if (event.kind == CONNECTION_OPEN && event.type != NULL) {
            if (bridge_far_open(&w->bridge, &event, 0) != OK)
                abort();
        } else if (bridge_far_event(&w->bridge, &event, &mine, w->now) != OK) {
            return false;
        }
    }
    return true;
}

static void drain_far(struct world *w) {
    struct bridge *b = &w->bridge;
    while (connection_out(w->far).n > 0)
        connection_out_done(w->far);
    for (struct bridge_link *l = b->links; l != NULL; l = l->next)
        for (struct view v; (v = bridge_far_data(b, l)).n > 0;) {
            uint8_t header[CONNECTION_DATA_HEADER];
            connection_data_header(w->far, l->far, 0, v.n, header);
            bridge_far_sent(b, l, v.n, w->now);
        }
}

static void turn(struct world *w) {
    struct bridge *b = &w->bridge;
    if (bridge_take(b, &w->in, w->now) != OK)
        abort();
    drain_far(w);
    if (bridge_settle(b) != OK)
        abort();
    bridge_give(b, &w->out, 4096, w->now);
    if (bridge_settle(b) != OK)
        abort();
    if (b->waits && w->now % 3 == 0) {
        b->waits = false;
        if (connection_global_reply(b->near, false, (struct view){0}) != OK)
            b->broken = true;
    }
    if (w->now % 2 == 0)
        buf_clear(&w->out);
    assert(buf_len(&w->out) < 512 * 1024);
}

static void play(struct world *w, struct view v) {
    while (v.n >= 3 && !w->bridge.broken) {
        size_t n = ((size_t)v.p[1] << 8) | v.p[2];
        bool by_client = v.p[0] % 2 == 0;
        v = view_of(v.p + 3, v.n - 3);
        n = n < v.n ? n : v.n;
        if (by_client && buf_append(&w->in, view_of(v.p, n)) != OK)
            return;
        if (!by_client && n > 0 && !take_far(w, view_of(v.p, n)))
            return;
        v = view_of(v.p + n, v.n - n);
        w->now++;
        turn(w);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct world w = {.bridge = {.global = on_global}};
    w.bridge.context = &w.bridge;
    buf_init(&w.in, 1u << 20);
    buf_init(&w.out, 1u << 20);
    if (connection_new(&w.far, &(struct connection_config){0}) != OK ||
        bridge_open(&w.bridge, w.far) != OK)
        abort();
    play(&w, view_of(data, size));
    if (bridge_end(&w.bridge) != OK)
        abort();
    bridge_free(&w.bridge);
    connection_free(w.far);
    buf_free(&w.in);
    buf_free(&w.out);
    return 0;
}
