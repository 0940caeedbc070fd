
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/text.h"
#include "connection/requests.h"
#include "io/account.h"
#include "io/fd.h"
#include "io/privilege.h"
#include "io/sandbox.h"
#include "server/forward.h"
#include "server/holder_link.h"
#include "server/holder_status.h"
#include "server/holder_view.h"
#include "server/settings.h"
#include "server/template.h"
#include "wire/messages.h"

#define PACE_MS 500   // is a peer looked at that leaves probes unanswered
#define IDLE_MS 5000  // quiet for so long: the ring and buffers are given back
#define MESSAGES_A_TURN 256

void holder_end(struct holder *h, uint32_t reason, const char *text) {
    if (h->ending)
        return;
    holder_over(h, ENDS_ERROR, text);
    h->ending = true;
    if (h->linked)
        seam_end(&h->seam, reason, text);
}

static void connection_failed(struct holder *h, enum err e) {
    const struct fault *f = connection_fault(h->connection);
    const char *text = f->text[0] != '\0' ? fault_text(f) : err_text(e);
    log_error(&h->log, "connection of %s from %s port %u: %s", h->user, h->start->peer,
              h->start->peer_port, text);
    holder_end(h, err_disconnect_reason(e), text);
}

// ---- in ----

static const char *refused(const struct holder *h, const struct connection_event *e,
                           enum open_failure *reason) {
    *reason = OPEN_ADMINISTRATIVELY_PROHIBITED;
    if (e->type == NULL) {
        *reason = OPEN_UNKNOWN_CHANNEL_TYPE;
        return "unknown channel type";
    }
    if (!view_is(e->name, "session"))
        return NULL;
    return h->no_more_sessions || session_count(h) >= h->config.max_sessions
               ? "open failed: no more sessions"
               : NULL;
}

static void tell_refused(struct holder *h, const struct connection_event *event) {
    struct ipc_event e = {
        .channel = event->channel,
        .reason = view_text(h->no_more_sessions ? "no-more-sessions" : "max-sessions")};
    if (view_is(event->name, "session"))
        holder_tell(h, EVENT_SESSION_REFUSED, &e);
}

static void opened(struct holder *h, const struct connection_event *event) {
    enum open_failure reason;
    const char *why = refused(h, event, &reason);
    if (why != NULL) {
        tell_refused(h, event);
        enum err e = connection_refuse(h->connection, event->channel, reason, why);
        if (e != OK)
            connection_failed(h, e);
    } else if (view_is(event->name, "session")) {
        session_open(h, event->channel);
    } else if (view_is(event->name, "tun@openssh.com")) {
        tunnel_open(h, event);
    } else {
        forward_open(h, event);
    }
}

static void channel_request(struct holder *h, const struct connection_event *event) {
    struct carrier *c = event->user;
    uint32_t channel = event->channel;
    bool want_reply = event->want_reply;
    bool done = c != NULL && c->ops->request != NULL &&
                c->ops->request(c, event->name, event->fields);
    if (h->claiming && h->claim_channel == channel && done) {
        h->claim_owed = want_reply;  // when the keeper has answered
        return;
    }
    enum err e = want_reply ? connection_reply(h->connection, channel, done) : OK;
    if (e != OK)
        connection_failed(h, e);
}

// A channel whose session is over already: its data still counts for the window.
static void stray_data(struct holder *h, const struct connection_event *event) {
    enum err e =
        connection_consumed(h->connection, event->channel, event->data.n, h->now);
    if (e != OK)
        connection_failed(h, e);
}

static void take_event(struct holder *h, const struct connection_event *event) {
    struct carrier *c = event->user;
    switch (event->kind) {
    case CONNECTION_OPEN:
        opened(h, event);
        break;
    case CONNECTION_OPENED:
    case CONNECTION_OPEN_REFUSED:
        if (c != NULL && c->ops->opened != NULL)
            c->ops->opened(c, event->kind == CONNECTION_OPENED);
        break;
    case CONNECTION_DATA:
        if (c != NULL && event->extended == 0)
            carrier_input(c, event->data);
        else
            stray_data(h, event);
        break;
    case CONNECTION_EOF:
        if (c != NULL)
            carrier_input_eof(c);
        break;
    case CONNECTION_PEER_CLOSE:
        if (c != NULL)
            c->ops->hang_up(c);
        else if (connection_close(h->connection, event->channel) != OK)
            h->ending = true;
        break;
    case CONNECTION_REQUEST:
        channel_request(h, event);
        break;
    case CONNECTION_REPLY:
        if (c != NULL)
            stream_answered(c);
        break;
    case CONNECTION_GLOBAL_REQUEST:
        global_request(h, event);
        break;
    default:
        break;
    }
}

