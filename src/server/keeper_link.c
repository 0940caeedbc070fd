// One link, as the keeper sees it: the state that says which messages may come from its
// gate.
#include <stdlib.h>

#include "auth/server.h"
#include "base/secret.h"
#include "base/text.h"
#include "io/fd.h"
#include "io/unix_socket.h"
#include "server/keeper_control.h"
#include "server/keeper_views.h"

#define QUESTIONS_MAX 128u  // to one judge
#define LINES_MAX 50u       // of a gate's log, in ten seconds
#define LINES_MS 10000u
#define GRACE_SLACK_MS 1000

void link_sweep(struct link *l) {
    struct keeper *k = l->keeper;
    if (l->fd >= 0 || l->judge.alive || l->holder.alive)
        return;
    link_event_over(l);
    link_terminals_forget(l);
    if (l->prev != NULL)
        l->prev->next = l->next;
    else
        k->links = l->next;
    if (l->next != NULL)
        l->next->prev = l->prev;
    k->links_n--;
    keeper_control_forget(l);
    link_signing_forget(l);
    link_sessions_forget(l);
    loop_timer_unset(&k->loop, &l->grace);
    host_keys_drop(l->host_keys);
    free(l);
    if ((k->options->debug || k->options->inetd) && k->links_n == 0)
        loop_stop(&k->loop);
}

void link_end(struct link *l, const char *why) {
    struct keeper *k = l->keeper;
    struct log log = link_voice(l);
    if (why != NULL) {
        log_error(&log, "link from %s port %u ended: %s", l->peer, l->peer_port, why);
        link_reason(l, "server", view_text(why));
    }
    if (l->fd >= 0)
        link_event_closed(l);
    if (l->suspended_at != 0)
        l->reason = NULL;  // was the link's; its connection goes on
    l->state = LINK_CLOSING;
    k->unserved = k->options->inetd && !l->authenticated;
    link_turned_away(l);
    keeper_penalise_link(l);
    keeper_listener_link_done(l);
    loop_unwatch(&k->loop, &l->watch);
    loop_timer_unset(&k->loop, &l->grace);
    unix_hang_up(&l->fd);  // of which the anchor may have a copy
    fd_close(&l->seam);
    // A judge with a session of PAM's stays to close it, and ends by itself.
    if (l->judge_stays)
        link_child_forget(&l->judge);
    else
        link_child_end(&l->judge);
    // The holder sees its gate go and ends by itself.
    link_sweep(l);
}

void link_log(struct link *l, enum ipc_role from, const struct ipc_log *m) {
    char text[1024];
    struct log log = link_voice(l);
    uint64_t now = clock_ms();
    if (now >= l->line_at + LINES_MS) {
        l->line_at = now;
        l->lines = 0;
    }
    if (m->level > LOG_LEVEL_DEBUG3 ||
        (m->level < LOG_LEVEL_DEBUG1 && l->lines++ >= LINES_MAX))
        return;
    // A gate or a user's holder does not get to write what the keeper's own lines say.
    if (from == IPC_JUDGE)
        log_at(&log, (enum log_level)m->level, "%s",
               text_one_line(text, sizeof text, m->text));
    else
        log_at(&log, (enum log_level)m->level, "%s %s port %u: %s", ipc_role_name(from),
               l->peer, l->peer_port, text_one_line(text, sizeof text, m->text));
}

// ---- questions to the judge ----

static const char *ask(struct link *l, enum ipc_number number, uint32_t ticket,
                       const void *body) {
    if (l->question != 0)
        return "asks before it is answered";
    if (l->questions++ >= QUESTIONS_MAX)
        return "asks too much";
    if (l->judge.fd < 0)
        return "has no judge any more";
    if (ipc_send(l->judge.fd, number, body, -1) != OK)
        return "the judge does not listen";
    l->question = number;
    l->ticket = ticket;
    return NULL;
}

static const char *on_user(struct link *l, const struct ipc_user *m) {
    if (m->user.n > LIMIT_USER_NAME || memchr(m->user.p, '\0', m->user.n) != NULL)
        text_copy(l->user, sizeof l->user, view_text("?"));
    else
        text_copy(l->user, sizeof l->user, view_until(m->user, ':'));
    if (!link_spawn_judge(l))
        return "no judge can be started";
    l->state = LINK_USER;
    return ask(l, IPC_USER, m->ticket, m);
}

// ---- messages of the gate ----

static void on_end(struct link *l, const struct ipc_gate_end *m) {
    link_said_end(l, m);
    l->state = LINK_CLOSING;
}

