// A socket on a channel, in either direction: direct-tcpip, forwarded-tcpip, Unix
// sockets, the agent's, X11's. After the connecting all are the same: what the peer sends
// is written by holder_input.c, what the socket has is read by holder_stream.c.
#include "server/forward.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/text.h"
#include "io/fd.h"
#include "wire/messages.h"

#define LINGER_MS 30000u  // for what a closed channel still had to write

static void failed(struct holder *h) {
    holder_end(h, DISCONNECT_PROTOCOL_ERROR, fault_text(connection_fault(h->connection)));
}

// ---- as a carrier ----

// Both directions at their end: the channel closes.
static void try_end(struct forward *f) {
    if (f->stream.fd < 0 && f->c.input < 0)
        carrier_close(&f->c);
}

static void output_ended(struct carrier *c) {
    if (c->open)
        carrier_eof(c);
    try_end((struct forward *)c);
}

static void input_ended(struct carrier *c) {
    if (c->input >= 0)
        (void)shutdown(c->input, SHUT_WR);
    carrier_close_input(c);
    try_end((struct forward *)c);
}

static void hang_up(struct carrier *c) {
    struct forward *f = (struct forward *)c;
    stream_close(&f->stream);
    carrier_close(c);
    c->input_eof = true;
    f->ends = c->holder->now + LINGER_MS;
    if (buf_len(&c->waiting) == 0)
        input_ended(c);
}

void forward_tell(struct forward *f, enum event_number number) {
    struct ipc_event e = {
        .channel = f->c.channel,
        .kind = view_text(f->kind),
        .host = view_text(f->job.host),
        .port = f->job.port,
        .bytes_in = f->c.bytes_in,
        .bytes_out = f->c.bytes_out,
    };
    holder_tell(f->c.holder, number, &e);
    f->told = number == EVENT_FORWARD_OPENED;
}

static void run(struct forward *f, int fd) {
    struct holder *h = f->c.holder;
    forward_tell(f, EVENT_FORWARD_OPENED);
    int copy = fd_dup_above(fd, 3);
    f->c.open = true;
    f->c.used_at = h->now;
    stream_open(&f->stream, fd);
    if (copy < 0 || !carrier_watch_input(&f->c, copy) || f->stream.fd < 0) {
        hang_up(&f->c);
        return;
    }
    f->c.input_ready = true;
}

// The peer's answer to a channel of ours.
static void opened(struct carrier *c, bool confirmed) {
    struct forward *f = (struct forward *)c;
    int fd = f->fd;
    f->fd = -1;
    f->offered = false;
    if (confirmed)
        run(f, fd);
    else
        fd_close(&fd);
}

static const struct carrier_ops forward_ops = {
    .opened = opened,
    .output_ended = output_ended,
    .input_ended = input_ended,
    .hang_up = hang_up,
};

struct forward *forward_new(struct holder *h, uint32_t channel) {
    struct forward *f = calloc(1, sizeof *f);
    if (f == NULL)
        return NULL;
    carrier_init(&f->c, h, channel, &forward_ops);
    f->stream = (struct stream){.carrier = &f->c, .fd = -1};
    f->fd = f->job.socket = -1;
    f->next = h->forwards;
    h->forwards = f;
    return f;
}

// ---- the peer opens ----

void forward_refuse(struct holder *h, uint32_t channel, const struct forward_refusal *r) {
    struct ipc_event e = {.kind = view_text(r->kind),
                          .host = view_text(r->host),
                          .port = r->port,
                          .reason = view_text(r->reason),
                          .text = view_text(r->text)};
    holder_tell(h, EVENT_FORWARD_REFUSED, &e);
    if (connection_refuse(h->connection, channel, r->failure, r->answer) != OK)
        failed(h);
}

static void on_connected(void *arg, int fd, const char *why) {
    struct forward *f = arg;
    struct holder *h = f->c.holder;
    f->asked = false;
    if (fd < 0) {
        log_info(&h->log, "forward for %s: %s", h->user, why);
        connection_set_user(h->connection, f->c.channel, NULL);
        forward_refuse(h, f->c.channel,
                       &(struct forward_refusal){f->kind, f->job.host, "unreachable", why,
                                                 f->job.port, OPEN_CONNECT_FAILED, why});
        return;
    }
    if (connection_accept(h->connection, f->c.channel, view_of(NULL, 0)) != OK) {
        fd_close(&fd);
        failed(h);
        return;
    }
    run(f, fd);
}

struct target {
    char host[256];  // or the path
    uint32_t port;
    enum forward_want want;
};

static const char *kind_of(const struct target *t) {
    return t->want == FORWARD_WANT_TCP ? "direct-tcpip"
                                       : "direct-streamlocal@openssh.com";
}

