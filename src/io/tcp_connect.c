// RFC 8305 without its caching and its asynchronous look-up: the system's resolver has
// sorted the addresses (RFC 6724), here the families take turns (s.4) and the attempts
// are staggered (s.5).
#include "io/tcp_connect.h"

#include <ctype.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/text.h"
#include "io/fault_errno.h"
#include "io/fd.h"
#include "io/tcp.h"

#define NOTES (2 * TCP_CONNECT_ADDRESSES + 2)

struct attempt {
    struct sockaddr_storage address;
    socklen_t length;
    int fd;  // -1: not started, or over
    uint64_t deadline;
};

struct tcp_connect {
    struct tcp_target target;
    char host[256], bind_address[ENDPOINT_TEXT_SIZE * 2], bind_interface[32];
    struct attempt attempts[TCP_CONNECT_ADDRESSES];
    size_t n, next;  // attempts from `next` on are still to be started
    uint64_t next_start;
    int error;  // errno of the last failure
    char notes[NOTES][ENDPOINT_TEXT_SIZE + 96];
    size_t notes_n, notes_told;
};

static void note(struct tcp_connect *c, const struct attempt *a, const char *what) {
    struct endpoint shown;
    if (c->notes_n >= NOTES)
        return;
    endpoint_of(&shown, (const struct sockaddr *)&a->address, a->length);
    snprintf(c->notes[c->notes_n++], sizeof c->notes[0], "%s port %u: %s", shown.text,
             shown.port, what);
}

bool tcp_connect_add(struct tcp_connect *c, const struct sockaddr *address, socklen_t n) {
    if (c->n >= TCP_CONNECT_ADDRESSES || n > sizeof c->attempts[0].address)
        return false;
    struct attempt *a = &c->attempts[c->n++];
    memcpy(&a->address, address, n);
    a->length = n;
    a->fd = -1;
    return true;
}

static const struct addrinfo *next_of(const struct addrinfo *ai, int family, bool same) {
    while (ai != NULL && (ai->ai_family == family) != same)
        ai = ai->ai_next;
    return ai;
}

// The families take turns, the first one of the resolver's choice.
static void interleave(struct tcp_connect *c, const struct addrinfo *list) {
    int family = list->ai_family;
    const struct addrinfo *one = list, *other = next_of(list, family, false);
    while ((one != NULL || other != NULL) && c->n < TCP_CONNECT_ADDRESSES) {
        if (one != NULL) {
            (void)tcp_connect_add(c, one->ai_addr, one->ai_addrlen);
            one = next_of(one->ai_next, family, true);
        }
        if (other != NULL && c->n < TCP_CONNECT_ADDRESSES) {
            (void)tcp_connect_add(c, other->ai_addr, other->ai_addrlen);
            other = next_of(other->ai_next, family, false);
        }
    }
}

// The words, here and in fail(), are OpenSSH's: scripts and editors look for them.
static enum err look_up(struct tcp_connect *c, struct fault *f) {
    struct addrinfo hints = {.ai_family = c->target.family,
                             .ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_NUMERICSERV};
    struct addrinfo *list = NULL;
    char port[8], shown[256];
    snprintf(port, sizeof port, "%u", c->target.port);
    int bad = getaddrinfo(c->host, port, &hints, &list);
    if (bad != 0)
        return fault_set(f, ERR_NOT_FOUND, 0, "Could not resolve hostname %s: %s",
                         text_clean(shown, sizeof shown, view_text(c->host)),
                         bad == EAI_SYSTEM ? strerror(errno) : gai_strerror(bad));
    interleave(c, list);
    freeaddrinfo(list);
    return OK;
}

static const char *keep(char *out, size_t size, const char *s) {
    if (s == NULL || !text_copy(out, size, view_text(s)))
        return NULL;
    return out;
}

