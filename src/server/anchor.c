#include "server/anchor.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/limits.h"
#include "io/fd.h"
#include "io/loop.h"
#include "io/process.h"
#include "io/unix_socket.h"
#include "server/template.h"

#define RETRY_MS 50    // when the kernel has no room for descriptors on their way
#define ENDS_MS 60000  // for the next keeper to come, if there are but ends to be told

_Static_assert(LINK_FDS <= UNIX_FDS_MAX, "all descriptors of a link in one message");

// ---- messages ----

#define F(kind, member) FIELD(kind, ROW_STRUCT, member)
// clang-format off
#define ROW_STRUCT anchor_hello
static const struct message_field f_hello[] = {F(U32, version), F(U64, serial), FIELDS_END};
#undef ROW_STRUCT
#define ROW_STRUCT anchor_keep
static const struct message_field f_keep[] = {F(U64, serial), F(U32, fds), F(STRING, record),
    FIELDS_END};
#undef ROW_STRUCT
#define ROW_STRUCT anchor_done
static const struct message_field f_done[] = {F(U32, count), FIELDS_END};
#undef ROW_STRUCT
#define ROW_STRUCT anchor_end
static const struct message_field f_end[] = {F(U32, unused), FIELDS_END};
#undef ROW_STRUCT
#define ROW_STRUCT anchor_penalties
static const struct message_field f_penalties[] = {F(U64, until), FIELDS_END};
#undef ROW_STRUCT
#define ROW_STRUCT anchor_ends
static const struct message_field f_ends[] = {F(U64, since), F(STRING, list), FIELDS_END};
#undef ROW_STRUCT
#define ROW(NAME, name) [ANCHOR_##NAME] = {ANCHOR_##NAME, #NAME, sizeof(struct anchor_##name), f_##name}
// clang-format on

static const struct fields_of rows[ANCHOR_NUMBERS] = {
    ROW(HELLO, hello), ROW(KEEP, keep),           ROW(DONE, done),
    ROW(END, end),     ROW(PENALTIES, penalties), ROW(ENDS, ends),
};

enum err anchor_send(int socket, enum anchor_number number, const void *body,
                     const int *fds, bool *sent) {
    uint8_t bytes[LIMIT_IPC_MESSAGE];
    int out[LINK_FDS];
    size_t n = 0, used;
    *sent = false;
    for (size_t i = 0; fds != NULL && i < LINK_FDS; i++)
        if (fds[i] >= 0)
            out[n++] = fds[i];
    TRY(fields_message(&rows[number], body, (struct span){bytes, sizeof bytes}, &used));
    struct view part = view_of(bytes, used);
    return unix_send(socket, &part, 1, out, n, sent);
}

static uint32_t fds_of(const struct anchor_message *m) {
    if (m->number == ANCHOR_KEEP)
        return m->body.keep.fds;
    return m->number == ANCHOR_PENALTIES ? 1 : 0;
}

// Each descriptor to its place; false: more or fewer than the mask says.
static bool place_fds(struct anchor_message *m, const struct unix_message *got) {
    uint32_t mask = fds_of(m);
    size_t next = 0;
    if ((mask >> LINK_FDS) != 0 || (size_t)__builtin_popcount(mask) != got->fds_n)
        return false;
    for (size_t i = 0; i < LINK_FDS; i++)
        if (mask >> i & 1)
            m->fds[i] = got->fds[next++];
    return true;
}

enum err anchor_recv(int socket, struct span room, struct anchor_message *m, bool *ready,
                     struct fault *fault) {
    struct unix_message got;
    memset(m, 0, sizeof *m);
    for (size_t i = 0; i < LINK_FDS; i++)
        m->fds[i] = -1;
    *ready = false;
    TRY(unix_recv(socket, room, LINK_FDS, &got));
    if (!got.ready)
        return OK;
    struct reader r = reader_of(view_of(room.p, got.n));
    unsigned number = read_u8(&r);
    enum err e = ERR_UNEXPECTED;
    if (number < ANCHOR_NUMBERS && rows[number].name != NULL) {
        m->number = number;
        e = fields_decode_loose(&rows[number], SIZE_MAX, &r, &m->body, fault);
    }
    if (e == OK && !place_fds(m, &got))
        e = ERR_FORMAT;
    if (e != OK) {
        unix_message_close(&got);
        return fault_set(fault, e, (uint8_t)number, "anchor: bad message %u", number);
    }
    *ready = true;
    return OK;
}

void anchor_message_close(struct anchor_message *m) {
    for (size_t i = 0; i < LINK_FDS; i++)
        fd_close(&m->fds[i]);
}

// ---- the process ----

struct anchor;

