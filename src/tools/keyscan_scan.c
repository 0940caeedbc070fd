// Many servers at a time, each as far as its host key. Every wait has two ends: silence
// for the timeout, and a few times that in all, so that one who trickles ends too.
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/text.h"
#include "base/version.h"
#include "io/clock.h"
#include "io/fd.h"
#include "io/tcp_connect.h"
#include "tools/keyscan.h"
#include "transport/transport.h"

#define CONNS_MAX 128
#define POLLS_EACH TCP_CONNECT_ADDRESSES
#define WHOLE_TIMES 4  // of the timeout
#define LOOKUP                                                                           \
    "Could not resolve hostname "  // how tcp_connect begins; OpenSSH has another word
                                   // here

struct lists {
    struct buf kex, ciphers, macs;
};

struct conn {
    struct tcp_connect *connect;  // while it connects
    int fd;                       // -1: not yet
    struct transport *transport;
    struct transport_config config;
    char *addresses, *next_address, *names;  // owned; next_address into addresses
    char host[256];
    uint64_t silence, end;  // deadlines
    size_t poll_at, poll_n;
};

struct scan {
    struct keyscan *k;
    struct keyscan_hosts hosts;
    const char *addresses, *names;  // of the host whose types are under way
    size_t type;
    struct lists lists;
    struct conn *conns[CONNS_MAX];
    size_t n, max;
    struct pollfd *polls;
    bool all_started;
};

static void say(const struct scan *s, const char *host, const char *what) {
    if (s->k->verbose > 0)
        keyscan_say("debug1: %s: %s", host, what);
}

// ---- one connection ----

static void conn_close(struct conn *c) {
    tcp_connect_drop(c->connect);
    transport_free(c->transport);
    fd_close(&c->fd);
    c->connect = NULL;
    c->transport = NULL;
}

static void conn_free(struct conn *c) {
    conn_close(c);
    free(c->addresses);
    free(c->names);
    free(c);
}

static void heard(const struct scan *s, struct conn *c) {
    c->silence = clock_after(clock_ms(), s->k->timeout_s * 1000ull);
}

// The next address of the list; false: there are no more, or its name is unknown.
static bool conn_start(struct scan *s, struct conn *c) {
    struct fault f = {0};
    conn_close(c);
    const char *host = strsep(&c->next_address, ",");
    if (host == NULL || !text_copy(c->host, sizeof c->host, view_text(host)))
        return false;
    heard(s, c);
    c->end = clock_after(clock_ms(), s->k->timeout_s * 1000ull * WHOLE_TIMES);
    struct tcp_target target = {.host = c->host,
                                .port = s->k->port,
                                .family = s->k->family,
                                .deadline = c->silence,
                                .dscp = -1};
    if (tcp_connect_new(&c->connect, &target, &f) == OK)
        return true;
    bool lookup = strncmp(fault_text(&f), LOOKUP, strlen(LOOKUP)) == 0;
    keyscan_say("%s%s", lookup ? "getaddrinfo " : "",
                fault_text(&f) + (lookup ? strlen(LOOKUP) : 0));
    return conn_start(s, c);
}

// Gives up this address; true: another one is tried.
static bool conn_give_up(struct scan *s, struct conn *c, const char *why) {
    say(s, c->host, why);
    return conn_start(s, c);
}

static enum err conn_flush(struct conn *c) {
    for (struct view v; (v = transport_out(c->transport)).n > 0;) {
        size_t n = 0;
        TRY(fd_write_some(c->fd, v, &n));
        if (n == 0)
            return OK;
        transport_out_done(c->transport, n);
    }
    return OK;
}

// *done: the key is there.
static enum err conn_events(struct scan *s, struct conn *c, bool *done) {
    struct transport_event event;
    do {
        TRY(transport_next(c->transport, &event));
        if (event.kind == TRANSPORT_IDENT) {
            keyscan_print_greeting(s->k, c->host, event.data);
        } else if (event.kind == TRANSPORT_HOST_KEY) {
            keyscan_print_key(s->k, c->names, event.host_key);
            *done = true;
            return OK;
        } else if (event.kind == TRANSPORT_CLOSED) {
            return ERR_CLOSED;
        }
    } while (event.kind != TRANSPORT_NONE);
    return OK;
}

static enum err conn_read(struct scan *s, struct conn *c, bool *done) {
    for (;;) {
        struct span room = transport_in(c->transport);
        size_t n = 0;
        if (room.n == 0)
            return ERR_LIMIT;
        TRY(fd_read_some(c->fd, room, &n));
        if (n == 0)
            return conn_flush(c);
        heard(s, c);
        TRY(transport_in_done(c->transport, n, clock_ms()));
        TRY(conn_events(s, c, done));
        if (*done)
            return OK;
    }
}

static enum err conn_connected(struct scan *s, struct conn *c, int fd) {
    tcp_connect_drop(c->connect);
    c->connect = NULL;
    c->fd = fd;
    heard(s, c);
    TRY(transport_new(&c->transport, &c->config, clock_ms()));
    return conn_flush(c);
}

static enum err conn_step(struct scan *s, struct conn *c, bool *done, struct fault *f) {
    int fd = -1;
    if (c->connect == NULL) {
        TRY(conn_flush(c));
        return conn_read(s, c, done);
    }
    TRY(tcp_connect_step(c->connect, clock_ms(), &fd, f));
    return fd >= 0 ? conn_connected(s, c, fd) : OK;
}

