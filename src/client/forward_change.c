// Rules that come and go while the session runs: by a client of the control socket, or by
// ~C.
#include <stdlib.h>
#include <strings.h>

#include "client/forwards.h"
#include "client/mux_master.h"

static bool is_referred_to(const struct forwards *f, const struct forward_rule *rule) {
    for (const struct relay *r = f->relays; r != NULL; r = r->next)
        if (r->rule == rule)
            return true;
    return false;
}

struct forward_rule *forwards_new_rule(struct forwards *f) {
    if (f->rules == NULL)
        f->rules = calloc(FORWARD_RULES_MAX, sizeof *f->rules);
    if (f->rules == NULL)
        return NULL;
    for (size_t i = 0; i < FORWARD_RULES_MAX; i++) {
        struct forward_rule *rule = &f->rules[i];
        if (rule->in_use || rule->waits || is_referred_to(f, rule))
            continue;
        *rule = (struct forward_rule){0};
        f->rules_n = i < f->rules_n ? f->rules_n : i + 1;
        return rule;
    }
    return NULL;
}

static bool end_is(const struct forward_end *a, const struct forward_end *b) {
    return a->port == b->port && strcasecmp(a->host, b->host) == 0 &&
           strcmp(a->path, b->path) == 0;
}

static bool has_end(const struct forward_end *end) {
    return end->port != 0 || end->host[0] != 0 || end->path[0] != 0;
}

// An allocated port may be named by its number as well.
static bool listens_at(const struct forward_rule *rule, const struct forward_spec *spec) {
    struct forward_end end = rule->spec.listen;
    if (rule->spec.host_given != spec->host_given)
        return false;
    if (end_is(&end, &spec->listen))
        return true;
    end.port = rule->listen_port;
    return rule->kind == FORWARD_REMOTE && end_is(&end, &spec->listen);
}

static struct forward_rule *find(struct forwards *f, enum forward_kind kind,
                                 const struct forward_spec *spec) {
    for (size_t i = 0; i < f->rules_n; i++) {
        struct forward_rule *rule = &f->rules[i];
        if (rule->in_use && rule->kind == kind && listens_at(rule, spec) &&
            (!has_end(&spec->connect) || end_is(&rule->spec.connect, &spec->connect)))
            return rule;
    }
    return NULL;
}

// What cannot listen is said and goes; it ends nothing.
static void listen_here(struct forwards *f, struct forward_rule *rule,
                        enum forward_outcome *outcome) {
    *outcome = FORWARD_DONE;
    if (forward_listen(f, rule) == OK)
        return;
    *outcome = FORWARD_FAILED;
    log_error(&f->c->log, "%s", fault_text(&f->c->fault));
    fault_clear(&f->c->fault);
    forward_unlisten(f, rule, false);
    rule->in_use = false;
}

static enum err repeat(struct forward_rule *rule, struct forward_asker asker,
                       enum forward_outcome *outcome) {
    *outcome = rule->waits ? FORWARD_WAITS : FORWARD_DONE;
    // Only one can wait for the same answer; a second one is told what is likely.
    if (rule->waits && rule->asker.client == NULL)
        rule->asker = asker;
    else if (rule->waits && asker.client != NULL)
        *outcome = FORWARD_DONE;
    return OK;
}

enum err forwards_ask(struct forwards *f, enum forward_kind kind,
                      const struct forward_spec *spec, struct forward_asker asker,
                      struct forward_rule **rule, enum forward_outcome *outcome) {
    *rule = find(f, kind, spec);
    if (*rule != NULL)
        return repeat(*rule, asker, outcome);
    *rule = forwards_new_rule(f);
    *outcome = FORWARD_FAILED;
    if (*rule == NULL) {
        log_error(&f->c->log, "no more than %d forwardings", FORWARD_RULES_MAX);
        return OK;
    }
    **rule =
        (struct forward_rule){.in_use = true, .late = true, .kind = kind, .spec = *spec};
    if (kind != FORWARD_REMOTE) {
        listen_here(f, *rule, outcome);
        return OK;
    }
    (*rule)->asker = asker;
    *outcome = FORWARD_WAITS;
    return forward_request(f, *rule);
}

enum err forwards_cancel(struct forwards *f, enum forward_kind kind,
                         const struct forward_spec *spec, bool *found) {
    struct forward_rule *rule = find(f, kind, spec);
    *found = rule != NULL && !rule->waits;
    if (!*found)
        return OK;
    rule->in_use = rule->active = false;
    if (kind == FORWARD_REMOTE)
        return forward_cancel_request(f, rule);
    forward_unlisten(f, rule, true);
    return OK;
}

void forwards_forget_asker(struct forwards *f, const struct mux_client *client) {
    for (size_t i = 0; i < f->rules_n; i++)
        if (f->rules[i].asker.client == client)
            f->rules[i].asker.client = NULL;
}

// ---- lent to a client that speaks the connection protocol ----

enum err forwards_lend(struct forwards *f, const struct forward_spec *spec,
                       struct mux_client *client, struct forward_rule **rule) {
    *rule = find(f, FORWARD_REMOTE, spec) == NULL ? forwards_new_rule(f) : NULL;
    if (*rule == NULL)
        return OK;
    **rule = (struct forward_rule){.in_use = true,
                                   .late = true,
                                   .kind = FORWARD_REMOTE,
                                   .spec = *spec,
                                   .asker = {client, 0},
                                   .lent_to = client};
    return forward_request(f, *rule);
}

static enum err take_back(struct forwards *f, struct forward_rule *rule) {
    rule->lent_to = NULL;
    rule->unwanted = rule->waits;
    if (rule->waits)
        return OK;
    rule->in_use = rule->active = false;
    return forward_cancel_request(f, rule);
}

enum err forwards_take_back(struct forwards *f, const struct forward_spec *spec,
                            const struct mux_client *client, bool *found) {
    for (size_t i = 0; i < f->rules_n; i++) {
        struct forward_rule *rule = &f->rules[i];
        if (!rule->in_use || rule->lent_to != client ||
            (spec != NULL && (rule->waits || !listens_at(rule, spec))))
            continue;
        TRY(take_back(f, rule));
        if (spec != NULL) {
            *found = true;
            return OK;
        }
    }
    return OK;
}
