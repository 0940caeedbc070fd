// Questions to rtnetlink(7): RTM_GETROUTE for the peer's address, and the table of
// neighbours for the gateway's hardware address. Sizes that the kernel tells are checked
// all the same.
#include "io/route.h"

#include <arpa/inet.h>
#include <linux/neighbour.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "io/fd.h"

#define ANSWER_SIZE 32768
#define WAIT_S 1

struct address {
    int family;
    uint8_t bytes[16];
    size_t n;
};

struct question {
    struct nlmsghdr head;
    union {
        struct rtmsg route;
        struct ndmsg neighbour;
    };
    uint8_t attributes[64];
};

typedef int name_of(int fd, struct sockaddr *restrict s, socklen_t *restrict n);

// getpeername() or getsockname() of an IP socket.
static bool end_of(int fd, name_of *which, struct address *a) {
    struct sockaddr_storage s;
    socklen_t n = sizeof s;
    if (which(fd, (struct sockaddr *)&s, &n) != 0)
        return false;
    a->family = s.ss_family;
    a->n = s.ss_family == AF_INET ? 4 : 16;
    if (s.ss_family == AF_INET)
        memcpy(a->bytes, &((struct sockaddr_in *)(void *)&s)->sin_addr, 4);
    else if (s.ss_family == AF_INET6)
        memcpy(a->bytes, &((struct sockaddr_in6 *)(void *)&s)->sin6_addr, 16);
    return s.ss_family == AF_INET || s.ss_family == AF_INET6;
}

// The attribute of a kind in the message behind `skip` bytes; NULL: none.
static const struct rtattr *find(const struct nlmsghdr *h, size_t skip, int kind) {
    const struct rtattr *a =
        (const struct rtattr *)(const void *)((const char *)NLMSG_DATA(h) +
                                              NLMSG_ALIGN(skip));
    int left = (int)h->nlmsg_len - (int)NLMSG_LENGTH(NLMSG_ALIGN(skip));
    for (; left > 0 && RTA_OK(a, left); a = RTA_NEXT(a, left))
        if (a->rta_type == kind)
            return a;
    return NULL;
}

static bool ask(int fd, struct question *q) {
    return send(fd, q, q->head.nlmsg_len, 0) == (ssize_t)q->head.nlmsg_len;
}

// Calls each() for the messages of an answer until it says yes or they end.
static bool any(int fd, uint16_t type,
                bool (*each)(const struct nlmsghdr *h, const struct address *about,
                             void *out),
                const struct address *about, void *out) {
    static _Alignas(struct nlmsghdr) char room[ANSWER_SIZE];
    for (;;) {
        ssize_t n = recv(fd, room, sizeof room, 0);
        if (n <= 0)
            return false;
        unsigned left = (unsigned)n;
        const struct nlmsghdr *h = (const struct nlmsghdr *)(const void *)room;
        for (; NLMSG_OK(h, left); h = NLMSG_NEXT(h, left)) {
            if (h->nlmsg_type == NLMSG_DONE || h->nlmsg_type == NLMSG_ERROR)
                return false;
            if (h->nlmsg_type == type && each(h, about, out))
                return true;
            if ((h->nlmsg_flags & NLM_F_MULTI) == 0)
                return false;
        }
    }
}

static bool take(const struct rtattr *a, struct address *out) {
    if (a == NULL || RTA_PAYLOAD(a) == 0 || RTA_PAYLOAD(a) > sizeof out->bytes)
        return false;
    out->n = RTA_PAYLOAD(a);
    memcpy(out->bytes, RTA_DATA(a), out->n);
    return true;
}

static bool is_route(const struct nlmsghdr *h, const struct address *about, void *out) {
    struct address *gateway = out;
    *gateway = (struct address){.family = about->family};
    (void)take(find(h, sizeof(struct rtmsg), RTA_GATEWAY), gateway);
    return true;
}

static bool is_neighbour(const struct nlmsghdr *h, const struct address *about,
                         void *out) {
    struct address who;
    return take(find(h, sizeof(struct ndmsg), NDA_DST), &who) && who.n == about->n &&
           memcmp(who.bytes, about->bytes, who.n) == 0 &&
           take(find(h, sizeof(struct ndmsg), NDA_LLADDR), out);
}

static void attach(struct question *q, unsigned short kind, const struct address *what) {
    struct rtattr *a =
        (struct rtattr *)(void *)((char *)q + NLMSG_ALIGN(q->head.nlmsg_len));
    a->rta_type = kind;
    a->rta_len = (unsigned short)RTA_LENGTH(what->n);
    memcpy(RTA_DATA(a), what->bytes, what->n);
    q->head.nlmsg_len = NLMSG_ALIGN(q->head.nlmsg_len) + RTA_ALIGN(a->rta_len);
}

// from: NULL, or the address that packets have.
static bool ask_route(int fd, const struct address *peer, const struct address *from) {
    struct question q = {.head = {.nlmsg_len = NLMSG_LENGTH(sizeof q.route),
                                  .nlmsg_type = RTM_GETROUTE,
                                  .nlmsg_flags = NLM_F_REQUEST},
                         .route = {.rtm_family = (unsigned char)peer->family,
                                   .rtm_dst_len = (unsigned char)(peer->n * 8)}};
    attach(&q, RTA_DST, peer);
    if (from != NULL) {
        q.route.rtm_src_len = (unsigned char)(from->n * 8);
        attach(&q, RTA_SRC, from);
    }
    return ask(fd, &q);
}