// NULL, or why the link must end.
static const char *take(struct link *l, const struct ipc_message *m) {
    switch (m->row->number) {
    case IPC_SIGN:
        return link_sign(l, &m->body.sign);
    case IPC_USER:
        return on_user(l, &m->body.user);
    case IPC_KEY_QUERY:
        return ask(l, IPC_KEY_QUERY, m->body.key_query.ticket, &m->body);
    case IPC_KEY_AUTH:
        return ask(l, IPC_KEY_AUTH, m->body.key_auth.ticket, &m->body);
    case IPC_HOSTBASED:
        return ask(l, IPC_HOSTBASED, m->body.hostbased.ticket, &m->body);
    case IPC_NONE:
        return ask(l, IPC_NONE, m->body.none.ticket, &m->body);
    case IPC_PASSWORD:
        return ask(l, IPC_PASSWORD, m->body.password.ticket, &m->body);
    case IPC_KBDINT:
        return ask(l, IPC_KBDINT, m->body.kbdint.ticket, &m->body);
    case IPC_RESPONSES:
        return ask(l, IPC_RESPONSES, m->body.responses.ticket, &m->body);
    case IPC_RESUMPTION:
        return link_resumption(l, &m->body.resumption);
    case IPC_RESUME:
        return link_wants(l, &m->body.resume);
    case IPC_GATE_END:
        on_end(l, &m->body.gate_end);
        return NULL;
    case IPC_LOG:
        link_log(l, IPC_GATE, &m->body.log);
        return NULL;
    default:
        return "misplaced message";
    }
}

static void gate_gone(struct link *l, enum err e, const struct fault *fault) {
    struct event_link who = link_event(l);
    struct log log = link_voice(l);
    if (e != ERR_CLOSED) {
        link_end(l, fault_text(fault));
        return;
    }
    if (!l->said_end)
        event_lost(&log, &who);
    link_reason(l, "lost", view_text(""));
    link_end(l, NULL);
}

static void on_gate(void *arg, uint32_t ready) {
    struct link *l = arg;
    uint8_t bytes[LIMIT_IPC_MESSAGE];
    (void)ready;
    // A few, then the others' turn; what is left is reported again.
    for (int i = 0; i < 8; i++) {
        struct ipc_message m;
        struct fault fault = {0};
        bool got;
        l->side.state = l->state;
        enum err e = ipc_recv(l->fd, &l->side, (struct span){bytes, sizeof bytes}, &m,
                              &got, &fault);
        if (e != OK) {
            gate_gone(l, e, &fault);
            return;
        }
        if (!got)
            return;
        fd_close(&m.fd);
        const char *why = take(l, &m);
        if (m.row->flags & IPC_SECRET)
            secret_wipe(bytes, sizeof bytes);
        if (why != NULL) {
            link_end(l, why);
            return;
        }
    }
}

static void on_grace(void *arg) {
    struct link *l = arg;
    struct ipc_gate_end m = {GATE_TIMEOUT, 0, view_text("")};
    link_said_end(l, &m);
    link_end(l, NULL);
}

static void tell_new(struct link *l) {
    struct event e = {0};
    struct log log = link_voice(l);
    log_verbose(&log, "Connection from %s port %u on %s port %u", l->peer, l->peer_port,
                l->local, l->local_port);
    link_tell(l, EVENT_CONNECTION_ACCEPTED, &e);
}

// Behind newer ones: `bowline sessions` goes through them in this order.
static void insert(struct keeper *k, struct link *l) {
    struct link *before = NULL, *after = k->links;
    while (after != NULL && after->serial > l->serial) {
        before = after;
        after = after->next;
    }
    l->prev = before;
    l->next = after;
    if (before != NULL)
        before->next = l;
    else
        k->links = l;
    if (after != NULL)
        after->prev = l;
    k->links_n++;
}

struct link *link_make(struct keeper *k, uint64_t serial) {
    struct link *l = calloc(1, sizeof *l);
    if (l == NULL)
        return NULL;
    l->keeper = k;
    l->serial = serial;
    l->fd = l->judge.fd = l->holder.fd = l->seam = -1;
    l->judge.link = l->holder.link = l;
    l->side = (struct ipc_side){IPC_GATE, IPC_KEEPER, .state = LINK_NEW};
    insert(k, l);
    return l;
}

enum err link_watch_gate(struct link *l, int fd, uint64_t grace_at) {
    struct keeper *k = l->keeper;
    l->fd = fd;
    TRY(loop_watch(&k->loop, &l->watch, fd, LOOP_IN, on_gate, l));
    return grace_at == 0 ? OK
                         : loop_timer_set(&k->loop, &l->grace, grace_at, on_grace, l);
}

void link_new(struct keeper_listener *from, const struct ipc_link_new *m, int fd) {
    struct keeper *k = from->keeper;
    struct link *l = link_make(k, k->link_serial + 1);
    if (l == NULL) {
        fd_close(&fd);
        return;
    }
    k->link_serial++;
    l->listener = from->serial;
    l->id = m->id;
    l->state = LINK_NEW;
    l->side.version = from->side.version;
    text_copy(l->peer, sizeof l->peer, m->peer);
    text_copy(l->local, sizeof l->local, m->local);
    l->peer_port = (uint16_t)m->peer_port;
    l->local_port = (uint16_t)m->local_port;
    if (from->domain[0] != '\0' && from->domain_of == m->id)
        text_copy(l->domain, sizeof l->domain, view_text(from->domain));
    l->pending = true;
    from->pending++;
    l->host_keys = k->host_keys;
    l->host_keys->refs++;
    l->gate_pid = (long)m->pid;
    tell_new(l);
    uint64_t grace = k->options->grace_s != UINT32_MAX ? k->options->grace_s
                                                       : k->config->login_grace_time;
    uint64_t grace_at = grace > 0 ? clock_ms() + grace * 1000 + GRACE_SLACK_MS : 0;
    if (link_watch_gate(l, fd, grace_at) != OK)
        link_end(l, "out of memory");
}
