// Quiet channels.
#include "client/timeouts.h"

#include "base/text.h"
#include "client/mux_proxy.h"
#include "client/run.h"
#include "io/clock.h"

// The one that is meant by all channels together.
#define TYPE_GLOBAL "global"

const char *timeout_type(struct view channel_type) {
    static const struct {
        const char *channel, *name;
    } names[] = {
        {"session", "session"},
        {"direct-tcpip", "direct-tcpip"},
        {"direct-streamlocal@openssh.com", "direct-streamlocal@openssh.com"},
        {"forwarded-tcpip", "forwarded-tcpip"},
        {"forwarded-streamlocal@openssh.com", "forwarded-streamlocal@openssh.com"},
        {"auth-agent@openssh.com", "agent-connection"},
        {"agent-connect", "agent-connection"},
        {"x11", "x11-connection"}};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (view_is(channel_type, names[i].channel))
            return names[i].name;
    return "unknown";
}

// Milliseconds; 0: none.
static uint64_t timeout_of(const struct run *r, const char *type) {
    const struct conf_channel_timeouts *list = &r->c->config.channel_timeout;
    for (size_t i = 0; type != NULL && i < list->n; i++)
        if (text_match(list->v[i].type, type))
            return list->v[i].seconds * 1000ull;
    return 0;
}

// For all together the pattern has to name it, or `*` would end everything at once.
static uint64_t global_timeout(const struct run *r) {
    const struct conf_channel_timeouts *list = &r->c->config.channel_timeout;
    for (size_t i = 0; i < list->n; i++)
        if (strcmp(list->v[i].type, TYPE_GLOBAL) == 0)
            return list->v[i].seconds * 1000ull;
    return 0;
}

// The next channel of a client in proxy mode behind `l`, which is of *k (NULL: the
// first). NULL: there is none.
static struct bridge_link *next_link(const struct run *r, struct mux_client **k,
                                     const struct bridge_link *l) {
    struct bridge_link *next = l != NULL ? l->next : NULL;
    while (next == NULL && (*k = *k != NULL ? (*k)->next : r->mux.clients) != NULL)
        next = (*k)->proxy != NULL ? (*k)->proxy->bridge.links : NULL;
    return next;
}

static uint64_t last_use(const struct run *r) {
    uint64_t last = r->forwards.used;
    struct mux_client *k = NULL;
    for (struct bridge_link *l = NULL; (l = next_link(r, &k, l)) != NULL;)
        last = l->used > last ? l->used : last;
    for (const struct session *s = r->sessions; s != NULL; s = s->next)
        last = s->used > last ? s->used : last;
    return last;
}

static uint64_t due(const struct run *r, const char *type, uint64_t used) {
    uint64_t own = timeout_of(r, type), all = global_timeout(r);
    uint64_t first = own > 0 ? clock_after(used, own) : CLOCK_NEVER;
    uint64_t global = all > 0 ? clock_after(last_use(r), all) : CLOCK_NEVER;
    return first < global ? first : global;
}

static uint64_t session_due(const struct run *r, const struct session *s) {
    bool counts = s->opened && !s->closed && !s->timed_out;
    return counts ? due(r, s->stdio ? "direct-tcpip" : "session", s->used) : CLOCK_NEVER;
}

static uint64_t relay_due(const struct run *r, const struct relay *relay) {
    bool counts = relay->state == RELAY_OPEN && relay->has_channel;
    return counts ? due(r, relay->type, relay->used) : CLOCK_NEVER;
}

static uint64_t link_due(const struct run *r, const struct bridge_link *l) {
    bool counts = l->open && !l->near_closed && !l->far_closed;
    return counts ? due(r, timeout_type(view_text(l->type)), l->used) : CLOCK_NEVER;
}

uint64_t timeouts_deadline(const struct run *r) {
    uint64_t first = CLOCK_NEVER;
    if (r->c->config.channel_timeout.n == 0)
        return first;
    for (const struct session *s = r->sessions; s != NULL; s = s->next) {
        uint64_t at = session_due(r, s);
        first = at < first ? at : first;
    }
    for (const struct relay *relay = r->forwards.relays; relay != NULL;
         relay = relay->next) {
        uint64_t at = relay_due(r, relay);
        first = at < first ? at : first;
    }
    struct mux_client *k = NULL;
    for (struct bridge_link *l = NULL; (l = next_link(r, &k, l)) != NULL;) {
        uint64_t at = link_due(r, l);
        first = at < first ? at : first;
    }
    return first;
}

static enum err check_proxy(struct run *r, struct mux_proxy *p, uint64_t now) {
    bool closed = false;
    for (struct bridge_link *l = p->bridge.links, *next; l != NULL; l = next) {
        next = l->next;
        if (now < link_due(r, l))
            continue;
        log_info(&r->c->log, "channel %u: closed, it was inactive (ChannelTimeout)",
                 l->far);
        TRY(bridge_close(&p->bridge, l));
        closed = true;
    }
    return closed ? mux_proxy_turn(p) : OK;  // the client is told
}

enum err timeouts_check(struct run *r) {
    const struct log *log = &r->c->log;
    if (r->c->config.channel_timeout.n == 0)
        return OK;
    uint64_t now = clock_ms();
    for (struct session *s = r->sessions; s != NULL; s = s->next) {
        if (now < session_due(r, s))
            continue;
        log_info(log, "channel %u: closed, it was inactive (ChannelTimeout)", s->channel);
        s->timed_out = true;
        TRY(session_abandon(s));
    }
    for (struct relay *relay = r->forwards.relays; relay != NULL; relay = relay->next) {
        if (now < relay_due(r, relay))
            continue;
        log_info(log, "%s: closed, it was inactive (ChannelTimeout)", relay->what);
        TRY(relay_close_channel(relay));
    }
    for (struct mux_client *k = r->mux.clients; k != NULL; k = k->next)
        if (k->proxy != NULL && !k->gone)
            TRY(check_proxy(r, k->proxy, now));
    return OK;
}
