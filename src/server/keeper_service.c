// The keeper as a service of systemd's, or as a container's first process: readiness
// (sd_notify(3)), sockets that were opened for it (sd_listen_fds(3)), orphans (pid 1).
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/text.h"
#include "io/fd.h"
#include "server/keeper.h"

#define FIRST_SOCKET 3  // SD_LISTEN_FDS_START

// ---- readiness ----

void keeper_notify(const char *state) {
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    char text[128];
    struct timespec now = {0};
    size_t n = path != NULL ? strlen(path) : 0;
    if (n < 2 || n >= sizeof un.sun_path || (path[0] != '/' && path[0] != '@'))
        return;
    memcpy(un.sun_path, path, n);
    if (path[0] == '@')
        un.sun_path[0] = '\0';
    scoped_fd fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    clock_gettime(CLOCK_MONOTONIC, &now);
    // The time is what Type=notify-reload asks for; others do not look at it.
    snprintf(text, sizeof text, "%s=1\nMAINPID=%ld\nMONOTONIC_USEC=%llu\n", state,
             (long)getpid(),
             (unsigned long long)now.tv_sec * 1000000 +
                 (unsigned long long)now.tv_nsec / 1000);
    if (fd >= 0)
        (void)sendto(fd, text, strlen(text), MSG_NOSIGNAL, (struct sockaddr *)&un,
                     (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n));
}

// ---- sockets ----

// How many sockets were opened for this very process.
static uint64_t sockets_given(void) {
    const char *pid = getenv("LISTEN_PID"), *fds = getenv("LISTEN_FDS");
    uint64_t who = 0, n = 0;
    if (pid == NULL || fds == NULL || !text_number(pid, 1, INT32_MAX, &who) ||
        who != (uint64_t)getpid() || !text_number(fds, 1, KEEPER_SOCKETS_MAX, &n))
        return 0;
    return n;
}

static bool is_listening(int fd) {
    int on = 0, type = 0;
    socklen_t n = sizeof on;
    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &on, &n) != 0 || !on)
        return false;
    n = sizeof type;
    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &n) == 0 && type == SOCK_STREAM;
}

bool keeper_take_sockets(struct keeper *k) {
    uint64_t n = sockets_given();
    for (int fd = FIRST_SOCKET; fd < FIRST_SOCKET + (int)n; fd++) {
        struct endpoint at;
        if (!is_listening(fd) || fd_set_cloexec(fd, true) != OK ||
            fd_set_nonblock(fd, true) != OK)
            continue;
        endpoint_local(&at, fd);
        struct keeper_socket *s = &k->sockets[k->sockets_n++];
        s->fd = fd;
        snprintf(s->name, sizeof s->name, "given");
        log_info(&k->log, "Server listening on %s port %u.", at.text, at.port);
        keeper_event_listening(k, at.text, at.port);
    }
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_FDNAMES");
    k->sockets_given = k->sockets_n > 0;
    return k->sockets_given;
}

// ---- orphans ----

static bool is_child(const struct keeper *k, pid_t pid) {
    for (const struct keeper_listener *l = k->listeners; l != NULL; l = l->next)
        if (l->exit.pid == pid)
            return true;
    for (const struct link *l = k->links; l != NULL; l = l->next)
        if ((l->judge.alive && l->judge.exit.pid == pid) ||
            (l->holder.alive && l->holder.exit.pid == pid))
            return true;
    return nursery_is(k->nursery, pid) || keeper_anchor_is(k, pid) ||
           keeper_reload_is(k, pid) ||
           (loop_watches(&k->recorder.exit.watch) && k->recorder.exit.pid == pid);
}

static void on_child_signal(void *arg, int number) {
    struct keeper *k = arg;
    (void)number;
    for (;;) {
        siginfo_t info = {0};
        // Looked at first: those of ours are reaped where they are waited for.
        if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0 ||
            info.si_pid == 0 || is_child(k, info.si_pid))
            return;
        (void)waitpid(info.si_pid, NULL, WNOHANG);
    }
}

enum err keeper_reap_orphans(struct keeper *k) {
    return getpid() == 1 ? loop_signal(&k->loop, &k->child, SIGCHLD, on_child_signal, k)
                         : OK;
}

struct leftover {
    struct loop_child exit;
};

static void on_leftover_end(void *arg, int status) {
    (void)status;
    free(arg);
}

void keeper_reap(struct keeper *k, pid_t pid) {
    struct leftover *l = pid > 0 ? calloc(1, sizeof *l) : NULL;
    if (l != NULL && loop_child(&k->loop, &l->exit, pid, -1, on_leftover_end, l) != OK)
        free(l);  // it has never been ours
}
