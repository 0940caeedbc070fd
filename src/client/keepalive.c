// ServerAliveInterval and ServerAliveCountMax: a sign of life is asked for when nothing
// was heard, and counted from what was heard last. Deadlines, so that nothing the server
// sends in part or late changes more than they should.
#include "client/redial.h"
#include "io/clock.h"

static uint64_t interval_ms(const struct run *r) {
    return r->c->config.server_alive_interval * 1000ull;
}

uint64_t run_alive_deadline(const struct run *r) {
    if (r->c->config.server_alive_interval == 0 || r->redial != NULL)
        return CLOCK_NEVER;
    unsigned sent = r->alive_heard == r->c->link.heard ? r->alive_sent : 0;
    return clock_after(r->c->link.heard, interval_ms(r) * (sent + 1));
}

// ping@openssh.com costs both ends the least; others are asked what nobody knows.
enum err run_alive_ask(struct run *r) {
    struct transport *t = r->c->link.transport;
    if (transport_peer_has_ping(t))
        return transport_ping(t, view_text("alive"));
    enum err e = connection_global_request(r->connection, "keepalive@openssh.com", true,
                                           (struct view){0});
    return e == ERR_LIMIT ? OK : e;  // enough are out already
}

enum err run_alive_tick(struct run *r, uint64_t now) {
    struct client *c = r->c;
    if (r->alive_heard != c->link.heard) {
        r->alive_heard = c->link.heard;
        c->end.probes = r->alive_sent = 0;
    }
    if (now < run_alive_deadline(r))
        return OK;
    if (r->alive_sent >= c->config.server_alive_count_max)
        return carrier_can_resume(&r->carrier) ? redial_silent(r, c->link.heard, true)
                                               : run_alive_over(r);
    c->end.probes = ++r->alive_sent;
    return run_alive_ask(r);
}

// OpenSSH's sentence, and nothing else in its line; ends.c says more.
enum err run_alive_over(struct run *r) {
    struct client *c = r->c;
    c->end.probes = r->alive_sent;
    return fault_set(&c->fault, ERR_TIMEOUT, 0, "Timeout, server %s not responding.",
                     c->host);
}
