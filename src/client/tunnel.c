#include "client/tunnel.h"

#include <stdio.h>

#include "base/text.h"

#define OVERHEAD 4u  // OpenSSH counts the length of a packet, which it keeps before it

static uint32_t unit_of(int configured) {
    return configured < 0 ? TUN_UNIT_ANY : (uint32_t)configured;
}

static enum err failed(struct forwards *f, const char *why) {
    if (f->c->config.exit_on_forward_failure)
        return fault_set(&f->c->fault, ERR_REFUSED, 0, "tunnel forwarding failed: %s",
                         why);
    log_error(&f->c->log, "Could not request tunnel forwarding: %s", why);
    return OK;
}

enum err tunnel_start(struct forwards *f) {
    const struct client_config *o = &f->c->config;
    char name[TUN_NAME], mine[FAULT_TEXT_SIZE];
    struct fault fault = {0};
    int fd = -1;
    // "yes" is point-to-point, as with OpenSSH.
    enum tun_mode mode = o->tunnel == TUN_ETHERNET ? TUN_ETHERNET : TUN_POINT_TO_POINT;
    if (tun_open(mode, unit_of(o->tunnel_device.local), &fd, name, &fault) != OK) {
        snprintf(mine, sizeof mine, "%s", fault_text(&fault));
        return failed(f, mine);
    }
    struct relay *r = relay_new(f, RELAY_OPENING, fd);
    if (r == NULL)
        return ERR_MEMORY;
    r->stream.socket = false;
    r->tunnel = mode;
    snprintf(r->what, sizeof r->what, "tunnel of %s", name);
    f->waiting++;
    return relay_open_tunnel(r, unit_of(o->tunnel_device.remote));
}

enum err tunnel_opened(struct relay *r) {
    struct forwards *f = r->f;
    f->waiting--;
    connection_set_overhead(f->connection, r->channel, f->c->bowline_peer ? 0 : OVERHEAD);
    log_debug(&f->c->log, "%s is open", r->what);
    return OK;
}

enum err tunnel_refused(struct relay *r, const struct connection_event *e) {
    char text[256], why[320];
    r->f->waiting--;
    r->has_channel = false;
    r->state = RELAY_ENDING;
    snprintf(why, sizeof why, "the server refuses it (PermitTunnel): %s",
             text_clean(text, sizeof text, e->text));
    return failed(r->f, why);
}
