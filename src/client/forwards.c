// The life of what is forwarded.
#include "client/forwards.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "io/clock.h"
#include "io/fd.h"

// ---- rules ----

static enum err add_rules(struct forwards *f, enum forward_kind kind,
                          const struct conf_list *list) {
    for (size_t i = 0; i < list->n; i++) {
        struct forward_rule *rule = &f->rules[f->rules_n];
        if (f->rules_n == FORWARD_RULES_MAX)
            return fault_set(&f->c->fault, ERR_LIMIT, 0, "too many forwardings");
        if (!forward_spec_parse(&rule->spec, kind, list->v[i]))
            return fault_set(&f->c->fault, ERR_CONFIG, 0, "bad forwarding '%s'",
                             list->v[i]);
        struct forward_end *ends[] = {&rule->spec.listen, &rule->spec.connect};
        for (size_t k = 0; k < 2; k++) {
            char path[FORWARD_TEXT];
            if (ends[k]->path[0] == 0)
                continue;
            if (!client_path(f->c, ends[k]->path, path, sizeof path))
                return ERR_CONFIG;
            memcpy(ends[k]->path, path, sizeof path);
        }
        rule->kind = kind;
        f->rules_n++;
    }
    return OK;
}

static enum err start_rule(struct forwards *f, struct forward_rule *rule) {
    if (rule->kind == FORWARD_REMOTE)
        return forward_request(f, rule);
    enum err e = forward_listen(f, rule);
    if (e == OK)
        return OK;
    if (f->c->config.exit_on_forward_failure)
        return e;
    log_error(&f->c->log, "%s", fault_text(&f->c->fault));
    log_error(&f->c->log, "Could not request local forwarding.");
    fault_clear(&f->c->fault);
    return OK;
}

enum err forwards_open(struct forwards *f, struct client *c,
                       struct connection *connection) {
    const struct client_config *o = &c->config;
    f->c = c;
    f->connection = connection;
    size_t n = o->local_forward.n + o->dynamic_forward.n + o->remote_forward.n;
    if (n == 0)
        return OK;
    f->rules = calloc(FORWARD_RULES_MAX, sizeof *f->rules);
    if (f->rules == NULL)
        return ERR_MEMORY;
    TRY(add_rules(f, FORWARD_LOCAL, &o->local_forward));
    TRY(add_rules(f, FORWARD_DYNAMIC, &o->dynamic_forward));
    TRY(add_rules(f, FORWARD_REMOTE, &o->remote_forward));
    for (size_t i = 0; i < f->rules_n; i++)
        TRY(start_rule(f, &f->rules[i]));
    return OK;
}

void forwards_close(struct forwards *f) {
    for (struct relay *r = f->relays, *next; r != NULL; r = next) {
        next = r->next;
        relay_free(r);
    }
    for (size_t i = 0; i < f->listeners_n; i++) {
        fd_close(&f->listeners[i].fd);
        const char *path = f->listeners[i].rule->spec.listen.path;
        if (path[0] != 0)
            (void)unlink(path);
    }
    free(f->rules);
    *f = (struct forwards){0};
}

void forwards_add(struct forwards *f, struct relay *r) {
    r->next = f->relays;
    f->relays = r;
    f->relays_n++;
}

bool forwards_busy(const struct forwards *f) {
    return f->relays != NULL;
}

// ---- events ----

static enum err on_global_reply(struct forwards *f, const struct connection_event *event,
                                bool *mine) {
    for (size_t i = 0; i < f->rules_n; i++) {
        struct forward_rule *rule = &f->rules[i];
        if (!rule->waits || rule->ordinal != event->ordinal)
            continue;
        *mine = true;
        return forward_reply(f, rule, event);
    }
    return OK;
}

enum err forwards_event(struct forwards *f, const struct connection_event *event,
                        bool *mine) {
    *mine = false;
    if (event->kind == CONNECTION_GLOBAL_REPLY)
        return on_global_reply(f, event, mine);
    if (event->kind == CONNECTION_OPEN) {
        *mine = true;
        return forward_peer_open(f, event);
    }
    if (event->user == NULL || event->kind == CONNECTION_GLOBAL_REQUEST)
        return OK;
    *mine = true;
    return relay_event(event->user, event);
}

// ---- waiting ----

static void sweep(struct forwards *f) {
    for (struct relay **at = &f->relays; *at != NULL;) {
        struct relay *r = *at;
        if (!relay_is_over(r)) {
            at = &r->next;
            continue;
        }
        *at = r->next;
        f->relays_n--;
        log_debug(&f->c->log, "%s ended", r->what);
        relay_free(r);
    }
}

size_t forwards_poll_room(const struct forwards *f) {
    return f->listeners_n + f->relays_n * TCP_CONNECT_ADDRESSES;
}

size_t forwards_poll(struct forwards *f, struct pollfd *p) {
    size_t n = 0;
    bool paused = f->pause > clock_ms();
    for (; n < f->listeners_n; n++)
        p[n] = (struct pollfd){.fd = paused ? -1 : f->listeners[n].fd, .events = POLLIN};
    sweep(f);
    for (struct relay *r = f->relays; r != NULL; r = r->next) {
        r->poll_at = n;
        r->poll_n = relay_poll(r, p + n);
        n += r->poll_n;
    }
    return n;
}

enum err forwards_ready(struct forwards *f, const struct pollfd *p) {
    sweep(f);
    // Those that come to be from here on were not polled.
    for (struct relay *r = f->relays; r != NULL; r = r->next)
        if (r->poll_n > 0)
            TRY(relay_ready(r, p + r->poll_at));
    for (size_t i = 0; i < f->listeners_n; i++)
        if (p[i].revents != 0)
            TRY(forward_accept(f, &f->listeners[i]));
    return OK;
}

uint64_t forwards_deadline(const struct forwards *f) {
    uint64_t first = f->pause > clock_ms() ? f->pause : CLOCK_NEVER;
    for (const struct relay *r = f->relays; r != NULL; r = r->next) {
        uint64_t deadline = relay_deadline(r);
        first = deadline < first ? deadline : first;
    }
    return first;
}

void forwards_show(const struct forwards *f, void (*show)(const char *, size_t)) {
    static const char *const states[] = {"SOCKS",      "opening", "SOCKS",
                                         "connecting", "open",    "ending"};
    for (const struct relay *r = f->relays; r != NULL; r = r->next) {
        char text[512];
        int n =
            snprintf(text, sizeof text, "#%u %s, %s%s%s, %zu bytes wait\r\n", r->channel,
                     r->what, states[r->state], r->in_ended ? ", EOF sent" : "",
                     r->out_ended ? ", EOF received" : "", buf_len(&r->stream.left));
        show(text, (size_t)n);
    }
}
