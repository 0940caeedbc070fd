#include "server/keeper_views.h"

#include <stdio.h>
#include <unistd.h>

#include "base/text.h"
#include "io/clock.h"
#include "io/unix_socket.h"
#include "server/control.h"
#include "server/seam.h"
#include "server/view.h"
#include "wire/reader.h"
#include "wire/writer.h"

#define SINCE 4u       // IPC_VERSION of holders that can
#define WAITING_MAX 8  // names in a line for a person

// ---- what there is ----

struct terminal {
    struct link *link;
    struct terminal_told told;
};

void link_sessions(struct link *l, struct view terminals) {
    buf_clear(&l->sessions_told);
    l->sessions_told.max = TERMINALS_BYTES;
    if (terminals.n <= TERMINALS_BYTES && buf_append(&l->sessions_told, terminals) != OK)
        buf_clear(&l->sessions_told);
}

void link_sessions_forget(struct link *l) {
    buf_free(&l->sessions_told);
}

// "PORT-SERIAL", or that with ".N": the id of this connection, whatever port its link has
// come by.
static bool is_id(const struct link *l, struct view name) {
    char serial[24];
    size_t i = 0, n = (size_t)snprintf(serial, sizeof serial, "-%llu",
                                       (unsigned long long)l->serial);
    while (i < name.n && name.p[i] >= '0' && name.p[i] <= '9')
        i++;
    return i > 0 && name.n - i >= n && name.n < VIEW_NAME &&
           memcmp(name.p + i, serial, n) == 0 &&
           (name.n == i + n || name.p[i + n] == '.');
}

static bool next(struct link *l, struct reader *r, struct terminal *t) {
    t->link = l;
    // A holder, which is its user's, does not get to take another connection's id.
    do {
        if (!terminal_next(r, &t->told))
            return false;
    } while (!view_name_is_good(t->told.name) && !is_id(l, t->told.name));
    if (t->told.state == TERMINAL_SHOWN && l->suspended_at != 0 && !l->held)
        t->told.state = TERMINAL_LEFT;  // its client has no link
    return true;
}

static bool may(const struct link *l, uid_t uid) {
    return l->authenticated && l->holder.alive && l->holder.fd >= 0 &&
           (l->holder.side.version == 0 || l->holder.side.version >= SINCE) &&
           (uid == 0 || uid == getuid() || uid == l->uid);
}

typedef bool picks(void *arg, const struct terminal *t);

// Goes through all that this uid may see; stops where `fn` says so.
static bool look(struct keeper *k, uid_t uid, picks *fn, void *arg) {
    for (struct link *l = k->links; l != NULL; l = l->next) {
        struct reader r = reader_of(buf_view(&l->sessions_told));
        struct terminal t;
        while (may(l, uid) && next(l, &r, &t))
            if (fn(arg, &t))
                return true;
    }
    return false;
}

struct wanted {
    struct view name;
    struct terminal found;
    const struct link *claims;  // another one of that user's is meant; NULL: any
    unsigned n;                 // of how many users, or how many there are
    bool waiting;               // only such
    bool by_id;                 // the name is a connection's: its first session
};

static bool is_of_others(const struct wanted *w, const struct link *l) {
    return w->claims != NULL && (l == w->claims || l->uid != w->claims->uid);
}

// The first one. Whoever sees more than one user's has to say which, if those are called
// alike.
static bool is_named(void *arg, const struct terminal *t) {
    struct wanted *w = arg;
    char id[48];
    if (is_of_others(w, t->link) ||
        !(w->by_id ? view_is(w->name, link_name(t->link, id, sizeof id))
                   : view_equal(w->name, t->told.name)))
        return false;
    if (w->n == 0)
        w->found = *t;
    w->n += w->n == 0 || t->link->uid != w->found.link->uid;
    return false;
}

static void find(struct keeper *k, uid_t uid, struct wanted *w) {
    (void)look(k, uid, is_named, w);
    w->by_id = w->n == 0;
    if (w->by_id)
        (void)look(k, uid, is_named, w);
}

static bool count(void *arg, const struct terminal *t) {
    struct wanted *w = arg;
    if (w->waiting && t->told.state == TERMINAL_SHOWN)
        return false;
    w->found = *t;
    w->n++;
    return false;
}

// ---- bringing together ----

// Our end of a new socket, whose other one the session's holder has. -1.
static int view_pair(const struct terminal *t, uint32_t flags, const char *who) {
    int pair[2];
    struct ipc_view m = {t->told.name, flags, view_text(who)};
    if (unix_pair(pair, VIEW_MESSAGE) != OK)
        return -1;
    if (ipc_send(t->link->holder.fd, IPC_VIEW, &m, pair[1]) != OK)
        fd_close(&pair[0]);
    fd_close(&pair[1]);
    return pair[0];
}

