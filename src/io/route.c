// Two questions to rtnetlink(7): RTM_GETROUTE for the peer's address, then the table of
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
    uint8_t attributes[32];
};

static bool peer_of(int fd, struct address *a) {
    struct sockaddr_storage s;
    socklen_t n = sizeof s;
    if (getpeername(fd, (struct sockaddr *)&s, &n) != 0)
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
                             struct address *out),
                const struct address *about, struct address *out) {
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

static bool is_route(const struct nlmsghdr *h, const struct address *about,
                     struct address *out) {
    *out = (struct address){.family = about->family};
    (void)take(find(h, sizeof(struct rtmsg), RTA_GATEWAY), out);
    return true;
}

static bool is_neighbour(const struct nlmsghdr *h, const struct address *about,
                         struct address *out) {
    struct address who;
    return take(find(h, sizeof(struct ndmsg), NDA_DST), &who) && who.n == about->n &&
           memcmp(who.bytes, about->bytes, who.n) == 0 &&
           take(find(h, sizeof(struct ndmsg), NDA_LLADDR), out);
}

static bool gateway_of(int fd, const struct address *peer, struct address *out) {
    struct question q = {
        .head = {.nlmsg_type = RTM_GETROUTE, .nlmsg_flags = NLM_F_REQUEST},
        .route = {.rtm_family = (unsigned char)peer->family,
                  .rtm_dst_len = (unsigned char)(peer->n * 8)}};
    struct rtattr *a =
        (struct rtattr *)(void *)((char *)&q + NLMSG_LENGTH(sizeof q.route));
    a->rta_type = RTA_DST;
    a->rta_len = (unsigned short)RTA_LENGTH(peer->n);
    memcpy(RTA_DATA(a), peer->bytes, peer->n);
    q.head.nlmsg_len = (uint32_t)(NLMSG_LENGTH(sizeof q.route) + RTA_LENGTH(peer->n));
    return ask(fd, &q) && any(fd, RTM_NEWROUTE, is_route, peer, out);
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

bool route_of(int fd, struct route *out) {
    struct address peer, gateway;
    *out = (struct route){.gateway = ""};
    if (!peer_of(fd, &peer))
        return false;
    scoped_fd link = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    struct timeval patience = {.tv_sec = WAIT_S};
    if (link < 0 ||
        setsockopt(link, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) != 0 ||
        !gateway_of(link, &peer, &gateway))
        return false;
    if (gateway.n > 0 && inet_ntop(gateway.family, gateway.bytes, out->gateway,
                                   sizeof out->gateway) != NULL)
        name_hardware(link, &gateway, out);
    return true;
}
