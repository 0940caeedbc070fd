#include "server/recorder.h"

#include <poll.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/text.h"
#include "io/clock.h"
#include "io/fd.h"
#include "io/login_record.h"
#include "io/look_up.h"
#include "io/process.h"
#include "io/sandbox.h"
#include "server/ipc.h"
#include "server/template.h"

#define LOGINS_MAX 16384u

struct login {
    char line[32];
    pid_t pid;
};

struct recorder {
    int keeper;  // -1: gone
    struct ipc_side side;
    struct login *v;
    struct pollfd *fds;  // [0] the keeper, then the pidfd of each login
    size_t n, room;
    char host[LOOK_UP_NAME_SIZE];  // the name of the next login's address; "": none
};

static bool grow(struct recorder *r) {
    size_t room = r->room == 0 ? 16 : r->room * 2;
    if (r->n < r->room)
        return true;
    struct login *v = room <= LOGINS_MAX ? realloc(r->v, room * sizeof *v) : NULL;
    if (v == NULL)
        return false;
    r->v = v;
    struct pollfd *fds = realloc(r->fds, (room + 1) * sizeof *fds);
    if (fds == NULL)
        return false;
    r->fds = fds;
    r->room = room;
    return true;
}

static void end(struct recorder *r, size_t i) {
    struct login_record record = {.line = r->v[i].line,
                                  .user = "",
                                  .host = "",
                                  .address = "",
                                  .pid = r->v[i].pid,
                                  .at = (int64_t)clock_wall_s()};
    (void)login_record_write(&record);
    fd_close(&r->fds[i + 1].fd);
    r->n--;
    r->v[i] = r->v[r->n];
    r->fds[i + 1] = r->fds[r->n + 1];
}

// False: the process is over already, or it cannot be watched.
static bool watch(struct recorder *r, const char *line, pid_t pid) {
    int pidfd = grow(r) ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;
    if (pidfd < 0)
        return false;
    struct login *l = &r->v[r->n++];
    text_copy(l->line, sizeof l->line, view_text(line));
    l->pid = pid;
    r->fds[r->n] = (struct pollfd){pidfd, POLLIN, 0};
    return true;
}

static void take(struct recorder *r, const struct ipc_record *m) {
    char line[32], user[LIMIT_USER_NAME + 1], address[64];
    struct login_record record = {.in = m->in,
                                  .line = line,
                                  .user = user,
                                  .host = r->host[0] != '\0' ? r->host : address,
                                  .address = address,
                                  .pid = (pid_t)m->pid,
                                  .uid = (uid_t)m->uid,
                                  .at = (int64_t)m->at};
    text_copy(line, sizeof line, m->line);
    text_copy(user, sizeof user, m->user);
    text_copy(address, sizeof address, m->host);
    for (size_t i = 0; i < r->n; i++)
        if (r->v[i].pid == record.pid && strcmp(r->v[i].line, line) == 0) {
            end(r, i);
            break;
        }
    // An end that we do not know of may be of a recorder before us.
    (void)login_record_write(&record);
    if (m->in && !watch(r, line, record.pid)) {
        record.in = false;
        (void)login_record_write(&record);
    }
    r->host[0] = '\0';
    r->side.seen = 0;  // each login may have a name
}

static void hear(struct recorder *r) {
    static uint8_t bytes[LIMIT_IPC_MESSAGE];
    for (bool ready = true; ready;) {
        struct ipc_message m;
        struct fault fault = {0};
        if (ipc_recv(r->keeper, &r->side, (struct span){bytes, sizeof bytes}, &m, &ready,
                     &fault) != OK) {
            fd_close(&r->keeper);
            r->fds[0].fd = -1;
            return;
        }
        if (ready && m.row->number == IPC_HOST)
            text_copy(r->host, sizeof r->host, m.body.host.name);
        else if (ready && m.row->number == IPC_RECORD)
            take(r, &m.body.record);
    }
}

// A keeper that executes its successor would leave us as a child that nobody waits for.
static void leave_parent(void) {
    struct process p;
    if (process_fork(&p) != OK)
        return;
    if (p.pid > 0)
        _exit(0);
}

_Noreturn void recorder_run(int keeper) {
    static struct recorder r;
    leave_parent();
    r.keeper = keeper;
    r.side = (struct ipc_side){IPC_KEEPER, IPC_RECORDER, .state = LINK_NONE};
    if (!grow(&r))
        _exit(1);
    r.fds[0] = (struct pollfd){keeper, POLLIN, 0};
    process_title("sshd: recorder");
    template_release();
    if (sandbox_enter(&sandbox_recorder, NULL, NULL, NULL) != OK)
        _exit(1);  // the keeper tells that the login is not recorded
    while (r.keeper >= 0 || r.n > 0) {
        if (poll(r.fds, r.n + 1, -1) <= 0)
            continue;
        for (size_t i = r.n; i > 0; i--)
            if (r.fds[i].revents != 0)
                end(&r, i - 1);
        if (r.keeper >= 0 && r.fds[0].revents != 0)
            hear(&r);
    }
    _exit(0);
}
