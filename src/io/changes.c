#include "io/changes.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "io/fd.h"

// Far away: only its being cancelled is of interest, which happens when the wall clock is
// set, and that is what waking up does.
#define FAR_S (100ll * 365 * 24 * 3600)

static void arm(int fd) {
    struct timespec now = {0};
    (void)clock_gettime(CLOCK_REALTIME, &now);
    struct itimerspec far = {.it_value = {now.tv_sec + FAR_S, 0}};
    (void)timerfd_settime(fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &far, NULL);
}

void changes_open(struct changes *c) {
    struct sockaddr_nl groups = {.nl_family = AF_NETLINK,
                                 .nl_groups = RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR |
                                              RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE};
    c->netlink =
        socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
    if (c->netlink >= 0 &&
        bind(c->netlink, (struct sockaddr *)&groups, sizeof groups) != 0)
        fd_close(&c->netlink);
    c->clock = timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK);
    if (c->clock >= 0)
        arm(c->clock);
}

void changes_close(struct changes *c) {
    fd_close(&c->netlink);
    fd_close(&c->clock);
}

void changes_poll(const struct changes *c, struct pollfd *p) {
    p[0] = (struct pollfd){.fd = c->netlink, .events = POLLIN};
    p[1] = (struct pollfd){.fd = c->clock, .events = POLLIN};
}

static bool take_netlink(struct changes *c) {
    char room[8192];
    bool any = false;
    for (;;) {
        ssize_t n = recv(c->netlink, room, sizeof room, MSG_DONTWAIT);
        // More than the socket could hold has changed.
        if (n > 0 || (n < 0 && errno == ENOBUFS)) {
            any = true;
            continue;
        }
        if (n == 0 || (errno != EAGAIN && errno != EINTR))
            fd_close(&c->netlink);
        return any;
    }
}

static bool take_clock(struct changes *c) {
    uint64_t count;
    bool woken = read(c->clock, &count, sizeof count) < 0 && errno == ECANCELED;
    arm(c->clock);
    return woken;
}

struct changes_seen changes_take(struct changes *c, const struct pollfd *p) {
    return (struct changes_seen){
        .network = c->netlink >= 0 && p[0].revents != 0 && take_netlink(c),
        .awake = c->clock >= 0 && p[1].revents != 0 && take_clock(c)};
}
