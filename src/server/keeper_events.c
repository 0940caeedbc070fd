// What happens, told twice: as a line of the text log in OpenSSH's words
// (server/events.h) and as a typed event (server/event_table.h). Who and where come from
// the keeper's own record of the link; only what a holder does in its own connection is
// told by the holder, and is checked and limited here.
#include <stdio.h>

#include "base/text.h"
#include "base/version.h"
#include "server/keeper.h"

#define BURST 200u  // events of one holder
#define RATE 20u    // and each second after that

// ---- putting ----

void keeper_event(struct keeper *k, enum event_number number, const struct event *e) {
    event_log_put(&k->event_log, &k->log, number, e);
}

enum err keeper_event_log(struct keeper *k, struct fault *fault) {
    return event_log_open(&k->event_log, k->config->event_log, k->config->syslog_facility,
                          fault);
}

void keeper_event_server(struct keeper *k, enum event_number number, const char *text) {
    struct event e = {.version = view_text(BOWLINE_VERSION),
                      .config = view_text(k->options->config_file),
                      .text = view_text(text)};
    keeper_event(k, number, &e);
}

void keeper_event_listening(struct keeper *k, const char *local, uint16_t port) {
    struct event e = {.local = view_text(local), .local_port = port};
    keeper_event(k, EVENT_SERVER_LISTENING, &e);
}

void keeper_event_stop(struct keeper *k, const char *signal) {
    struct event e = {.signal = view_text(signal)};
    for (const struct link *l = k->links; l != NULL; l = l->next)
        e.count += l->authenticated && l->holder.alive;
    keeper_event(k, EVENT_SERVER_STOPPED, &e);
}

const char *link_name(const struct link *l, char *out, size_t size) {
    snprintf(out, size, "%u-%llu", l->local_port, (unsigned long long)l->serial);
    return out;
}

void link_tell(const struct link *l, enum event_number number, struct event *e) {
    char name[48];
    e->connection = view_text(link_name(l, name, sizeof name));
    e->peer = view_text(l->peer);
    e->peer_port = l->peer_port;
    e->local = view_text(l->local);
    e->local_port = l->local_port;
    e->user = view_text(l->user);
    e->uid = l->uid;
    keeper_event(l->keeper, number, e);
}

// ---- the text log ----

struct log link_voice(struct link *l) {
    l->voice = (struct log_as){&l->keeper->log, &l->keeper->sink, l->gate_pid};
    return log_as(&l->voice);
}

struct event_link link_event(const struct link *l) {
    return (struct event_link){.user = l->user,
                               .peer = l->peer,
                               .local = l->local,
                               .port = l->peer_port,
                               .pid = l->gate_pid,
                               .valid_user = l->valid_user,
                               .authenticated = l->authenticated};
}

// ---- logins ----

void link_facts(struct link *l, const struct ipc_facts *m) {
    text_copy(l->why, sizeof l->why, m->why);
    l->certificate_id_n = m->certificate_id.n < sizeof l->certificate_id
                              ? m->certificate_id.n
                              : sizeof l->certificate_id;
    if (m->certificate_id.n > 0)
        memcpy(l->certificate_id, m->certificate_id.p, l->certificate_id_n);
    text_copy(l->ca, sizeof l->ca, m->ca);
    l->certificate_serial = m->serial;
}

static struct event_key key_of(const struct link *l, struct view key) {
    return (struct event_key){.key = key,
                              .certificate_id =
                                  view_of(l->certificate_id, l->certificate_id_n),
                              .ca = view_text(key.n > 0 ? l->ca : ""),
                              .serial = l->certificate_serial};
}

// "ED25519 SHA256:…" in its two parts, and the certificate. `serial` holds its text.
static struct event login_of(const struct link *l, struct view method, struct view key,
                             char *serial, size_t size) {
    struct event e = {.method = method};
    const uint8_t *blank = key.n > 0 ? memchr(key.p, ' ', key.n) : NULL;
    if (blank == NULL)
        return e;
    e.key_type = view_of(key.p, (size_t)(blank - key.p));
    e.key = view_of(blank + 1, key.n - e.key_type.n - 1);
    if (l->ca[0] == '\0')
        return e;
    snprintf(serial, size, "%llu", (unsigned long long)l->certificate_serial);
    e.cert_serial = view_text(serial);
    e.cert_id = view_of(l->certificate_id, l->certificate_id_n);
    e.ca = view_text(l->ca);
    return e;
}