static bool gateway_of(int fd, const struct address *peer, struct address *out) {
    return ask_route(fd, peer, NULL) && any(fd, RTM_NEWROUTE, is_route, peer, out);
}

static void name_hardware(int fd, const struct address *gateway, struct route *out) {
    struct address found;
    struct question q = {.head = {.nlmsg_len = NLMSG_LENGTH(sizeof q.neighbour),
                                  .nlmsg_type = RTM_GETNEIGH,
                                  .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
                         .neighbour = {.ndm_family = (unsigned char)gateway->family}};
    if (!ask(fd, &q) || !any(fd, RTM_NEWNEIGH, is_neighbour, gateway, &found))
        return;
    for (size_t i = 0; i < found.n; i++)
        snprintf(out->hardware + 2 * i, 3, "%02x", found.bytes[i]);
}

// -1: the system does not tell.
static int open_netlink(void) {
    struct timeval patience = {.tv_sec = WAIT_S};
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    if (fd >= 0 &&
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) != 0)
        fd_close(&fd);
    return fd;
}

bool route_of(int fd, struct route *out) {
    struct address peer, gateway;
    *out = (struct route){.gateway = ""};
    if (!end_of(fd, getpeername, &peer))
        return false;
    scoped_fd link = open_netlink();
    if (link < 0 || !gateway_of(link, &peer, &gateway))
        return false;
    if (gateway.n > 0 && inet_ntop(gateway.family, gateway.bytes, out->gateway,
                                   sizeof out->gateway) != NULL)
        name_hardware(link, &gateway, out);
    return true;
}

// ---- has it changed? ----

static bool is_exit(const struct nlmsghdr *h, const struct address *about, void *out) {
    const struct rtmsg *route = NLMSG_DATA(h);
    struct route_exit *e = out;
    struct address a = {.n = 0};
    (void)about;
    if (h->nlmsg_len < NLMSG_LENGTH(sizeof *route) ||
        (route->rtm_type != RTN_UNICAST && route->rtm_type != RTN_LOCAL))
        return false;
    e->there = true;
    if (take(find(h, sizeof *route, RTA_OIF), &a) && a.n == sizeof e->interface)
        memcpy(&e->interface, a.bytes, sizeof e->interface);
    if (take(find(h, sizeof *route, RTA_GATEWAY), &a))
        memcpy(e->gateway, a.bytes, a.n);
    if (take(find(h, sizeof *route, RTA_PREFSRC), &a))
        memcpy(e->source, a.bytes, a.n);
    return true;
}

static struct route_exit exit_to(int fd, const struct address *peer,
                                 const struct address *from) {
    struct route_exit e = {0};
    if (ask_route(fd, peer, from))
        (void)any(fd, RTM_NEWROUTE, is_exit, peer, &e);
    return e;
}

// Is it still an address of this machine? IPv6 routes do not depend on that.
static bool is_ours(const struct address *local) {
    struct sockaddr_in in = {.sin_family = AF_INET};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
    bool old = local->family == AF_INET;
    scoped_fd fd = socket(local->family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    memcpy(old ? (void *)&in.sin_addr : &in6.sin6_addr, local->bytes, local->n);
    return fd >= 0 && bind(fd, old ? (struct sockaddr *)&in : (struct sockaddr *)&in6,
                           old ? sizeof in : sizeof in6) == 0;
}

static struct address address_of(int family, const uint8_t *bytes) {
    struct address a = {.family = family, .n = family == AF_INET ? 4 : 16};
    memcpy(a.bytes, bytes, a.n);
    return a;
}

// Without a word of the system nothing is known any more.
static void look(struct route_way *w) {
    struct address peer = address_of(w->family, w->peer);
    struct address local = address_of(w->family, w->local);
    scoped_fd link = open_netlink();
    if (link < 0) {
        w->family = 0;
        return;
    }
    w->fresh = exit_to(link, &peer, NULL);
    w->own = (struct route_exit){0};
    if (is_ours(&local))
        w->own = exit_to(link, &peer, &local);
}

void route_way_note(struct route_way *w, int fd) {
    struct address peer, local;
    *w = (struct route_way){0};
    if (!end_of(fd, getpeername, &peer) || !end_of(fd, getsockname, &local))
        return;
    // The way to a link-local address is the interface that it was asked for on.
    if (peer.family == AF_INET6 && peer.bytes[0] == 0xfe &&
        (peer.bytes[1] & 0xc0) == 0x80)
        return;
    w->family = peer.family;
    memcpy(w->peer, peer.bytes, peer.n);
    memcpy(w->local, local.bytes, local.n);
    look(w);
}

static bool is_other(const struct route_exit *a, const struct route_exit *b) {
    return a->there != b->there || a->interface != b->interface ||
           memcmp(a->gateway, b->gateway, sizeof a->gateway) != 0 ||
           memcmp(a->source, b->source, sizeof a->source) != 0;
}

struct route_changed route_way_look(struct route_way *w) {
    struct route_way before = *w;
    if (w->family != 0)
        look(w);
    bool blind = w->family == 0;
    return (struct route_changed){.own = blind || is_other(&before.own, &w->own),
                                  .fresh = blind || is_other(&before.fresh, &w->fresh)};
}
