#include "server/events.h"

#include <stdio.h>

#include "base/text.h"

#define TEXT 300

static const char *key_text(const struct event_key *k, char *out, size_t size) {
    char key[TEXT], id[TEXT * 2], ca[TEXT];
    out[0] = '\0';
    if (k->key.n == 0)
        return out;
    text_clean(key, sizeof key, k->key);
    if (k->ca.n == 0)
        snprintf(out, size, ": %s", key);
    else
        snprintf(out, size, ": %s ID %s (serial %llu) CA %s", key,
                 text_clean(id, sizeof id, k->certificate_id),
                 (unsigned long long)k->serial, text_clean(ca, sizeof ca, k->ca));
    return out;
}

static void tell(const struct log *log, enum log_level level, const char *what,
                 const struct event_link *l, struct view method,
                 const struct event_key *key) {
    char user[TEXT], name[TEXT], text[TEXT * 5];
    log_at(log, level, "%s %s for %s%s from %s port %u ssh2%s", what,
           text_clean(name, sizeof name, method), l->valid_user ? "" : "invalid user ",
           text_clean(user, sizeof user, view_text(l->user)), l->peer, l->port,
           key_text(key, text, sizeof text));
}

void event_accepted(const struct log *log, const struct event_link *l, struct view method,
                    const struct event_key *key) {
    tell(log, LOG_LEVEL_INFO, "Accepted", l, method, key);
}

void event_partial(const struct log *log, const struct event_link *l, struct view method,
                   const struct event_key *key) {
    tell(log, LOG_LEVEL_INFO, "Partial", l, method, key);
}

void event_postponed(const struct log *log, const struct event_link *l,
                     struct view method, bool loud) {
    char user[TEXT], name[TEXT];
    log_at(log, loud ? LOG_LEVEL_INFO : LOG_LEVEL_VERBOSE,
           "Postponed %s for %s%s from %s port %u ssh2 [preauth]",
           text_clean(name, sizeof name, method), l->valid_user ? "" : "invalid user ",
           text_clean(user, sizeof user, view_text(l->user)), l->peer, l->port);
}

void event_failed(const struct log *log, const struct event_link *l, struct view method,
                  const struct event_key *key, bool loud) {
    tell(log, loud ? LOG_LEVEL_INFO : LOG_LEVEL_VERBOSE, "Failed", l, method, key);
}

// ---- the end of a link ----

// Who it was said to be: "authenticating user x ", "invalid user x ", "user x " or
// nothing; and what it was told to come with.
struct end {
    const struct log *log;
    const struct event_link *l;
    const struct ipc_gate_end *m;
    char who[TEXT + 32], text[TEXT];
    const char *stage;
};

static void who(const struct event_link *l, char *out, size_t size) {
    char user[TEXT];
    out[0] = '\0';
    if (l->user[0] == '\0')
        return;
    text_clean(user, sizeof user, view_text(l->user));
    const char *kind = l->authenticated ? "user"
                       : l->valid_user  ? "authenticating user"
                                        : "invalid user";
    snprintf(out, size, "%s %s ", kind, user);
}

static void closed(const struct end *e) {
    if (e->l->authenticated)
        log_verbose(e->log, "Connection closed by %s port %u", e->l->peer, e->l->port);
    else
        log_info(e->log, "Connection closed by %s%s port %u%s", e->who, e->l->peer,
                 e->l->port, e->stage);
}

static void disconnected(const struct end *e) {
    bool usual = e->m->reason == 11;  // by application
    log_at(e->log, usual ? LOG_LEVEL_INFO : LOG_LEVEL_ERROR,
           "Received disconnect from %s port %u:%u: %s%s", e->l->peer, e->l->port,
           e->m->reason, e->text, e->stage);
    log_info(e->log, "Disconnected from %s%s port %u%s", e->who, e->l->peer, e->l->port,
             e->stage);
}

static void fault(const struct end *e) {
    log_info(e->log, "ssh_dispatch_run_fatal: Connection from %s%s port %u: %s%s", e->who,
             e->l->peer, e->l->port, e->text, e->stage);
}

static void timed_out(const struct end *e) {
    log_info(e->log,
             "Timeout before authentication for connection from %s to %s, pid = %ld",
             e->l->peer, e->l->local, e->l->pid);
}

static void too_many(const struct end *e) {
    char user[TEXT];
    log_error(e->log,
              "maximum authentication attempts exceeded for %s%s from %s port %u ssh2%s",
              e->l->valid_user ? "" : "invalid user ",
              text_clean(user, sizeof user, view_text(e->l->user)), e->l->peer,
              e->l->port, e->stage);
    log_info(e->log, "Disconnecting %s%s port %u: %s%s", e->who, e->l->peer, e->l->port,
             e->text, e->stage);
}

