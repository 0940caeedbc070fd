// tun@openssh.com: a tunnel device on a channel (OpenSSH's PROTOCOL, s.2.3). The device
// is opened by the holder, which is the user: who is not root gets the devices that an
// administrator has made for him, and no other.
#include <stdio.h>

#include "base/text.h"
#include "io/tun.h"
#include "server/forward.h"
#include "server/settings.h"
#include "wire/messages.h"

#define TYPE "tun@openssh.com"
#define TIMEOUT_TYPE "tun-connection"  // of ChannelTimeout
#define OVERHEAD 4u  // OpenSSH counts the length of a packet, which it keeps before it

// One packet; what the device does not take is lost.
static size_t take(struct carrier *c, struct view data) {
    const struct forward *f = (const struct forward *)c;
    tun_write(f->stream.fd, f->stream.tunnel, data);
    return data.n;
}

// The one device that the key is for.
static uint32_t only_unit(const struct holder *h) {
    uint32_t told = h->start->verdict->permits >> PERMIT_TUNNEL_SHIFT;
    return told == 0 ? TUN_UNIT_ANY : told - 1;
}

// PermitTunnel, DisableForwarding, and what the key may.
static bool permitted(const struct holder *h, const struct open_tun *want) {
    uint32_t only = only_unit(h);
    return forward_allowed(&h->config, h->start->verdict->permits, FORWARD_WANT_TUNNEL) &&
           ((uint32_t)h->config.permit_tunnel & want->mode) != 0 &&
           (only == TUN_UNIT_ANY || want->unit == TUN_UNIT_ANY || want->unit == only);
}

static bool decode(const struct connection_event *event, struct open_tun *want) {
    struct fault fault = {0};
    return request_decode(event->type, event->fields, want, &fault) == OK &&
           (want->mode == TUN_POINT_TO_POINT || want->mode == TUN_ETHERNET) &&
           (want->unit <= TUN_UNIT_MAX || want->unit == TUN_UNIT_ANY);
}

static void refuse(struct holder *h, uint32_t channel, const char *device,
                   const char *reason, const char *why) {
    bool denied = strcmp(reason, "not-permitted") == 0;
    log_info(&h->log, "tunnel for %s from %s port %u: %s", h->user, h->start->peer,
             h->start->peer_port, why);
    forward_refuse(h, channel,
                   &(struct forward_refusal){
                       TYPE, device, reason, why, 0,
                       denied ? OPEN_ADMINISTRATIVELY_PROHIBITED : OPEN_CONNECT_FAILED,
                       denied ? "open failed" : "cannot open the tunnel device"});
}

static void remember(struct holder *h, const char *name) {
    size_t n = strlen(h->tunnels);
    snprintf(h->tunnels + n, sizeof h->tunnels - n, "%s%s", n > 0 ? "," : "", name);
}

static void run(struct holder *h, struct forward *f, int fd, enum tun_mode mode,
                const char *name) {
    f->kind = TYPE;
    text_copy(f->job.host, sizeof f->job.host, view_text(name));
    f->c.take = take;
    f->c.open = f->c.input_ready = true;
    f->stream.tunnel = (uint8_t)mode;
    connection_set_user(h->connection, f->c.channel, &f->c);
    connection_set_overhead(h->connection, f->c.channel, h->bowline_peer ? 0 : OVERHEAD);
    carrier_set_timeout(&f->c, TIMEOUT_TYPE);
    stream_open(&f->stream, fd);
    remember(h, name);
    log_info(&h->log, "tunnel for %s from %s port %u: %s is open", h->user,
             h->start->peer, h->start->peer_port, name);
    forward_tell(f, EVENT_FORWARD_OPENED);
}

static void start(struct holder *h, uint32_t channel, const struct open_tun *want) {
    int fd = -1;
    char name[TUN_NAME];
    struct fault fault = {0};
    uint32_t unit = want->unit == TUN_UNIT_ANY ? only_unit(h) : want->unit;
    if (tun_open(want->mode, unit, &fd, name, &fault) != OK) {
        refuse(h, channel, name, "failed", fault_text(&fault));
        return;
    }
    struct forward *f = forward_new(h, channel);
    if (f == NULL || connection_accept(h->connection, channel, view_of(NULL, 0)) != OK) {
        close(fd);
        holder_end(h, DISCONNECT_BY_APPLICATION, "out of memory");
        return;
    }
    run(h, f, fd, want->mode, name);
}

void tunnel_open(struct holder *h, const struct connection_event *event) {
    struct open_tun want;
    if (!decode(event, &want))
        refuse(h, event->channel, "", "malformed", "malformed request");
    else if (!permitted(h, &want))
        refuse(h, event->channel, "", "not-permitted",
               "PermitTunnel, DisableForwarding or the key does not allow this one");
    else
        start(h, event->channel, &want);
}
