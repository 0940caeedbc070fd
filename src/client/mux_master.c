// The control socket and the pumping of its clients' bytes.
#include "client/mux_master.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/mux_proxy.h"
#include "client/run.h"
#include "crypto/random.h"
#include "io/clock.h"
#include "io/fd.h"
#include "io/unix_socket.h"
#include "wire/writer.h"

#define READ_ROOM 16384u

// ---- the socket ----

// Listening first and named afterwards, so that whoever finds the name finds a master.
static enum err make_socket(struct mux_master *m, struct fault *fault) {
    uint32_t number;
    char hidden[PATH_MAX + 16];
    const char *slash = strrchr(m->path, '/');
    int folder = slash != NULL ? (int)(slash + 1 - m->path) : 0;
    if (strlen(m->path) > UNIX_PATH_MAX)
        return fault_set(fault, ERR_LIMIT, 0,
                         "ControlPath %s is too long (%zu bytes, at most %d), disabling "
                         "multiplexing",
                         m->path, strlen(m->path), UNIX_PATH_MAX);
    random_bytes(&number, sizeof number);
    // A short name: sockets' paths may not be long.
    snprintf(hidden, sizeof hidden, "%.*s.%08x", folder, m->path, number);
    TRY(unix_listen(hidden, SOCK_STREAM, 0600, false, &m->listener, fault));
    int failed = link(hidden, m->path) != 0 ? errno : 0;
    (void)unlink(hidden);
    if (failed == 0)
        return OK;
    fd_close(&m->listener);
    if (failed == EEXIST)
        return fault_set(fault, ERR_REFUSED, 0,
                         "ControlSocket %s already exists, disabling multiplexing",
                         m->path);
    errno = failed;
    return fault_set(fault, ERR_IO, 0, "ControlSocket %s: %s", m->path, strerror(failed));
}

void mux_master_open(struct mux_master *m, struct run *r) {
    struct client *c = r->c;
    struct fault fault = {0};
    *m = (struct mux_master){.run = r, .listener = -1, .idle_until = CLOCK_NEVER};
    if (c->config.control_master == CONTROL_MASTER_NO || c->config.control_path == NULL ||
        !client_path(c, c->config.control_path, m->path, sizeof m->path))
        return;
    if (make_socket(m, &fault) != OK)
        log_error(&c->log, "%s", fault_text(&fault));
    else
        log_debug(&c->log, "master of %s", m->path);
}

void mux_master_stop(struct mux_master *m) {
    if (m->listener < 0)
        return;
    fd_close(&m->listener);
    (void)unlink(m->path);
}

static void free_client(struct mux_client *k) {
    fd_close(&k->fd);
    for (size_t i = 0; i < k->fds_n; i++)
        fd_close(&k->fds[i]);
    mux_proxy_free(k->proxy);
    buf_free(&k->in);
    buf_free(&k->out);
    free(k);
}

static void drop_all(struct mux_master *m) {
    while (m->clients != NULL) {
        struct mux_client *k = m->clients;
        m->clients = k->next;
        free_client(k);
    }
    m->clients_n = 0;
}

void mux_master_close(struct mux_master *m) {
    mux_master_stop(m);
    drop_all(m);
}

void mux_master_abandon(struct mux_master *m) {
    fd_close(&m->listener);
    drop_all(m);
}

// ---- waiting ----

void mux_flush(struct mux_client *k) {
    while (!k->gone && buf_len(&k->out) > 0) {
        size_t n = 0;
        if (fd_write_some(k->fd, buf_view(&k->out), &n) != OK)
            k->gone = true;
        if (n == 0)
            return;
        buf_taken(&k->out, n);
    }
}

void mux_send(struct mux_client *k, enum mux_number number, const void *fields) {
    if (!k->gone && mux_encode(&k->out, number, fields) != OK)
        k->gone = true;
    mux_flush(k);
}

// Those that are over; a session that is left goes with its passenger.
enum err mux_master_sweep(struct mux_master *m) {
    for (struct mux_client **at = &m->clients; *at != NULL;) {
        struct mux_client *k = *at;
        if (!k->gone && !(k->ending && buf_len(&k->out) == 0)) {
            at = &k->next;
            continue;
        }
        *at = k->next;
        m->clients_n--;
        forwards_forget_asker(&m->run->forwards, k);
        enum err e = k->proxy != NULL ? mux_proxy_end(k->proxy) : OK;
        struct session *s = k->session;
        free_client(k);
        TRY(e);
        if (s == NULL)
            continue;
        s->passenger = NULL;
        TRY(session_abandon(s));
    }
    return OK;
}

size_t mux_master_poll_room(const struct mux_master *m) {
    return 1 + m->clients_n;
}

static bool wants(const struct mux_client *k) {
    return k->proxy == NULL || mux_proxy_wants(k->proxy);
}