struct kept {
    struct kept *next;
    struct anchor *anchor;
    uint64_t serial;
    int fds[LINK_FDS];
    struct loop_watch holder;  // its end
    bool told;                 // to the next keeper
    size_t record_n;
    uint8_t record[];
};

struct anchor {
    const struct anchor_start *start;
    struct loop loop;
    struct loop_watch keeper, listening;
    struct loop_timer retry, over;
    struct loop_signal hang_up;
    struct kept *kept;
    uint32_t count;
    uint64_t serial;
    int socket;                // the keeper's; -1: there is none
    bool next;                 // this keeper is not our parent: it is to get everything
    uint32_t next_version;     // of that keeper
    int penalties;             // a file of them; -1: none
    uint64_t penalties_until;  // clock_ms()
    bool penalties_told, ends_told;
    uint64_t ends_since, ends_until;  // until: clock_ms()
    struct buf ends;                  // ANCHOR_ENDS
};

static void end_if_done(void *arg) {
    struct anchor *a = arg;
    uint64_t until =
        a->penalties_until > a->ends_until ? a->penalties_until : a->ends_until;
    if (a->socket >= 0 || (a->kept != NULL && a->start->listening >= 0))
        return;
    if (a->start->listening < 0 || until <= clock_ms() ||
        loop_timer_set(&a->loop, &a->over, until, end_if_done, a) != OK)
        loop_stop(&a->loop);
}

static void drop(struct kept *k) {
    struct anchor *a = k->anchor;
    struct kept **at = &a->kept;
    while (*at != k)
        at = &(*at)->next;
    *at = k->next;
    a->count--;
    loop_unwatch(&a->loop, &k->holder);
    for (size_t i = 0; i < LINK_FDS; i++)
        fd_close(&k->fds[i]);
    free(k);
    end_if_done(a);
}

static void on_holder_end(void *arg, uint32_t ready) {
    (void)ready;
    drop(arg);
}

static void drop_serial(struct anchor *a, uint64_t serial) {
    for (struct kept *k = a->kept; k != NULL; k = k->next)
        if (k->serial == serial) {
            drop(k);
            return;
        }
}

static void keep(struct anchor *a, struct anchor_message *m) {
    struct view record = m->body.keep.record;
    drop_serial(a, m->body.keep.serial);
    struct kept *k = m->fds[LINK_FD_HOLDER_PID] >= 0 && record.n <= LINK_RECORD_MAX
                         ? calloc(1, sizeof *k + record.n)
                         : NULL;
    if (k == NULL)
        return;
    k->anchor = a;
    k->serial = m->body.keep.serial;
    k->record_n = record.n;
    memcpy(k->record, record.p, record.n);
    for (size_t i = 0; i < LINK_FDS; i++) {
        k->fds[i] = m->fds[i];
        m->fds[i] = -1;
    }
    k->next = a->kept;
    a->kept = k;
    a->count++;
    if (k->serial > a->serial)
        a->serial = k->serial;
    if (loop_watch(&a->loop, &k->holder, k->fds[LINK_FD_HOLDER_PID], LOOP_IN,
                   on_holder_end, k) != OK)
        drop(k);
}

static void keep_penalties(struct anchor *a, struct anchor_message *m) {
    fd_close(&a->penalties);
    a->penalties = m->fds[0];
    a->penalties_until = m->body.penalties.until;
    m->fds[0] = -1;
}

static void keep_ends(struct anchor *a, const struct anchor_ends *m) {
    buf_clear(&a->ends);
    a->ends.max = LIMIT_IPC_MESSAGE;
    a->ends_since = m->since;
    if (buf_append(&a->ends, m->list) != OK)
        buf_clear(&a->ends);
}

// ---- to the next keeper ----

static void on_keeper(void *arg, uint32_t ready);
static void tell_all(void *arg);

static void lose_keeper(struct anchor *a) {
    loop_unwatch(&a->loop, &a->keeper);
    loop_timer_unset(&a->loop, &a->retry);
    fd_close(&a->socket);
    if (buf_len(&a->ends) > 0)
        a->ends_until = clock_ms() + ENDS_MS;
    end_if_done(a);
}

// False: it goes on when there is room, or never.
static bool tell(struct anchor *a, enum anchor_number number, const void *body,
                 const int *fds) {
    bool sent = false;
    enum err e = anchor_send(a->socket, number, body, fds, &sent);
    if (e == OK && sent)
        return true;
    if (e == ERR_CLOSED)
        lose_keeper(a);
    else if (loop_timer_set(&a->loop, &a->retry, clock_ms() + RETRY_MS, tell_all, a) !=
             OK)
        lose_keeper(a);
    return false;
}

