#include "server/nursery.h"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/text.h"
#include "io/account.h"
#include "io/clock.h"
#include "io/endpoint.h"
#include "io/fd.h"
#include "io/look_up.h"
#include "io/process.h"
#include "io/sandbox.h"
#include "io/tcp.h"
#include "server/holder.h"
#include "server/judge.h"
#include "server/pam_library.h"
#include "server/recorder.h"
#include "server/signer.h"
#include "server/template.h"

#define ANSWER_MS 10000  // a machine that cannot fork in that time is not going to

struct nursery {
    struct nursery_options options;
    int fd;
    struct ipc_side side;
    struct loop_child exit;
    bool stopped;
};

// ---- in the children ----

// Waits. Whoever has nobody to talk to ends.
static void receive(int fd, struct ipc_side *side, struct span room,
                    struct ipc_message *m) {
    struct fault fault = {0};
    struct pollfd p = {fd, POLLIN, 0};
    bool ready = false;
    while (!ready) {
        if (poll(&p, 1, -1) > 0 && ipc_recv(fd, side, room, m, &ready, &fault) != OK)
            _exit(1);
    }
}

#define KEPT 2u  // messages: START, LOGIN

// What a child is told at its start and has for all its life, one behind the other. Only
// the pages that are used are there: one, as a rule.
struct told {
    struct ipc_side side;
    struct ipc_message message[KEPT];
    size_t n, used;
    char peer[ENDPOINT_TEXT_SIZE], local[ENDPOINT_TEXT_SIZE];
    char domain[TCP_INTERFACE_SIZE], host[LOOK_UP_NAME_SIZE];
    uint8_t room[KEPT * LIMIT_IPC_MESSAGE];
};

// False: the message has none.
static bool take_name(struct told *t, const struct ipc_message *m) {
    if (m->row->number == IPC_DOMAIN)
        text_copy(t->domain, sizeof t->domain, m->body.domain.name);
    else if (m->row->number == IPC_HOST)
        text_copy(t->host, sizeof t->host, m->body.host.name);
    else
        return false;
    return true;
}

static const struct ipc_message *next(struct told *t, int fd, enum ipc_role role,
                                      enum ipc_number number) {
    struct ipc_message *m = &t->message[t->n++];
    struct span room = {t->room + t->used, LIMIT_IPC_MESSAGE};
    t->side.from = IPC_KEEPER;
    t->side.to = role;
    do {
        receive(fd, &t->side, room, m);
    } while (take_name(t, m));
    if (m->row->number != number)
        _exit(1);
    t->used += m->n;
    return m;
}

static _Noreturn void become(const struct nursery *n, enum ipc_role role, int fd) {
    if (role == IPC_RECORDER)
        recorder_run(fd);
    if (role == IPC_SIGNER)
        signer_run(fd);
    static _Alignas(4096) struct told told;
    const struct ipc_start *s = &next(&told, fd, role, IPC_START)->body.start;
    text_copy(told.peer, sizeof told.peer, s->peer);
    text_copy(told.local, sizeof told.local, s->local);
    if (role == IPC_JUDGE) {
        process_title("sshd: judge");
        judge_run(&(struct judge_start){
            .keeper = fd,
            .config = n->options.config,
            .session_id = s->session_id,
            .host_key = s->host_key,
            .peer = told.peer,
            .local = told.local,
            .peer_port = (uint16_t)s->peer_port,
            .local_port = (uint16_t)s->local_port,
            .domain = told.domain,
            .host_keys = s->host_keys,
        });
    }
    const struct ipc_message *login = next(&told, fd, role, IPC_LOGIN);
    holder_run(&(struct holder_start){
        .keeper = fd,
        .seam = login->fd,
        .host = told.host[0] != '\0' ? told.host : told.peer,
        .config = n->options.config,
        .verdict = &login->body.verdict,
        .peer = told.peer,
        .local = told.local,
        .peer_port = (uint16_t)s->peer_port,
        .local_port = (uint16_t)s->local_port,
        .domain = told.domain,
        .host_keys = s->host_keys,
        .as_root = getuid() == 0,
    });
}

// ---- the nursery itself ----

static void make(struct nursery *n, const struct ipc_message *m) {
    pid_t pid = process_fork_sibling();
    if (pid == 0) {
        close(n->fd);  // n itself stays the nursery's page
        become(n, (enum ipc_role)m->body.make.role, m->fd);
    }
    struct ipc_made made = {pid > 0 ? (uint32_t)pid : 0};
    close(m->fd);
    if (ipc_send(n->fd, IPC_MADE, &made, -1) != OK)
        _exit(1);
}

