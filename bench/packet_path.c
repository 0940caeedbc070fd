// A path for packets between two network namespaces: a TUN device in each, and between
// them a delay, loss, disorder, silence, and an end for the connections of TCP that pass.
//
//   packet_path NAMESPACE_A NAMESPACE_B DEVICE DELAY_MS
//
// Both devices have the same name; whoever starts this gives them addresses. Commands are
// lines of standard input, with whose end it ends; each is answered with a line:
//
//   pass | drop              everything passes; nothing does
//   delay MS, loss PERCENT, disorder PERCENT   (that many are held another 3/4 delay)
//   seed N                   of what is lost and held
//   now WHAT                 does this to every connection that is open: reset (both ends
//                            are told), reset_a, reset_b (one is), fin, forget (none is),
//                            drop (silence for all), none
//   at BYTES WHAT            the same after so many bytes more of TCP's data: the packet
//                            is cut short at that byte; "cut" is printed then
//   stat                     packets that came in, connections begun by A, bytes of data
//
// IPv4 and TCP alone are looked into. One thread.
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"

#define PACKET_MAX 65536
#define FLOWS 4096
#define QUEUE_MAX (64u << 20)
#define BATCH 64

enum {
    FIN = 1,
    SYN = 2,
    RST = 4,
    ACK = 16
};
enum state {
    FREE,
    OPEN,
    FORGOTTEN,
    REFUSED
};

struct packet {
    struct packet *next;
    uint64_t due;
    size_t n;
    uint8_t data[];
};

// What goes from one side to the other.
struct way {
    int fd;
    struct packet *head, *tail;
    size_t queued;
};

// A connection; side 0 is A.
struct flow {
    uint32_t address[2];
    uint16_t port[2];
    uint32_t next[2];  // sequence number behind what was brought from that side
    uint32_t first;    // that it began with
    enum state state;
};

struct segment {
    uint32_t from, to, seq, ack;
    uint16_t from_port, to_port;
    uint8_t flags;
    size_t head, payload;  // bytes of both headers; of data
};

static struct way ways[2];
static struct flow flows[FLOWS];
static size_t flow_at;
static uint64_t delay_ns, packets, syns, bytes, cut_at = UINT64_MAX;
static unsigned loss, disorder;
static bool silent;
static char cut_what[16];

// ---- bytes ----

static uint16_t get16(const uint8_t *p) {
    return (uint16_t)(p[0] << 8 | p[1]);
}

static uint32_t get32(const uint8_t *p) {
    return (uint32_t)get16(p) << 16 | get16(p + 2);
}

