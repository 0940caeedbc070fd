// Judges and holders: forked by the keeper, which reads their answers.
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "auth/server.h"
#include "base/text.h"
#include "io/fd.h"
#include "io/sandbox.h"
#include "io/unix_socket.h"
#include "server/holder.h"
#include "server/judge.h"
#include "server/keeper_control.h"
#include "server/keeper_views.h"
#include "server/seam.h"

#define TUNNEL_SINCE 4u  // IPC_VERSION of judges that know of it

static void close_child(struct keeper_child *c) {
    loop_unwatch(&c->link->keeper->loop, &c->watch);
    unix_hang_up(&c->fd);  // of which the anchor may have a copy
}

void link_child_forget(struct keeper_child *c) {
    close_child(c);
}

void link_child_end(struct keeper_child *c) {
    close_child(c);
    struct process p = {c->exit.pid, c->exit.pidfd};
    if (c->alive && process_signal(&p, SIGKILL) != OK)
        log_verbose(&c->link->keeper->log, "process %d has ended already", (int)p.pid);
}

// ---- making them ----

static void on_child_exit(void *arg, int status) {
    struct keeper_child *c = arg;
    struct link *l = c->link;
    bool judge = c == &l->judge;
    if (c->fd >= 0 && c->watch.fn != NULL)
        c->watch.fn(c->watch.arg,
                    0);  // its last words; the link stays while it counts as alive
    close_child(c);
    c->alive = false;
    if (WIFSIGNALED(status) && WTERMSIG(status) != SIGKILL)
        log_error(&l->keeper->log, "%s of %s died of signal %d",
                  judge ? "judge" : "holder", l->peer, WTERMSIG(status));
    if (!judge && WIFSIGNALED(status)) {
        link_reason(l, "crashed", view_text(""));
        link_killed(l, WTERMSIG(status));
    }
    for (int kind = 0; !judge && kind < LEAVING_KINDS; kind++)
        leaving_remove(&l->leavings, (enum leaving)kind, l->uid, c->exit.pid);
    if (judge && l->question != 0 && l->fd >= 0)
        link_end(l, "the judge ended");
    else
        link_sweep(l);
}

// What stands apart from START, and before it.
static enum err send_names(const struct link *l, enum ipc_role role, int fd) {
    struct ipc_domain domain = {l->id, view_text(l->domain)};
    struct ipc_host host = {view_text(l->host)};
    if (l->domain[0] != '\0')
        TRY(ipc_send(fd, IPC_DOMAIN, &domain, -1));
    return l->host[0] != '\0' && role == IPC_HOLDER ? ipc_send(fd, IPC_HOST, &host, -1)
                                                    : OK;
}

static enum err send_start(const struct link *l, int fd) {
    scoped_buf blobs;
    buf_init(&blobs, LIMIT_IPC_MESSAGE);
    if (host_keys_blobs(l->host_keys, &blobs) != OK)
        buf_clear(&blobs);
    struct ipc_start start = {
        .session_id = view_of(l->session_id, l->session_id_n),
        .host_key = key_blob(l->host_keys->keys[l->host_key]),
        .peer = view_text(l->peer),
        .local = view_text(l->local),
        .peer_port = l->peer_port,
        .local_port = l->local_port,
        .host_keys = buf_view(&blobs),
    };
    return ipc_send(fd, IPC_START, &start, -1);
}

// Its first words stand in the socket before it is there.
static enum err try_child(struct keeper_child *c, enum ipc_role role,
                          const struct ipc_verdict *v, int seam) {
    struct link *l = c->link;
    int pair[2];
    pid_t pid;
    TRY(ipc_pair(pair));
    scoped_fd ours = pair[0], theirs = pair[1];
    struct ipc_resume resume = {view_of(l->wanted, sizeof l->wanted)};
    TRY(send_names(l, role, ours));
    TRY(send_start(l, ours));
    if (role == IPC_JUDGE && l->comes_back)
        TRY(ipc_send(ours, IPC_RESUME, &resume, -1));
    if (v != NULL)
        TRY(ipc_send(ours, IPC_LOGIN, v, seam));
    TRY(keeper_make(l->keeper, role, theirs, &pid));
    c->fd = ours;
    ours = -1;
    c->side = (struct ipc_side){role, IPC_KEEPER, .state = l->state};
    return link_watch_exit(c, pid, -1);
}