static void pull_events(struct holder *h) {
    struct connection_event event;
    while (!h->ending && connection_next(h->connection, &event))
        take_event(h, &event);
}

static void take_message(struct holder *h, const struct seam_event *event) {
    struct view message = event->message;
    h->heard_at = h->now;
    h->probes = 0;
    if (h->connection == NULL) {
        h->ending = true;
        return;
    }
    if (event->kind == SEAM_MESSAGE && resume_is(message)) {
        holder_take_resume(h, message);
        return;
    }
    enum err e = connection_in(h->connection, message, h->now);
    if (e == OK) {
        pull_events(h);
        holder_taken(h, message);
    } else if (e != ERR_UNSUPPORTED) {  // the gate has answered those
        connection_failed(h, e);
    }
}

static void take_hello(struct holder *h, struct view ident) {
    size_t n = sizeof SETTINGS_IDENT_BOWLINE - 1;
    bool bowline = ident.n >= n && memcmp(ident.p, SETTINGS_IDENT_BOWLINE, n) == 0;
    h->bowline_peer = bowline;
    uint32_t packet = bowline ? LIMIT_CHANNEL_PACKET_BOWLINE : LIMIT_CHANNEL_PACKET;
    struct connection_config config = {
        .server = true,
        .max_channels = LIMIT_CHANNELS,
        .max_packet = packet,
        .max_packet_out = packet,
        .window_max = bowline ? LIMIT_WINDOW_MAX : LIMIT_WINDOW_MAX_STOCK,
    };
    if (connection_new(&h->connection, &config) != OK)
        h->ending = true;
    else
        global_announce_keys(h);
}

static void said_goodbye(struct holder *h, const struct seam_event *event) {
    if (keep_link_gone(h, false))
        return;
    holder_client_gone(h, event->reason, event->message);
    h->ending = true;
}

// May the peer be read? Not while our answers to it do not go out.
static bool may_take(const struct holder *h) {
    return !h->ending && h->linked && !h->blocked && !h->proving && !h->claiming &&
           (h->connection == NULL || connection_in_ready(h->connection));
}

// True: there is more.
static bool pull_seam(struct holder *h) {
    for (int i = 0; i < MESSAGES_A_TURN; i++) {
        struct seam_event event;
        struct fault fault = {0};
        if (h->broken)
            holder_link_lost(h, false);
        if (!may_take(h))
            return false;
        enum err e = seam_next(&h->seam, &event, &fault);
        if (e != OK) {
            if (e != ERR_CLOSED)
                log_error(&h->log, "%s", fault_text(&fault));
            holder_link_lost(h, false);
            return false;
        }
        if (event.kind == SEAM_NONE)
            return false;
        h->busy_at = h->now;
        if (event.kind == SEAM_HELLO)
            take_hello(h, event.message);
        else if (event.kind == SEAM_END)
            said_goodbye(h, &event);
        else if (event.kind == SEAM_SECRET)
            holder_take_secret(h, &event);
        else
            take_message(h, &event);
        if (event.kind == SEAM_SLOT && seam_taken(&h->seam) != OK)
            holder_link_lost(h, false);
        if (h->connection != NULL && !h->ending)
            holder_flush(h);
    }
    return true;
}

void holder_on_seam(void *arg, uint32_t ready) {
    struct holder *h = arg;
    if (ready & LOOP_OUT)
        h->blocked = false;
    if (ready & (LOOP_IN | LOOP_HUP | LOOP_ERR)) {
        h->ring_wait = false;
        seam_turn(&h->seam);
    }
}

// ---- the keeper ----

