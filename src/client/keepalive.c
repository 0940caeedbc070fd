// ServerAliveInterval and ServerAliveCountMax: a sign of life is asked for when nothing
// was heard, and counted from what was heard last. Deadlines, so that nothing the server
// sends in part or late changes more than they should.
#include "client/session.h"
#include "io/clock.h"

static uint64_t interval_ms(const struct session *s) {
    return s->c->config.server_alive_interval * 1000ull;
}

uint64_t session_alive_deadline(const struct session *s) {
    if (s->c->config.server_alive_interval == 0)
        return CLOCK_NEVER;
    unsigned sent = s->alive_heard == s->c->link.heard ? s->alive_sent : 0;
    return clock_after(s->c->link.heard, interval_ms(s) * (sent + 1));
}

// ping@openssh.com costs both ends the least; others are asked what nobody knows.
static enum err ask(struct session *s) {
    struct transport *t = s->c->link.transport;
    if (transport_peer_has_ping(t))
        return transport_ping(t, view_text("alive"));
    enum err e = connection_global_request(s->connection, "keepalive@openssh.com", true,
                                           (struct view){0});
    return e == ERR_LIMIT ? OK : e;  // enough are out already
}

enum err session_alive_tick(struct session *s, uint64_t now) {
    struct client *c = s->c;
    if (s->alive_heard != c->link.heard) {
        s->alive_heard = c->link.heard;
        s->alive_sent = 0;
    }
    if (now < session_alive_deadline(s))
        return OK;
    if (s->alive_sent >= c->config.server_alive_count_max)
        return fault_set(&c->fault, ERR_TIMEOUT, 0, "Timeout, server %s not responding.",
                         c->host);
    s->alive_sent++;
    return ask(s);
}