static bool make_child(struct keeper_child *c, enum ipc_role role,
                       const struct ipc_verdict *v, int seam) {
    const struct link *l = c->link;
    enum err e = try_child(c, role, v, seam);
    if (e != OK)
        log_error(&l->keeper->log, "no process for the %s of %s port %u: %s",
                  ipc_role_name(role), l->peer, l->peer_port,
                  e == ERR_LIMIT
                      ? "no more processes, descriptors or memory are to be had"
                      : err_text(e));
    return e == OK;
}

// ---- the judge's words ----

static const char *answered(struct link *l, uint32_t ticket) {
    if (l->question == 0 || ticket != l->ticket)
        return "the judge answers what was not asked";
    l->question = 0;
    return NULL;
}

static const char *to_gate(struct link *l, enum ipc_number number, const void *body) {
    return ipc_send(l->fd, number, body, -1) == OK ? NULL : "gate does not listen";
}

static const char *on_user_answer(struct link *l, const struct ipc_user_answer *m) {
    const char *why = answered(l, m->ticket);
    struct ipc_user_answer told = *m;
    l->valid_user = m->valid;
    told.valid = true;
    return why != NULL ? why : to_gate(l, IPC_USER_ANSWER, &told);
}

static const char *on_policy(struct link *l, const struct ipc_policy *m) {
    struct ipc_policy told = *m;
    if (m->refuse) {
        struct log log = link_voice(l);
        log_info(&log, "administratively prohibited connection for %s from %s port %u",
                 l->user, l->peer, l->peer_port);
        l->refused = true;
        return "connection prohibited by RefuseConnection";
    }
    if (l->side.version == 1)
        return NULL;  // a gate that does not know of it
    told.refuse = false;
    return to_gate(l, IPC_POLICY, &told);
}

static const char *on_answer(struct link *l, const struct ipc_answer *m) {
    bool query = l->question == IPC_KEY_QUERY;
    const char *why = answered(l, m->ticket);
    if (why != NULL)
        return why;
    if (m->verdict != AUTH_REFUSED &&
        m->verdict != (query ? AUTH_ACCEPTABLE : AUTH_PARTIAL))
        return "the judge's answer does not fit";
    if (m->verdict == AUTH_REFUSED)
        link_failed(l, m->method, m->key, query);
    else if (m->verdict == AUTH_PARTIAL)
        link_partial(l, m->method, m->key);
    struct ipc_answer told = *m;
    told.key = told.method = view_text("");
    return to_gate(l, IPC_ANSWER, &told);
}

static const char *on_prompts(struct link *l, const struct ipc_prompts *m) {
    bool first = l->question == IPC_KBDINT;
    bool fits = first || l->question == IPC_RESPONSES;
    const char *why = answered(l, m->ticket);
    if (why == NULL && !fits)
        why = "the judge's prompts do not fit";
    if (why == NULL)
        link_postponed(
            l, view_text(first ? "keyboard-interactive" : "keyboard-interactive/pam"));
    return why != NULL ? why : to_gate(l, IPC_PROMPTS, m);
}

static const char *on_change(struct link *l, const struct ipc_change *m) {
    bool fits = l->question == IPC_PASSWORD;
    const char *why = answered(l, m->ticket);
    if (why == NULL && !fits)
        why = "the judge's wish for a new password does not fit";
    return why != NULL ? why : to_gate(l, IPC_CHANGE, m);
}

static void take_identity(struct link *l, const struct ipc_verdict *m) {
    if (m->identity.n != sizeof l->identity)
        return;
    memcpy(l->identity, m->identity.p, sizeof l->identity);
    l->identity_n = sizeof l->identity;
}

static const char *get_holder(struct link *l, const struct ipc_verdict *m) {
    struct ipc_verdict login = *m;
    if (l->identity_n == 0)  // as a judge of an older version has no word for it
        login.permits &= ~(uint32_t)PERMIT_RESUME;
    if (l->judge.side.version != 0 && l->judge.side.version < TUNNEL_SINCE)
        login.permits &= ~(uint32_t)PERMIT_TUNNEL;
    bool there = m->holder ? link_adopt_holder(l) : link_spawn_holder(l, &login);
    return there ? NULL : "no holder can be started";
}