// ---- a login ----

struct line {
    char *text;
    size_t size, n;
    unsigned names;
    const struct link *not_of;
};

static bool add_waiting(void *arg, const struct terminal *t) {
    struct line *line = arg;
    char name[VIEW_NAME];
    if (t->told.state == TERMINAL_SHOWN || t->link == line->not_of ||
        t->link->uid != line->not_of->uid)
        return false;
    if (line->names++ >= WAITING_MAX)
        return false;
    line->n += (size_t)snprintf(line->text + line->n, line->size - line->n, "%s%s%s",
                                line->names > 1 ? ", " : "",
                                text_clean(name, sizeof name, t->told.name),
                                t->told.state == TERMINAL_ENDED ? " (ended)" : "");
    return false;
}

static void waiting_text(struct link *l, char *text, size_t size) {
    struct line line = {text, size, 0, 0, l};
    text[0] = '\0';
    (void)look(l->keeper, l->uid, add_waiting, &line);
    if (line.names > WAITING_MAX)
        snprintf(text + line.n, size - line.n, " and %u more", line.names - WAITING_MAX);
}

// From now on the name is that connection's, until its STATUS says so itself.
static void reserve(struct link *l, struct view name) {
    uint8_t room[VIEW_NAME + 16];
    struct writer w = writer_to_span((struct span){room, sizeof room});
    write_string(&w, name);
    write_u32(&w, TERMINAL_SHOWN);
    write_u32(&w, 0);
    write_u32(&w, 0);
    l->sessions_told.max = TERMINALS_BYTES;
    if (writer_end(&w) != OK || buf_append(&l->sessions_told, view_of(room, w.n)) != OK)
        log_error(&l->keeper->log, "no room for the name of a session of %s", l->user);
}

static void answer(struct link *l, const struct ipc_claimed *m, int fd) {
    struct ipc_viewed viewed = {m->channel};
    if (ipc_send(l->holder.fd, IPC_CLAIMED, m, -1) != OK ||
        (fd >= 0 && ipc_send(l->holder.fd, IPC_VIEWED, &viewed, fd) != OK))
        log_error(&l->keeper->log, "holder of %s does not listen", l->user);
    fd_close(&fd);
}

void link_claim(struct link *l, const struct ipc_claim *m) {
    char id[48], text[1024], who[LIMIT_USER_NAME + 96];
    struct wanted w = {.name = m->name, .claims = l};
    struct ipc_claimed told = {.channel = m->channel,
                               .result = CLAIM_YOURS,
                               .id = view_text(link_name(l, id, sizeof id)),
                               .may_keep = keeper_resumes(l->keeper)};
    int fd = -1;
    text[0] = '\0';
    if (m->name.n == 0) {
        waiting_text(l, text, sizeof text);
    } else {
        find(l->keeper, l->uid, &w);
    }
    if (w.n > 0) {
        snprintf(who, sizeof who, "%s from %s", l->user, l->peer);
        fd = view_pair(&w.found, 0, who);
        told.result = fd >= 0 ? CLAIM_VIEW : CLAIM_REFUSED;
    } else if (view_name_is_good(m->name)) {
        reserve(l, m->name);
    } else if (m->name.n > 0) {
        told.result = CLAIM_REFUSED;  // an id is nobody's to choose
    }
    told.text = view_text(text);
    answer(l, &told, fd);
}

// ---- somebody on this machine ----

int keeper_view(struct keeper *k, uid_t uid, struct view name, uint32_t flags,
                const char *who, char *why, size_t why_size) {
    struct wanted w = {.name = name, .waiting = true};
    if (name.n > 0) {
        find(k, uid, &w);
    } else {
        (void)look(k, uid, count, &w);
        w.waiting = w.n > 0;
        if (!w.waiting)
            (void)look(k, uid, count, &w);
    }
    bool named = name.n > 0;
    snprintf(why, why_size, "%s",
             w.n == 1  ? "that session cannot be reached"
             : w.n > 1 ? named ? "sessions of several users have that name; say which by "
                                 "its connection's ID: bowline sessions"
                               : "several sessions are there; say which: bowline sessions"
             : named   ? "no session of yours has that name"
                       : "no session of yours is there");
    return w.n == 1 ? view_pair(&w.found, flags, who) : -1;
}

// ---- without a link ----

void link_held(struct link *l, const struct ipc_held *m) {
    struct ipc_suspended s = {m->grace, true, false};
    bool first = !l->held;
    l->held = true;
    l->resumable = false;
    if (first) {
        l->suspended_at = 0;
        link_kept(l, &s);
    } else {
        l->suspended_grace = m->grace;
        l->suspended_at = clock_boot_ms();
    }
}
