// A link told to the next keeper, and taken from the one before.
#include <stdlib.h>
#include <unistd.h>

#include "base/text.h"
#include "io/fd.h"
#include "io/process.h"
#include "server/keeper.h"

static void put_side(const struct ipc_side *side, uint32_t *version, uint64_t *seen) {
    *version = side->version != 0 ? side->version : IPC_VERSION;
    *seen = side->seen;
}

static void child_fds(const struct keeper_child *c, int *socket, int *pidfd) {
    *socket = c->fd;
    *pidfd = c->alive ? c->exit.pidfd : -1;
}

static void put_fds(const struct link *l, int *fds) {
    fds[LINK_FD_GATE] = l->fd;
    child_fds(&l->holder, &fds[LINK_FD_HOLDER], &fds[LINK_FD_HOLDER_PID]);
    child_fds(&l->judge, &fds[LINK_FD_JUDGE], &fds[LINK_FD_JUDGE_PID]);
    fds[LINK_FD_SEAM] = l->seam;
}

static void put_names(const struct link *l, struct link_record *r) {
    r->wanted = view_of(l->wanted, l->comes_back ? sizeof l->wanted : 0);
    r->turned_away = l->turned_away;
    r->domain = view_text(l->domain);
    r->host = view_text(l->host);
    r->agent = view_text(l->leavings.name[LEAVING_AGENT]);
    r->auth_info = view_text(l->leavings.name[LEAVING_AUTH_INFO]);
}

enum err link_record_of(const struct link *l, struct buf *out, int *fds) {
    scoped_buf keys;
    buf_init(&keys, LINK_RECORD_MAX / 2);
    TRY(host_keys_write(l->host_keys, &keys));
    scoped_buf terminals;
    buf_init(&terminals, LINK_RECORD_MAX / 8);
    struct writer w = writer_to_buf(&terminals);
    link_terminals_write(l, &w);
    TRY(writer_end(&w));
    struct link_record r = {
        .serial = l->serial,
        .listener = l->listener,
        .id = l->id,
        .state = l->state,
        .peer = view_text(l->peer),
        .local = view_text(l->local),
        .peer_port = l->peer_port,
        .local_port = l->local_port,
        .user = view_text(l->user),
        .valid_user = l->valid_user,
        .authenticated = l->authenticated,
        .said_end = l->said_end,
        .pending = l->pending,
        .grace_over = l->grace_over,
        .judge_stays = l->judge_stays,
        .uid = l->uid,
        .since = l->since,
        .key = view_text(l->key),
        .comment = view_text(l->comment),
        .host_key = l->host_key,
        .host_algorithm = view_text(l->host_algorithm),
        .proofs = l->proofs,
        .session_id = view_of(l->session_id, l->session_id_n),
        .question = l->question,
        .ticket = l->ticket,
        .questions = l->questions,
        .failures = l->failures,
        .grace_at = l->grace.place != 0 ? l->grace.deadline : 0,
        .holder_pid = l->holder.alive ? (uint32_t)l->holder.exit.pid : 0,
        .judge_pid = l->judge.alive ? (uint32_t)l->judge.exit.pid : 0,
        .host_keys = buf_view(&keys),
        .gate_pid = (uint64_t)l->gate_pid,
        .ca = view_text(l->ca),
        .certificate_id = view_of(l->certificate_id, l->certificate_id_n),
        .certificate_serial = l->certificate_serial,
        .terminals = buf_view(&terminals),
        .identity = view_of(l->identity, l->identity_n),
        .handle = view_of(l->handle, l->resumable ? sizeof l->handle : 0),
        .suspended_at = l->suspended_at,
        .suspended_since = l->suspended_since,
        .suspended_grace = l->suspended_grace,
        .suspended_terminal = l->suspended_terminal,
        .attaching = l->attaching,
        .factors = l->factors,
    };
    put_names(l, &r);
    put_side(&l->side, &r.gate_version, &r.gate_seen);
    put_side(&l->holder.side, &r.holder_version, &r.holder_seen);
    put_side(&l->judge.side, &r.judge_version, &r.judge_seen);
    put_fds(l, fds);
    return link_record_write(&r, out);
}

// ---- back ----

static bool take_bytes(uint8_t *to, size_t size, size_t *n, struct view from) {
    if (from.n > size)
        return false;
    if (from.n > 0)
        memcpy(to, from.p, from.n);
    *n = from.n;
    return true;
}

static enum err take_texts(struct link *l, const struct link_record *r) {
    size_t handle, wanted;
    bool fits =
        text_copy(l->peer, sizeof l->peer, r->peer) &&
        text_copy(l->local, sizeof l->local, r->local) &&
        text_copy(l->domain, sizeof l->domain, r->domain) &&
        text_copy(l->host, sizeof l->host, r->host) &&
        leavings_take(&l->leavings, LEAVING_AGENT, r->agent) &&
        leavings_take(&l->leavings, LEAVING_AUTH_INFO, r->auth_info) &&
        text_copy(l->user, sizeof l->user, r->user) &&
        text_copy(l->key, sizeof l->key, r->key) &&
        text_copy(l->comment, sizeof l->comment, r->comment) &&
        text_copy(l->host_algorithm, sizeof l->host_algorithm, r->host_algorithm) &&
        text_copy(l->ca, sizeof l->ca, r->ca) &&
        take_bytes(l->session_id, sizeof l->session_id, &l->session_id_n,
                   r->session_id) &&
        take_bytes(l->identity, sizeof l->identity, &l->identity_n, r->identity) &&
        take_bytes(l->handle, sizeof l->handle, &handle, r->handle) &&
        take_bytes(l->wanted, sizeof l->wanted, &wanted, r->wanted) &&
        take_bytes(l->certificate_id, sizeof l->certificate_id, &l->certificate_id_n,
                   r->certificate_id);
    l->resumable = fits && handle == sizeof l->handle;
    l->comes_back = fits && wanted == sizeof l->wanted;
    return fits ? OK : ERR_LIMIT;
}

