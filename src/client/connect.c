// From a name to a connected socket.
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/address.h"
#include "client/client.h"
#include "client/proxy.h"
#include "client/redial.h"
#include "io/clock.h"
#include "io/look_up.h"
#include "io/tcp.h"
#include "io/tcp_connect.h"
#include "key/known_hosts.h"

int client_family(const struct client_config *config) {
    switch (config->address_family) {
    case CONF_ADDRESS_FAMILY_INET:
        return AF_INET;
    case CONF_ADDRESS_FAMILY_INET6:
        return AF_INET6;
    default:
        return AF_UNSPEC;
    }
}

static enum err name_host(struct client *c) {
    snprintf(c->host, sizeof c->host, "%s", c->config.hostname);
    const char *name =
        c->config.host_key_alias != NULL ? c->config.host_key_alias : c->host;
    // An alias names the key whatever the port.
    uint16_t port = c->config.host_key_alias != NULL ? 0 : c->config.port;
    return known_hosts_name(c->known_name, sizeof c->known_name, name, port);
}

static enum err step(struct client *c, struct tcp_connect *t) {
    enum err e = tcp_connect_step(t, clock_ms(), &c->link.fd, &c->fault);
    for (const char *line; (line = tcp_connect_note(t)) != NULL;)
        log_debug(&c->log, "%s", line);
    return e;
}

static enum err race(struct client *c, const struct tcp_target *target) {
    struct tcp_connect *t;
    TRY(tcp_connect_new(&t, target, &c->fault));
    enum err e = step(c, t);
    while (e == OK && c->link.fd < 0) {
        struct pollfd watched[TCP_CONNECT_ADDRESSES];
        size_t n = tcp_connect_poll(t, watched, TCP_CONNECT_ADDRESSES);
        e = link_poll(&c->link, watched, n, tcp_connect_deadline(t));
        if (e == OK || e == ERR_TIMEOUT)
            e = step(c, t);
    }
    tcp_connect_drop(t);
    return e;
}

// For a further link: where the host was before, or where its name leads now, which is
// asked aside. "" when that leads nowhere.
static enum err find_again(struct client *c, char *out, size_t size) {
    struct look_up l;
    snprintf(out, size, "%s", redial_address(c));
    if (out[0] != 0)
        return OK;
    TRY(look_up_start(&l, c->host, client_family(&c->config)));
    struct pollfd p = {.fd = l.fd, .events = POLLIN};
    enum err e = link_poll(&c->link, &p, 1, c->deadline);
    if (e == OK)
        look_up_take(&l, out, size);
    look_up_drop(&l);
    out[strcspn(out, "\n")] = 0;
    if (e == OK && out[0] == 0)
        e = fault_set(&c->fault, ERR_NOT_FOUND, 0,
                      "Could not resolve hostname %s: no address", c->host);
    return e;
}

static enum err connect_directly(struct client *c) {
    char again[1100] = "";
    if (c->redial != NULL)
        TRY(find_again(c, again, sizeof again));
    struct tcp_target target = {
        .host = again[0] != 0 ? again : c->host,
        .port = c->config.port,
        .family = client_family(&c->config),
        .bind_address = c->config.bind_address,
        .bind_interface = c->config.bind_interface,
        .deadline = redial_dial_deadline(c),
        .keepalive = c->config.tcp_keep_alive,
        .dscp = -1,
    };
    return race(c, &target);
}

static void start_patience(struct client *c) {
    c->deadline = c->config.connect_timeout == 0
                      ? CLOCK_NEVER
                      : clock_after(clock_ms(), c->config.connect_timeout * 1000ull);
    fault_clear(&c->fault);
}

static enum err attempt(struct client *c, bool proxy) {
    start_patience(c);
    return proxy ? proxy_connect(c) : connect_directly(c);
}

// What a peer behind a program has for an address, nobody knows.
static void name_peer(struct client *c, bool proxy) {
    struct endpoint peer;
    if (!proxy)
        endpoint_peer(&peer, c->link.fd);
    snprintf(c->address, sizeof c->address, "%.79s", proxy ? c->host : peer.text);
    c->is_local = !proxy && address_match_cidr_list("127.0.0.0/8,::1", c->address) ==
                                ADDRESS_MATCH_YES;
}

enum err client_adopt(struct client *c) {
    TRY(name_host(c));
    start_patience(c);
    c->link.heard = clock_ms();
    name_peer(c, false);
    return OK;
}

enum err client_connect(struct client *c) {
    TRY(name_host(c));
    uint64_t start = clock_us();
    bool proxy = proxy_wanted(c);
    enum err e = ERR_TIMEOUT;
    for (uint32_t i = 0; i < c->config.connection_attempts && e != OK; i++) {
        if (i > 0)
            sleep(1);
        e = attempt(c, proxy);
    }
    if (e != OK) {
        struct fault found = c->fault;
        fault_clear(&c->fault);
        return fault_set(&c->fault, e, 0, "ssh: %s", fault_text(&found));
    }
    c->link.heard = clock_ms();
    name_peer(c, proxy);
    if (proxy)
        client_step(c, "link", "%s port %u, through a proxy", c->host, c->config.port);
    else
        client_step(c, "link", "%s port %u, connected in %.1f ms", c->address,
                    c->config.port, (double)(clock_us() - start) / 1000);
    return OK;
}
