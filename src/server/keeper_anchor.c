// The keeper's side of the anchor (anchor.h): a place for it, what it is to keep, and
// taking over from that of a keeper that was killed.
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/text.h"
#include "io/fd.h"
#include "io/unix_socket.h"
#include "server/anchor.h"
#include "server/keeper_control.h"

#define TAKE_MS 5000       // for an anchor to hand over everything
#define AGAIN_MS 1000      // before another anchor is started
#define PENALTIES_MS 1000  // between two files of them

struct keeper_anchor {
    int fd;
    struct loop_watch watch;
    struct loop_child exit;
    struct loop_timer again;
    bool running, behind;  // behind: a link is still to be kept, or ends are
    bool ends_due;
    struct loop_timer penalties;
    uint64_t penalties_at;  // clock_ms(), when they were last written
};

// ---- keeping ----

// False: there is no room now.
static bool keep_one(struct keeper *k, struct link *l) {
    scoped_buf record;
    int fds[LINK_FDS];
    bool sent = false;
    buf_init(&record, LINK_RECORD_MAX);
    enum err e = link_record_of(l, &record, fds);
    struct anchor_keep m = {l->serial, 0, buf_view(&record)};
    for (size_t i = 0; i < LINK_FDS; i++)
        m.fds |= (uint32_t)(fds[i] >= 0) << i;
    if (e == OK)
        e = anchor_send(k->anchor->fd, ANCHOR_KEEP, &m, fds, &sent);
    if (e != OK && e != ERR_CLOSED)
        log_error(&k->log, "the anchor cannot keep the session of %s: %s", l->user,
                  err_text(e));
    l->anchored = e != OK || sent;
    return l->anchored;
}

static bool is_session(const struct link *l) {
    return l->authenticated && l->holder.alive;
}

static bool is_to_be_kept(const struct link *l) {
    return !l->anchored && is_session(l);
}

// False: there is no room now.
static bool keep_ends(struct keeper *k) {
    struct keeper_anchor *a = k->anchor;
    scoped_buf list = {0};
    bool sent = false;
    if (!a->ends_due)
        return true;
    buf_init(&list, KEEPER_ENDS_TOLD);
    enum err e = keeper_ends_write(k, &list);
    struct anchor_ends m = {k->since, buf_view(&list)};
    if (e == OK)
        e = anchor_send(a->fd, ANCHOR_ENDS, &m, NULL, &sent);
    if (e != OK && e != ERR_CLOSED)
        log_error(&k->log, "the anchor cannot keep how connections ended: %s",
                  err_text(e));
    a->ends_due = e == OK && !sent;
    return !a->ends_due;
}

static void keep_all(struct keeper *k) {
    struct keeper_anchor *a = k->anchor;
    struct link *l = k->links;
    while (l != NULL && (!is_to_be_kept(l) || keep_one(k, l)))
        l = l->next;
    a->behind = l != NULL || !keep_ends(k);
    if (loop_change(&k->loop, &a->watch, LOOP_IN | (a->behind ? LOOP_OUT : 0)) != OK)
        log_error(&k->log, "the anchor cannot be watched");
}

void keeper_anchor_keep(struct link *l) {
    struct keeper *k = l->keeper;
    if (k->anchor != NULL && k->anchor->running && !k->anchor->behind)
        keep_all(k);
}

void keeper_anchor_ends(struct keeper *k) {
    if (k->anchor == NULL)
        return;
    k->anchor->ends_due = true;
    if (k->anchor->running && !k->anchor->behind)
        keep_all(k);
}

void keeper_anchor_again(struct link *l) {
    l->anchored = false;
    keeper_anchor_keep(l);
}

// ---- penalties ----

// As a file, for there may be many.
static int penalties_file(struct keeper *k, uint64_t now) {
    scoped_buf bytes;
    buf_init(&bytes, SETTINGS_MAX);
    struct writer w = writer_to_buf(&bytes);
    scoped_fd fd = memfd_create("penalties", MFD_CLOEXEC);
    if (!k->stopping)
        penalties_write(&k->penalties, now, &w);
    if (fd < 0 || writer_end(&w) != OK || fd_write_full(fd, buf_view(&bytes)) != OK)
        return -1;
    int out = fd;
    fd = -1;
    return out;
}

static void write_penalties(void *arg) {
    struct keeper *k = arg;
    struct keeper_anchor *a = k->anchor;
    uint64_t now = clock_ms();
    struct anchor_penalties m = {k->stopping ? 0 : penalties_until(&k->penalties)};
    scoped_fd file = penalties_file(k, now);
    int fds[LINK_FDS];
    bool sent = false;
    if (!a->running)
        return;  // the next anchor gets them
    for (size_t i = 0; i < LINK_FDS; i++)
        fds[i] = i == 0 ? file : -1;
    a->penalties_at = now;
    enum err e =
        file >= 0 ? anchor_send(a->fd, ANCHOR_PENALTIES, &m, fds, &sent) : ERR_IO;
    if (e == OK && !sent)
        e = loop_timer_set(&k->loop, &a->penalties, now + PENALTIES_MS, write_penalties,
                           k);
    if (e != OK && e != ERR_CLOSED)
        log_error(&k->log, "the anchor cannot keep the penalties of sources: %s",
                  err_text(e));
}

