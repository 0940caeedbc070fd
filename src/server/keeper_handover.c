// What the keeper is, over an exec of itself: a file in memory of pieces {kind, fields},
// and descriptors that stay open. The program that reads it may be another version: it
// ignores kinds and fields that it does not know.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/secret.h"
#include "base/text.h"
#include "io/clock.h"
#include "io/fd.h"
#include "server/keeper_control.h"

#define VARIABLE "BOWLINE_HANDOVER"
#define HANDOVER_MAX (256u * 1024u * 1024u)
#define NO_FD UINT32_MAX

enum piece_kind {
    PIECE_SERVER = 1,
    PIECE_SOCKET,
    PIECE_LISTENER,
    PIECE_LINK,
    PIECE_ENDS,
    PIECE_KINDS
};

struct piece_server {
    uint64_t link_serial, listener_serial;
    uint64_t limit_soft, limit_hard;
    bool sockets_given;
    uint32_t control, anchor;          // descriptors, or NO_FD
    uint32_t anchor_pid, nursery_pid;  // to be reaped; 0: none
    struct view control_path, pid_file, folder;
    struct view penalties;  // penalties_write()
    struct view retired;    // keeper_retired_write()
    uint64_t since;         // as in struct keeper
};
struct piece_socket {
    uint32_t fd;
    struct view name;
};
struct piece_listener {
    uint64_t serial;
    uint32_t fd, pid, pidfd, forks, pending, version;
    struct view waiting;  // of its outbox
};
struct piece_link {
    uint32_t gate, holder, holder_pid, judge, judge_pid, seam;
    struct view record;
};

struct piece_ends {
    struct view list;  // keeper_ends_write()
};

union piece {
    struct piece_server server;
    struct piece_socket socket;
    struct piece_listener listener;
    struct piece_link link;
    struct piece_ends ends;
};

#define F(kind, member) FIELD(kind, ROW_STRUCT, member)
// clang-format off
#define ROW_STRUCT piece_server
static const struct message_field f_server[] = {F(U64, link_serial), F(U64, listener_serial),
    F(U64, limit_soft), F(U64, limit_hard), F(BOOL, sockets_given), F(U32, control), F(U32, anchor),
    F(U32, anchor_pid), F(U32, nursery_pid),
    F(TEXT, control_path), F(TEXT, pid_file), F(TEXT, folder), F(STRING, penalties),
    F(STRING, retired), F(U64, since), FIELDS_END};
#define SERVER_FIELDS_FIRST 14  // up to `retired`
#undef ROW_STRUCT
#define ROW_STRUCT piece_socket
static const struct message_field f_socket[] = {F(U32, fd), F(TEXT, name), FIELDS_END};
#undef ROW_STRUCT
#define LISTENER_FIELDS_FIRST 7  // up to `version`
#define ROW_STRUCT piece_listener
static const struct message_field f_listener[] = {F(U64, serial), F(U32, fd), F(U32, pid),
    F(U32, pidfd), F(U32, forks), F(U32, pending), F(U32, version), F(STRING, waiting),
    FIELDS_END};
#undef ROW_STRUCT
#define ROW_STRUCT piece_link
static const struct message_field f_link[] = {F(U32, gate), F(U32, holder), F(U32, holder_pid),
    F(U32, judge), F(U32, judge_pid), F(U32, seam), F(STRING, record), FIELDS_END};
#undef ROW_STRUCT
#define ROW_STRUCT piece_ends
static const struct message_field f_ends[] = {F(STRING, list), FIELDS_END};
#undef ROW_STRUCT
#define ROW(NAME, name) [PIECE_##NAME] = {PIECE_##NAME, #name, sizeof(struct piece_##name), f_##name}
// clang-format on

static const struct fields_of pieces[PIECE_KINDS] = {
    ROW(SERVER, server), ROW(SOCKET, socket), ROW(LISTENER, listener),
    ROW(LINK, link),     ROW(ENDS, ends),
};

// ---- writing ----

