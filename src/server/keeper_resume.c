// Connections that outlive their links, as the keeper sees them (doc/resume.md): which
// holder a client comes back to, and whose link is whose. Whether the client knows the
// connection's secret is the holder's to find out; here is looked at who logged in.
#include <stdio.h>

#include "base/text.h"
#include "connection/resume.h"
#include "io/clock.h"
#include "io/fd.h"
#include "io/unix_socket.h"
#include "server/keeper.h"
#include "server/seam.h"

#define SINCE 3u            // IPC_VERSION of holders that can
#define VOUCH_SINCE 4u      // .. that know the proof for a login
#define SUSPENDED_MOST 16u  // connections of one user without a link

_Static_assert(KEEPER_HANDLE == RESUME_HANDLE, "a handle");

bool keeper_resumes(const struct keeper *k) {
    const struct server_resume_grace *g = &k->config->resume_grace;
    // There nobody can come back: the server ends with its one connection.
    return !k->options->inetd && !k->options->debug && (g->terminal > 0 || g->others > 0);
}

// "24 hours"
static const char *time_text(uint64_t seconds, char *out, size_t size) {
    static const struct {
        uint64_t unit;
        const char *name;
    } units[] = {{86400, "day"}, {3600, "hour"}, {60, "minute"}, {1, "second"}};
    size_t i = 0;
    while (i < 3 && (seconds < units[i].unit || seconds % units[i].unit != 0))
        i++;
    uint64_t n = seconds / units[i].unit;
    snprintf(out, size, "%llu %s%s", (unsigned long long)n, units[i].name,
             n == 1 ? "" : "s");
    return out;
}

static uint32_t version_of(const struct ipc_side *side) {
    return side->version != 0 ? side->version : IPC_VERSION;
}

// ---- a client comes ----

const char *link_wants(struct link *l, const struct ipc_resume *m) {
    if (m->handle.n != KEEPER_HANDLE)
        return "RESUME: not a handle";
    memcpy(l->wanted, m->handle.p, KEEPER_HANDLE);
    l->comes_back = true;
    return NULL;
}

static struct link *find(const struct link *l, enum resume_refusal *why) {
    *why = RESUME_REFUSED_UNKNOWN;
    for (struct link *o = l->keeper->links; o != NULL; o = o->next) {
        if (o == l || !o->resumable || !o->holder.alive || o->holder.fd < 0 ||
            version_of(&o->holder.side) < SINCE || o->uid != l->uid ||
            strcmp(o->user, l->user) != 0 ||
            memcmp(o->handle, l->wanted, KEEPER_HANDLE) != 0)
            continue;
        if (l->identity_n > 0 && l->identity_n == o->identity_n &&
            memcmp(l->identity, o->identity, l->identity_n) == 0)
            return o;
        *why = RESUME_REFUSED_IDENTITY;
    }
    return NULL;
}

// Both get an end of a new seam.
static bool bring_together(struct link *l, struct link *o) {
    int pair[2];
    if (seam_pair(pair) != OK)
        return false;
    struct ipc_attach attach = {l->serial, view_of(l->session_id, l->session_id_n),
                                view_text(l->peer), l->peer_port};
    struct ipc_holder_ready ready = {version_of(&o->holder.side)};
    bool good = ipc_send(o->holder.fd, IPC_ATTACH, &attach, pair[1]) == OK &&
                ipc_send(l->fd, IPC_HOLDER_READY, &ready, pair[0]) == OK;
    fd_close(&pair[0]);
    fd_close(&pair[1]);
    return good;
}

static const char *const words[RESUME_REFUSALS] = {
    [RESUME_REFUSED_NONE] = "none",         [RESUME_REFUSED_DISABLED] = "disabled",
    [RESUME_REFUSED_UNKNOWN] = "unknown",   [RESUME_REFUSED_ENDED] = "ended",
    [RESUME_REFUSED_IDENTITY] = "identity", [RESUME_REFUSED_PROOF] = "proof",
    [RESUME_REFUSED_EPOCH] = "epoch",       [RESUME_REFUSED_GAP] = "gap",
    [RESUME_REFUSED_BUSY] = "busy",
};

// l: the link that came; o: what it came for, or NULL.
// class: how that ended, where it is known; else "".
static void tell_refused(struct link *l, const struct link *o, enum resume_refusal why,
                         const char *class) {
    char name[48];
    struct log log = link_voice(l);
    struct event e = {.reason = view_text(words[why]), .class = view_text(class)};
    if (o != NULL)
        e.text = view_text(link_name(o, name, sizeof name));
    log_info(&log, "Connection of user %s not resumed from %s port %u: %s%s%s", l->user,
             l->peer, l->peer_port, resume_refusal_text(why),
             class[0] != '\0' ? ": " : "", class);
    link_tell(l, EVENT_CONNECTION_RESUME_REFUSED, &e);
}

