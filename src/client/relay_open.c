// How a relay comes to be open: SOCKS, the channel, the connection.
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/text.h"
#include "client/forwards.h"
#include "client/tunnel.h"
#include "connection/requests.h"
#include "io/clock.h"
#include "io/endpoint.h"
#include "io/fd.h"
#include "io/unix_socket.h"

// ---- the channel for a socket ----

static enum err open_type(struct relay *r, const char *type, const void *fields) {
    scoped_buf b;
    buf_init(&b, LIMIT_PACKET_DEFAULT);
    TRY(request_encode(REQUEST_OPEN, type, fields, &b));
    enum err e = connection_open(r->f->connection, type, buf_view(&b), &r->channel);
    if (e == ERR_LIMIT) {
        log_error(&r->f->c->log, "no channel is free for %s", r->what);
        r->state = RELAY_ENDING;
        return OK;
    }
    TRY(e);
    r->type = type;
    r->has_channel = true;
    r->state = RELAY_OPENING;
    connection_set_user(r->f->connection, r->channel, r);
    return OK;
}

enum err relay_open_tunnel(struct relay *r, uint32_t unit) {
    TRY(open_type(r, "tun@openssh.com", &(struct open_tun){r->tunnel, unit}));
    r->type = "tun-connection";
    return OK;
}

enum err relay_open_channel(struct relay *r, const char *host, uint32_t port) {
    const char *path = r->rule->spec.connect.path;
    if (path[0] != 0)
        return open_type(r, "direct-streamlocal@openssh.com",
                         &(struct open_streamlocal){.path = view_text(path)});
    struct endpoint from;
    endpoint_peer(&from, r->stream.fd);
    bool tcp = r->rule->spec.listen.path[0] == 0;
    struct open_tcpip fields = {.host = view_text(host),
                                .port = port,
                                .originator = view_text(tcp ? from.text : "127.0.0.1"),
                                .originator_port = tcp ? from.port : 65535};
    return open_type(r, "direct-tcpip", &fields);
}

static enum err answer_socket(struct relay *r, enum socks_outcome outcome) {
    size_t done = 0;
    if (!r->by_socks)
        return OK;
    socks_answer(&r->socks, outcome);
    return stream_write(&r->stream, view_of(r->socks.reply, r->socks.reply_n), &done);
}

enum err relay_opened(struct relay *r) {
    r->state = RELAY_OPEN;
    if (r->tunnel != 0)
        return tunnel_opened(r);
    return answer_socket(r, SOCKS_GRANTED);
}

enum err relay_open_refused(struct relay *r, const struct connection_event *e) {
    char text[256];
    if (r->tunnel != 0)
        return tunnel_refused(r, e);
    static const char *const reasons[] = {"unknown reason", "administratively prohibited",
                                          "connect failed", "unknown channel type",
                                          "resource shortage"};
    log_error(&r->f->c->log, "channel %u: open failed: %s: %s", e->channel,
              reasons[e->reason < 5 ? e->reason : 0],
              text_clean(text, sizeof text, e->text));
    r->has_channel = false;
    r->state = RELAY_ENDING;
    return answer_socket(r, e->reason == OPEN_ADMINISTRATIVELY_PROHIBITED
                                ? SOCKS_NOT_ALLOWED
                                : SOCKS_UNREACHABLE);
}

// ---- the socket for a channel ----

// A small message of our own; there is always room at a channel's start.
static enum err send_reply(struct relay *r) {
    struct carrier *w = r->f->carrier;
    size_t n = r->socks.reply_n;
    if (n == 0)
        return OK;
    struct span room = carrier_message(w, CONNECTION_DATA_HEADER + n);
    if (room.p == NULL || connection_data_max(r->f->connection, r->channel) < n ||
        connection_out_pending(r->f->connection, r->channel))
        return relay_close_channel(r);
    connection_data_header(r->f->connection, r->channel, 0, n, room.p);
    memcpy(room.p + CONNECTION_DATA_HEADER, r->socks.reply, n);
    return carrier_send(w, CONNECTION_DATA_HEADER + n);
}

static enum err connect_failed(struct relay *r, const char *why) {
    log_error(&r->f->c->log, "%s: %s", r->what, why);
    if (!r->accepted) {
        r->has_channel = false;
        r->state = RELAY_ENDING;
        return connection_refuse(r->f->connection, r->channel, OPEN_CONNECT_FAILED,
                                 "connect failed");
    }
    if (r->by_socks) {
        socks_answer(&r->socks, SOCKS_UNREACHABLE);
        TRY(send_reply(r));
    }
    return relay_close_channel(r);
}

// What came too early goes to the socket now.
static enum err write_early(struct relay *r) {
    struct view v = buf_view(&r->early);
    size_t done = 0;
    TRY(stream_write(&r->stream, v, &done));
    buf_clear(&r->early);
    buf_release_if_empty(&r->early);
    if (done > 0)
        TRY(connection_consumed(r->f->connection, r->channel, done, clock_ms()));
    // The end may have come too early as well.
    return relay_settle(r);
}