static const char *on_verdict(struct link *l, const struct ipc_verdict *m) {
    if (l->question == 0 || !(ipc_row(l->question)->flags & IPC_DECIDES))
        return "a verdict that was not asked for";
    const char *why = answered(l, m->ticket);
    if (why != NULL)
        return why;
    if (!view_is(m->user, l->user))
        return "a verdict for another user";
    l->state = LINK_AUTHED;
    link_accepted(l, m);
    l->authenticated = true;
    l->since = (uint64_t)time(NULL);
    l->uid = m->uid;
    text_copy(l->key, sizeof l->key, m->key);
    text_copy(l->comment, sizeof l->comment, m->comment);
    take_identity(l, m);
    why = l->comes_back ? link_come_back(l) : get_holder(l, m);
    if (why != NULL)
        return why;
    loop_timer_unset(&l->keeper->loop, &l->grace);
    keeper_listener_link_authed(l);
    l->state = LINK_OPEN;
    struct ipc_answer granted = {.ticket = m->ticket, .verdict = AUTH_GRANTED};
    why = to_gate(l, IPC_ANSWER, &granted);
    if (!l->judge_stays)
        close_child(&l->judge);  // it ends by that
    keeper_anchor_keep(l);
    return why;
}

// Made by the judge as our child: what PAM did to the judge's process holds for it too.
static const char *on_holder_made(struct link *l, const struct ipc_message *m) {
    l->holder.fd = m->fd;
    l->judge_stays = true;
    return link_watch_exit(&l->holder, (pid_t)m->body.holder_made.pid, -1) == OK
               ? NULL
               : "the judge's holder is not there";
}

static const char *take_judge(struct link *l, const struct ipc_message *m) {
    switch (m->row->number) {
    case IPC_USER_ANSWER:
        return on_user_answer(l, &m->body.user_answer);
    case IPC_POLICY:
        return on_policy(l, &m->body.policy);
    case IPC_ANSWER:
        return on_answer(l, &m->body.answer);
    case IPC_PROMPTS:
        return on_prompts(l, &m->body.prompts);
    case IPC_CHANGE:
        return on_change(l, &m->body.change);
    case IPC_HOLDER_MADE:
        return on_holder_made(l, m);
    case IPC_HOLDER_SEAM:
        l->seam = m->fd;
        return NULL;
    case IPC_VERDICT:
        return on_verdict(l, &m->body.verdict);
    case IPC_FACTORS:
        l->factors = m->body.factors.methods;
        return NULL;
    case IPC_HOST:
        return text_copy(l->host, sizeof l->host, m->body.host.name)
                   ? NULL
                   : "a name of the client's address that is too long";
    case IPC_FACTS:
        link_facts(l, &m->body.facts);
        return NULL;
    case IPC_LOG:
        link_log(l, IPC_JUDGE, &m->body.log);
        return NULL;
    default:
        return "misplaced message of the judge";
    }
}

static void on_judge(void *arg, uint32_t ready) {
    struct link *l = arg;
    uint8_t bytes[LIMIT_IPC_MESSAGE];
    (void)ready;
    while (l->judge.fd >= 0) {
        struct ipc_message m;
        struct fault fault = {0};
        bool got;
        l->judge.side.state = l->state;
        enum err e = ipc_recv(l->judge.fd, &l->judge.side,
                              (struct span){bytes, sizeof bytes}, &m, &got, &fault);
        if (e == OK && !got)
            return;
        const char *why = NULL;
        if (e == OK) {
            why = take_judge(l, &m);
            if (m.row->number != IPC_HOLDER_MADE && m.row->number != IPC_HOLDER_SEAM)
                fd_close(&m.fd);
        } else {
            // What it says of a login whose gate has gone meanwhile is nobody's any more.
            bool late = l->state == LINK_CLOSING;
            close_child(&l->judge);
            why = e == ERR_CLOSED || late ? NULL : fault_text(&fault);
        }
        if (why != NULL && l->fd >= 0) {
            link_end(l, why);
            return;
        }
    }
}

bool link_spawn_judge(struct link *l) {
    return make_child(&l->judge, IPC_JUDGE, NULL, -1) && link_watch_judge(l) == OK;
}