static enum err put(struct buf *out, enum piece_kind kind, const void *piece) {
    scoped_buf bytes;
    buf_init(&bytes, HANDOVER_MAX);
    struct writer w = writer_to_buf(&bytes);
    write_u8(&w, (uint8_t)kind);
    fields_encode(&w, pieces[kind].fields, piece);
    TRY(writer_end(&w));
    struct writer all = writer_to_buf(out);
    write_string(&all, buf_view(&bytes));
    secret_wipe(bytes.p, bytes.room);
    return writer_end(&all);
}

// A descriptor's number, and it passes the exec.
static uint32_t pass(int fd) {
    return fd >= 0 && fd_set_cloexec(fd, false) == OK ? (uint32_t)fd : NO_FD;
}

static enum err put_server(struct keeper *k, struct buf *out) {
    scoped_buf penalties, retired;
    buf_init(&penalties, SETTINGS_MAX);
    buf_init(&retired, SETTINGS_MAX);
    struct writer w = writer_to_buf(&penalties);
    penalties_write(&k->penalties, clock_ms(), &w);
    TRY(writer_end(&w));
    const char *control_path = "";
    pid_t pid;
    int anchor = keeper_anchor_facts(k, &pid);
    struct piece_server s = {
        .link_serial = k->link_serial,
        .listener_serial = k->listener_serial,
        .limit_soft = k->limits.soft,
        .limit_hard = k->limits.hard,
        .sockets_given = k->sockets_given,
        .control = pass(keeper_control_socket(k, &control_path)),
        .anchor = pass(anchor),
        .anchor_pid = (uint32_t)pid,
        .nursery_pid = (uint32_t)nursery_pid(k->nursery),
        .control_path = view_text(control_path),
        .pid_file = view_text(k->pid_file != NULL ? k->pid_file : ""),
        .folder = view_text(k->folder != NULL ? k->folder : "/"),
        .penalties = buf_view(&penalties),
        .since = k->since,
    };
    enum err e = keeper_retired_write(k, &retired);
    s.retired = buf_view(&retired);
    if (e == OK)
        e = put(out, PIECE_SERVER, &s);
    if (retired.p != NULL)
        secret_wipe(retired.p, retired.room);
    return e;
}

static enum err put_listeners(struct keeper *k, struct buf *out) {
    for (size_t i = 0; i < k->sockets_n; i++) {
        struct piece_socket s = {pass(k->sockets[i].fd), view_text(k->sockets[i].name)};
        TRY(put(out, PIECE_SOCKET, &s));
    }
    for (struct keeper_listener *l = k->listeners; l != NULL; l = l->next) {
        struct piece_listener p = {
            .serial = l->serial,
            .fd = pass(l->fd),
            .pid = (uint32_t)l->exit.pid,
            .pidfd = pass(l->exit.pidfd),
            .forks = l->forks,
            .pending = l->pending,
            .version = l->side.version != 0 ? l->side.version : IPC_VERSION,
            .waiting = buf_view(&l->outbox.waiting),
        };
        TRY(put(out, PIECE_LISTENER, &p));
    }
    return OK;
}

static enum err put_link(struct link *l, struct buf *out) {
    scoped_buf record;
    int fds[LINK_FDS];
    buf_init(&record, LINK_RECORD_MAX);
    TRY(link_record_of(l, &record, fds));
    struct piece_link p = {
        .gate = pass(fds[LINK_FD_GATE]),
        .holder = pass(fds[LINK_FD_HOLDER]),
        .holder_pid = pass(fds[LINK_FD_HOLDER_PID]),
        .judge = pass(fds[LINK_FD_JUDGE]),
        .judge_pid = pass(fds[LINK_FD_JUDGE_PID]),
        .seam = pass(fds[LINK_FD_SEAM]),
        .record = buf_view(&record),
    };
    return put(out, PIECE_LINK, &p);
}

static enum err put_ends(const struct keeper *k, struct buf *out) {
    scoped_buf list = {0};
    if (k->ends_n == 0)
        return OK;
    buf_init(&list, KEEPER_ENDS_TOLD);
    TRY(keeper_ends_write(k, &list));
    struct piece_ends p = {buf_view(&list)};
    return put(out, PIECE_ENDS, &p);
}