// ---- its login, without a person ----

// The connection that the proof is about. Who may have it is looked at after the login.
static struct link *voucher(const struct link *l) {
    struct link *o = l->comes_back ? l->keeper->links : NULL;
    while (o != NULL &&
           (o == l || !o->resumable || o->holder.fd < 0 || o->factors == 0 ||
            version_of(&o->holder.side) < VOUCH_SINCE || strcmp(o->user, l->user) != 0 ||
            memcmp(o->handle, l->wanted, KEEPER_HANDLE) != 0))
        o = o->next;
    return o;
}

static const char *tell_judge(struct link *l, uint32_t factors) {
    struct ipc_factors m = {l->ticket, factors};
    return l->judge.fd >= 0 && ipc_send(l->judge.fd, IPC_FACTORS, &m, -1) == OK
               ? NULL
               : "the judge does not listen";
}

const char *link_resumption(struct link *l, const struct ipc_resumption *m) {
    struct link *o = voucher(l);
    struct ipc_vouch vouch = {l->serial, view_of(l->session_id, l->session_id_n),
                              m->epoch, m->proof};
    if (l->question != 0)
        return "asks before it is answered";
    l->question = IPC_RESUMPTION;
    l->ticket = m->ticket;
    if (o != NULL && ipc_send(o->holder.fd, IPC_VOUCH, &vouch, -1) == OK) {
        l->attaching = o->serial;
        return NULL;
    }
    tell_refused(l, o, o != NULL ? RESUME_REFUSED_BUSY : RESUME_REFUSED_UNKNOWN, "");
    return tell_judge(l, 0);
}

static struct link *comer(const struct link *l, uint64_t serial) {
    struct link *from = l->keeper->links;
    while (from != NULL && from->serial != serial)
        from = from->next;
    return from != NULL && from->attaching == l->serial ? from : NULL;
}

void link_vouched(struct link *l, const struct ipc_vouched *m) {
    struct link *from = comer(l, m->link);
    if (from == NULL || from->question != IPC_RESUMPTION || m->reason >= RESUME_REFUSALS)
        return;
    from->attaching = 0;
    if (m->reason != RESUME_REFUSED_NONE)
        tell_refused(from, l, (enum resume_refusal)m->reason, "");
    const char *why = tell_judge(from, m->reason == RESUME_REFUSED_NONE ? l->factors : 0);
    if (why != NULL)
        link_end(from, why);
}

const char *link_come_back(struct link *l) {
    enum resume_refusal why;
    struct link *o = find(l, &why);
    if (o != NULL && bring_together(l, o)) {
        l->attaching = o->serial;
        return NULL;
    }
    if (o != NULL)
        why = RESUME_REFUSED_BUSY;
    const char *class = why == RESUME_REFUSED_UNKNOWN ? link_tell_ended(l, &why) : "";
    tell_refused(l, o, why, class);
    struct ipc_not_resumed m = {why};
    return ipc_send(l->fd, IPC_NOT_RESUMED, &m, -1) == OK ? NULL : "gate does not listen";
}

// ---- what the holder says ----

void link_resumable(struct link *l, const struct ipc_resumable *m) {
    if (m->handle.n != KEEPER_HANDLE || l->identity_n == 0)
        return;
    memcpy(l->handle, m->handle.p, KEEPER_HANDLE);
    l->resumable = true;
    keeper_anchor_again(l);
}

// The one that goes when a user has too many: the oldest without a terminal, else the
// oldest.
static struct link *too_many(const struct link *l) {
    struct link *oldest[2] = {NULL, NULL};
    uint32_t n = 0;
    for (struct link *o = l->keeper->links; o != NULL; o = o->next) {
        if (o->suspended_at == 0 || o->uid != l->uid || !o->holder.alive)
            continue;
        struct link **at = &oldest[o->suspended_terminal];
        if (*at == NULL || o->suspended_at < (*at)->suspended_at)
            *at = o;
        n++;
    }
    if (n <= SUSPENDED_MOST)
        return NULL;
    return oldest[0] != NULL ? oldest[0] : oldest[1];
}

