// Connecting to where the peer wants: an address at once and without waiting; a name by a
// short-lived helper that looks it up, races its addresses and hands the socket over, so
// that a slow name server or target holds nothing else up.
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/address.h"
#include "base/limits.h"
#include "base/text.h"
#include "io/fd.h"
#include "io/unix_socket.h"
#include "server/forward.h"

#define CONNECT_MS 130000u  // as long as Linux tries one address

static void over(struct connect_job *job, int fd, const char *why) {
    connect_drop(job);
    job->done(job->arg, fd, why);
}

// ---- an address ----

static void on_race(void *arg, uint32_t ready) {
    struct connect_job *job = arg;
    struct holder *h = job->holder;
    struct pollfd p;
    struct fault fault = {0};
    int fd = -1;
    (void)ready;
    loop_unwatch(&h->loop, &job->watch);
    enum err e = tcp_connect_step(job->race, clock_ms(), &fd, &fault);
    if (e != OK || fd >= 0) {
        over(job, fd, fault_text(&fault));
        return;
    }
    if (tcp_connect_poll(job->race, &p, 1) != 1 ||
        loop_watch(&h->loop, &job->watch, p.fd, LOOP_OUT, on_race, job) != OK)
        over(job, -1, "out of memory");
}

static void target_of(const struct connect_job *job, struct tcp_target *t) {
    *t = (struct tcp_target){
        .host = job->host,
        .port = job->port,
        .family = AF_UNSPEC,
        .deadline = clock_ms() + CONNECT_MS,
        .keepalive = true,
        .dscp = -1,
    };
}

static void race(struct connect_job *job) {
    struct fault fault = {0};
    struct tcp_target t;
    target_of(job, &t);
    if (tcp_connect_new(&job->race, &t, &fault) != OK)
        over(job, -1, fault_text(&fault));
    else
        on_race(job, 0);
}

// ---- the helper ----

static _Noreturn void help(const struct connect_job *job, int socket) {
    struct fault fault = {0};
    struct tcp_target t;
    int fd = -1;
    bool sent;
    process_reset_signals();
    fd_close_all_but((int[]){0, 1, 2, socket}, 4);
    process_title("sshd: %s connecting", job->holder->user);
    target_of(job, &t);
    enum err e = job->is_path ? unix_connect(job->host, SOCK_STREAM, &fd, &fault)
                              : tcp_connect(&t, &fd, NULL, NULL, &fault);
    struct view text = view_text(e == OK ? "." : fault_text(&fault));
    e = unix_send(socket, &text, 1, &fd, fd >= 0 ? 1 : 0, &sent);
    _exit(e == OK ? 0 : 1);
}

static void on_helper_exit(void *arg, int status) {
    struct connect_job *job = arg;
    (void)status;
    job->helping = false;
    job->holder->lookups--;
}

static void on_helper(void *arg, uint32_t ready) {
    struct connect_job *job = arg;
    struct unix_message m;
    uint8_t bytes[FAULT_TEXT_SIZE + 1] = {0};
    char why[FAULT_TEXT_SIZE];
    (void)ready;
    enum err e = unix_recv(job->socket, (struct span){bytes, FAULT_TEXT_SIZE}, 1, &m);
    if (e == OK && !m.ready)
        return;
    text_one_line(why, sizeof why, view_of(bytes, e == OK ? m.n : 0));
    over(job, e == OK && m.fds_n == 1 ? m.fds[0] : -1,
         e == OK ? why : "the helper that connects died");
}

static void start_helper(struct connect_job *job) {
    struct holder *h = job->holder;
    struct process p = {-1, -1};
    int pair[2];
    job->waiting = h->lookups >= LIMIT_LOOKUPS;
    if (job->waiting)
        return;
    if (unix_pair(pair, 0) != OK || process_fork(&p) != OK) {
        over(job, -1, "no process can be started");
        return;
    }
    if (p.pid == 0)
        help(job, pair[1]);
    close(pair[1]);
    job->socket = pair[0];
    h->lookups++;
    job->helping = true;
    if (loop_child(&h->loop, &job->helper, p.pid, p.pidfd, on_helper_exit, job) != OK ||
        loop_watch(&h->loop, &job->watch, job->socket, LOOP_IN, on_helper, job) != OK)
        over(job, -1, "out of memory");
}

void connect_next(struct connect_job *job) {
    if (job->waiting)
        start_helper(job);
}

// ---- both ----

void connect_start(struct connect_job *job) {
    struct address a;
    struct fault fault = {0};
    int fd = -1;
    job->socket = -1;
    if (!job->is_path && address_parse(&a, job->host)) {
        race(job);
        return;
    }
    enum err e = job->is_path ? unix_connect_now(job->host, SOCK_STREAM, &fd, &fault)
                              : ERR_TIMEOUT;
    if (e == ERR_TIMEOUT)  // it would have to wait
        start_helper(job);
    else
        over(job, fd, fault_text(&fault));
}

void connect_drop(struct connect_job *job) {
    struct holder *h = job->holder;
    if (h == NULL)
        return;
    loop_unwatch(&h->loop, &job->watch);
    fd_close(&job->socket);  // a helper that still runs ends when it has nobody to tell
    tcp_connect_drop(job->race);
    job->race = NULL;
    job->waiting = false;
}
