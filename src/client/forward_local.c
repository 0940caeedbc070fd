// Listening here: -L and -D.
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client/forwards.h"
#include "io/clock.h"
#include "io/endpoint.h"
#include "io/fd.h"
#include "io/tcp.h"
#include "io/unix_socket.h"

#define BACKLOG 128
#define ADDRESSES 8
#define PAUSE_MS 1000

static void add(struct forwards *f, struct forward_rule *rule, int fd) {
    f->listeners[f->listeners_n++] = (struct forward_listener){fd, rule};
}

// NULL: all addresses.
static const char *bind_address(const struct forwards *f, const struct forward_rule *r) {
    const char *host = r->spec.listen.host;
    if (!r->spec.host_given)
        return f->c->config.gateway_ports ? NULL : "localhost";
    return host[0] == 0 || strcmp(host, "*") == 0 ? NULL : host;
}

static int family(const struct forwards *f) {
    int wanted = f->c->config.address_family;
    return wanted == CONF_ADDRESS_FAMILY_INET    ? AF_INET
           : wanted == CONF_ADDRESS_FAMILY_INET6 ? AF_INET6
                                                 : AF_UNSPEC;
}

static enum err listen_path(struct forwards *f, struct forward_rule *rule) {
    const struct client_config *o = &f->c->config;
    int fd = -1;
    TRY(unix_listen(rule->spec.listen.path, SOCK_STREAM,
                    0777 & ~(mode_t)o->stream_local_bind_mask,
                    o->stream_local_bind_unlink, &fd, &f->c->fault));
    add(f, rule, fd);
    return OK;
}

enum err forward_listen(struct forwards *f, struct forward_rule *rule) {
    if (f->listeners_n + ADDRESSES > FORWARD_LISTENERS_MAX)
        return fault_set(&f->c->fault, ERR_LIMIT, 0,
                         "more than %d listeners for forwardings",
                         FORWARD_LISTENERS_MAX - ADDRESSES);
    if (rule->spec.listen.path[0] != 0)
        return listen_path(f, rule);
    int fds[ADDRESSES];
    size_t n = 0;
    struct tcp_listen want = {.address = bind_address(f, rule),
                              .port = (uint16_t)rule->spec.listen.port,
                              .family = family(f),
                              .backlog = BACKLOG};
    TRY(tcp_listen(&want, fds, ADDRESSES, &n, &f->c->fault));
    for (size_t i = 0; i < n; i++)
        add(f, rule, fds[i]);
    log_debug(&f->c->log, "listening on %s port %u",
              want.address != NULL ? want.address : "*", want.port);
    return OK;
}

void forward_unlisten(struct forwards *f, const struct forward_rule *rule, bool unlinks) {
    size_t kept = 0;
    for (size_t i = 0; i < f->listeners_n; i++) {
        struct forward_listener *l = &f->listeners[i];
        if (rule != NULL && l->rule != rule) {
            f->listeners[kept++] = *l;
            continue;
        }
        fd_close(&l->fd);
        if (unlinks && l->rule->spec.listen.path[0] != 0)
            (void)unlink(l->rule->spec.listen.path);
    }
    f->listeners_n = kept;
}

static enum err start(struct forwards *f, struct forward_rule *rule, int fd) {
    char to[FORWARD_TEXT + 16] = "whatever is asked for", on[FORWARD_TEXT + 16];
    struct relay *r = relay_new(f, RELAY_ASKED, fd);
    if (r == NULL)
        return ERR_MEMORY;
    r->rule = rule;
    if (rule->spec.dynamic) {
        snprintf(r->what, sizeof r->what, "dynamic forwarding of port %u",
                 rule->spec.listen.port);
        return OK;
    }
    const struct forward_end *end = &rule->spec.connect;
    snprintf(r->what, sizeof r->what, "forwarding of %.60s to %.60s",
             forward_end_text(&rule->spec.listen, on, sizeof on),
             forward_end_text(end, to, sizeof to));
    return relay_open_channel(r, end->host, end->port);
}

enum err forward_accept(struct forwards *f, struct forward_listener *l) {
    struct endpoint peer;
    int fd = -1;
    enum err e = l->rule->spec.listen.path[0] != 0 ? unix_accept(l->fd, &fd)
                                                   : tcp_accept(l->fd, &fd, &peer);
    if (e == ERR_LIMIT) {
        // Out of descriptors: some will come back.
        f->pause = clock_after(clock_ms(), PAUSE_MS);
        return OK;
    }
    if (e != OK || fd < 0)
        return OK;
    return start(f, l->rule, fd);
}
