// The agent's connections: one request at a time from each, read by its length, never
// further; nothing is read while an answer waits or a question is open.
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/secret.h"
#include "io/fd.h"
#include "io/unix_socket.h"
#include "tools/agent.h"

static struct agent_now now(void) {
    return (struct agent_now){clock_ms(), clock_wall_s()};
}

static void on_conn(void *arg, uint32_t ready);
static void on_accept(void *arg, uint32_t ready);

// ---- keys that expire ----

static void on_expiry(void *arg);

static void watch_expiry(struct agent_program *p) {
    uint64_t next = agent_store_deadline(&p->server.store);
    if (loop_timer_set(&p->loop, &p->expiry, next, on_expiry, p) != OK)
        log_error(&p->log, "no timer for keys that expire: they go when next asked for");
}

static void on_expiry(void *arg) {
    struct agent_program *p = arg;
    agent_store_expire(&p->server.store, clock_ms());
    watch_expiry(p);
}

// ---- one connection ----

static void forget_input(struct agent_conn *c) {
    secret_wipe(c->in.p, c->in.room);
    buf_free(&c->in);
    buf_init(&c->in, 4 + AGENT_MESSAGE_MAX);
}

static void conn_drop(struct agent_conn *c) {
    struct agent_program *p = c->program;
    agent_question_drop(c);
    loop_unwatch(&p->loop, &c->watch);
    fd_close(&c->fd);
    agent_client_drop(&c->client);
    forget_input(c);
    buf_free(&c->out);
    if (c->next != NULL)
        c->next->link = c->link;
    *c->link = c->next;
    free(c);
    if (p->conns_n-- == AGENT_CLIENTS_MAX)
        (void)!loop_change(&p->loop, &p->accept_watch, LOOP_IN);
}

// Sends what there is; then the next request may come.
static enum err conn_flush(struct agent_conn *c) {
    while (buf_len(&c->out) > 0) {
        size_t n = 0;
        TRY(fd_write_some(c->fd, buf_view(&c->out), &n));
        if (n == 0)
            return loop_change(&c->program->loop, &c->watch, LOOP_OUT);
        buf_taken(&c->out, n);
    }
    buf_release_if_empty(&c->out);
    return loop_change(&c->program->loop, &c->watch, c->asking ? LOOP_RDHUP : LOOP_IN);
}

// What the machine made of the request: an answer, or a question.
static enum err conn_outcome(struct agent_conn *c, const struct buf *answer,
                             const struct fault *fault) {
    if (fault->code != OK)
        log_debug(&c->program->log, "connection %d: %s", c->fd, fault_text(fault));
    watch_expiry(c->program);
    if (c->question.want != AGENT_WANT_NOTHING) {
        c->asking = true;
        return OK;
    }
    uint8_t head[4];
    store_u32(head, (uint32_t)buf_len(answer));
    TRY(buf_append(&c->out, view_of(head, 4)));
    return buf_append(&c->out, buf_view(answer));
}

static enum err conn_request(struct agent_conn *c, struct view message) {
    struct fault fault = {0};
    scoped_buf answer;
    buf_init(&answer, AGENT_MESSAGE_MAX);
    TRY(agent_client_request(&c->client, message, now(), &answer, &c->question, &fault));
    return conn_outcome(c, &answer, &fault);
}

void agent_conn_reply(struct agent_conn *c, const struct agent_reply *reply) {
    struct fault fault = {0};
    scoped_buf answer;
    buf_init(&answer, AGENT_MESSAGE_MAX);
    c->asking = false;
    enum err e =
        agent_client_answer(&c->client, reply, now(), &answer, &c->question, &fault);
    if (e == OK)
        e = conn_outcome(c, &answer, &fault);
    if (e == OK && !c->asking)
        e = conn_flush(c);
    if (e != OK)
        conn_drop(c);
    else if (c->asking)
        agent_question_start(c);
}

// Bytes still missing to the end of the request; its length is bounded before it is read.
static enum err missing(const struct agent_conn *c, size_t *n) {
    size_t have = buf_len(&c->in);
    *n = 4 - have;
    if (have < 4)
        return OK;
    uint32_t length = load_u32(buf_view(&c->in).p);
    if (length < 1 || length > AGENT_MESSAGE_MAX)
        return ERR_LIMIT;
    *n = 4 + (size_t)length - have;
    return OK;
}

static enum err conn_read(struct agent_conn *c) {
    size_t want = 0, n = 0;
    struct span room;
    TRY(missing(c, &want));
    // All at once: growing would leave copies of a secret behind.
    TRY(buf_reserve(&c->in, want, &room));
    TRY(fd_read_some(c->fd, (struct span){room.p, want}, &n));
    buf_added(&c->in, n);
    TRY(missing(c, &want));
    if (want > 0 || buf_len(&c->in) < 4)
        return OK;
    struct view v = buf_view(&c->in);
    enum err e = conn_request(c, view_of(v.p + 4, v.n - 4));
    forget_input(c);
    TRY(e);
    return conn_flush(c);
}