// False: it is over.
static bool conn_turn(struct scan *s, struct conn *c) {
    struct fault f = {0};
    bool done = false, ready = c->poll_n == 0;
    uint64_t now = clock_ms();
    for (size_t i = 0; i < c->poll_n; i++)
        ready |= s->polls[c->poll_at + i].revents != 0;
    if (c->connect != NULL && tcp_connect_deadline(c->connect) <= now)
        ready = true;
    enum err e = ready ? conn_step(s, c, &done, &f) : OK;
    if (e != OK) {
        if (f.code == OK && c->transport != NULL)
            f = *transport_fault(c->transport);
        return conn_give_up(s, c, f.code != OK ? fault_text(&f) : err_text(e));
    }
    if (!done && (now >= c->silence || now >= c->end))
        return conn_give_up(s, c, "timed out");
    return !done;
}

// ---- all of them ----

static const char *list_text(const struct buf *b) {
    return (const char *)buf_view(b).p;
}

static void configure(struct scan *s, struct conn *c, const struct keyscan_type *type) {
    c->config = (struct transport_config){
        .role = TRANSPORT_CLIENT,
        .ident = "SSH-2.0-Bowline_" BOWLINE_VERSION,
        .kex = list_text(&s->lists.kex),
        .host_key_algorithms = s->k->certificates ? type->certificates : type->algorithms,
        .ciphers_c2s = list_text(&s->lists.ciphers),
        .ciphers_s2c = list_text(&s->lists.ciphers),
        .macs_c2s = list_text(&s->lists.macs),
        .macs_s2c = list_text(&s->lists.macs),
        .compression = "none",
    };
}

static enum err conn_new(struct scan *s, const struct keyscan_type *type) {
    struct conn *c = calloc(1, sizeof *c);
    if (c == NULL)
        return ERR_MEMORY;
    c->fd = -1;
    c->addresses = c->next_address = strdup(s->addresses);
    c->names = strdup(s->names);
    if (c->addresses == NULL || c->names == NULL) {
        conn_free(c);
        return ERR_MEMORY;
    }
    configure(s, c, type);
    if (conn_start(s, c))
        s->conns[s->n++] = c;
    else
        conn_free(c);
    return OK;
}

static enum err start_more(struct scan *s) {
    while (s->n < s->max && !s->all_started) {
        const struct keyscan_type *type =
            s->addresses != NULL ? keyscan_type_at(s->type) : NULL;
        if (type == NULL) {
            s->type = 0;
            s->all_started = !keyscan_hosts_next(&s->hosts, &s->addresses, &s->names);
            continue;
        }
        if ((s->k->types & 1u << s->type++) != 0)
            TRY(conn_new(s, type));
    }
    return OK;
}

static uint64_t conn_poll(const struct conn *c, struct pollfd *p, size_t *n) {
    uint64_t end = c->silence < c->end ? c->silence : c->end;
    *n = 0;
    if (c->connect != NULL) {
        uint64_t next = tcp_connect_deadline(c->connect);
        *n = tcp_connect_poll(c->connect, p, POLLS_EACH);
        return next < end ? next : end;
    }
    bool writes = transport_out(c->transport).n > 0;
    *p = (struct pollfd){.fd = c->fd, .events = (short)(POLLIN | (writes ? POLLOUT : 0))};
    *n = 1;
    return end;
}

static enum err wait_all(struct scan *s) {
    uint64_t first = CLOCK_NEVER;
    size_t n = 0;
    for (size_t i = 0; i < s->n; i++) {
        struct conn *c = s->conns[i];
        c->poll_at = n;
        uint64_t next = conn_poll(c, s->polls + n, &c->poll_n);
        n += c->poll_n;
        // One that has not begun is stepped at once.
        first = c->poll_n == 0 ? 0 : next < first ? next : first;
    }
    if (poll(s->polls, n, clock_poll_ms(clock_ms(), first)) < 0 && errno != EINTR)
        return ERR_IO;
    return OK;
}

static enum err turn(struct scan *s) {
    TRY(wait_all(s));
    for (size_t i = s->n; i-- > 0;) {
        if (conn_turn(s, s->conns[i]))
            continue;
        conn_free(s->conns[i]);
        s->conns[i] = s->conns[--s->n];
    }
    return OK;
}

static enum err make_lists(struct lists *l) {
    struct fault f = {0};
    buf_init(&l->kex, 4096);
    buf_init(&l->ciphers, 4096);
    buf_init(&l->macs, 4096);
    // The cheapest first: nothing secret is exchanged.
    TRY(alg_list_apply(ALG_KEX, ALG_DEFAULT_CLIENT, "^curve25519-sha256", &l->kex, &f));
    TRY(alg_default_list(ALG_CIPHER, ALG_DEFAULT_CLIENT, &l->ciphers));
    return alg_default_list(ALG_MAC, ALG_DEFAULT_CLIENT, &l->macs);
}

int keyscan_scan(struct keyscan *k) {
    struct scan *s = calloc(1, sizeof *s);
    size_t room = (fd_limit_raise(0) - 16) / POLLS_EACH;
    if (s == NULL)
        return KEYSCAN_FATAL;
    s->k = k;
    s->hosts.k = k;
    s->max = room < CONNS_MAX ? (room > 0 ? room : 1) : CONNS_MAX;
    s->polls = calloc(CONNS_MAX * POLLS_EACH, sizeof s->polls[0]);
    enum err e = s->polls == NULL ? ERR_MEMORY : make_lists(&s->lists);
    while (e == OK && (e = start_more(s)) == OK && s->n > 0)
        e = turn(s);
    while (s->n > 0)
        conn_free(s->conns[--s->n]);
    if (e != OK)
        keyscan_say("ssh-keyscan: %s", err_text(e));
    buf_free(&s->lists.kex);
    buf_free(&s->lists.ciphers);
    buf_free(&s->lists.macs);
    free(s->polls);
    free(s);
    return e != OK ? KEYSCAN_FATAL : k->found > 0 ? 0 : 1;
}
