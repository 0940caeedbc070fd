// Bytes and messages of a client's talk with a master.
#include "client/mux_talk.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#include "io/fd.h"
#include "io/unix_socket.h"
#include "wire/writer.h"

#define READ_ROOM 16384u

static enum err say_hello(struct mux_talk *t) {
    uint8_t room[64];
    struct writer w = writer_to_span((struct span){room, sizeof room});
    write_text(&w, MUX_REASONS);
    write_text(&w, "1");
    return mux_talk_send(t, MUX_HELLO,
                         &(struct mux_hello){MUX_VERSION, view_of(room, w.n)});
}

enum err mux_talk_answer(struct mux_talk *t, struct mux_message *m, struct fault *fault) {
    for (;;) {
        TRY(mux_talk_next(t, m, fault));
        if (m->number != 0)
            return OK;
        struct pollfd p = {.fd = t->fd, .events = POLLIN};
        if (poll(&p, 1, -1) < 0 && errno != EINTR)
            return ERR_IO;
        enum err e = mux_talk_fill(t);
        if (e != OK)
            return fault_set(fault, e, 0, "the master closed the control socket");
    }
}

static enum err hear_hello(struct mux_talk *t, struct fault *fault) {
    struct mux_message m;
    TRY(mux_talk_answer(t, &m, fault));
    if (m.number != MUX_HELLO || m.hello.version != MUX_VERSION)
        return fault_set(fault, ERR_UNSUPPORTED, 0,
                         "the master speaks another version of the protocol (%u, not %u)",
                         m.number == MUX_HELLO ? m.hello.version : 0, MUX_VERSION);
    struct view rest = m.hello.extensions, name, value;
    while (mux_next_string(&rest, &name) && mux_next_string(&rest, &value))
        if (view_is(name, "info"))
            t->tells = true;
    return OK;
}

enum err mux_talk_open(struct mux_talk *t, const char *path, struct fault *fault) {
    *t = (struct mux_talk){.fd = -1};
    buf_init(&t->in, MUX_MESSAGE_MAX + READ_ROOM);
    if (unix_connect(path, SOCK_STREAM, &t->fd, fault) != OK) {
        int number = errno;
        return number == ENOENT         ? ERR_NOT_FOUND
               : number == ECONNREFUSED ? ERR_REFUSED
                                        : ERR_IO;
    }
    TRY(say_hello(t));
    return hear_hello(t, fault);
}

void mux_talk_close(struct mux_talk *t) {
    fd_close(&t->fd);
    buf_free(&t->in);
}

enum err mux_talk_send(struct mux_talk *t, enum mux_number number, const void *fields) {
    scoped_buf b;
    buf_init(&b, MUX_MESSAGE_MAX);
    TRY(mux_encode(&b, number, fields));
    return fd_write_full(t->fd, buf_view(&b));
}

enum err mux_talk_pass(struct mux_talk *t, int fd) {
    struct view byte = view_text(" ");
    for (bool sent = false; !sent;) {
        TRY(unix_send(t->fd, &byte, 1, &fd, 1, &sent));
        struct pollfd p = {.fd = t->fd, .events = POLLOUT};
        if (!sent)
            (void)poll(&p, 1, -1);
    }
    return OK;
}

enum err mux_talk_fill(struct mux_talk *t) {
    struct span room;
    size_t n = 0;
    TRY(buf_reserve(&t->in, READ_ROOM, &room));
    TRY(fd_read_some(t->fd, room, &n));
    buf_added(&t->in, n);
    return OK;
}

enum err mux_talk_next(struct mux_talk *t, struct mux_message *m, struct fault *fault) {
    buf_taken(&t->in, t->taken);
    t->taken = 0;
    enum err e = mux_decode(buf_view(&t->in), m, &t->taken, fault);
    if (e == OK && t->taken == 0)
        m->number = 0;
    return e == ERR_UNSUPPORTED
               ? fault_set(fault, ERR_PROTOCOL, 0, "the master says %u, which is unknown",
                           m->number)
               : e;
}

enum err mux_talk_ask(struct mux_talk *t, enum mux_number number, const void *fields,
                      struct mux_message *answer, struct fault *fault) {
    TRY(mux_talk_send(t, number, fields));
    return mux_talk_answer(t, answer, fault);
}

// ---- forwardings ----

static void fill_end(const struct forward_end *end, bool host_given, struct view *host,
                     uint32_t *port) {
    bool path = end->path[0] != 0;
    // A host that is given and empty means all addresses.
    bool all = !path && host_given && end->host[0] == 0;
    *host = view_text(path ? end->path : all ? "*" : end->host);
    *port = path ? MUX_PORT_PATH : end->port;
}

void mux_forward_fill(struct mux_forward *m, enum forward_kind kind,
                      const struct forward_spec *spec) {
    static const enum mux_forward_type types[] = {[FORWARD_LOCAL] = MUX_FORWARD_LOCAL,
                                                  [FORWARD_REMOTE] = MUX_FORWARD_REMOTE,
                                                  [FORWARD_DYNAMIC] =
                                                      MUX_FORWARD_DYNAMIC};
    m->type = types[kind];
    fill_end(&spec->listen, spec->host_given, &m->listen_host, &m->listen_port);
    fill_end(&spec->connect, false, &m->connect_host, &m->connect_port);
    // What OpenSSH's master knows a dynamic one by.
    if (spec->dynamic)
        m->connect_host = view_text("socks");
}
