#include "io/interfaces.h"

#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stddef.h>

#include "io/endpoint.h"

static bool text_of(const struct ifaddrs *i, struct endpoint *out) {
    if (i->ifa_addr == NULL || (i->ifa_flags & IFF_UP) == 0)
        return false;
    int family = i->ifa_addr->sa_family;
    if (family != AF_INET && family != AF_INET6)
        return false;
    endpoint_of(out, i->ifa_addr,
                family == AF_INET ? sizeof(struct sockaddr_in)
                                  : sizeof(struct sockaddr_in6));
    return true;
}

bool interfaces_any(bool (*is)(void *arg, const char *address), void *arg) {
    struct ifaddrs *list;
    struct endpoint text;
    bool found = false;
    if (getifaddrs(&list) != 0)
        return false;
    for (const struct ifaddrs *i = list; i != NULL && !found; i = i->ifa_next)
        found = text_of(i, &text) && is(arg, text.text);
    freeifaddrs(list);
    return found;
}
