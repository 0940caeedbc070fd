// The life of what is forwarded.
#include "client/forwards.h"
#include "client/tunnel.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "io/clock.h"
#include "io/fd.h"

// ---- rules ----

enum err forward_spec_expand(struct client *c, enum forward_kind kind, const char *text,
                             struct forward_spec *spec) {
    if (!forward_spec_parse(spec, kind, text))
        return fault_set(&c->fault, ERR_CONFIG, 0, "bad forwarding '%s': %s is expected",
                         text, forward_spec_form(kind));
    struct forward_end *ends[] = {&spec->listen, &spec->connect};
    for (size_t k = 0; k < 2; k++) {
        char path[FORWARD_TEXT];
        if (ends[k]->path[0] == 0)
            continue;
        if (!client_path(c, ends[k]->path, path, sizeof path))
            return ERR_CONFIG;
        memcpy(ends[k]->path, path, sizeof path);
    }
    return OK;
}

static enum err add_rules(struct forwards *f, enum forward_kind kind,
                          const struct conf_list *list) {
    for (size_t i = 0; i < list->n; i++) {
        struct forward_rule *rule = forwards_new_rule(f);
        if (rule == NULL)
            return fault_set(&f->c->fault, ERR_LIMIT, 0, "more than %d forwardings",
                             FORWARD_RULES_MAX);
        TRY(forward_spec_expand(f->c, kind, list->v[i], &rule->spec));
        rule->kind = kind;
        rule->in_use = true;
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
    forward_unlisten(f, rule, false);
    rule->in_use = false;
    fault_clear(&f->c->fault);
    return OK;
}

enum err forwards_open(struct forwards *f, struct client *c,
                       struct connection *connection, struct carrier *carrier) {
    const struct client_config *o = &c->config;
    f->c = c;
    f->carrier = carrier;
    f->connection = connection;
    TRY(add_rules(f, FORWARD_LOCAL, &o->local_forward));
    TRY(add_rules(f, FORWARD_DYNAMIC, &o->dynamic_forward));
    TRY(add_rules(f, FORWARD_REMOTE, &o->remote_forward));
    for (size_t i = 0; i < f->rules_n; i++)
        TRY(start_rule(f, &f->rules[i]));
    return o->tunnel != 0 ? tunnel_start(f) : OK;
}

static void drop(struct forwards *f, bool unlinks) {
    for (struct relay *r = f->relays, *next; r != NULL; r = next) {
        next = r->next;
        relay_free(r);
    }
    forward_unlisten(f, NULL, unlinks);
    x11_drop(&f->x11);
    free(f->rules);
    *f = (struct forwards){0};
}

void forwards_close(struct forwards *f) {
    drop(f, true);
}

void forwards_abandon(struct forwards *f) {
    drop(f, false);
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
        if (!rule->in_use || !rule->waits || rule->ordinal != event->ordinal)
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

void forwards_tell(const struct forwards *f, struct buf *out) {
    static const char *const states[] = {
        [RELAY_ASKED] = "SOCKS",           [RELAY_OPENING] = "opening",
        [RELAY_PEER_ASKED] = "SOCKS",      [RELAY_PEER_X11] = "X11 greeting",
        [RELAY_CONNECTING] = "connecting", [RELAY_OPEN] = "open",
        [RELAY_ENDING] = "ending"};
    for (const struct relay *r = f->relays; r != NULL; r = r->next) {
        char text[512];
        int n = snprintf(text, sizeof text, "  #%u %s, %s%s%s, %zu bytes wait\r\n",
                         r->channel, r->what, states[r->state],
                         r->in_ended ? ", EOF sent" : "",
                         r->out_ended ? ", EOF received" : "", buf_len(&r->stream.left));
        (void)!buf_append(out, view_of(text, (size_t)n));
    }
}
