// Sockets that listen for the peer: tcpip-forward and streamlocal-forward@openssh.com
// (RFC 4254 s.7.1), displays, the agent's. What connects is offered to the peer as a
// channel.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/address.h"
#include "base/limits.h"
#include "base/text.h"
#include "io/fd.h"
#include "io/tcp.h"
#include "io/unix_socket.h"
#include "server/forward.h"

#define PAUSE_MS 1000u  // without descriptors
#define ACCEPTS_A_TURN 16
#define PORT_TRIES 16

// ---- accepting ----

static void offer(struct forward_listener *l, int fd, const struct endpoint *peer) {
    const struct request_empty none = {0};
    const struct open_tcpip tcp = {view_text(l->host), l->port, view_text(peer->text),
                                   peer->port};
    const struct open_forwarded_streamlocal local = {view_text(l->host), view_text("")};
    const struct open_x11 x11 = {view_text(peer->text), peer->port};
    const void *fields[] = {[LISTEN_TCP] = &tcp,
                            [LISTEN_UNIX] = &local,
                            [LISTEN_AGENT] = &none,
                            [LISTEN_X11] = &x11};
    static const char *const timeouts[] = {[LISTEN_TCP] = "forwarded-tcpip",
                                           [LISTEN_UNIX] =
                                               "forwarded-streamlocal@openssh.com",
                                           [LISTEN_AGENT] = "agent-connection",
                                           [LISTEN_X11] = "x11-connection"};
    struct forward *f =
        forward_offer(l->holder, fd, l->type, fields[l->kind], timeouts[l->kind]);
    if (f == NULL)
        return;
    text_copy(f->job.host, sizeof f->job.host, view_text(l->host));
    f->job.port = l->port;
}

static void set_events(struct forward_listener *l, uint32_t events) {
    for (size_t i = 0; i < l->n; i++) {
        enum err e = loop_change(&l->holder->loop, &l->watches[i], events);
        (void)e;
    }
}

static void resume(void *arg) {
    set_events(arg, LOOP_IN);
}

static void pause_listening(struct forward_listener *l) {
    set_events(l, 0);
    enum err e =
        loop_timer_set(&l->holder->loop, &l->resume, clock_ms() + PAUSE_MS, resume, l);
    (void)e;
}

// True: there may be more.
static bool accept_one(struct forward_listener *l, int listener) {
    struct endpoint peer = {.text = ""};
    bool is_unix = l->kind == LISTEN_UNIX || l->kind == LISTEN_AGENT;
    int fd = -1;
    enum err e = is_unix ? unix_accept(listener, &fd) : tcp_accept(listener, &fd, &peer);
    if (e != OK)
        pause_listening(l);
    if (e != OK || fd < 0)
        return false;
    offer(l, fd, &peer);
    return true;
}

static void on_listener(void *arg, uint32_t ready) {
    struct forward_listener *l = arg;
    (void)ready;
    for (size_t i = 0; i < l->n; i++)
        for (int k = 0; k < ACCEPTS_A_TURN && accept_one(l, l->fds[i]); k++)
            if (l->single) {
                set_events(l, 0);
                return;
            }
}

// ---- the list ----

static size_t count(const struct holder *h) {
    size_t n = 0;
    for (const struct forward_listener *l = h->listeners; l != NULL; l = l->next)
        n++;
    return n;
}

static void close_all(const int *fds, size_t n) {
    for (size_t i = 0; i < n; i++)
        close(fds[i]);
}

struct forward_listener *listener_add(struct holder *h, enum listen_kind kind,
                                      const int *fds, size_t n) {
    static const char *const types[] = {[LISTEN_TCP] = "forwarded-tcpip",
                                        [LISTEN_UNIX] =
                                            "forwarded-streamlocal@openssh.com",
                                        [LISTEN_AGENT] = "auth-agent@openssh.com",
                                        [LISTEN_X11] = "x11"};
    struct forward_listener *l = count(h) < LIMIT_LISTENERS ? calloc(1, sizeof *l) : NULL;
    if (l == NULL) {
        close_all(fds, n);
        return NULL;
    }
    l->holder = h;
    l->kind = kind;
    l->type = types[kind];
    l->next = h->listeners;
    h->listeners = l;
    memcpy(l->fds, fds, n * sizeof fds[0]);
    l->n = n;
    for (size_t i = 0; i < n; i++)
        if (loop_watch(&h->loop, &l->watches[i], fds[i], LOOP_IN, on_listener, l) != OK) {
            listener_end(l);
            return NULL;
        }
    return l;
}

