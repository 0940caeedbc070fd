// A path with a delay: forwards TCP connections on loopback and holds every byte for a
// fixed time.
//
//   delay_proxy LISTEN_PORT TARGET_PORT DELAY_MS
//
// Each direction has a queue of chunks with the time at which they are due, up to 128
// MiB, so that the path itself limits nothing but latency. One thread, ppoll with
// nanosecond time-outs. Prints the port it listens on (LISTEN_PORT 0: any). Ends with its
// standard input.
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"

#define CHUNK (256 * 1024)
#define QUEUE_MAX (128u * 1024u * 1024u)
#define PAIRS_MAX 512

struct chunk {
    struct chunk *next;
    uint64_t due;
    size_t start, end;
    bool eof;
    uint8_t data[];
};

// What goes from one descriptor to another.
struct flow {
    int from, to;
    struct chunk *head, *tail;
    size_t queued;
    bool read_ended, ended;
};

struct pair {
    struct flow flow[2];
    bool used;
};

static struct pair pairs[PAIRS_MAX];
static uint64_t delay_ns;

static struct sockaddr_in loopback(uint16_t port) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return a;
}

static void tune(int fd) {
    int on = 1, size = 4 << 20;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    fcntl(fd, F_SETFL, O_NONBLOCK);
}

static void flow_read(struct flow *f) {
    struct chunk *c = malloc(sizeof *c + CHUNK);
    if (c == NULL)
        die("malloc");
    ssize_t n = read(f->from, c->data, CHUNK);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        free(c);
        return;
    }
    // Not by one assignment: that would also write the padding, where the data begins.
    c->next = NULL;
    c->due = now_ns() + delay_ns;
    c->start = 0;
    c->end = n > 0 ? (size_t)n : 0;
    c->eof = n <= 0;
    // Small chunks would waste their room: give it back.
    struct chunk *fit = realloc(c, sizeof *c + c->end);
    c = fit != NULL ? fit : c;
    f->read_ended = c->eof;
    f->queued += c->end;
    if (f->tail != NULL)
        f->tail->next = c;
    else
        f->head = c;
    f->tail = c;
}

// Writes what is due; false when the descriptor takes no more.
static bool flow_write(struct flow *f, uint64_t now) {
    while (f->head != NULL && f->head->due <= now) {
        struct chunk *c = f->head;
        if (c->end > c->start) {
            ssize_t n = send(f->to, c->data + c->start, c->end - c->start, MSG_NOSIGNAL);
            if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return false;
            if (n < 0) {
                f->read_ended = f->ended = true;
                return true;
            }
            c->start += (size_t)n;
            f->queued -= (size_t)n;
            if (c->start < c->end)
                return false;
        }
        if (c->eof) {
            shutdown(f->to, SHUT_WR);
            f->ended = true;
        }
        f->head = c->next;
        if (f->head == NULL)
            f->tail = NULL;
        free(c);
    }
    return true;
}

static void pair_close(struct pair *p) {
    for (int i = 0; i < 2; i++) {
        while (p->flow[i].head != NULL) {
            struct chunk *next = p->flow[i].head->next;
            free(p->flow[i].head);
            p->flow[i].head = next;
        }
    }
    close(p->flow[0].from);
    close(p->flow[1].from);
    *p = (struct pair){0};
}

static void accept_one(int listener, uint16_t target) {
    int a = accept(listener, NULL, NULL);
    if (a < 0)
        return;
    int b = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in to = loopback(target);
    if (b < 0 || connect(b, (struct sockaddr *)&to, sizeof to) != 0) {
        close(a);
        if (b >= 0)
            close(b);
        return;
    }
    tune(a);
    tune(b);
    for (int i = 0; i < PAIRS_MAX; i++) {
        if (pairs[i].used)
            continue;
        pairs[i] = (struct pair){.flow = {{.from = a, .to = b}, {.from = b, .to = a}},
                                 .used = true};
        return;
    }
    close(a);
    close(b);
}

// One descriptor of a pair: what is wanted of it now, and when something falls due.
static short wanted(const struct pair *p, int side, uint64_t now, uint64_t *due) {
    const struct flow *in = &p->flow[side], *out = &p->flow[1 - side];
    short events = 0;
    if (!in->read_ended && in->queued < QUEUE_MAX)
        events |= POLLIN;
    if (out->head != NULL && out->head->due <= now)
        events |= POLLOUT;
    else if (out->head != NULL && out->head->due < *due)
        *due = out->head->due;
    return events;
}

static void turn(int listener, uint16_t target) {
    static struct pollfd fds[2 + 2 * PAIRS_MAX];
    static int owner[2 + 2 * PAIRS_MAX];
    uint64_t now = now_ns(), due = UINT64_MAX;
    nfds_t n = 2;
    fds[0] = (struct pollfd){listener, POLLIN, 0};
    fds[1] = (struct pollfd){0, POLLIN, 0};
    for (int i = 0; i < PAIRS_MAX; i++) {
        for (int side = 0; pairs[i].used && side < 2; side++) {
            fds[n] = (struct pollfd){pairs[i].flow[side].from,
                                     wanted(&pairs[i], side, now, &due), 0};
            owner[n++] = i * 2 + side;
        }
    }
    uint64_t wait = due > now ? due - now : 0;
    struct timespec ts = {(time_t)(wait / 1000000000u), (long)(wait % 1000000000u)};
    if (ppoll(fds, n, due == UINT64_MAX ? NULL : &ts, NULL) < 0 && errno != EINTR)
        die("ppoll");
    now = now_ns();
    for (nfds_t k = 2; k < n; k++) {
        struct pair *p = &pairs[owner[k] / 2];
        int side = owner[k] % 2;
        if ((fds[k].revents & (POLLIN | POLLHUP | POLLERR)) && !p->flow[side].read_ended)
            flow_read(&p->flow[side]);
    }
    for (int i = 0; i < PAIRS_MAX; i++) {
        struct pair *p = &pairs[i];
        if (!p->used)
            continue;
        flow_write(&p->flow[0], now);
        flow_write(&p->flow[1], now);
        if (p->flow[0].ended && p->flow[1].ended)
            pair_close(p);
    }
    if (fds[0].revents & POLLIN)
        accept_one(listener, target);
    if (fds[1].revents & (POLLIN | POLLHUP)) {
        char byte;
        if (read(0, &byte, 1) <= 0)
            exit(0);
    }
}

int main(int argc, char **argv) {
    if (argc != 4) {
        fprintf(stderr, "usage: delay_proxy LISTEN_PORT TARGET_PORT DELAY_MS\n");
        return 2;
    }
    uint16_t target = (uint16_t)strtoul(argv[2], NULL, 10);
    delay_ns = (uint64_t)(strtod(argv[3], NULL) * 1e6);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    struct sockaddr_in a = loopback((uint16_t)strtoul(argv[1], NULL, 10));
    socklen_t len = sizeof a;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&a, sizeof a) != 0 || listen(listener, 64) != 0)
        die("listen");
    fcntl(listener, F_SETFL, O_NONBLOCK);
    getsockname(listener, (struct sockaddr *)&a, &len);
    printf("%u\n", ntohs(a.sin_port));
    fflush(stdout);
    for (;;)
        turn(listener, target);
}