static enum err put_all(struct keeper *k, struct buf *out) {
    TRY(put_server(k, out));
    TRY(put_ends(k, out));
    TRY(put_listeners(k, out));
    // The oldest first: each goes to the head of the list again.
    struct link *last = k->links;
    while (last != NULL && last->next != NULL)
        last = last->next;
    for (; last != NULL; last = last->prev)
        TRY(put_link(last, out));
    return OK;
}

int keeper_handover_write(struct keeper *k, struct fault *fault) {
    scoped_buf bytes;
    char number[16];
    buf_init(&bytes, HANDOVER_MAX);
    int fd = memfd_create("handover", 0);
    enum err e = put_all(k, &bytes);
    if (fd >= 0 && e == OK)
        e = fd_write_full(fd, buf_view(&bytes));
    if (bytes.p != NULL)
        secret_wipe(bytes.p, bytes.room);
    snprintf(number, sizeof number, "%d", fd);
    if (fd < 0 || e != OK || setenv(VARIABLE, number, 1) != 0) {
        fd_close(&fd);
        (void)fault_set(fault, ERR_IO, 0, "nothing can be handed over: %s",
                        e != OK ? err_text(e) : strerror(errno));
    }
    return fd;
}

static void keep(int fd) {
    if (fd >= 0 && fd_set_cloexec(fd, true) != OK)
        fd_close(&fd);
}

void keeper_handover_undo(struct keeper *k) {
    const char *path;
    pid_t pid;
    unsetenv(VARIABLE);
    keep(keeper_control_socket(k, &path));
    keep(keeper_anchor_facts(k, &pid));
    for (size_t i = 0; i < k->sockets_n; i++)
        keep(k->sockets[i].fd);
    for (struct keeper_listener *l = k->listeners; l != NULL; l = l->next) {
        keep(l->fd);
        keep(l->exit.pidfd);
    }
    for (struct link *l = k->links; l != NULL; l = l->next) {
        int fds[LINK_FDS] = {l->fd,
                             l->holder.fd,
                             l->holder.alive ? l->holder.exit.pidfd : -1,
                             l->judge.fd,
                             l->judge.alive ? l->judge.exit.pidfd : -1,
                             l->seam};
        for (size_t i = 0; i < LINK_FDS; i++)
            keep(fds[i]);
    }
}

// ---- reading ----

int keeper_handover_given(void) {
    const char *text = getenv(VARIABLE);
    uint64_t fd = 0;
    bool given = text != NULL && text_number(text, 3, INT32_MAX, &fd);
    unsetenv(VARIABLE);
    return given ? (int)fd : -1;
}

// -1: none, or no descriptor that is open.
static int taken(uint32_t number) {
    return number != NO_FD && number > 2 && number <= INT32_MAX &&
                   fd_set_cloexec((int)number, true) == OK
               ? (int)number
               : -1;
}

static void keep_out(uint32_t number) {
    int fd = taken(number);
    fd_close(&fd);
}

static enum err take_server(struct keeper *k, const struct piece_server *p) {
    k->link_serial = p->link_serial;
    k->listener_serial = p->listener_serial;
    k->limits = (struct fd_limits){p->limit_soft, p->limit_hard};
    k->sockets_given = p->sockets_given;
    k->since = p->since;
    k->anchor_before = taken(p->anchor);
    keeper_reap(k, (pid_t)p->anchor_pid);
    keeper_reap(k, (pid_t)p->nursery_pid);
    keeper_control_take(k, taken(p->control), p->control_path);
    if (p->pid_file.n > 0)
        k->pid_file = strndup((const char *)p->pid_file.p, p->pid_file.n);
    free(k->folder);
    k->folder = strndup((const char *)p->folder.p, p->folder.n);
    TRY(keeper_retired_read(k, p->retired));
    return penalties_read(&k->penalties, p->penalties);
}

static enum err take_socket(struct keeper *k, const struct piece_socket *p) {
    struct keeper_socket *s = &k->sockets[k->sockets_n];
    int fd = taken(p->fd);
    if (fd < 0 || k->sockets_n == KEEPER_SOCKETS_MAX ||
        !text_copy(s->name, sizeof s->name, p->name))
        return ERR_FORMAT;
    s->fd = fd;
    k->sockets_n++;
    return OK;
}