// Looks up somebody who is always there, so that the libraries of the account database
// are loaded.
static void warm_accounts(void) {
    struct account a = {0};
    struct fault fault = {0};
    if (account_by_uid(0, &a, &fault) == OK)
        account_drop(&a);
}

static _Noreturn void serve(struct nursery *n) {
    static uint8_t bytes[LIMIT_IPC_MESSAGE];
    n->side = (struct ipc_side){IPC_KEEPER, IPC_NURSERY, .state = LINK_NONE};
    process_title("sshd: nursery");
    warm_accounts();
    if (n->options.config->use_pam)
        pam_library_warm(n->options.config->pam_service_name);
    template_settle();
    for (;;) {
        struct ipc_message m;
        receive(n->fd, &n->side, (struct span){bytes, sizeof bytes}, &m);
        make(n, &m);
    }
}

static _Noreturn void become_nursery(struct nursery *n, int theirs) {
    sigset_t none;
    fd_close_all_but((int[]){0, 1, 2, theirs}, 4);
    n->options.forget(n->options.arg);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);  // the loop's signals; handlers there are none
    sandbox_undumpable();
    n->fd = theirs;
    serve(n);
}

// ---- in the keeper ----

static void on_end(void *arg, int status) {
    struct nursery *n = arg;
    if (n->stopped) {
        free(n);
        return;
    }
    if (WIFSIGNALED(status))
        log_error(n->options.log, "the nursery died of signal %d", WTERMSIG(status));
    fd_close(&n->fd);
}

enum err nursery_start(struct nursery **out, const struct nursery_options *o) {
    int pair[2];
    struct process p;
    struct nursery *n = calloc(1, sizeof *n);
    if (n == NULL)
        return ERR_MEMORY;
    n->options = *o;
    n->side = (struct ipc_side){IPC_NURSERY, IPC_KEEPER, .state = LINK_NONE};
    enum err e = ipc_pair(pair);
    if (e == OK && (e = process_fork(&p)) != OK) {
        close(pair[0]);
        close(pair[1]);
    }
    if (e != OK) {
        free(n);
        return e;
    }
    if (p.pid == 0)
        become_nursery(n, pair[1]);
    close(pair[1]);
    n->fd = pair[0];
    *out = n;
    return loop_child(o->loop, &n->exit, p.pid, p.pidfd, on_end, n);
}

pid_t nursery_pid(const struct nursery *n) {
    return n != NULL && loop_watches(&n->exit.watch) ? n->exit.pid : 0;
}

bool nursery_is(const struct nursery *n, pid_t pid) {
    return n != NULL && loop_watches(&n->exit.watch) && n->exit.pid == pid;
}

void nursery_stop(struct nursery *n) {
    if (n == NULL)
        return;
    fd_close(&n->fd);
    if (!loop_watches(&n->exit.watch)) {
        free(n);  // its end was seen
        return;
    }
    n->stopped = true;
}

static enum err answer(struct nursery *n, uint32_t *pid) {
    uint8_t bytes[64];
    struct fault fault = {0};
    struct ipc_message m;
    uint64_t until = clock_ms() + ANSWER_MS;
    for (bool ready = false; !ready;) {
        struct pollfd p = {n->fd, POLLIN, 0};
        if (poll(&p, 1, clock_poll_ms(clock_ms(), until)) == 0)
            return ERR_TIMEOUT;
        TRY(ipc_recv(n->fd, &n->side, (struct span){bytes, sizeof bytes}, &m, &ready,
                     &fault));
    }
    *pid = m.body.made.pid;
    return *pid != 0 ? OK : ERR_LIMIT;
}

enum err nursery_make(struct nursery *n, enum ipc_role role, int theirs, pid_t *pid) {
    struct ipc_make make = {role};
    uint32_t got = 0;
    if (n == NULL || n->fd < 0)
        return ERR_IO;
    enum err e = ipc_send(n->fd, IPC_MAKE, &make, theirs);
    if (e == OK)
        e = answer(n, &got);
    if (e != OK && e != ERR_LIMIT)
        fd_close(&n->fd);  // what it might still answer would be taken for another's
    *pid = (pid_t)got;
    return e == OK || e == ERR_LIMIT ? e : ERR_IO;
}