enum err tcp_connect_new(struct tcp_connect **out, const struct tcp_target *t,
                         struct fault *f) {
    struct tcp_connect *c = calloc(1, sizeof *c);
    *out = NULL;
    if (c == NULL)
        return fault_set(f, ERR_MEMORY, 0, "out of memory");
    c->target = *t;
    c->target.host = keep(c->host, sizeof c->host, t->host);
    c->target.bind_address =
        keep(c->bind_address, sizeof c->bind_address, t->bind_address);
    c->target.bind_interface =
        keep(c->bind_interface, sizeof c->bind_interface, t->bind_interface);
    if (c->target.step_ms == 0)
        c->target.step_ms = TCP_CONNECT_STEP_MS;
    enum err e = c->target.host == NULL ? fault_set(f, ERR_LIMIT, 0, "host name too long")
                                        : look_up(c, f);
    if (e != OK) {
        tcp_connect_drop(c);
        return e;
    }
    *out = c;
    return OK;
}

void tcp_connect_drop(struct tcp_connect *c) {
    if (c == NULL)
        return;
    for (size_t i = 0; i < c->n; i++)
        fd_close(&c->attempts[i].fd);
    free(c);
}

static void give_up(struct tcp_connect *c, struct attempt *a, int error) {
    c->error = error;
    note(c, a, strerror(error));
    fd_close(&a->fd);
}

// errno says why not.
static bool bind_source(const struct tcp_connect *c, const struct attempt *a) {
    const char *interface = c->target.bind_interface;
    if (interface != NULL && setsockopt(a->fd, SOL_SOCKET, SO_BINDTODEVICE, interface,
                                        (socklen_t)strlen(interface)) != 0)
        return false;
    if (c->target.bind_address == NULL)
        return true;
    struct addrinfo hints = {.ai_family = a->address.ss_family,
                             .ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_PASSIVE};
    struct addrinfo *list = NULL;
    if (getaddrinfo(c->target.bind_address, NULL, &hints, &list) != 0) {
        errno = EADDRNOTAVAIL;
        return false;
    }
    int bad = bind(a->fd, list->ai_addr, list->ai_addrlen);
    freeaddrinfo(list);
    return bad == 0;
}

// Where nobody listens at a port of the range that connections come from, the kernel may
// give a connection that same port, and it meets itself.
static bool meets_itself(int fd) {
    struct sockaddr_storage near = {0}, far = {0};
    socklen_t n = sizeof near, m = sizeof far;
    return getsockname(fd, (struct sockaddr *)&near, &n) == 0 &&
           getpeername(fd, (struct sockaddr *)&far, &m) == 0 && n == m &&
           memcmp(&near, &far, n) == 0;
}

static bool met(struct tcp_connect *c, struct attempt *a) {
    bool itself = meets_itself(a->fd);
    if (itself)
        give_up(c, a, ECONNREFUSED);
    return !itself;
}

