// Listening there: -R, what the server then opens, and the agent.
#include <stdio.h>
#include <strings.h>

#include "base/limits.h"
#include "base/text.h"
#include "client/forwards.h"
#include "client/mux_master.h"
#include "client/mux_proxy.h"
#include "client/timeouts.h"
#include "connection/requests.h"
#include "io/clock.h"

// ---- asking ----

// What RFC 4254 s.7.1 calls the address: "" is all of them, "localhost" the loopback.
static const char *wire_address(const struct forward_spec *spec) {
    if (!spec->host_given)
        return "localhost";
    return strcmp(spec->listen.host, "*") == 0 ? "" : spec->listen.host;
}

// names: of the request for a port, and for a path.
static enum err ask(struct forwards *f, const struct forward_rule *rule,
                    const char *const names[2], bool want_reply) {
    const char *path = rule->spec.listen.path, *name = names[path[0] != 0];
    struct request_forward port = {view_text(wire_address(&rule->spec)),
                                   rule->listen_port};
    struct request_streamlocal place = {view_text(path)};
    scoped_buf b;
    buf_init(&b, LIMIT_PACKET_DEFAULT);
    TRY(request_encode(REQUEST_GLOBAL, name, path[0] != 0 ? (void *)&place : &port, &b));
    return connection_global_request(f->connection, name, want_reply, buf_view(&b));
}

enum err forward_request(struct forwards *f, struct forward_rule *rule) {
    static const char *const names[] = {"tcpip-forward",
                                        "streamlocal-forward@openssh.com"};
    rule->waits = true;
    rule->listen_port = rule->spec.listen.port;
    rule->ordinal = connection_next_global_ordinal(f->connection);
    f->waiting++;
    return ask(f, rule, names, true);
}

enum err forward_cancel_request(struct forwards *f, const struct forward_rule *rule) {
    static const char *const names[] = {"cancel-tcpip-forward",
                                        "cancel-streamlocal-forward@openssh.com"};
    return ask(f, rule, names, false);
}

static enum err refused(struct forwards *f, struct forward_rule *rule) {
    char what[FORWARD_TEXT + 8];
    rule->in_use = false;
    if (rule->spec.listen.path[0] != 0)
        snprintf(what, sizeof what, "path %s", rule->spec.listen.path);
    else
        snprintf(what, sizeof what, "port %u", rule->spec.listen.port);
    if (f->c->config.exit_on_forward_failure && !rule->late)
        return fault_set(&f->c->fault, ERR_REFUSED, 0,
                         "Error: remote port forwarding failed for listen %s", what);
    log_info(&f->c->log, "Warning: remote port forwarding failed for listen %s", what);
    return OK;
}

static void say_port(struct forwards *f, struct forward_rule *rule,
                     const struct connection_event *event) {
    uint32_t port = 0;
    struct fault fault = {0};
    char to[FORWARD_TEXT + 16];
    if (request_decode_forward_reply(event->fields, &port, &fault) != OK)
        return;
    rule->listen_port = port;
    // Who asked for it on the control socket says it.
    log_at(&f->c->log, rule->asker.client != NULL ? LOG_LEVEL_DEBUG1 : LOG_LEVEL_INFO,
           "Allocated port %u for remote forward to %s", port,
           rule->spec.dynamic ? "socks:0"
                              : forward_end_text(&rule->spec.connect, to, sizeof to));
}

enum err forward_reply(struct forwards *f, struct forward_rule *rule,
                       const struct connection_event *event) {
    struct forward_asker asker = rule->asker;
    rule->waits = false;
    f->waiting--;
    if (!event->success) {
        TRY(refused(f, rule));
        mux_forward_answered(asker, rule, false);
        return OK;
    }
    rule->active = true;
    if (rule->spec.listen.path[0] == 0 && rule->spec.listen.port == 0)
        say_port(f, rule, event);
    rule->asker.client = NULL;
    mux_forward_answered(asker, rule, true);
    if (!rule->unwanted)
        return OK;
    rule->in_use = rule->active = false;
    return forward_cancel_request(f, rule);
}

// ---- what the server opens ----

// An allocated port may be used before its number has come: replies are in order, so it
// has not.
static struct forward_rule *find_port(struct forwards *f, const struct open_tcpip *open) {
    struct forward_rule *found = NULL;
    for (size_t i = 0; i < f->rules_n; i++) {
        struct forward_rule *r = &f->rules[i];
        if (!r->active || r->kind != FORWARD_REMOTE || r->spec.listen.path[0] != 0 ||
            r->listen_port != open->port)
            continue;
        if (view_is(open->host, wire_address(&r->spec)))
            return r;
        found = found == NULL ? r : found;
    }
    return found;
}

static struct forward_rule *find_path(struct forwards *f, struct view path) {
    for (size_t i = 0; i < f->rules_n; i++) {
        struct forward_rule *r = &f->rules[i];
        if (r->active && r->kind == FORWARD_REMOTE && r->spec.listen.path[0] != 0 &&
            view_is(path, r->spec.listen.path))
            return r;
    }
    return NULL;
}

static enum err refuse(struct forwards *f, const struct connection_event *event,
                       enum open_failure reason, const char *text) {
    return connection_refuse(f->connection, event->channel, reason, text);
}

