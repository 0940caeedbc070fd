// IPQoS: the class of the link's packets, by what its channels are for (as OpenSSH since
// 10.1). It is "interactive" from the start and as long as a session has a terminal; when
// something else is begun without one, or the last terminal's channel is closed, "bulk".
//
// The peer's requests decide, before the holder answers: a terminal that it refuses
// counts until its channel is closed. What a connection had that comes back over a new
// link is not known here; such a link stays interactive.
#include "io/tcp.h"
#include "server/gate.h"
#include "wire/messages.h"
#include "wire/reader.h"

static void set(struct gate *g, bool bulk) {
    const struct settings *s = g->settings;
    if (g->bulk == bulk || g->comes_back)
        return;
    g->bulk = bulk;
    uint32_t now = bulk ? s->dscp_bulk : s->dscp_interactive,
             before = bulk ? s->dscp_interactive : s->dscp_bulk;
    if (now != 0)
        tcp_set_dscp(g->link, (int)now - 1);
    else if (before != 0)
        tcp_set_dscp(g->link, 0);  // "none": as the system has it
}

static void forget(struct gate *g, uint32_t channel) {
    for (size_t i = 0; i < g->terminals_n; i++)
        if (g->terminals[i] == channel) {
            g->terminals[i] = g->terminals[--g->terminals_n];
            return;
        }
}

static void on_request(struct gate *g, uint32_t channel, struct view name) {
    if (view_is(name, "pty-req")) {
        forget(g, channel);
        if (g->terminals_n < GATE_TERMINALS_MAX)
            g->terminals[g->terminals_n++] = channel;
        set(g, false);
    } else if (view_is(name, "shell") || view_is(name, "exec") ||
               view_is(name, "subsystem"))
        set(g, g->terminals_n == 0);
}

void gate_class_up(struct gate *g, struct view message) {
    struct reader r = reader_of(view_of(message.p + 1, message.n - 1));
    switch (message.p[0]) {
    case SSH_MSG_CHANNEL_OPEN:
        if (!view_is(read_string(&r), "session") && r.err == OK)
            set(g, g->terminals_n == 0);
        break;
    case SSH_MSG_CHANNEL_REQUEST: {
        uint32_t channel = read_u32(&r);
        struct view name = read_string(&r);
        if (r.err == OK)
            on_request(g, channel, name);
        break;
    }
    case SSH_MSG_CHANNEL_CLOSE: {
        uint32_t channel = read_u32(&r);
        if (r.err != OK)
            break;
        forget(g, channel);
        set(g, g->terminals_n == 0);
        break;
    }
    default:
        break;
    }
}