// True if it is connected already.
static bool start(struct tcp_connect *c, struct attempt *a, uint64_t now) {
    a->fd = socket(a->address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (a->fd < 0 || !bind_source(c, a)) {
        give_up(c, a, errno);
        return false;
    }
    struct tcp_tuning tuning = {.keepalive = c->target.keepalive, .dscp = c->target.dscp};
    tcp_tune(a->fd, &tuning);
    note(c, a, "connecting");
    a->deadline =
        c->target.each_ms == 0 ? CLOCK_NEVER : clock_after(now, c->target.each_ms);
    c->next_start = clock_after(now, c->target.step_ms);
    if (connect(a->fd, (struct sockaddr *)&a->address, a->length) == 0)
        return met(c, a);
    if (errno != EINPROGRESS)
        give_up(c, a, errno);
    return false;
}

// True if it is connected; a failure lets the next start at once.
static bool look_at(struct tcp_connect *c, struct attempt *a, uint64_t now) {
    struct pollfd p = {.fd = a->fd, .events = POLLOUT};
    int error = 0;
    socklen_t n = sizeof error;
    if (poll(&p, 1, 0) > 0) {
        c->next_start = now;
        if (getsockopt(a->fd, SOL_SOCKET, SO_ERROR, &error, &n) == 0 && error == 0)
            return met(c, a);
        give_up(c, a, error);
    } else if (now >= a->deadline) {
        give_up(c, a, ETIMEDOUT);
        c->next_start = now;
    }
    return false;
}

static bool any_running(const struct tcp_connect *c) {
    for (size_t i = 0; i < c->next; i++)
        if (c->attempts[i].fd >= 0)
            return true;
    return false;
}

static void hand_over(struct tcp_connect *c, struct attempt *a, int *fd) {
    note(c, a, "connected");
    *fd = a->fd;
    a->fd = -1;
}

static enum err fail(const struct tcp_connect *c, int error, struct fault *f) {
    char shown[256];
    errno = error;
    return fault_errno(f, "connect to host %s port %u",
                       text_clean(shown, sizeof shown, view_text(c->host)),
                       c->target.port);
}

enum err tcp_connect_step(struct tcp_connect *c, uint64_t now, int *fd, struct fault *f) {
    *fd = -1;
    for (size_t i = 0; i < c->next; i++) {
        if (c->attempts[i].fd >= 0 && look_at(c, &c->attempts[i], now)) {
            hand_over(c, &c->attempts[i], fd);
            return OK;
        }
    }
    if (now >= c->target.deadline)
        return fail(c, ETIMEDOUT, f);
    while (c->next < c->n && (now >= c->next_start || !any_running(c))) {
        struct attempt *a = &c->attempts[c->next++];
        if (start(c, a, now)) {
            hand_over(c, a, fd);
            return OK;
        }
        if (a->fd < 0)
            c->next_start = now;
    }
    return any_running(c) ? OK : fail(c, c->error, f);
}

size_t tcp_connect_poll(const struct tcp_connect *c, struct pollfd *out, size_t room) {
    size_t n = 0;
    for (size_t i = 0; i < c->next && n < room; i++)
        if (c->attempts[i].fd >= 0)
            out[n++] = (struct pollfd){.fd = c->attempts[i].fd, .events = POLLOUT};
    return n;
}

uint64_t tcp_connect_deadline(const struct tcp_connect *c) {
    uint64_t first = c->target.deadline;
    if (c->next < c->n && c->next_start < first)
        first = c->next_start;
    for (size_t i = 0; i < c->next; i++)
        if (c->attempts[i].fd >= 0 && c->attempts[i].deadline < first)
            first = c->attempts[i].deadline;
    return first;
}

const char *tcp_connect_note(struct tcp_connect *c) {
    return c->notes_told < c->notes_n ? c->notes[c->notes_told++] : NULL;
}

int tcp_connect_error(const struct tcp_connect *c) {
    return c->error;
}

enum err tcp_connect(const struct tcp_target *t, int *fd,
                     void (*tell)(void *arg, const char *line), void *arg,
                     struct fault *f) {
    struct tcp_connect *c;
    *fd = -1;
    TRY(tcp_connect_new(&c, t, f));
    enum err e = OK;
    for (;;) {
        struct pollfd watched[TCP_CONNECT_ADDRESSES];
        e = tcp_connect_step(c, clock_ms(), fd, f);
        for (const char *line; (line = tcp_connect_note(c)) != NULL;)
            if (tell != NULL)
                tell(arg, line);
        if (e != OK || *fd >= 0)
            break;
        size_t n = tcp_connect_poll(c, watched, TCP_CONNECT_ADDRESSES);
        (void)poll(watched, n, clock_poll_ms(clock_ms(), tcp_connect_deadline(c)));
    }
    tcp_connect_drop(c);
    return e;
}

enum err tcp_canonical_name(const char *host, int family, char *out, size_t size) {
    struct addrinfo hints = {
        .ai_family = family, .ai_socktype = SOCK_STREAM, .ai_flags = AI_CANONNAME};
    struct addrinfo *list = NULL;
    out[0] = '\0';
    if (getaddrinfo(host, NULL, &hints, &list) != 0)
        return ERR_NOT_FOUND;
    if (list->ai_canonname != NULL &&
        !text_copy(out, size, view_text(list->ai_canonname)))
        out[0] = '\0';
    freeaddrinfo(list);
    for (char *p = out; *p != '\0'; p++)
        *p = (char)tolower((unsigned char)*p);
    return OK;
}
