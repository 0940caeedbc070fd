// The beginning of a run, and going to the background: -f, and ControlPersist, where a
// child becomes the master and this process its first passenger.
#include <stdlib.h>
#include <unistd.h>

#include "base/limits.h"
#include "client/mux_passenger.h"
#include "client/run.h"
#include "client/signals.h"
#include "io/fd.h"
#include "io/process.h"
#include "io/tcp.h"

enum err run_fork_away(struct run *r) {
    (void)!link_flush(&r->c->link);
    pid_t pid = fork();
    if (pid < 0)
        return fault_set(&r->c->fault, ERR_IO, 0, "-f: cannot fork: %m");
    if (pid > 0)
        _exit(0);
    (void)!setsid();
    return OK;
}

// ---- ControlPersist ----

// A master in the background says nothing at the terminal, unless it is to be debugged.
static void leave_terminal(struct client *c) {
    (void)!setsid();
    (void)!fd_to_null(STDIN_FILENO);
    (void)!fd_to_null(STDOUT_FILENO);
    if (c->flags.log_file != NULL || c->log.level < LOG_LEVEL_DEBUG1)
        (void)!fd_to_null(STDERR_FILENO);
}

// This process keeps nothing of the connection, and says no goodbye on it.
static void hand_over(struct run *r) {
    struct client *c = r->c;
    r->handed_over = r->done = true;
    mux_master_abandon(&r->mux);
    forwards_abandon(&r->forwards);
    fd_close(&c->link.fd);
    if (c->proxied)
        fd_close(&c->proxy.pidfd);
    c->proxied = false;
}

static enum err persist(struct run *r) {
    struct client *c = r->c;
    bool nothing_here =
        c->config.session_type == SESSION_TYPE_NONE && c->flags.stdio_forward == NULL;
    (void)!link_flush(&c->link);
    pid_t pid = fork();
    if (pid < 0)
        return fault_set(&c->fault, ERR_IO, 0, "ControlPersist: cannot fork: %m");
    if (pid == 0) {
        leave_terminal(c);
        r->mux.persists = true;
        return OK;
    }
    if (nothing_here)
        _exit(0);
    char path[PATH_MAX];
    memcpy(path, r->mux.path, sizeof path);
    hand_over(r);
    return mux_passenger_attach(c, path);
}

// ---- the own session ----

enum err run_open_own(struct run *r) {
    static const int standard[3] = {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO};
    struct client *c = r->c;
    struct want want;
    struct want_room room;
    if (c->config.session_type == SESSION_TYPE_NONE && c->flags.stdio_forward == NULL) {
        client_step(c, "session", "none (-N)");
        return OK;
    }
    enum err e = want_own(c, &want, &room);
    if (e == OK)
        r->own = session_new(r, standard, NULL);
    if (e == OK)
        e = r->own != NULL ? session_open(r->own, &want) : ERR_MEMORY;
    want_room_free(&room);
    return e;
}

static enum err new_connection(struct run *r) {
    struct client *c = r->c;
    uint32_t packet =
        c->bowline_peer ? LIMIT_CHANNEL_PACKET_BOWLINE : LIMIT_CHANNEL_PACKET;
    struct connection_config config = {
        .max_packet = packet,
        .max_packet_out = packet,
        .window_max = c->bowline_peer ? LIMIT_WINDOW_MAX : LIMIT_WINDOW_MAX_STOCK,
    };
    return connection_new(&r->connection, &config);
}

struct run *run_new(struct client *c) {
    struct run *r = calloc(1, sizeof *r);
    if (r == NULL)
        return NULL;
    r->c = c;
    r->mux.listener = -1;
    carrier_init(&r->carrier, c);
    silence_init(&r->silence);
    if (new_connection(r) == OK)
        return r;
    free(r);
    return NULL;
}

void run_tune(const struct run *r) {
    const struct client *c = r->c;
    bool terminal = r->own != NULL && r->own->pty;
    if (!c->proxied)
        tcp_set_dscp(c->link.fd,
                     terminal ? c->config.ipqos.interactive : c->config.ipqos.bulk);
}

enum err run_start(struct run *r) {
    struct client *c = r->c;
    TRY(forwards_open(&r->forwards, c, r->connection, &r->carrier));
    mux_master_open(&r->mux, r);
    if (c->config.control_persist && r->mux.listener >= 0) {
        TRY(run_local_command(r));
        TRY(persist(r));
        if (!r->done)
            signals_catch(true);
        return OK;
    }
    r->fork_due = c->config.fork_after_authentication &&
                  c->config.exit_on_forward_failure && r->forwards.waiting > 0;
    if (c->config.fork_after_authentication && !r->fork_due)
        TRY(run_fork_away(r));
    if (c->config.stdin_null)
        TRY(fd_to_null(STDIN_FILENO));
    TRY(run_local_command(r));
    if (r->own == NULL)  // else it was asked for along with the login
        TRY(run_open_own(r));
    run_tune(r);
    signals_catch((r->own != NULL && r->own->pty) || r->mux.listener >= 0);
    if (r->own != NULL)
        session_enter_raw(r->own);
    return OK;
}