static void take_numbers(struct link *l, const struct link_record *r) {
    l->listener = r->listener;
    l->id = r->id;
    l->state = r->state;
    l->peer_port = (uint16_t)r->peer_port;
    l->local_port = (uint16_t)r->local_port;
    l->valid_user = r->valid_user;
    l->authenticated = r->authenticated;
    l->said_end = r->said_end;
    l->pending = r->pending;
    l->grace_over = r->grace_over;
    l->judge_stays = r->judge_stays;
    l->uid = r->uid;
    l->since = r->since;
    l->gate_pid = (long)r->gate_pid;
    l->certificate_serial = r->certificate_serial;
    l->suspended_at = r->suspended_at;
    l->suspended_since = r->suspended_since;
    l->suspended_grace = r->suspended_grace;
    l->suspended_terminal = r->suspended_terminal;
    l->attaching = r->attaching;
    l->factors = r->factors;
    l->turned_away = r->turned_away;
    l->host_key = r->host_key;
    l->proofs = r->proofs;
    l->question = (enum ipc_number)r->question;
    l->ticket = r->ticket;
    l->questions = r->questions;
    l->failures = r->failures;
}

// The descriptors, which are the link's from now on.
static enum err take_fds(struct link *l, const struct link_record *r, int *fds) {
    l->side =
        (struct ipc_side){IPC_GATE, IPC_KEEPER, l->state, r->gate_seen, r->gate_version};
    l->holder.side = (struct ipc_side){IPC_HOLDER, IPC_KEEPER, LINK_OPEN, r->holder_seen,
                                       r->holder_version};
    l->judge.side = (struct ipc_side){IPC_JUDGE, IPC_KEEPER, LINK_USER, r->judge_seen,
                                      r->judge_version};
    l->holder.fd = fds[LINK_FD_HOLDER];
    l->judge.fd = fds[LINK_FD_JUDGE];
    l->seam = fds[LINK_FD_SEAM];
    fds[LINK_FD_HOLDER] = fds[LINK_FD_JUDGE] = fds[LINK_FD_SEAM] = -1;
    int gate = fds[LINK_FD_GATE], holder = fds[LINK_FD_HOLDER_PID],
        judge = fds[LINK_FD_JUDGE_PID];
    fds[LINK_FD_GATE] = fds[LINK_FD_HOLDER_PID] = fds[LINK_FD_JUDGE_PID] = -1;
    if (holder >= 0)
        TRY(link_watch_exit(&l->holder, (pid_t)r->holder_pid, holder));
    if (judge >= 0)
        TRY(link_watch_exit(&l->judge, (pid_t)r->judge_pid, judge));
    // A holder that the verdict has not joined yet is not listened to.
    if (l->holder.fd >= 0 && l->authenticated)
        TRY(link_watch_holder(l));
    if (l->judge.fd >= 0)
        TRY(link_watch_judge(l));
    // No client comes for it: sessions are left in it. Which, the holder says again.
    struct ipc_tell tell = {TELL_STATUS, view_text("")};
    l->held = l->suspended_at != 0 && !l->resumable;
    if (l->holder.fd >= 0 && l->authenticated &&
        ipc_send(l->holder.fd, IPC_TELL, &tell, -1) != OK)
        log_verbose(&l->keeper->log, "holder of %s does not listen", l->user);
    return gate >= 0 ? link_watch_gate(l, gate, r->grace_at) : OK;
}

enum err keeper_restore(struct keeper *k, struct view record, int *fds,
                        struct fault *fault) {
    struct link_record r;
    TRY(link_record_read(&r, record, fault));
    struct link *l = link_make(k, r.serial);
    if (l == NULL)
        return ERR_MEMORY;
    if (r.serial > k->link_serial)
        k->link_serial = r.serial;
    if (r.listener > k->listener_serial)
        k->listener_serial = r.listener;  // a listener of ours is not that one
    take_numbers(l, &r);
    enum err e = take_texts(l, &r);
    if (e == OK)
        e = keeper_keys_of(k, r.host_keys, &l->host_keys);
    if (e == OK && l->host_key >= l->host_keys->n)
        e = ERR_FORMAT;
    if (e == OK)
        e = link_terminals_read(l, r.terminals);
    if (e == OK)
        e = take_fds(l, &r, fds);
    if (e != OK)
        link_end(l, "it cannot be taken over");
    else
        link_sweep(l);  // nothing may be left of it
    return e;
}