static void limit(const struct link *l) {
    struct link *o = too_many(l);
    struct ipc_tell tell = {TELL_END, view_text("too many connections without a link")};
    if (o == NULL)
        return;
    struct log log = link_voice(o);
    log_info(&log,
             "Connection of user %s from %s port %u ended: more than %u of that "
             "user have no link",
             o->user, o->peer, o->peer_port, SUSPENDED_MOST);
    link_reason(o, "too-many-suspended", view_text(""));
    if (o->holder.fd < 0 || ipc_send(o->holder.fd, IPC_TELL, &tell, -1) != OK)
        link_child_end(&o->holder);
}

void link_suspended(struct link *l, const struct ipc_suspended *m) {
    if (l->resumable && l->suspended_at == 0)
        link_kept(l, m);
}

void link_kept(struct link *l, const struct ipc_suspended *m) {
    char time[48];
    struct log log = link_voice(l);
    l->suspended_at = clock_boot_ms();
    l->suspended_since = clock_wall_s();
    l->suspended_grace = m->grace;
    l->suspended_terminal = m->terminal;
    if (l->fd < 0)
        l->reason = NULL;  // that of the link; the login has none yet
    log_info(&log, "Connection of user %s from %s port %u %s, kept for %s", l->user,
             l->peer, l->peer_port,
             l->held     ? "left with sessions"
             : m->silent ? "does not answer"
                         : "lost",
             time_text(m->grace, time, sizeof time));
    struct event e = {.seconds = m->grace,
                      .reason = view_text(l->held     ? "left"
                                          : m->silent ? "silent"
                                                      : "lost")};
    link_tell(l, EVENT_CONNECTION_SUSPENDED, &e);
    limit(l);
    keeper_anchor_again(l);
}

uint64_t link_grace_left(const struct link *l) {
    uint64_t end = l->suspended_at + l->suspended_grace * UINT64_C(1000);
    uint64_t now = clock_boot_ms();
    return l->suspended_at != 0 && now < end ? (end - now) / 1000 : 0;
}

// ---- it has another link ----

static void drop_gate(struct link *l) {
    if (l->fd < 0)
        return;
    link_reason(l, "released", view_text(""));
    link_event_closed(l);
    loop_unwatch(&l->keeper->loop, &l->watch);
    unix_hang_up(&l->fd);
}

// What is the gate's, from `from`.
static void take_gate(struct link *l, struct link *from) {
    struct host_keys *keys = l->host_keys;
    loop_unwatch(&l->keeper->loop, &from->watch);
    l->host_keys = from->host_keys;
    from->host_keys = keys;
    l->host_key = from->host_key;
    memcpy(l->host_algorithm, from->host_algorithm, sizeof l->host_algorithm);
    memcpy(l->session_id, from->session_id, sizeof l->session_id);
    l->session_id_n = from->session_id_n;
    memcpy(l->peer, from->peer, sizeof l->peer);
    memcpy(l->local, from->local, sizeof l->local);
    l->peer_port = from->peer_port;
    l->local_port = from->local_port;
    l->listener = from->listener;
    l->id = from->id;
    l->gate_pid = from->gate_pid;
    l->side = from->side;
    l->state = from->state;
    l->said_end = from->said_end;
    from->listener = from->id = 0;
    link_signing_move(l, from);
}

static void move(struct link *l, struct link *from, uint32_t seconds) {
    char name[48], time[48];
    int gate = from->fd;
    struct event e = {.seconds = seconds,
                      .text = view_text(link_name(from, name, sizeof name))};
    drop_gate(l);
    take_gate(l, from);
    from->fd = -1;
    l->suspended_at = l->suspended_since = 0;
    l->reason = NULL;
    l->turned_away = false;
    struct log log = link_voice(l);
    log_info(&log, "Connection of user %s resumed from %s port %u after %s", l->user,
             l->peer, l->peer_port, time_text(seconds, time, sizeof time));
    link_tell(l, EVENT_CONNECTION_RESUMED, &e);
    // Its login goes on as the one that was before.
    from->attaching = 0;
    from->state = LINK_CLOSING;
    link_reason(from, "resumed", view_text(link_name(l, name, sizeof name)));
    link_event_closed(from);
    link_sweep(from);
    if (link_watch_gate(l, gate, 0) != OK)
        link_end(l, "out of memory");
    keeper_anchor_again(l);
}

void link_attached(struct link *l, const struct ipc_attached *m) {
    struct link *from = comer(l, m->link);
    if (from == NULL || from->question != 0 || m->reason >= RESUME_REFUSALS)
        return;
    if (m->reason != RESUME_REFUSED_NONE) {
        from->attaching = 0;
        tell_refused(from, l, (enum resume_refusal)m->reason, "");
    } else if (from->fd >= 0) {
        move(l, from, m->seconds);
    }
}