static void on_conn(void *arg, uint32_t ready) {
    struct agent_conn *c = arg;
    enum err e = OK;
    if ((ready & (LOOP_RDHUP | LOOP_HUP | LOOP_ERR)) != 0 && (ready & LOOP_IN) == 0)
        e = ERR_CLOSED;
    else if ((ready & LOOP_OUT) != 0)
        e = conn_flush(c);
    else if ((ready & LOOP_IN) != 0 && !c->asking)
        e = conn_read(c);
    if (e == ERR_LIMIT)
        log_info(&c->program->log, "connection %d: a request of a bad length", c->fd);
    if (e != OK)
        conn_drop(c);
    else if (c->asking && (ready & LOOP_IN) != 0)
        agent_question_start(c);
}

// ---- accepting ----

// Root may: it can anyway.
static bool peer_is_ours(struct agent_program *p, int fd) {
    struct unix_peer peer;
    if (unix_peer(fd, &peer) != OK)
        return false;
    if (peer.uid == getuid() || peer.uid == 0)
        return true;
    log_error(&p->log, "uid mismatch: peer euid %u != uid %u", (unsigned)peer.uid,
              (unsigned)getuid());
    return false;
}

static void conn_new(struct agent_program *p, int fd) {
    struct agent_conn *c = calloc(1, sizeof *c);
    if (c == NULL) {
        fd_close(&fd);
        return;
    }
    *c = (struct agent_conn){.program = p, .fd = fd, .pipe = -1, .next = p->conns};
    c->process.pidfd = -1;
    agent_client_init(&c->client, &p->server);
    buf_init(&c->in, 4 + AGENT_MESSAGE_MAX);
    buf_init(&c->out, 4 + AGENT_MESSAGE_MAX);
    c->link = &p->conns;
    if (c->next != NULL)
        c->next->link = &c->next;
    p->conns = c;
    p->conns_n++;
    if (loop_watch(&p->loop, &c->watch, fd, LOOP_IN, on_conn, c) != OK)
        conn_drop(c);
    else if (p->conns_n == AGENT_CLIENTS_MAX)
        (void)!loop_change(&p->loop, &p->accept_watch, 0);
}

static void on_accept(void *arg, uint32_t ready) {
    struct agent_program *p = arg;
    int fd = -1;
    (void)ready;
    enum err e = unix_accept(p->socket.fd, &fd);
    if (e != OK)
        log_error(&p->log, "accept: %s", err_text(e));
    if (fd >= 0 && peer_is_ours(p, fd))
        conn_new(p, fd);
    else
        fd_close(&fd);
}

// ---- life ----

static void on_end(void *arg, int number) {
    struct agent_program *p = arg;
    log_debug(&p->log, "ends by signal %d", number);
    p->status = 2;
    loop_stop(&p->loop);
}

static void on_clear(void *arg, int number) {
    struct agent_program *p = arg;
    (void)number;
    log_info(&p->log, "all keys are removed, by a signal");
    agent_store_clear(&p->server.store);
}

static void on_parent(void *arg, uint32_t ready) {
    struct agent_program *p = arg;
    (void)ready;
    loop_stop(&p->loop);
}

static enum err watch_all(struct agent_program *p) {
    static const struct {
        int number;
        void (*fn)(void *arg, int number);
    } wanted[] = {
        {SIGTERM, on_end}, {SIGHUP, on_end}, {SIGINT, on_end}, {SIGUSR1, on_clear}};
    bool stays = p->settings.mode == AGENT_FOREGROUND || p->settings.mode == AGENT_DEBUG;
    for (size_t i = 0; i < 4; i++) {
        // A daemon's terminal is somebody else's by now.
        bool ignored = wanted[i].number == SIGINT && !stays;
        if (!ignored)
            TRY(loop_signal(&p->loop, &p->signals[i], wanted[i].number, wanted[i].fn, p));
    }
    if (p->parent >= 0)
        TRY(loop_watch(&p->loop, &p->parent_watch, p->parent, LOOP_IN, on_parent, p));
    TRY(fd_set_nonblock(p->socket.fd, true));
    return loop_watch(&p->loop, &p->accept_watch, p->socket.fd, LOOP_IN, on_accept, p);
}

enum err agent_serve(struct agent_program *p) {
    TRY(loop_init(&p->loop));
    enum err e = watch_all(p);
    if (e == OK)
        e = loop_run(&p->loop);
    while (p->conns != NULL)
        conn_drop(p->conns);
    loop_drop(&p->loop);
    fd_close(&p->socket.fd);
    fd_close(&p->parent);
    return e;
}