void keeper_anchor_penalties(struct keeper *k) {
    struct keeper_anchor *a = k->anchor;
    if (a == NULL || !a->running || a->penalties.place != 0)
        return;
    uint64_t at = a->penalties_at + PENALTIES_MS;
    if (a->penalties_at == 0 || clock_ms() >= at ||
        loop_timer_set(&k->loop, &a->penalties, at, write_penalties, k) != OK)
        write_penalties(k);
}

static enum err read_penalties(struct keeper *k, int fd) {
    scoped_buf bytes;
    off_t n = lseek(fd, 0, SEEK_END);
    size_t got = 0;
    struct span room;
    buf_init(&bytes, SETTINGS_MAX);
    if (n < 0 || n > SETTINGS_MAX || lseek(fd, 0, SEEK_SET) != 0)
        return ERR_IO;
    TRY(buf_reserve(&bytes, (size_t)n, &room));
    TRY(fd_read_full(fd, (struct span){room.p, (size_t)n}, &got));
    return penalties_read(&k->penalties, view_of(room.p, got));
}

// ---- starting one ----

static bool path_of(const struct keeper *k, char *out) {
    char folder[CONTROL_PATH_SIZE];
    struct fault fault = {0};
    return keeper_control_place(k, folder, out, "anchor", &fault);
}

// An anchor that outlives its keeper cannot remove its socket: it is confined, and the
// next keeper may look for it until the last moment. Whoever starts or ends sweeps.
static void sweep(const struct keeper *k) {
    char folder[CONTROL_PATH_SIZE], path[CONTROL_PATH_SIZE];
    struct fault fault = {0};
    if (!keeper_control_place(k, folder, path, "anchor", &fault))
        return;
    unix_remove_stale(folder, "anchor.");
    unix_remove_stale(folder, "sshd.");  // of keepers that were killed
}

static _Noreturn void become_anchor(struct keeper *k, int keeper, int listening) {
    struct sandbox_identity as;
    bool has;
    sigset_t none;
    keeper_identity(&as, &has);
    fd_close_all_but((int[]){0, 1, 2, keeper, listening}, 5);
    keeper_forget(k);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    struct anchor_start start = {keeper, listening, geteuid(), has ? &as : NULL};
    anchor_run(&start);
}

static void spawn(void *arg);

static void lost(struct keeper *k) {
    struct keeper_anchor *a = k->anchor;
    loop_unwatch(&k->loop, &a->watch);
    fd_close(&a->fd);
    a->running = a->behind = false;
    for (struct link *l = k->links; l != NULL; l = l->next)
        l->anchored = false;
    if (!k->stopping &&
        loop_timer_set(&k->loop, &a->again, clock_ms() + AGAIN_MS, spawn, k) != OK)
        log_error(&k->log, "there is no anchor any more");
}

static void on_anchor(void *arg, uint32_t ready) {
    struct keeper *k = arg;
    if (ready & ~LOOP_OUT)
        lost(k);  // it never says anything
    else
        keep_all(k);
}

static void on_anchor_exit(void *arg, int status) {
    struct keeper *k = arg;
    log_verbose(&k->log, "anchor ended: status %#x", status);
}

static void spawn(void *arg) {
    struct keeper *k = arg;
    struct keeper_anchor *a = k->anchor;
    char path[CONTROL_PATH_SIZE];
    struct fault fault = {0};
    int pair[2], listening = -1;
    struct process p;
    if (path_of(k, path) &&
        unix_listen(path, SOCK_SEQPACKET, 0600, true, &listening, &fault) != OK)
        log_verbose(&k->log, "sessions would not be found after a crash: %s",
                    fault_text(&fault));
    if (unix_pair(pair, LIMIT_IPC_MESSAGE) != OK) {
        fd_close(&listening);
        return;
    }
    enum err e = process_fork(&p);
    if (e == OK && p.pid == 0)
        become_anchor(k, pair[1], listening);
    fd_close(&listening);
    fd_close(&pair[1]);
    a->fd = pair[0];
    if (e == OK)
        e = loop_child(&k->loop, &a->exit, p.pid, p.pidfd, on_anchor_exit, k);
    if (e == OK)
        e = loop_watch(&k->loop, &a->watch, a->fd, LOOP_IN, on_anchor, k);
    a->running = e == OK;
    if (e != OK) {
        log_error(&k->log, "no anchor: %s", err_text(e));
        return;
    }
    a->ends_due = true;
    keep_all(k);
    if (penalties_until(&k->penalties) > clock_ms())
        write_penalties(k);
}

