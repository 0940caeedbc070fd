#include "io/tcp.h"

#include <errno.h>
#include <linux/tcp.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <unistd.h>

#include "io/fault_errno.h"
#include "io/fd.h"

static void set_int(int fd, int level, int name, int value) {
    // Best effort: a pipe or a Unix socket in place of TCP has no such option.
    (void)setsockopt(fd, level, name, &value, sizeof value);
}

static enum err listen_one(const struct tcp_listen *want, const struct addrinfo *ai,
                           int *out) {
    scoped_fd fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return ERR_IO;
    set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (ai->ai_family == AF_INET6)
        set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
    // Accepted sockets inherit it: no window in which a small write waits.
    set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    if (want->interface != NULL &&
        setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, want->interface,
                   (socklen_t)strlen(want->interface)) != 0)
        return ERR_IO;
    if (bind(fd, ai->ai_addr, ai->ai_addrlen) != 0 ||
        listen(fd, want->backlog > 0 ? want->backlog : SOMAXCONN) != 0)
        return ERR_IO;
    *out = fd;
    fd = -1;
    return OK;
}

enum err tcp_listen(const struct tcp_listen *want, int *fds, size_t room, size_t *n,
                    struct fault *f) {
    const char *shown = want->address == NULL ? "*" : want->address;
    struct addrinfo hints = {.ai_family = want->family,
                             .ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *list = NULL;
    char port[8];
    *n = 0;
    snprintf(port, sizeof port, "%u", want->port);
    int bad = getaddrinfo(want->address, port, &hints, &list);
    if (bad != 0)
        return fault_set(f, ERR_NOT_FOUND, 0, "listen on %s: %s", shown,
                         gai_strerror(bad));
    int why = 0;
    for (struct addrinfo *ai = list; ai != NULL && *n < room; ai = ai->ai_next) {
        if (listen_one(want, ai, &fds[*n]) == OK)
            (*n)++;
        else
            why = errno;
    }
    freeaddrinfo(list);
    if (*n > 0)
        return OK;
    errno = why;
    if (want->interface != NULL)
        return fault_errno(f, "listen on %s port %u rdomain %s", shown, want->port,
                           want->interface);
    return fault_errno(f, "listen on %s port %u", shown, want->port);
}

bool tcp_interface(int fd, char *out) {
    socklen_t n = TCP_INTERFACE_SIZE;
    bool is = getsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, out, &n) == 0 && n > 1;
    out[is ? TCP_INTERFACE_SIZE - 1 : 0] = '\0';
    return is;
}

enum err tcp_accept(int listener, int *fd, struct endpoint *peer) {
    struct sockaddr_storage ss = {0};
    socklen_t n = sizeof ss;
    do
        *fd = accept4(listener, (struct sockaddr *)&ss, &n, SOCK_CLOEXEC | SOCK_NONBLOCK);
    while (*fd < 0 && errno == EINTR);
    if (*fd >= 0) {
        set_int(*fd, IPPROTO_TCP, TCP_NODELAY, 1);
        if (peer != NULL)
            endpoint_of(peer, (struct sockaddr *)&ss, n);
        return OK;
    }
    switch (errno) {
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
        return ERR_LIMIT;
    case EBADF:
    case EINVAL:
    case ENOTSOCK:
        return ERR_IO;
    default:
        return OK;  // the rest are errors of the one link that has gone (accept(2))
    }
}

void tcp_set_dscp(int fd, int dscp) {
    if (dscp < 0)
        return;
    set_int(fd, IPPROTO_IP, IP_TOS, dscp);
    set_int(fd, IPPROTO_IPV6, IPV6_TCLASS, dscp);
}

void tcp_tune(int fd, const struct tcp_tuning *t) {
    set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    set_int(fd, SOL_SOCKET, SO_KEEPALIVE, t->keepalive ? 1 : 0);
    tcp_set_dscp(fd, t->dscp);
    if (t->user_timeout_ms != 0)
        set_int(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, (int)t->user_timeout_ms);
    if (t->notsent_lowat != 0)
        set_int(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, (int)t->notsent_lowat);
}

void tcp_set_user_timeout(int fd, uint32_t ms) {
    set_int(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, (int)ms);
}

bool tcp_info(int fd, struct tcp_info_short *info) {
    struct tcp_info full;
    socklen_t n = sizeof full;
    memset(&full, 0, sizeof full);
    memset(info, 0, sizeof *info);
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &full, &n) != 0)
        return false;
    *info = (struct tcp_info_short){.rtt_us = full.tcpi_rtt,
                                    .rtt_var_us = full.tcpi_rttvar,
                                    .rto_us = full.tcpi_rto >> full.tcpi_backoff,
                                    .retransmits = full.tcpi_total_retrans,
                                    .row = full.tcpi_retransmits,
                                    .data_segments = full.tcpi_data_segs_out,
                                    .cwnd = full.tcpi_snd_cwnd,
                                    .unacked = full.tcpi_unacked,
                                    .bytes_acked = full.tcpi_bytes_acked,
                                    .bytes_received = full.tcpi_bytes_received,
                                    .last_received_ms = full.tcpi_last_data_recv,
                                    .last_sent_ms = full.tcpi_last_data_sent,
                                    .last_ack_ms = full.tcpi_last_ack_recv};
    return true;
}