static void tell(struct holder *h, enum event_number number, const char *kind,
                 const char *host, uint32_t port, const char *reason) {
    struct ipc_event e = {.kind = view_text(kind),
                          .host = view_text(host),
                          .port = port,
                          .reason = view_text(reason)};
    holder_tell(h, number, &e);
}

void listener_opened(struct forward_listener *l) {
    l->told = true;
    tell(l->holder, EVENT_LISTEN_OPENED, l->type, l->host, l->port, "");
}

void listener_end(struct forward_listener *l) {
    struct holder *h = l->holder;
    if (l->told)
        tell(h, EVENT_LISTEN_CLOSED, l->type, l->host, l->port, "");
    for (size_t i = 0; i < l->n; i++) {
        loop_unwatch(&h->loop, &l->watches[i]);
        fd_close(&l->fds[i]);
    }
    loop_timer_unset(&h->loop, &l->resume);
    if (l->kind == LISTEN_UNIX)  // the agent's goes with its folder
        unlink(l->host);
    for (struct forward_listener **at = &h->listeners; *at != NULL; at = &(*at)->next)
        if (*at == l) {
            *at = l->next;
            break;
        }
    free(l);
}

void listeners_end(struct holder *h) {
    while (h->listeners != NULL)
        listener_end(h->listeners);
}

// ---- ports ----

static const struct family {
    int family;
    int excluded_by;  // CONF_ADDRESS_FAMILY_…
    const char *loopback, *any;
} families[] = {
    {AF_INET, CONF_ADDRESS_FAMILY_INET6, "127.0.0.1", "0.0.0.0"},
    {AF_INET6, CONF_ADDRESS_FAMILY_INET, "::1", "::"},
};

static bool family_is_missing(int error) {
    return error == EAFNOSUPPORT || error == EADDRNOTAVAIL || error == EPROTONOSUPPORT;
}

static bool listen_address(const char *address, uint16_t *port, int *fd) {
    struct tcp_listen want = {.address = address, .port = *port, .family = AF_UNSPEC};
    struct endpoint local;
    size_t n;
    if (tcp_listen(&want, fd, 1, &n, NULL) != OK)
        return false;
    if (*port == 0) {
        endpoint_local(&local, *fd);
        *port = local.port;
    }
    return true;
}

// Every family that the machine has: else somebody else's socket could answer for it.
static bool listen_once(const struct holder *h, bool loopback, uint16_t *port, int *fds,
                        size_t *n) {
    *n = 0;
    for (size_t i = 0; i < 2; i++) {
        const struct family *f = &families[i];
        if (h->config.address_family == f->excluded_by)
            continue;
        if (listen_address(loopback ? f->loopback : f->any, port, &fds[*n])) {
            (*n)++;
        } else if (!family_is_missing(errno)) {
            close_all(fds, *n);
            return false;
        }
    }
    return *n > 0;
}

bool listen_tcp(const struct holder *h, bool loopback, uint16_t *port, int *fds,
                size_t *n) {
    // A port that is free for one family may be taken for the other.
    for (int i = 0; i < PORT_TRIES; i++) {
        uint16_t one = *port;
        if (listen_once(h, loopback, &one, fds, n)) {
            *port = one;
            return true;
        }
        if (*port != 0)
            break;
    }
    return false;
}

// RFC 4254 s.7.1, bounded by GatewayPorts: loopback, everywhere, or one address.
static bool listen_as_asked(const struct holder *h, const char *host, uint16_t *port,
                            int *fds, size_t *n) {
    struct address a;
    int gateway = h->config.gateway_ports;
    if (gateway == GATEWAY_NO ||
        (gateway == GATEWAY_CLIENT_SPECIFIED && strcmp(host, "localhost") == 0))
        return listen_tcp(h, true, port, fds, n);
    if (gateway == GATEWAY_YES || host[0] == '\0' || strcmp(host, "*") == 0)
        return listen_tcp(h, false, port, fds, n);
    // Names would have to be looked up; they are not taken.
    *n = address_parse(&a, host) && listen_address(host, port, fds) ? 1 : 0;
    return *n > 0;
}