static enum err connected(struct relay *r, int fd) {
    r->stream.fd = fd;
    r->state = RELAY_OPEN;
    if (!r->accepted) {
        r->accepted = true;
        return connection_accept(r->f->connection, r->channel, (struct view){0});
    }
    if (r->by_socks) {
        socks_answer(&r->socks, SOCKS_GRANTED);
        TRY(send_reply(r));
    }
    return r->state == RELAY_OPEN ? write_early(r) : OK;
}

enum err relay_connect_step(struct relay *r) {
    int fd = -1;
    struct fault fault = {0};
    enum err e = tcp_connect_step(r->connect, clock_ms(), &fd, &fault);
    if (e == OK && fd < 0)
        return OK;
    tcp_connect_drop(r->connect);
    r->connect = NULL;
    return e == OK ? connected(r, fd) : connect_failed(r, fault_text(&fault));
}

enum err relay_connect(struct relay *r, const char *host, uint32_t port) {
    struct fault fault = {0};
    struct tcp_target target = {.host = host,
                                .port = (uint16_t)port,
                                .deadline = clock_after(clock_ms(), 120000),
                                .dscp = -1};
    r->state = RELAY_CONNECTING;
    if (tcp_connect_new(&r->connect, &target, &fault) != OK)
        return connect_failed(r, fault_text(&fault));
    return relay_connect_step(r);
}

enum err relay_connect_path(struct relay *r, const char *path) {
    struct fault fault = {0};
    int fd = -1;
    if (unix_connect_now(path, SOCK_STREAM, &fd, &fault) != OK)
        return connect_failed(r, fault_text(&fault));
    return connected(r, fd);
}

enum err relay_connect_agent(struct relay *r, const char *path) {
    struct fault fault = {0};
    int fd = -1;
    enum err e = unix_connect_now(path, SOCK_STREAM, &fd, &fault);
    if (e == OK)
        e = agent_bind_forward(&r->bind, r->f->c, fd);
    if (e == OK)
        return connected(r, fd);
    fd_close(&fd);
    return connect_failed(r, fault.code != OK ? fault_text(&fault) : err_text(e));
}

// ---- SOCKS from either side ----

static enum err reply_socks(struct relay *r) {
    size_t done = 0;
    if (r->state == RELAY_PEER_ASKED)
        return send_reply(r);
    return stream_write(&r->stream, view_of(r->socks.reply, r->socks.reply_n), &done);
}

static enum err start_asked(struct relay *r) {
    const struct socks *s = &r->socks;
    size_t n = strlen(r->what);
    snprintf(r->what + n, sizeof r->what - n, " to %.60s:%u", s->host, s->port);
    if (r->state == RELAY_ASKED)
        return relay_open_channel(r, s->host, s->port);
    if (forward_may_open(&r->f->c->config, s->host, s->port))
        return relay_connect(r, s->host, s->port);
    socks_answer(&r->socks, SOCKS_NOT_ALLOWED);
    log_info(&r->f->c->log, "PermitRemoteOpen does not allow %s", r->what);
    TRY(send_reply(r));
    return relay_close_channel(r);
}

static enum err take_socks(struct relay *r) {
    for (;;) {
        size_t taken = 0;
        enum socks_result result = socks_take(&r->socks, buf_view(&r->early), &taken);
        buf_taken(&r->early, taken);
        if (r->state == RELAY_PEER_ASKED && taken > 0)
            TRY(connection_consumed(r->f->connection, r->channel, taken, clock_ms()));
        if (result == SOCKS_MORE)
            return OK;
        TRY(reply_socks(r));
        if (result == SOCKS_CONNECT)
            return start_asked(r);
        if (result == SOCKS_BAD)
            return relay_close_channel(r);
    }
}

enum err relay_socks(struct relay *r) {
    r->by_socks = true;
    if (r->state == RELAY_PEER_ASKED)
        return take_socks(r);
    struct span room;
    size_t n = 0;
    TRY(buf_reserve(&r->early, SOCKS_REQUEST_MAX, &room));
    enum err e = stream_read(&r->stream, (struct span){room.p, SOCKS_REQUEST_MAX}, &n);
    if (e == ERR_CLOSED) {
        r->state = RELAY_ENDING;
        return OK;
    }
    buf_added(&r->early, n);
    return take_socks(r);
}

// ---- X11 ----

// Nothing of the other side's reaches the display before its cookie was the one that we
// made up, and that is replaced by the display's own.
enum err relay_x11(struct relay *r) {
    const struct x11 *x = &r->f->x11;
    struct view have = buf_view(&r->early);
    switch (x11_auth_substitute((struct span){(uint8_t *)(uintptr_t)have.p, have.n},
                                x->protocol, x->fake, x->real, x->cookie_n)) {
    case X11_AUTH_MORE:
        return OK;
    case X11_AUTH_BAD:
        log_error(&r->f->c->log,
                  "X11 connection rejected because of wrong authentication.");
        return relay_close_channel(r);
    case X11_AUTH_GOOD:
        r->by_x11 = true;
        break;
    }
    if (x->display.path[0] != 0)
        return relay_connect_path(r, x->display.path);
    return relay_connect(r, x->display.host, x->display.port);
}