static struct relay *take_channel(struct forwards *f,
                                  const struct connection_event *event) {
    struct relay *r = relay_new(f, RELAY_CONNECTING, -1);
    if (r == NULL)
        return NULL;
    r->channel = event->channel;
    r->has_channel = true;
    r->type = timeout_type(event->name);
    connection_set_user(f->connection, event->channel, r);
    return r;
}

static enum err open_by_rule(struct forwards *f, const struct connection_event *event,
                             struct forward_rule *rule) {
    char on[FORWARD_TEXT + 16], to[FORWARD_TEXT + 16];
    if (rule == NULL)
        return refuse(f, event, OPEN_ADMINISTRATIVELY_PROHIBITED, "not asked for");
    if (rule->lent_to != NULL)
        return bridge_far_open(&rule->lent_to->proxy->bridge, event, clock_ms());
    struct relay *r = take_channel(f, event);
    if (r == NULL)
        return refuse(f, event, OPEN_RESOURCE_SHORTAGE, "no memory");
    r->rule = rule;
    snprintf(r->what, sizeof r->what, "forwarding of remote %.60s to %.60s",
             forward_end_text(&rule->spec.listen, on, sizeof on),
             rule->spec.dynamic ? "what is asked for"
                                : forward_end_text(&rule->spec.connect, to, sizeof to));
    if (rule->spec.dynamic) {
        r->state = RELAY_PEER_ASKED;
        r->accepted = true;
        return connection_accept(f->connection, event->channel, (struct view){0});
    }
    if (rule->spec.connect.path[0] != 0)
        return relay_connect_path(r, rule->spec.connect.path);
    return relay_connect(r, rule->spec.connect.host, rule->spec.connect.port);
}

static enum err open_agent(struct forwards *f, const struct connection_event *event) {
    if (!f->agent)
        return refuse(f, event, OPEN_ADMINISTRATIVELY_PROHIBITED, "not asked for");
    struct relay *r = take_channel(f, event);
    if (r == NULL)
        return refuse(f, event, OPEN_RESOURCE_SHORTAGE, "no memory");
    snprintf(r->what, sizeof r->what, "agent");
    return relay_connect_agent(r, f->agent_path);
}

// Its display is connected once the cookie was seen.
static enum err open_x11(struct forwards *f, const struct connection_event *event) {
    const char *why = x11_refusal(&f->x11, clock_ms());
    if (why != NULL) {
        log_info(&f->c->log, "X11 connection refused: %s", why);
        return refuse(f, event, OPEN_ADMINISTRATIVELY_PROHIBITED, why);
    }
    struct relay *r = take_channel(f, event);
    if (r == NULL)
        return refuse(f, event, OPEN_RESOURCE_SHORTAGE, "no memory");
    snprintf(r->what, sizeof r->what, "X11 to %.100s", f->x11.display.text);
    r->state = RELAY_PEER_X11;
    r->accepted = true;
    return connection_accept(f->connection, event->channel, (struct view){0});
}

enum err forward_peer_open(struct forwards *f, const struct connection_event *event) {
    struct open_tcpip tcp;
    struct open_forwarded_streamlocal local;
    struct fault fault = {0};
    if (event->type == NULL)
        return refuse(f, event, OPEN_UNKNOWN_CHANNEL_TYPE, "unknown channel type");
    if (view_is(event->name, "forwarded-tcpip") &&
        request_decode(event->type, event->fields, &tcp, &fault) == OK)
        return open_by_rule(f, event, find_port(f, &tcp));
    if (view_is(event->name, "forwarded-streamlocal@openssh.com") &&
        request_decode(event->type, event->fields, &local, &fault) == OK)
        return open_by_rule(f, event, find_path(f, local.path));
    if (view_is(event->name, "auth-agent@openssh.com") ||
        view_is(event->name, "agent-connect"))
        return open_agent(f, event);
    if (view_is(event->name, "x11"))
        return open_x11(f, event);
    return refuse(f, event, OPEN_ADMINISTRATIVELY_PROHIBITED, "not asked for");
}

// ---- PermitRemoteOpen ----

bool forward_may_open(const struct client_config *o, const char *host, uint32_t port) {
    const struct conf_list *list = &o->permit_remote_open;
    for (size_t i = 0; i < list->n; i++) {
        struct forward_end end;
        uint64_t number;
        if (strcasecmp(list->v[i], "any") == 0)
            return true;
        char copy[FORWARD_TEXT];
        const char *colon = strrchr(list->v[i], ':');
        if (colon == NULL ||
            !text_copy(copy, sizeof copy,
                       view_of(list->v[i], (size_t)(colon - list->v[i]))))
            continue;
        size_t n = strlen(copy);
        bool bracket = copy[0] == '[' && n > 1 && copy[n - 1] == ']';
        snprintf(end.host, sizeof end.host, "%.*s", (int)(bracket ? n - 2 : n),
                 copy + bracket);
        bool port_fits = strcmp(colon + 1, "*") == 0 ||
                         (text_number(colon + 1, 0, 65535, &number) && number == port);
        if (port_fits && (strcmp(end.host, "*") == 0 || strcasecmp(end.host, host) == 0))
            return true;
    }
    return list->n == 0;
}