static void holder_ended(const struct end *e) {
    log_info(e->log, "Disconnecting %s%s port %u: %s", e->who, e->l->peer, e->l->port,
             e->text);
}

static void released(const struct end *e) {
    log_verbose(e->log, "Let go of the link from %s port %u: its connection goes on",
                e->l->peer, e->l->port);
}

static void no_ident(const struct end *e) {
    log_error(e->log, "kex_exchange_identification: Connection closed by remote host%s",
              e->stage);
    closed(e);
}

static void bad_ident(const struct end *e) {
    const char *quoted = strchr(e->text, '"');
    if (quoted != NULL)
        log_error(e->log,
                  "kex_exchange_identification: client sent invalid protocol identifier "
                  "%s%s",
                  quoted, e->stage);
    else
        log_error(e->log,
                  "kex_exchange_identification: banner line contains invalid "
                  "characters%s",
                  e->stage);
    log_info(e->log, "banner exchange: Connection from %s port %u: invalid format%s",
             e->l->peer, e->l->port, e->stage);
}

// "KEXINIT: no KIND in common: ours …; theirs …", as the transport says it.
static void no_match(const struct end *e) {
    static const struct {
        const char *ours, *theirs;
    } kinds[] = {
        {"no key exchange", "key exchange method"},
        {"no host key", "host key type"},
        {"no cipher", "cipher"},
        {"no MAC", "MAC"},
        {"no compression", "compression method"},
    };
    const char *offer = strstr(e->text, "; theirs "), *kind = "algorithm";
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (strstr(e->text, kinds[i].ours) != NULL)
            kind = kinds[i].theirs;
    log_info(e->log,
             "Unable to negotiate with %s port %u: no matching %s found. Their offer: "
             "%s%s",
             e->l->peer, e->l->port, kind, offer != NULL ? offer + 9 : "", e->stage);
}

// What our faults say of the phase they were found in, log parsers do not know.
static void cut_phase(struct end *e) {
    char *during = e->m->cause == GATE_BAD_IDENT || e->m->cause == GATE_NO_MATCH
                       ? strstr(e->text, " during ")
                       : NULL;
    if (during != NULL && strchr(during, '"') == NULL)
        *during = '\0';
}

static void (*const ends[GATE_CAUSES])(const struct end *e) = {
    [GATE_CLOSED] = closed,     [GATE_DISCONNECTED] = disconnected,
    [GATE_FAULT] = fault,       [GATE_TIMEOUT] = timed_out,
    [GATE_TOO_MANY] = too_many, [GATE_HOLDER_ENDED] = holder_ended,
    [GATE_NO_IDENT] = no_ident, [GATE_BAD_IDENT] = bad_ident,
    [GATE_NO_MATCH] = no_match, [GATE_NOT_RESUMED] = holder_ended,
    [GATE_RELEASED] = released,
};

void event_end(const struct log *log, const struct event_link *l,
               const struct ipc_gate_end *m) {
    struct end e = {log, l, m, .stage = l->authenticated ? "" : " [preauth]"};
    who(l, e.who, sizeof e.who);
    text_clean(e.text, sizeof e.text, m->text);
    cut_phase(&e);
    if (m->cause < GATE_CAUSES)
        ends[m->cause](&e);
    else
        fault(&e);
}

void event_lost(const struct log *log, const struct event_link *l) {
    char name[TEXT + 32];
    who(l, name, sizeof name);
    log_info(log, "Connection reset by %s%s port %u%s", name, l->peer, l->port,
             l->authenticated ? "" : " [preauth]");
}

// ---- not taken ----

void event_refused(const struct log *log, const struct ipc_refused *m, bool loud) {
    char peer[TEXT], local[TEXT], why[TEXT];
    static const char *const reasons[REFUSALS] = {
        [REFUSAL_STARTUPS] = "past MaxStartups",
        [REFUSAL_SOURCE_STARTUPS] = "PerSourceMaxStartups",
        [REFUSAL_PENALTY] = "penalty: ",
    };
    if (m->reason >= REFUSALS)
        return;
    log_at(log, loud ? LOG_LEVEL_INFO : LOG_LEVEL_VERBOSE,
           "drop connection #%u from [%s]:%u on [%s]:%u %s%s", m->pending,
           text_clean(peer, sizeof peer, m->peer), m->peer_port,
           text_clean(local, sizeof local, m->local), m->local_port, reasons[m->reason],
           text_clean(why, sizeof why, m->why));
}