static void on_keeper(void *arg, uint32_t ready) {
    struct holder *h = arg;
    uint8_t bytes[LIMIT_IPC_MESSAGE];
    (void)ready;
    struct ipc_message m;
    struct fault fault = {0};
    bool got;
    char text[FAULT_TEXT_SIZE];
    enum err e = ipc_recv(h->start->keeper, &h->keeper_side,
                          (struct span){bytes, sizeof bytes}, &m, &got, &fault);
    if (e != OK) {  // the session goes on without it
        loop_unwatch(&h->loop, &h->keeper_watch);
        global_proved(h, view_of(NULL, 0));
        claim_unanswered(h);
        return;
    }
    if (!got)
        return;
    if (m.row->number == IPC_ATTACH) {
        holder_attach(h, &m.body.attach, m.fd);
        return;
    }
    if (m.row->number == IPC_VIEW || m.row->number == IPC_VIEWED) {
        if (m.row->number == IPC_VIEW)
            view_add(h, &m.body.view, m.fd);
        else
            claim_viewed(h, &m.body.viewed, m.fd);
        return;
    }
    fd_close(&m.fd);
    if (m.row->number == IPC_TELL && m.body.tell.action == TELL_STATUS)
        holder_status_tell(h);
    else if (m.row->number == IPC_TELL)
        holder_end_as(h, ENDS_ADMINISTRATOR,
                      text_clean(text, sizeof text, m.body.tell.text));
    else if (m.row->number == IPC_VOUCH)
        holder_vouch(h, &m.body.vouch);
    else if (m.row->number == IPC_PROVED)
        global_proved(h, m.body.proved.signatures);
    else if (m.row->number == IPC_CLAIMED)
        claim_answered(h, &m.body.claimed);
}

// ---- time ----

// ClientAliveInterval, ClientAliveCountMax: a probe after each silent interval; the one
// that finds CountMax unanswered ends the connection, or its link where it may have
// another.
static void check_alive(struct holder *h) {
    uint64_t interval = (uint64_t)h->config.client_alive_interval * 1000;
    uint64_t since = h->probe_at > h->heard_at ? h->probe_at : h->heard_at;
    if (interval == 0 || h->connection == NULL || !h->linked || h->now < since + interval)
        return;
    if (h->config.client_alive_count_max > 0 &&
        h->probes >= h->config.client_alive_count_max) {
        log_info(&h->log, "Timeout, client not responding from user %s %s port %u",
                 h->user, h->start->peer, h->start->peer_port);
        holder_link_lost(h, true);
        return;
    }
    h->probes++;
    h->probe_at = h->now;
    enum err e = connection_global_request(h->connection, "keepalive@openssh.com", true,
                                           view_of(NULL, 0));
    if (e != OK && e != ERR_LIMIT)  // enough are out already: CountMax 0 never ends it
        h->ending = true;
}

static uint64_t next_deadline(const struct holder *h) {
    uint64_t interval = (uint64_t)h->config.client_alive_interval * 1000;
    uint64_t since = h->probe_at > h->heard_at ? h->probe_at : h->heard_at;
    uint64_t d = interval > 0 && h->linked ? since + interval : CLOCK_NEVER;
    uint64_t grace = holder_grace_deadline(h);
    if (grace < d)
        d = grace;
    if (h->confirm_at < d)
        d = h->confirm_at;
    if (h->claiming && h->claim_until < d)
        d = h->claim_until;
    if (!h->idle_done && h->busy_at + IDLE_MS < d)
        d = h->busy_at + IDLE_MS;
    for (const struct session *s = h->sessions; s != NULL; s = s->next)
        if (sftp_deadline(s) < d)
            d = sftp_deadline(s);
    if (h->pace_wait && h->now + PACE_MS < d)
        d = h->now + PACE_MS;
    uint64_t timeout = holder_timeout_deadline(h);
    return timeout < d ? timeout : d;
}

static void check_idle(struct holder *h) {
    if (h->now < h->busy_at + IDLE_MS) {
        h->idle_done = false;
        return;
    }
    if (h->idle_done)
        return;
    if (h->linked)
        seam_idle(&h->seam);
    resume_idle(&h->resume);
    buf_release_if_empty(&h->unsent);
    template_release();
    h->idle_done = true;
}

// ---- the loop ----