static struct forward_listener *find(struct holder *h, enum listen_kind kind,
                                     const char *host, uint32_t port) {
    for (struct forward_listener *l = h->listeners; l != NULL; l = l->next)
        if (l->kind == kind && l->port == port && strcmp(l->host, host) == 0)
            return l;
    return NULL;
}

static bool listen_is_permitted(const struct holder *h, const char *host, uint32_t port) {
    uint32_t permits = h->start->verdict->permits;
    if (port != 0 && port < 1024 && getuid() != 0)
        return false;
    return forward_allowed(&h->config, permits, FORWARD_WANT_TCP_LISTEN) &&
           forward_in_list(&h->config.permit_listen, host, port) &&
           forward_in_list(&h->key_listen, host, port);
}

bool listen_request(struct holder *h, const struct request_forward *r, uint32_t *port) {
    char host[256], shown[300];
    int fds[LISTEN_SOCKETS];
    size_t n;
    uint16_t bound = (uint16_t)r->port;
    if (!text_copy(host, sizeof host, r->address))
        return false;
    text_clean(shown, sizeof shown, r->address);
    if (!listen_is_permitted(h, host, r->port)) {
        log_info(&h->log,
                 "Received request from %s port %u to remote forward to host %s port "
                 "%u, but the request was denied.",
                 h->start->peer, h->start->peer_port, shown, r->port);
        tell(h, EVENT_LISTEN_REFUSED, "forwarded-tcpip", host, r->port, "not-permitted");
        return false;
    }
    if ((bound != 0 && find(h, LISTEN_TCP, host, bound) != NULL) ||
        !listen_as_asked(h, host, &bound, fds, &n)) {
        log_info(&h->log, "cannot listen on %s port %u for %s", shown, r->port, h->user);
        tell(h, EVENT_LISTEN_REFUSED, "forwarded-tcpip", host, r->port, "failed");
        return false;
    }
    struct forward_listener *l = listener_add(h, LISTEN_TCP, fds, n);
    if (l == NULL)
        return false;
    text_copy(l->host, sizeof l->host, r->address);
    l->port = bound;
    *port = bound;
    listener_opened(l);
    return true;
}

bool listen_cancel(struct holder *h, const struct request_forward *r) {
    char host[256];
    struct forward_listener *l = text_copy(host, sizeof host, r->address)
                                     ? find(h, LISTEN_TCP, host, r->port)
                                     : NULL;
    if (l != NULL)
        listener_end(l);
    return l != NULL;
}

// ---- paths ----

bool listen_unix_request(struct holder *h, const struct request_streamlocal *r) {
    struct fault fault = {0};
    char path[108];
    int fd;
    mode_t mode = 0777 & ~(mode_t)h->config.stream_local_bind_mask;
    if (!text_copy(path, sizeof path, r->path))
        return false;
    if (!forward_allowed(&h->config, h->start->verdict->permits,
                         FORWARD_WANT_UNIX_LISTEN)) {
        log_info(&h->log,
                 "Received request from %s port %u to listen on a path, but the request "
                 "was denied.",
                 h->start->peer, h->start->peer_port);
        tell(h, EVENT_LISTEN_REFUSED, "forwarded-streamlocal@openssh.com", path, 0,
             "not-permitted");
        return false;
    }
    if (unix_listen(path, SOCK_STREAM, mode, h->config.stream_local_bind_unlink, &fd,
                    &fault) != OK) {
        log_info(&h->log, "%s", fault_text(&fault));
        tell(h, EVENT_LISTEN_REFUSED, "forwarded-streamlocal@openssh.com", path, 0,
             "failed");
        return false;
    }
    struct forward_listener *l = listener_add(h, LISTEN_UNIX, &fd, 1);
    if (l == NULL) {
        unlink(path);
        return false;
    }
    text_copy(l->host, sizeof l->host, r->path);
    listener_opened(l);
    return true;
}

bool listen_unix_cancel(struct holder *h, const struct request_streamlocal *r) {
    char path[108];
    struct forward_listener *l =
        text_copy(path, sizeof path, r->path) ? find(h, LISTEN_UNIX, path, 0) : NULL;
    if (l != NULL)
        listener_end(l);
    return l != NULL;
}