static void put16(uint8_t *p, uint32_t v) {
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

static void put32(uint8_t *p, uint32_t v) {
    put16(p, v >> 16);
    put16(p + 2, v & 0xffff);
}

static uint32_t sum(const uint8_t *p, size_t n, uint32_t s) {
    for (size_t i = 0; i + 1 < n; i += 2)
        s += get16(p + i);
    return n % 2 ? s + ((uint32_t)p[n - 1] << 8) : s;
}

static uint16_t fold(uint32_t s) {
    while (s >> 16)
        s = (s & 0xffff) + (s >> 16);
    return (uint16_t)~s;
}

// Length and checksums of a packet of n bytes.
static void finish(uint8_t *p, size_t n) {
    size_t ip = (size_t)(p[0] & 15) * 4;
    put16(p + 2, (uint32_t)n);
    put16(p + 10, 0);
    put16(p + 10, fold(sum(p, ip, 0)));
    put16(p + ip + 16, 0);
    uint32_t pseudo = sum(p + 12, 8, 6 + (uint32_t)(n - ip));
    put16(p + ip + 16, fold(sum(p + ip, n - ip, pseudo)));
}

static bool parse(const uint8_t *p, size_t n, struct segment *s) {
    size_t ip = (size_t)(p[0] & 15) * 4;
    if (n < 40 || p[0] >> 4 != 4 || p[9] != 6 || n < ip + 20)
        return false;
    const uint8_t *t = p + ip;
    *s = (struct segment){.from = get32(p + 12),
                          .to = get32(p + 16),
                          .from_port = get16(t),
                          .to_port = get16(t + 2),
                          .seq = get32(t + 4),
                          .ack = get32(t + 8),
                          .flags = t[13],
                          .head = ip + (size_t)(t[12] >> 4) * 4};
    if (s->head > n)
        return false;
    s->payload = n - s->head;
    return true;
}

// ---- connections ----

static bool is_of(const struct flow *f, const struct segment *s, int side) {
    return f->state != FREE && f->address[side] == s->from &&
           f->port[side] == s->from_port && f->address[1 - side] == s->to &&
           f->port[1 - side] == s->to_port;
}

static struct flow *find(const struct segment *s, int side) {
    for (size_t i = 0; i < FLOWS; i++) {
        struct flow *f = &flows[(flow_at + FLOWS - i) % FLOWS];
        if (f->state == FREE)
            break;
        if (is_of(f, s, side))
            return f;
    }
    return NULL;
}

static struct flow *open_flow(const struct segment *s, int side) {
    struct flow *f = find(s, side);
    if (f == NULL) {
        flow_at = (flow_at + 1) % FLOWS;
        f = &flows[flow_at];
    }
    *f = (struct flow){.state = OPEN};
    f->address[side] = s->from;
    f->address[1 - side] = s->to;
    f->port[side] = s->from_port;
    f->port[1 - side] = s->to_port;
    f->next[side] = f->next[1 - side] = 0;
    f->first = s->seq;
    return f;
}

// A segment without data, as if it came from the other end.
static void tell(const struct flow *f, int to, uint32_t seq, uint8_t flags) {
    uint8_t p[40] = {0x45};
    p[8] = 64;
    p[9] = 6;
    put32(p + 12, f->address[1 - to]);
    put32(p + 16, f->address[to]);
    put16(p + 20, f->port[1 - to]);
    put16(p + 22, f->port[to]);
    put32(p + 24, seq);
    put32(p + 28, flags & ACK ? f->next[to] : 0);
    p[32] = 5 << 4;
    p[33] = flags;
    put16(p + 34, 65535);
    finish(p, sizeof p);
    (void)!write(ways[to].fd, p, sizeof p);
}

// ---- queues ----

static void bring(int side, struct packet *p) {
    struct segment s;
    struct flow *f = parse(p->data, p->n, &s) ? find(&s, side) : NULL;
    if (f != NULL) {
        uint32_t end = s.seq + (uint32_t)s.payload + (s.flags & (SYN | FIN) ? 1 : 0);
        if (f->next[side] == 0 || (int32_t)(end - f->next[side]) > 0)
            f->next[side] = end;
    }
    (void)!write(ways[1 - side].fd, p->data, p->n);
}

// Whatever is due by then goes on its way; lost: none of it arrives.
static void deliver(int side, uint64_t until, bool lost) {
    struct way *w = &ways[side];
    while (w->head != NULL && w->head->due <= until) {
        struct packet *p = w->head;
        w->head = p->next;
        if (w->head == NULL)
            w->tail = NULL;
        w->queued -= p->n;
        if (!lost)
            bring(side, p);
        free(p);
    }
}

static void queue(int side, const uint8_t *data, size_t n) {
    struct way *w = &ways[side];
    struct packet *p = malloc(sizeof *p + n), **at = &w->head;
    if (p == NULL)
        die("malloc");
    bool late = disorder > 0 && (unsigned)(rand() % 100) < disorder;
    *p = (struct packet){.n = n,
                         .due = now_ns() + delay_ns + (late ? delay_ns * 3 / 4 : 0)};
    memcpy(p->data, data, n);
    if (w->tail != NULL && w->tail->due <= p->due)
        at = &w->tail->next;
    while (*at != NULL && (*at)->due <= p->due)
        at = &(*at)->next;
    p->next = *at;
    *at = p;
    if (p->next == NULL)
        w->tail = p;
    w->queued += n;
}

// ---- ends ----

static const struct end {
    const char *name;
    bool told[2];
    uint8_t flags;
    enum state state;  // OPEN: untouched
} ENDS[] = {{"reset", {true, true}, RST, REFUSED},
            {"reset_a", {true, false}, RST, FORGOTTEN},
            {"reset_b", {false, true}, RST, FORGOTTEN},
            {"fin", {true, true}, FIN | ACK, FORGOTTEN},
            {"forget", {false, false}, 0, FORGOTTEN},
            {"drop", {false, false}, 0, OPEN},
            {"none", {false, false}, 0, OPEN}};

static const struct end *end_of(const char *name) {
    for (size_t i = 0; i < sizeof ENDS / sizeof ENDS[0]; i++)
        if (strcmp(ENDS[i].name, name) == 0)
            return &ENDS[i];
    return NULL;
}

static void end_flow(struct flow *f, const struct end *e) {
    for (int to = 0; to < 2; to++)
        if (e->told[to])
            tell(f, to, f->next[1 - to], e->flags);
    f->state = e->state;
}

static void act(const struct end *e) {
    bool is_drop = strcmp(e->name, "drop") == 0;
    silent = silent || is_drop;
    if (!is_drop && e->state == OPEN)
        return;
    deliver(0, UINT64_MAX, true);
    deliver(1, UINT64_MAX, true);
    for (size_t i = 0; i < FLOWS && !is_drop; i++)
        if (flows[i].state == OPEN)
            end_flow(&flows[i], e);
}

// At most so many bytes of its data pass; the rest of it never was.
static size_t cut_short(uint8_t *p, const struct segment *s, uint64_t left) {
    size_t n = s->head + (size_t)left;
    finish(p, n);
    return n;
}

// ---- packets ----

// False: it does not pass.
static bool take_segment(int side, uint8_t *p, size_t *n, const struct segment *s) {
    bool begins = (s->flags & (SYN | ACK)) == SYN;
    struct flow *f = find(s, side);
    if (begins) {
        syns += side == 0 && (f == NULL || f->first != s->seq);
        f = open_flow(s, side);
    }
    if (f != NULL && f->state == REFUSED && (s->flags & RST) == 0)
        tell(f, side, s->ack, RST);
    if (f != NULL && f->state != OPEN)
        return false;
    if (s->payload > 0 && bytes + s->payload >= cut_at) {
        *n = cut_short(p, s, cut_at - bytes);
        queue(side, p, *n);
        deliver(side, UINT64_MAX, false);
        cut_at = UINT64_MAX;
        act(end_of(cut_what));
        printf("cut\n");
        fflush(stdout);
        bytes += s->payload;
        return false;
    }
    bytes += s->payload;
    return true;
}

static void take(int side) {
    static uint8_t p[PACKET_MAX];
    struct segment s;
    for (int i = 0; i < BATCH && ways[side].queued < QUEUE_MAX; i++) {
        ssize_t got = read(ways[side].fd, p, sizeof p);
        if (got < 20)
            return;
        size_t n = (size_t)got;
        packets++;
        if (silent || (loss > 0 && (unsigned)(rand() % 100) < loss))
            continue;
        if (!parse(p, n, &s) || take_segment(side, p, &n, &s))
            queue(side, p, n);
    }
}

// ---- commands ----

static void answer(const char *text) {
    printf("%s\n", text);
    fflush(stdout);
}

static bool set(const char *name, unsigned long v) {
    if (strcmp(name, "delay") == 0)
        delay_ns = v * 1000000u;
    else if (strcmp(name, "loss") == 0)
        loss = (unsigned)v;
    else if (strcmp(name, "disorder") == 0)
        disorder = (unsigned)v;
    else if (strcmp(name, "seed") == 0)
        srand((unsigned)v);
    else
        return false;
    return true;
}

static void command(const char *line) {
    char name[16] = "", what[16] = "";
    unsigned long n = 0;
    if (sscanf(line, "at %lu %15s", &n, what) == 2 && end_of(what) != NULL) {
        cut_at = bytes + (n > 0 ? n : 1);
        snprintf(cut_what, sizeof cut_what, "%s", what);
    } else if (sscanf(line, "now %15s", what) == 1 && end_of(what) != NULL) {
        cut_at = UINT64_MAX;
        act(end_of(what));
    } else if (strcmp(line, "pass") == 0 || strcmp(line, "drop") == 0) {
        silent = line[0] == 'd';
    } else if (strcmp(line, "stat") == 0) {
        printf("stat %lu %lu %lu\n", (unsigned long)packets, (unsigned long)syns,
               (unsigned long)bytes);
        fflush(stdout);
        return;
    } else if (sscanf(line, "%15s %lu", name, &n) != 2 || !set(name, n)) {
        answer("unknown");
        return;
    }
    answer("ok");
}

static void read_commands(void) {
    static char text[1024];
    static size_t have;
    ssize_t n = read(0, text + have, sizeof text - 1 - have);
    if (n <= 0)
        exit(0);
    have += (size_t)n;
    text[have] = 0;
    char *line = text, *end;
    while ((end = strchr(line, '\n')) != NULL) {
        *end = 0;
        command(line);
        line = end + 1;
    }
    have = strlen(line);
    memmove(text, line, have);
}

// ---- the program ----

static int open_device(const char *space, const char *name) {
    int ns = open(space, O_RDONLY | O_CLOEXEC);
    if (ns < 0 || setns(ns, CLONE_NEWNET) != 0)
        die(space);
    close(ns);
    int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI};
    snprintf(request.ifr_name, sizeof request.ifr_name, "%s", name);
    if (fd < 0 || ioctl(fd, TUNSETIFF, &request) != 0)
        die("/dev/net/tun");
    return fd;
}