static enum err take_listener(struct keeper *k, const struct piece_listener *p) {
    if (p->fd == NO_FD) {  // it has closed its socket, and just has to end
        keeper_reap(k, (pid_t)p->pid);
        keep_out(p->pidfd);
        return OK;
    }
    struct keeper_listener facts = {
        .fd = taken(p->fd),
        .serial = p->serial,
        .forks = p->forks,
        .pending = p->pending,
        .side = {IPC_LISTENER, IPC_KEEPER, .state = LINK_NONE, .version = p->version},
    };
    buf_init(&facts.outbox.waiting, LIMIT_IPC_WAITING);
    TRY(buf_append(&facts.outbox.waiting, p->waiting));
    return keeper_adopt_listener(k, &facts, (pid_t)p->pid, taken(p->pidfd)) ? OK : ERR_IO;
}

// One that cannot be had ends alone.
static void take_link(struct keeper *k, const struct piece_link *p) {
    int fds[LINK_FDS] = {taken(p->gate),  taken(p->holder),    taken(p->holder_pid),
                         taken(p->judge), taken(p->judge_pid), taken(p->seam)};
    struct fault fault = {0};
    if (keeper_restore(k, p->record, fds, &fault) == OK)
        return;
    log_error(&k->log, "a session cannot be taken over: %s", fault_text(&fault));
    for (size_t i = 0; i < LINK_FDS; i++)
        fd_close(&fds[i]);
}

static enum err take_piece(struct keeper *k, struct view bytes, struct fault *fault) {
    union piece piece;
    struct reader r = reader_of(bytes);
    unsigned kind = read_u8(&r);
    if (kind >= PIECE_KINDS || pieces[kind].name == NULL)
        return OK;  // of a later version
    // What keepers of before do not know of.
    size_t least = kind == PIECE_LISTENER ? LISTENER_FIELDS_FIRST
                   : kind == PIECE_SERVER ? SERVER_FIELDS_FIRST
                                          : SIZE_MAX;
    TRY(fields_decode_loose(&pieces[kind], least, &r, &piece, fault));
    switch (kind) {
    case PIECE_SERVER:
        return take_server(k, &piece.server);
    case PIECE_SOCKET:
        return take_socket(k, &piece.socket);
    case PIECE_LISTENER:
        return take_listener(k, &piece.listener);
    case PIECE_ENDS:
        return keeper_ends_read(k, piece.ends.list);
    default:
        take_link(k, &piece.link);
        return OK;
    }
}

// A server that has been told to reload does not end for want of a part.
static void leave_out(struct keeper *k, struct view bytes, enum err e,
                      struct fault *fault) {
    unsigned kind = bytes.n > 0 ? bytes.p[0] : PIECE_KINDS;
    const char *name = kind < PIECE_KINDS ? pieces[kind].name : NULL;
    log_error(&k->log, "of what the server before left a part (%s) is not usable: %s",
              name != NULL ? name : "cut off",
              fault->text[0] != '\0' ? fault_text(fault) : err_text(e));
    fault_clear(fault);
}

enum err keeper_handover_read(struct keeper *k, int fd, struct fault *fault) {
    off_t n = lseek(fd, 0, SEEK_END);
    void *p = n > 0 && n <= HANDOVER_MAX
                  ? mmap(NULL, (size_t)n, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0)
                  : MAP_FAILED;
    close(fd);
    if (p == MAP_FAILED)
        return fault_set(fault, ERR_IO, 0, "nothing usable was handed over");
    struct reader r = reader_of(view_of(p, (size_t)n));
    while (reader_left(&r) > 0) {
        struct view bytes = read_string(&r);
        enum err e = r.err == OK ? take_piece(k, bytes, fault) : r.err;
        if (e != OK)
            leave_out(k, bytes, e, fault);
    }
    secret_wipe(p, (size_t)n);
    munmap(p, (size_t)n);
    host_keys_drop(k->retired);  // links that need them have them
    k->retired = NULL;
    return OK;
}