static void update(struct holder *h) {
    h->terminal = h->pace_wait = false;
    for (struct session *s = h->sessions; s != NULL; s = s->next) {
        h->any_started = h->any_started || s->started;
        h->terminal = h->terminal || (s->with_pty && s->started && !s->exited);
    }
    h->again = false;
    for (struct session *s = h->sessions; s != NULL; s = s->next) {
        for (size_t i = 0; i < STREAM_COUNT; i++)
            stream_update(&s->streams[i]);
        sftp_update(s);
        if (s->kept != NULL)
            view_update(s);
    }
    forwards_update(h);
}

static void turn(struct holder *h) {
    h->now = clock_ms();
    bool more = pull_seam(h);
    if (h->connection != NULL && !h->ending) {
        check_alive(h);
        pull_events(h);
        holder_check_timeouts(h);
        update(h);
        session_sweep(h);
        forwards_sweep(h);
        holder_flush(h);
        pull_events(h);
        h->confirm_at = holder_confirm(h);
    }
    keep_check(h);
    if (h->claiming && h->now >= h->claim_until)
        claim_unanswered(h);
    holder_check_grace(h);
    check_idle(h);
    if (h->ending)
        return;
    uint32_t events = (may_take(h) ? LOOP_IN : 0) | (h->blocked ? LOOP_OUT : 0) |
                      (h->ring_wait ? LOOP_IN : 0);
    if (h->linked && loop_change(&h->loop, &h->seam_watch, events) != OK)
        h->ending = true;
    bool sleep = !more && !h->again;
    if (sleep && h->linked &&
        !seam_may_sleep(&h->seam, h->ring_wait ? h->ring_least : 0)) {
        sleep = false;
        h->ring_wait = false;
    }
    if (loop_turn(&h->loop, sleep ? clock_poll_ms(h->now, next_deadline(h)) : 0) != OK)
        h->ending = true;
}

// ---- start ----

static void group_names(const struct ipc_verdict *v, const char **names, size_t *n) {
    struct reader r = reader_of(v->groups);
    *n = 0;
    while (reader_left(&r) > 0 && *n < ACCOUNT_GROUPS_MAX) {
        char name[128];
        if (account_group_name(read_u32(&r), name, sizeof name))
            names[(*n)++] = strdup(name);
    }
}

static bool apply_match(struct holder *h, struct fault *fault) {
    const struct holder_start *st = h->start;
    const char *names[ACCOUNT_GROUPS_MAX];
    size_t n = 0;
    if (server_config_asks_groups(st->config))
        group_names(st->verdict, names, &n);
    struct server_subject subject = {
        .user = h->user,
        .groups = names,
        .groups_n = n,
        .host = st->host,
        .address = st->peer,
        .local_address = st->local,
        .local_port = st->local_port,
        .rdomain = st->domain,
    };
    return server_config_match(st->config, &subject, &h->config, fault) == OK;
}

static bool become_user(struct holder *h, struct fault *fault) {
    const struct ipc_verdict *v = h->start->verdict;
    gid_t groups[ACCOUNT_GROUPS_MAX];
    struct privilege to = {v->uid, v->gid, groups, 0};
    struct reader r = reader_of(v->groups);
    while (reader_left(&r) > 0 && to.groups_n < ACCOUNT_GROUPS_MAX)
        groups[to.groups_n++] = read_u32(&r);
    if (h->config.chroot_directory != NULL)
        sftp_prepare(h);
    if (holder_chroot(h, fault) != OK)
        return false;
    if (h->start->as_root && privilege_drop(&to, fault) != OK)
        return false;
    if (!h->start->as_root && getuid() != v->uid) {
        fault_set(fault, ERR_REFUSED, 0, "this server is another user's");
        return false;
    }
    sandbox_undumpable();
    return true;
}

// Strings of a message as a list that outlives it.
static void list_of(struct view strings, struct conf_list *out) {
    struct reader r = reader_of(strings);
    size_t n = 0;
    *out = (struct conf_list){0};
    for (struct reader count = r; reader_left(&count) > 0; n++)
        read_string(&count);
    if (n == 0)
        return;
    out->v = calloc(n, sizeof out->v[0]);
    while (out->v != NULL && reader_left(&r) > 0) {
        struct view v = read_string(&r);
        char *text = strndup((const char *)v.p, v.n);
        out->v[out->n++] = text != NULL ? text : "none";
    }
}