enum err link_watch_judge(struct link *l) {
    struct keeper *k = l->keeper;
    return loop_watch(&k->loop, &l->judge.watch, l->judge.fd, LOOP_IN, on_judge, l);
}

enum err link_watch_exit(struct keeper_child *c, pid_t pid, int pidfd) {
    enum err e =
        loop_child(&c->link->keeper->loop, &c->exit, pid, pidfd, on_child_exit, c);
    c->alive = e == OK;
    return e;
}

// ---- the holder ----

// A name that is none is a lie.
static void take_leavings(struct link *l, const struct ipc_leavings *m) {
    if (!leavings_take(&l->leavings, LEAVING_AGENT, m->agent) ||
        !leavings_take(&l->leavings, LEAVING_AUTH_INFO, m->auth_info))
        log_error(&l->keeper->log, "holder of %s has odd names in /tmp", l->user);
    keeper_anchor_again(l);
}

static void take_holder(struct link *l, const struct ipc_message *m) {
    if (m->row->number == IPC_PROVE)
        link_prove(l, m->body.prove.blobs);
    if (m->row->number == IPC_LOG)
        link_log(l, IPC_HOLDER, &m->body.log);
    else if (m->row->number == IPC_STATUS)
        keeper_control_status(l, &m->body.status);
    else if (m->row->number == IPC_EVENT)
        link_holder_event(l, &m->body.event);
    else if (m->row->number == IPC_RESUMABLE)
        link_resumable(l, &m->body.resumable);
    else if (m->row->number == IPC_SUSPENDED)
        link_suspended(l, &m->body.suspended);
    else if (m->row->number == IPC_VOUCHED)
        link_vouched(l, &m->body.vouched);
    else if (m->row->number == IPC_ATTACHED)
        link_attached(l, &m->body.attached);
    else if (m->row->number == IPC_CLAIM)
        link_claim(l, &m->body.claim);
    else if (m->row->number == IPC_ENDED)
        link_ended(l, &m->body.ended);
    else if (m->row->number == IPC_HELD)
        link_held(l, &m->body.held);
    else if (m->row->number == IPC_LEAVINGS)
        take_leavings(l, &m->body.leavings);
}

static void on_holder(void *arg, uint32_t ready) {
    struct link *l = arg;
    uint8_t bytes[LIMIT_IPC_MESSAGE];
    (void)ready;
    for (int i = 0; i < 16 && l->holder.fd >= 0; i++) {
        struct ipc_message m;
        struct fault fault = {0};
        bool got;
        l->holder.side.state = l->state;
        enum err e = ipc_recv(l->holder.fd, &l->holder.side,
                              (struct span){bytes, sizeof bytes}, &m, &got, &fault);
        if (e == OK && !got)
            return;
        if (e == OK) {
            fd_close(&m.fd);
            take_holder(l, &m);
            continue;
        }
        if (e == ERR_UNSUPPORTED)
            continue;  // of a later version
        if (e != ERR_CLOSED)
            log_error(&l->keeper->log, "holder of %s: %s", l->user, fault_text(&fault));
        close_child(&l->holder);
    }
}

enum err link_watch_holder(struct link *l) {
    struct keeper *k = l->keeper;
    return loop_watch(&k->loop, &l->holder.watch, l->holder.fd, LOOP_IN, on_holder, l);
}

// The gate gets its end of the seam, and the holder is listened to.
static bool join_holder(struct link *l, unsigned version) {
    struct ipc_holder_ready ready = {version != 0 ? version : IPC_VERSION};
    bool good = ipc_send(l->fd, IPC_HOLDER_READY, &ready, l->seam) == OK;
    fd_close(&l->seam);
    l->holder.side =
        (struct ipc_side){IPC_HOLDER, IPC_KEEPER, .state = LINK_OPEN, .version = version};
    return link_watch_holder(l) == OK && good;
}

bool link_adopt_holder(struct link *l) {
    return l->holder.alive && l->holder.fd >= 0 && l->seam >= 0 &&
           join_holder(l, l->judge.side.version);
}

bool link_spawn_holder(struct link *l, const struct ipc_verdict *v) {
    int pair[2];
    if (seam_pair(pair) != OK)
        return false;
    l->seam = pair[0];
    bool made = make_child(&l->holder, IPC_HOLDER, v, pair[1]);
    close(pair[1]);
    return made && join_holder(l, 0);
}