bool mux_master_is_due(const struct mux_master *m) {
    for (const struct mux_client *k = m->clients; k != NULL; k = k->next)
        if (k->proxy != NULL && k->proxy->bridge.stalled)
            return true;
    return false;
}

size_t mux_master_poll(struct mux_master *m, struct pollfd *p) {
    size_t n = 0;
    bool full = m->clients_n >= MUX_CLIENTS_MAX;
    p[n++] = (struct pollfd){.fd = full ? -1 : m->listener, .events = POLLIN};
    for (struct mux_client *k = m->clients; k != NULL; k = k->next) {
        k->poll_at = n;
        short events =
            (short)((wants(k) ? POLLIN : 0) | (buf_len(&k->out) > 0 ? POLLOUT : 0));
        p[n++] = (struct pollfd){.fd = events != 0 ? k->fd : -1, .events = events};
    }
    return n;
}

static bool may_talk(const struct mux_master *m, int fd) {
    struct unix_peer peer;
    if (unix_peer(fd, &peer) == OK && (peer.uid == 0 || peer.uid == getuid()))
        return true;
    log_error(&m->run->c->log, "a client of another user at the control socket");
    return false;
}

static enum err accept_one(struct mux_master *m) {
    scoped_fd fd = -1;
    if (unix_accept(m->listener, &fd) != OK || fd < 0 || !may_talk(m, fd))
        return OK;
    struct mux_client *k = calloc(1, sizeof *k);
    if (k == NULL)
        return OK;
    *k = (struct mux_client){.run = m->run, .fd = fd, .next = m->clients};
    fd = -1;
    buf_init(&k->in, MUX_MESSAGE_MAX + READ_ROOM + MUX_FDS);
    buf_init(&k->out, MUX_MESSAGE_MAX);
    m->clients = k;
    m->clients_n++;
    // Not known to OpenSSH's clients, which pass over it.
    uint8_t room[64];
    struct writer w = writer_to_span((struct span){room, sizeof room});
    write_text(&w, "info");
    write_text(&w, "0");
    mux_send(k, MUX_HELLO, &(struct mux_hello){MUX_VERSION, view_of(room, w.n)});
    return OK;
}

// Descriptors come with single bytes behind the request that wants them.
static void keep_fds(struct mux_client *k, struct unix_message *m) {
    if (k->fds_n + m->fds_n > MUX_FDS) {
        unix_message_close(m);
        k->gone = true;
        return;
    }
    for (size_t i = 0; i < m->fds_n; i++)
        k->fds[k->fds_n++] = m->fds[i];
    m->fds_n = 0;
}

static enum err fill(struct mux_client *k) {
    struct span room;
    struct unix_message m;
    if (buf_reserve(&k->in, READ_ROOM, &room) != OK ||
        unix_recv(k->fd, room, MUX_FDS, &m) != OK) {
        k->gone = true;
        return OK;
    }
    if (!m.ready)
        return OK;
    buf_added(&k->in, m.n);
    keep_fds(k, &m);
    return k->gone || k->proxy != NULL ? OK : mux_take(k);
}

enum err mux_master_ready(struct mux_master *m, const struct pollfd *p) {
    for (struct mux_client *k = m->clients; k != NULL; k = k->next) {
        if (k->poll_at == 0)
            continue;
        short events = p[k->poll_at].revents;
        if ((events & POLLOUT) != 0)
            mux_flush(k);
        if ((events & (POLLIN | POLLHUP | POLLERR)) != 0 && wants(k))
            TRY(fill(k));
    }
    // Also those that had nothing to say: the server may have.
    for (struct mux_client *k = m->clients; k != NULL; k = k->next)
        if (k->proxy != NULL && !k->gone)
            TRY(mux_proxy_turn(k->proxy));
    if (m->listener >= 0 && p[0].revents != 0)
        TRY(accept_one(m));
    return OK;
}

enum err mux_master_event(struct mux_master *m, const struct connection_event *event,
                          bool *mine) {
    *mine = false;
    for (struct mux_client *k = m->clients; k != NULL && !*mine; k = k->next)
        if (k->proxy != NULL)
            TRY(bridge_far_event(&k->proxy->bridge, event, mine, clock_ms()));
    return OK;
}

// ---- ControlPersist ----

uint64_t mux_master_deadline(const struct mux_master *m) {
    return m->idle_until;
}

bool mux_master_expired(struct mux_master *m, bool busy, uint64_t now) {
    uint32_t seconds = m->run->c->config.control_persist_seconds;
    if (!m->persists || busy || (seconds == 0 && m->listener >= 0))
        m->idle_until = CLOCK_NEVER;
    else if (m->idle_until == CLOCK_NEVER)
        m->idle_until = m->listener < 0 ? now : clock_after(now, seconds * 1000ull);
    return now >= m->idle_until;
}