// False: as tell().
static bool tell_penalties(struct anchor *a) {
    struct anchor_penalties m = {a->penalties_until};
    int fds[LINK_FDS];
    if (a->penalties < 0 || a->next_version < 2 || a->penalties_told)
        return true;
    for (size_t i = 0; i < LINK_FDS; i++)
        fds[i] = i == 0 ? a->penalties : -1;
    a->penalties_told = tell(a, ANCHOR_PENALTIES, &m, fds);
    return a->penalties_told;
}

static bool tell_ends(struct anchor *a) {
    struct anchor_ends m = {a->ends_since, buf_view(&a->ends)};
    if (a->next_version >= 3 && !a->ends_told)
        a->ends_told = tell(a, ANCHOR_ENDS, &m, NULL);
    return a->next_version < 3 || a->ends_told;
}

static void tell_all(void *arg) {
    struct anchor *a = arg;
    for (struct kept *k = a->kept; k != NULL; k = k->next) {
        struct anchor_keep m = {k->serial, 0, view_of(k->record, k->record_n)};
        for (size_t i = 0; i < LINK_FDS; i++)
            m.fds |= (uint32_t)(k->fds[i] >= 0) << i;
        if (k->told)
            continue;
        if (!tell(a, ANCHOR_KEEP, &m, k->fds))
            return;
        k->told = true;
    }
    if (!tell_penalties(a) || !tell_ends(a))
        return;
    struct anchor_done done = {a->count};
    (void)tell(a, ANCHOR_DONE, &done, NULL);
}

static void on_hello(struct anchor *a, uint32_t version) {
    struct anchor_hello hello = {ANCHOR_VERSION, a->serial};
    a->next_version = version;
    a->penalties_told = a->ends_told = false;
    for (struct kept *k = a->kept; k != NULL; k = k->next)
        k->told = false;
    if (tell(a, ANCHOR_HELLO, &hello, NULL))
        tell_all(a);
}

static void on_keeper(void *arg, uint32_t ready) {
    struct anchor *a = arg;
    uint8_t bytes[LIMIT_IPC_MESSAGE];
    (void)ready;
    while (a->socket >= 0) {
        struct anchor_message m;
        struct fault fault = {0};
        bool got;
        if (anchor_recv(a->socket, (struct span){bytes, sizeof bytes}, &m, &got,
                        &fault) != OK) {
            lose_keeper(a);
            return;
        }
        if (!got)
            return;
        if (m.number == ANCHOR_END)
            loop_stop(&a->loop);
        else if (m.number == ANCHOR_HELLO && a->next)
            on_hello(a, m.body.hello.version);
        else if (m.number == ANCHOR_KEEP && !a->next)
            keep(a, &m);
        else if (m.number == ANCHOR_PENALTIES && !a->next)
            keep_penalties(a, &m);
        else if (m.number == ANCHOR_ENDS && !a->next)
            keep_ends(a, &m.body.ends);
        anchor_message_close(&m);
    }
}

// One keeper at a time, and of the right user.
static void on_connect(void *arg, uint32_t ready) {
    struct anchor *a = arg;
    struct unix_peer peer;
    int fd = -1;
    (void)ready;
    if (a->socket >= 0)
        on_keeper(a, 0);  // it may have gone just now
    if (unix_accept(a->start->listening, &fd) != OK || fd < 0)
        return;
    if (a->socket >= 0 || unix_peer(fd, &peer) != OK || peer.uid != a->start->uid) {
        fd_close(&fd);
        return;
    }
    a->socket = fd;
    a->next = true;
    if (loop_watch(&a->loop, &a->keeper, fd, LOOP_IN, on_keeper, a) != OK)
        lose_keeper(a);
}

static void ignore(void *arg, int number) {
    (void)arg;
    (void)number;
}

_Noreturn void anchor_run(const struct anchor_start *start) {
    static struct anchor a;
    struct fault fault = {0};
    a.start = start;
    a.socket = start->keeper;
    a.penalties = -1;
    process_title("sshd: anchor");
    bool good =
        loop_init(&a.loop) == OK &&
        // A signal to all of a server's processes is a reload to the keeper alone.
        loop_signal(&a.loop, &a.hang_up, SIGHUP, ignore, &a) == OK &&
        loop_watch(&a.loop, &a.keeper, a.socket, LOOP_IN, on_keeper, &a) == OK &&
        (start->listening < 0 || loop_watch(&a.loop, &a.listening, start->listening,
                                            LOOP_IN, on_connect, &a) == OK) &&
        sandbox_enter(&sandbox_anchor, start->as, NULL, &fault) == OK;
    template_release();
    _exit(good && loop_run(&a.loop) == OK ? 0 : 1);
}