bool keeper_anchor_is(const struct keeper *k, pid_t pid) {
    return k->anchor != NULL && loop_watches(&k->anchor->exit.watch) &&
           k->anchor->exit.pid == pid;
}

// ---- taking over ----

static bool wait_for(int fd, uint64_t until) {
    struct pollfd p = {fd, POLLIN, 0};
    uint64_t now = clock_ms();
    return now < until && poll(&p, 1, clock_poll_ms(now, until)) > 0;
}

static void take_ends(struct keeper *k, const struct anchor_ends *m) {
    k->since = m->since;
    if (keeper_ends_read(k, m->list) != OK)
        log_error(&k->log, "how connections of the server before ended cannot be read; "
                           "their clients are not told");
}

// False: that was all, or nothing more will come.
static bool take(struct keeper *k, struct anchor_message *m, uint32_t *taken) {
    struct fault fault = {0};
    if (m->number == ANCHOR_HELLO && m->body.hello.serial > k->link_serial)
        k->link_serial = m->body.hello.serial;
    if (m->number == ANCHOR_KEEP) {
        enum err e = keeper_restore(k, m->body.keep.record, m->fds, &fault);
        if (e == OK)
            ++*taken;
        else
            log_error(&k->log, "a session cannot be taken over: %s",
                      fault.text[0] != '\0' ? fault_text(&fault) : err_text(e));
    }
    if (m->number == ANCHOR_PENALTIES && read_penalties(k, m->fds[0]) != OK)
        log_error(&k->log, "the penalties of the server before cannot be read; sources "
                           "begin without any");
    if (m->number == ANCHOR_ENDS)
        take_ends(k, &m->body.ends);
    anchor_message_close(m);
    return m->number != ANCHOR_DONE;
}

static void take_all(struct keeper *k, int fd) {
    static uint8_t bytes[LIMIT_IPC_MESSAGE];
    uint64_t until = clock_ms() + TAKE_MS;
    uint32_t taken = 0;
    for (bool more = true; more;) {
        struct anchor_message m;
        struct fault fault = {0};
        bool got;
        enum err e =
            anchor_recv(fd, (struct span){bytes, sizeof bytes}, &m, &got, &fault);
        if (e != OK || (!got && !wait_for(fd, until))) {
            log_error(&k->log, "the anchor of the server before does not tell all");
            break;
        }
        more = !got || take(k, &m, &taken);
    }
    if (taken > 0)
        log_info(&k->log, "Found %u sessions of the server before.", taken);
}

// The old one lets go once ours has everything.
static void end_old(int *fd) {
    struct anchor_end end = {0};
    bool sent;
    enum err e = *fd >= 0 ? anchor_send(*fd, ANCHOR_END, &end, NULL, &sent) : OK;
    (void)e;  // or it has ended
    fd_close(fd);
}

static int find_old(struct keeper *k) {
    char path[CONTROL_PATH_SIZE];
    struct fault fault = {0};
    struct unix_peer peer;
    struct anchor_hello hello = {ANCHOR_VERSION, 0};
    bool sent = false;
    int fd = -1;
    if (!path_of(k, path) || unix_connect_now(path, SOCK_SEQPACKET, &fd, &fault) != OK)
        return -1;
    if (unix_peer(fd, &peer) != OK || peer.uid != geteuid() ||
        anchor_send(fd, ANCHOR_HELLO, &hello, NULL, &sent) != OK || !sent)
        fd_close(&fd);
    return fd;
}

int keeper_anchor_facts(const struct keeper *k, pid_t *pid) {
    bool lives = k->anchor != NULL && loop_watches(&k->anchor->exit.watch);
    *pid = lives ? k->anchor->exit.pid : 0;
    return k->anchor != NULL ? k->anchor->fd : -1;
}

void keeper_anchor_close(struct keeper *k) {
    char path[CONTROL_PATH_SIZE];
    const struct link *l = k->links;
    sweep(k);
    while (l != NULL && !is_session(l))
        l = l->next;
    if (k->anchor != NULL && l != NULL)
        write_penalties(k);  // a stop forgets them
    if (k->anchor == NULL || l != NULL)
        return;  // it stays as long as sessions do
    end_old(&k->anchor->fd);
    if (path_of(k, path))
        unlink(path);
}

void keeper_anchor_open(struct keeper *k) {
    int before = k->anchor_before;
    if (k->options->inetd || k->options->debug)
        return;
    if (before < 0) {
        before = find_old(k);
        k->since = before >= 0 ? 0 : clock_wall_us() / 1000;
        if (before >= 0)
            take_all(k, before);
    }
    k->anchor = calloc(1, sizeof *k->anchor);
    if (k->anchor == NULL)
        return;
    k->anchor->fd = -1;
    spawn(k);
    end_old(&before);
    sweep(k);
}
