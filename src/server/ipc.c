#include "server/ipc.h"

#include "base/secret.h"
#include "io/unix_socket.h"

enum err ipc_pair(int fds[2]) {
    return unix_pair(fds, LIMIT_IPC_MESSAGE);
}

enum err ipc_try_send(int socket, enum ipc_number number, const void *body, int fd,
                      bool *sent) {
    uint8_t bytes[LIMIT_IPC_MESSAGE];
    size_t n = 0;
    TRY(ipc_encode(number, body, (struct span){bytes, sizeof bytes}, &n));
    struct view part = view_of(bytes, n);
    enum err e = unix_send(socket, &part, 1, &fd, fd >= 0 ? 1 : 0, sent);
    if (ipc_row(number)->flags & IPC_SECRET)
        secret_wipe(bytes, n);
    return e;
}

enum err ipc_send(int socket, enum ipc_number number, const void *body, int fd) {
    bool sent = false;
    TRY(ipc_try_send(socket, number, body, fd, &sent));
    return sent ? OK : ERR_LIMIT;
}

enum err ipc_outbox_flush(struct ipc_outbox *o, int socket) {
    while (ipc_outbox_waits(o)) {
        struct reader r = reader_of(buf_view(&o->waiting));
        struct view message = read_string(&r);
        bool sent = false;
        TRY(unix_send(socket, &message, 1, NULL, 0, &sent));
        if (!sent)
            return OK;
        buf_taken(&o->waiting, buf_len(&o->waiting) - reader_left(&r));
    }
    buf_release_if_empty(&o->waiting);
    return OK;
}

enum err ipc_outbox_send(struct ipc_outbox *o, int socket, enum ipc_number number,
                         const void *body) {
    uint8_t bytes[LIMIT_IPC_MESSAGE];
    size_t n = 0;
    bool sent = false;
    TRY(ipc_outbox_flush(o, socket));
    if (!ipc_outbox_waits(o))
        TRY(ipc_try_send(socket, number, body, -1, &sent));
    if (sent)
        return OK;
    TRY(ipc_encode(number, body, (struct span){bytes, sizeof bytes}, &n));
    if (o->waiting.max == 0)
        buf_init(&o->waiting, LIMIT_IPC_WAITING);
    if (buf_len(&o->waiting) + 4 + n > LIMIT_IPC_WAITING)
        return ERR_LIMIT;  // nothing of it
    struct writer w = writer_to_buf(&o->waiting);
    write_string(&w, view_of(bytes, n));
    return writer_end(&w);
}

void ipc_outbox_free(struct ipc_outbox *o) {
    buf_free(&o->waiting);
}

enum err ipc_recv(int socket, struct ipc_side *side, struct span room,
                  struct ipc_message *out, bool *ready, struct fault *fault) {
    struct unix_message m;
    memset(out, 0, sizeof *out);
    out->fd = -1;
    *ready = false;
    TRY(unix_recv(socket, room, 1, &m));
    if (!m.ready)
        return OK;
    enum err e = ipc_decode(side, view_of(room.p, m.n), m.fds_n > 0, out, fault);
    if (e != OK) {
        unix_message_close(&m);
        // Of a later version: the next one is looked at when the caller comes again.
        return e == ERR_UNSUPPORTED ? OK : e;
    }
    *ready = true;
    out->n = m.n;
    out->fd = m.fds_n > 0 ? m.fds[0] : -1;
    return OK;
}

static void write_line(void *arg, enum log_level level, const char *line) {
    struct ipc_log_sink *sink = arg;
    struct ipc_log body = {(uint32_t)level, view_text(line)};
    bool sent;
    // A full or closed socket loses the line: nobody waits for a log.
    enum err e = ipc_try_send(sink->socket, IPC_LOG, &body, -1, &sent);
    (void)e;
}

void ipc_log_open(struct ipc_log_sink *sink, struct log *log, int socket,
                  enum log_level level) {
    sink->socket = socket;
    *log = (struct log){.level = level, .write = write_line, .sink = sink};
}