static bool decode(const struct connection_event *event, struct target *t) {
    union {
        struct open_tcpip tcp;
        struct open_streamlocal local;
    } u;
    struct fault fault = {0};
    t->port = 0;
    if (request_decode(event->type, event->fields, &u, &fault) != OK)
        return false;
    if (t->want == FORWARD_WANT_TCP)
        t->port = u.tcp.port;
    struct view name = t->want == FORWARD_WANT_TCP ? u.tcp.host : u.local.path;
    return name.n > 0 && text_copy(t->host, sizeof t->host, name);
}

static bool permitted(const struct holder *h, const struct target *t) {
    if (!forward_allowed(&h->config, h->start->verdict->permits, t->want))
        return false;
    return t->want != FORWARD_WANT_TCP ||
           (forward_in_list(&h->config.permit_open, t->host, t->port) &&
            forward_in_list(&h->key_open, t->host, t->port));
}

static void start(struct holder *h, uint32_t channel, const struct target *t) {
    struct forward *f = forward_new(h, channel);
    if (f == NULL) {
        forward_refuse(h, channel,
                       &(struct forward_refusal){kind_of(t), t->host, "failed", "",
                                                 t->port, OPEN_RESOURCE_SHORTAGE,
                                                 "out of memory"});
        return;
    }
    f->asked = true;
    f->kind = kind_of(t);
    connection_set_user(h->connection, channel, &f->c);
    carrier_set_timeout(&f->c, f->kind);
    struct connect_job *job = &f->job;
    job->holder = h;
    job->done = on_connected;
    job->arg = f;
    job->port = (uint16_t)t->port;
    job->is_path = t->want == FORWARD_WANT_UNIX;
    text_copy(job->host, sizeof job->host, view_text(t->host));
    connect_start(job);
}

void forward_open(struct holder *h, const struct connection_event *event) {
    char shown[300];
    struct target t = {.want = view_is(event->name, "direct-tcpip") ? FORWARD_WANT_TCP
                                                                    : FORWARD_WANT_UNIX};
    const char *kind = kind_of(&t);
    if (!decode(event, &t)) {
        forward_refuse(h, event->channel,
                       &(struct forward_refusal){kind, "", "malformed", "", 0,
                                                 OPEN_CONNECT_FAILED,
                                                 "malformed target"});
        return;
    }
    if (!permitted(h, &t)) {
        log_info(&h->log,
                 "Received request from %s port %u to connect to host %s port %u, "
                 "but the request was denied.",
                 h->start->peer, h->start->peer_port,
                 text_clean(shown, sizeof shown, view_text(t.host)), t.port);
        forward_refuse(h, event->channel,
                       &(struct forward_refusal){kind, t.host, "not-permitted", "",
                                                 t.port, OPEN_ADMINISTRATIVELY_PROHIBITED,
                                                 "open failed"});
        return;
    }
    start(h, event->channel, &t);
}

// ---- we open ----

struct forward *forward_offer(struct holder *h, int fd, const char *type,
                              const void *fields, const char *timeout_type) {
    scoped_buf encoded;
    uint32_t channel = 0;
    buf_init(&encoded, LIMIT_TEXT_LINE);
    if (request_encode(REQUEST_OPEN, type, fields, &encoded) != OK ||
        connection_open(h->connection, type, buf_view(&encoded), &channel) != OK) {
        fd_close(&fd);
        return NULL;
    }
    struct forward *f = forward_new(h, channel);
    if (f == NULL) {
        fd_close(&fd);
        holder_end(h, DISCONNECT_BY_APPLICATION, "out of memory");
        return NULL;
    }
    f->kind = type;
    f->fd = fd;
    f->offered = true;
    carrier_set_timeout(&f->c, timeout_type);
    connection_set_user(h->connection, channel, &f->c);
    return f;
}

// ---- all of them ----

void forwards_update(struct holder *h) {
    for (struct forward *f = h->forwards; f != NULL; f = f->next) {
        connect_next(&f->job);
        stream_update(&f->stream);
        if (f->c.open)  // also when a write failed
            try_end(f);
    }
}

static bool is_alive(const struct forward *f) {
    const struct carrier *c = &f->c;
    if (f->asked || f->offered || c->open || f->job.helping)
        return true;
    return c->input >= 0 && buf_len(&c->waiting) > 0 && c->holder->now < f->ends;
}

static void forward_free(struct forward *f) {
    if (f->told)
        forward_tell(f, EVENT_FORWARD_CLOSED);
    connect_drop(&f->job);
    if (f->job.helping)
        loop_unchild(&f->c.holder->loop, &f->job.helper);
    stream_close(&f->stream);
    carrier_drop(&f->c);
    fd_close(&f->fd);
    free(f);
}

void forwards_sweep(struct holder *h) {
    for (struct forward **at = &h->forwards; *at != NULL;) {
        struct forward *f = *at;
        if (is_alive(f)) {
            at = &f->next;
            continue;
        }
        *at = f->next;
        forward_free(f);
    }
}

void forwards_end(struct holder *h) {
    while (h->forwards != NULL) {
        struct forward *f = h->forwards;
        h->forwards = f->next;
        forward_free(f);
    }
}