static void turn(void) {
    uint64_t now = now_ns(), due = UINT64_MAX;
    struct pollfd p[3] = {{.fd = 0, .events = POLLIN}};
    for (int side = 0; side < 2; side++) {
        bool room = ways[side].queued < QUEUE_MAX;
        p[1 + side] = (struct pollfd){.fd = ways[side].fd, .events = room ? POLLIN : 0};
        if (ways[side].head != NULL && ways[side].head->due < due)
            due = ways[side].head->due;
    }
    uint64_t wait = due > now ? due - now : 0;
    struct timespec t = {(time_t)(wait / 1000000000u), (long)(wait % 1000000000u)};
    if (ppoll(p, 3, due == UINT64_MAX ? NULL : &t, NULL) < 0 && errno != EINTR)
        die("ppoll");
    for (int side = 0; side < 2; side++) {
        if (p[1 + side].revents != 0)
            take(side);
        deliver(side, now_ns(), false);
    }
    if (p[0].revents != 0)
        read_commands();
}

int main(int argc, char **argv) {
    if (argc != 5) {
        fprintf(stderr, "usage: packet_path NAMESPACE_A NAMESPACE_B DEVICE DELAY_MS\n");
        return 2;
    }
    delay_ns = strtoul(argv[4], NULL, 10) * 1000000u;
    ways[0].fd = open_device(argv[1], argv[3]);
    ways[1].fd = open_device(argv[2], argv[3]);
    answer("ready");
    for (;;)
        turn();
}