static bool many_tries(const struct link *l) {
    return l->attempts >= l->keeper->config->max_auth_tries / 2;
}

void link_postponed(struct link *l, struct view method) {
    struct event_link who = link_event(l);
    struct log log = link_voice(l);
    event_postponed(&log, &who, method, !l->valid_user || many_tries(l));
}

void link_failed(struct link *l, struct view method, struct view key, bool query) {
    char serial[24];
    struct event_link who = link_event(l);
    struct event_key k = key_of(l, key);
    struct event e = login_of(l, method, key, serial, sizeof serial);
    struct log log = link_voice(l);
    // As OpenSSH: of keys only those that a user who may log in has tried in earnest.
    bool key_method = view_is(method, "publickey");
    bool loud = l->valid_user ? many_tries(l) : !key_method;
    event_failed(&log, &who, method, &k, loud || view_is(method, "password"));
    l->failures++;
    l->attempts += !query;
    bool unknown = strncmp(l->why, "Invalid user", 12) == 0;
    e.reason = view_text(l->valid_user ? "credentials"
                         : unknown     ? "invalid-user"
                                       : "not-allowed");
    e.text = view_text(l->valid_user || unknown ? "" : l->why);
    link_tell(l, EVENT_LOGIN_FAILED, &e);
}

void link_partial(struct link *l, struct view method, struct view key) {
    char serial[24];
    struct event_link who = link_event(l);
    struct event_key k = key_of(l, key);
    struct event e = login_of(l, method, key, serial, sizeof serial);
    struct log log = link_voice(l);
    event_partial(&log, &who, method, &k);
    link_tell(l, EVENT_LOGIN_PARTIAL, &e);
}

void link_accepted(struct link *l, const struct ipc_verdict *m) {
    char serial[24];
    struct event_link who = link_event(l);
    struct event_key k = key_of(l, m->key);
    struct event e = login_of(l, m->method, m->key, serial, sizeof serial);
    struct log log = link_voice(l);
    event_accepted(&log, &who, m->method, &k);
    e.comment = m->comment;
    l->uid = m->uid;
    link_tell(l, EVENT_LOGIN_SUCCEEDED, &e);
}

// ---- ends ----

static const char *const causes[GATE_CAUSES] = {
    [GATE_CLOSED] = "closed",       [GATE_DISCONNECTED] = "disconnected",
    [GATE_FAULT] = "protocol",      [GATE_TIMEOUT] = "grace-time",
    [GATE_TOO_MANY] = "auth-tries", [GATE_HOLDER_ENDED] = "session-over",
    [GATE_NO_IDENT] = "no-ident",   [GATE_BAD_IDENT] = "bad-ident",
    [GATE_NO_MATCH] = "no-match",   [GATE_NOT_RESUMED] = "not-resumed",
    [GATE_RELEASED] = "released",
};

void link_reason(struct link *l, const char *reason, struct view text) {
    if (l->reason != NULL)
        return;
    l->reason = reason;
    text_clean(l->reason_text, sizeof l->reason_text, text);
}

void link_said_end(struct link *l, const struct ipc_gate_end *m) {
    struct event_link who = link_event(l);
    struct log log = link_voice(l);
    event_end(&log, &who, m);
    l->said_end = true;
    l->grace_over |= m->cause == GATE_TIMEOUT;
    link_reason(l, m->cause < GATE_CAUSES ? causes[m->cause] : "protocol", m->text);
}

void link_event_closed(const struct link *l) {
    struct event e = {.reason = view_text(l->reason != NULL ? l->reason : "server"),
                      .text = view_text(l->reason_text)};
    link_tell(l, EVENT_CONNECTION_CLOSED, &e);
}

// ---- what a holder tells ----

// False: too many. What was left out is told with the next one that is not.
static bool may_tell(struct link *l) {
    uint64_t now = clock_ms(), add = (now - l->event_at) * RATE / 1000;
    if (l->event_at == 0 || add >= BURST)
        l->event_tokens = BURST;
    else if (add > 0)
        l->event_tokens =
            add + l->event_tokens > BURST ? BURST : l->event_tokens + (uint32_t)add;
    if (l->event_at == 0 || add > 0)
        l->event_at = now;
    if (l->event_tokens == 0)
        return false;
    l->event_tokens--;
    return true;
}