static char *text_of(struct view v) {
    return strndup((const char *)v.p, v.n);
}

// An administrator's: what was made in files and sockets goes with us.
static void on_stop(void *arg, int number) {
    struct holder *h = arg;
    log_info(&h->log, "Exiting on signal %d", number);
    holder_end_as(h, ENDS_ADMINISTRATOR, "Your session was ended by the administrator.");
}

// It is meant for the keeper, which reads its configuration anew.
static void on_hang_up(void *arg, int number) {
    (void)arg;
    (void)number;
}

static enum err watch_signals(struct holder *h) {
    static const int stops[HOLDER_STOPS] = {SIGTERM, SIGINT, SIGQUIT};
    for (size_t i = 0; i < HOLDER_STOPS; i++)
        TRY(loop_signal(&h->loop, &h->stops[i], stops[i], on_stop, h));
    return loop_signal(&h->loop, &h->hang_up, SIGHUP, on_hang_up, h);
}

static enum err join(struct holder *h) {
    const struct holder_start *st = h->start;
    TRY(loop_init(&h->loop));
    TRY(watch_signals(h));
    TRY(seam_init(&h->seam, st->seam, true));
    TRY(seam_hello(&h->seam, view_of(NULL, 0)));
    TRY(loop_watch(&h->loop, &h->keeper_watch, st->keeper, LOOP_IN, on_keeper, h));
    return loop_watch(&h->loop, &h->seam_watch, st->seam, LOOP_IN, holder_on_seam, h);
}

static bool set_up(struct holder *h, struct fault *fault) {
    const struct holder_start *st = h->start;
    const struct ipc_verdict *v = st->verdict;
    text_copy(h->user, sizeof h->user, v->user);
    h->home = text_of(v->home);
    h->shell = text_of(v->shell);
    if (!apply_match(h, fault))
        return false;
    // Now: it is not there in a ChrootDirectory.
    if (h->config.print_last_log && !login_record_last(v->uid, &h->last_at, h->last_host))
        h->last_at = 0;
    if (!become_user(h, fault))
        return false;
    if (h->config.force_command != NULL)
        h->forced_command = h->config.force_command;
    else if (v->has_command)
        h->forced_command = text_of(v->command);
    list_of(v->permit_open, &h->key_open);
    list_of(v->permit_listen, &h->key_listen);
    process_title("sshd: %s", h->user);
    struct fd_limits limits = fd_limits_now();
    h->files = (struct process_limit){RLIMIT_NOFILE, {limits.soft, limits.hard}};
    (void)fd_limit_raise(0);  // each forwarded connection is one of ours
    buf_init(&h->unsent, LIMIT_PACKET);
    resume_init(&h->resume, true);
    h->linked = true;
    h->confirm_at = CLOCK_NEVER;
    enum err e = join(h);
    if (e != OK)
        fault_set(fault, e, 0, "%s", err_text(e));
    return e == OK;
}

_Noreturn void holder_run(const struct holder_start *start) {
    static struct holder h;  // the process has no other use for this memory
    struct fault fault = {0};
    h.start = start;
    h.keeper_side = (struct ipc_side){IPC_KEEPER, IPC_HOLDER, .state = LINK_NONE};
    ipc_log_open(&h.log_sink, &h.log, start->keeper,
                 (enum log_level)start->config->log_level);
    if (!set_up(&h, &fault)) {
        log_error(&h.log, "no session: %s", fault_text(&fault));
        _exit(1);
    }
    h.now = h.heard_at = h.busy_at = h.unused_at = h.used_at = clock_ms();
    while (!h.ending)
        turn(&h);
    agent_end(&h);  // first, as all that nobody else would remove
    holder_auth_info_remove(&h);
    for (struct session *s = h.sessions; s != NULL; s = s->next) {
        session_hang_up(s);
        session_told_end(s);
    }
    listeners_end(&h);
    forwards_end(&h);
    holder_status_tell(&h);
    holder_over_tell(&h);
    _exit(0);
}
