#include "io/endpoint.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/un.h>

static const struct endpoint unknown = {
    .text = "UNKNOWN", .port = 65535, .family = AF_UNSPEC};

static void of_in6(struct endpoint *a, const struct sockaddr_in6 *in6) {
    a->port = ntohs(in6->sin6_port);
    if (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr)) {
        inet_ntop(AF_INET, &in6->sin6_addr.s6_addr[12], a->text, sizeof a->text);
        a->family = AF_INET;
        return;
    }
    inet_ntop(AF_INET6, &in6->sin6_addr, a->text, sizeof a->text);
    char zone[IF_NAMESIZE];
    if (in6->sin6_scope_id != 0 && if_indextoname(in6->sin6_scope_id, zone) != NULL) {
        size_t n = strlen(a->text);
        snprintf(a->text + n, sizeof a->text - n, "%%%s", zone);
    }
}

void endpoint_of(struct endpoint *a, const struct sockaddr *sa, socklen_t n) {
    *a = unknown;
    // Copies, for the caller's memory may be aligned for less than the real kind.
    if (n >= sizeof(struct sockaddr_in) && sa->sa_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, sa, sizeof in);
        a->family = AF_INET;
        a->port = ntohs(in.sin_port);
        inet_ntop(AF_INET, &in.sin_addr, a->text, sizeof a->text);
    } else if (n >= sizeof(struct sockaddr_in6) && sa->sa_family == AF_INET6) {
        struct sockaddr_in6 in6;
        memcpy(&in6, sa, sizeof in6);
        a->family = AF_INET6;
        of_in6(a, &in6);
    } else if (n >= sizeof(sa_family_t) && sa->sa_family == AF_UNIX) {
        a->family = AF_UNIX;
    }
}

static void ask(struct endpoint *a, int fd,
                int (*name)(int, struct sockaddr *restrict, socklen_t *restrict)) {
    struct sockaddr_storage ss = {0};
    socklen_t n = sizeof ss;
    *a = unknown;
    if (name(fd, (struct sockaddr *)&ss, &n) == 0)
        endpoint_of(a, (struct sockaddr *)&ss, n);
}

void endpoint_peer(struct endpoint *a, int fd) {
    ask(a, fd, getpeername);
}

void endpoint_local(struct endpoint *a, int fd) {
    ask(a, fd, getsockname);
}