static void tell_lost(struct link *l) {
    struct event e = {.count = l->events_lost, .reason = view_text("too-many")};
    if (l->events_lost > 0)
        link_tell(l, EVENT_EVENTS_LOST, &e);
    l->events_lost = 0;
}

#define COMMAND_SHOWN 900u

// "shell", "command", "subsystem 'sftp'", "forced-command (config) 'true'".
static const char *session_kind(const struct ipc_event *m, char *out, size_t size) {
    char kind[64], text[COMMAND_SHOWN + 1];
    bool forced = m->forced_by.n > 0;
    text_clean(kind, sizeof kind, forced ? m->forced_by : m->kind);
    text_clean(text, sizeof text, forced ? m->forced : m->text);
    if (forced)
        snprintf(out, size, "forced-command (%s) '%s'", kind, text);
    else if (view_is(m->kind, "subsystem"))
        snprintf(out, size, "%s '%s'", kind, text);
    else
        text_copy(out, size, view_text(kind));
    return out;
}

// The lines of OpenSSH's VERBOSE.
static void tell_session(struct link *l, const struct ipc_event *m) {
    char kind[COMMAND_SHOWN + 128], tty[64];
    struct log log = link_voice(l);
    if (m->event == EVENT_SESSION_OPENED)
        log_verbose(&log, "Starting session: %s%s%s for %s from %s port %u id %u",
                    session_kind(m, kind, sizeof kind), m->tty.n > 0 ? " on " : "",
                    text_clean(tty, sizeof tty, m->tty), l->user, l->peer, l->peer_port,
                    m->channel);
    if (m->event == EVENT_SESSION_CLOSED)
        log_verbose(&log, "Close session: user %s from %s port %u id %u", l->user,
                    l->peer, l->peer_port, m->channel);
}

void link_holder_event(struct link *l, const struct ipc_event *m) {
    struct event e = {
        .channel = m->channel,
        .kind = m->kind,
        .command = m->text,
        .text = m->text,
        .tty = m->tty,
        .host = m->host,
        .port = m->port,
        .status = m->status == UINT32_MAX ? EVENT_UNKNOWN : m->status,
        .signal = m->signal,
        .reason = m->reason,
        .bytes_in = m->bytes_in,
        .bytes_out = m->bytes_out,
    };
    if (!event_of_holder((enum event_number)m->event))
        return;
    if (m->event == EVENT_SESSION_OPENED)
        link_terminal_opened(l, m);
    if (m->event == EVENT_SESSION_CLOSED)
        link_terminal_closed(l, m->channel);
    l->events_lost += m->lost;
    if (!may_tell(l)) {
        l->events_lost++;
        return;
    }
    tell_lost(l);
    tell_session(l, m);
    link_tell(l, (enum event_number)m->event, &e);
}

// ---- not taken ----

void keeper_refused(struct keeper *k, const struct ipc_refused *m) {
    static const char *const reasons[REFUSALS] = {
        [REFUSAL_STARTUPS] = "max-startups",
        [REFUSAL_SOURCE_STARTUPS] = "source-max-startups",
        [REFUSAL_PENALTY] = "penalty",
    };
    if (m->reason >= REFUSALS)
        return;
    struct event e = {
        .peer = m->peer,
        .peer_port = m->peer_port,
        .local = m->local,
        .local_port = m->local_port,
        .count = m->untold,
        .reason = view_text(reasons[m->reason]),
        .text = m->why,
    };
    event_refused(&k->log, m, m->reason == REFUSAL_PENALTY);
    keeper_event(k, EVENT_CONNECTION_REFUSED, &e);
}

void keeper_event_penalty(struct keeper *k, const char *source, uint64_t seconds,
                          enum penalty_reason reason) {
    struct event e = {.peer = view_text(source),
                      .seconds = seconds,
                      .reason = view_text(penalty_reason_word(reason))};
    keeper_event(k, EVENT_PENALTY_STARTED, &e);
}
