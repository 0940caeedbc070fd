// ChannelTimeout and UnusedConnectionTimeout: what is quiet for too long ends.
#include "base/text.h"
#include "server/forward.h"
#include "server/holder.h"

// The one that OpenSSH means by all channels together.
#define TYPE_GLOBAL "global"

void carrier_set_timeout(struct carrier *c, const char *type) {
    const struct conf_channel_timeouts *list = &c->holder->config.channel_timeout;
    for (size_t i = 0; i < list->n; i++)
        if (text_match(list->v[i].type, type)) {
            c->timeout = (uint64_t)list->v[i].seconds * 1000;
            return;
        }
}

void carrier_used(struct carrier *c) {
    c->used_at = c->holder->now;
    c->holder->used_at = c->holder->now;
}

static uint64_t global_timeout(const struct holder *h) {
    const struct conf_channel_timeouts *list = &h->config.channel_timeout;
    for (size_t i = 0; i < list->n; i++)
        if (text_match(list->v[i].type, TYPE_GLOBAL) && list->v[i].type[0] != '*')
            return (uint64_t)list->v[i].seconds * 1000;
    return 0;
}

static uint64_t deadline_of(const struct carrier *c, uint64_t global) {
    uint64_t own = c->timeout > 0 ? c->used_at + c->timeout : CLOCK_NEVER;
    uint64_t all = global > 0 ? c->holder->used_at + global : CLOCK_NEVER;
    if (!c->open)
        return CLOCK_NEVER;
    return own < all ? own : all;
}

static void check(struct carrier *c, uint64_t global) {
    struct holder *h = c->holder;
    if (h->now < deadline_of(c, global))
        return;
    log_info(&h->log, "channel %u of user %s: closed, it was inactive", c->channel,
             h->user);
    h->timed_out = true;
    c->ops->hang_up(c);
}

static void check_unused(struct holder *h) {
    uint64_t timeout = (uint64_t)h->config.unused_connection_timeout * 1000;
    if (timeout == 0 || h->held || connection_count(h->connection) > 0) {
        h->unused_at = h->now;
        return;
    }
    if (h->now < h->unused_at + timeout)
        return;
    log_info(&h->log, "terminating inactive connection from user %s %s port %u", h->user,
             h->start->peer, h->start->peer_port);
    holder_end_as(h, ENDS_IDLE, "Connection timeout: no channel is open");
}

void holder_check_timeouts(struct holder *h) {
    uint64_t global = global_timeout(h);
    if (h->config.channel_timeout.n > 0) {
        for (struct session *s = h->sessions; s != NULL; s = s->next)
            check(&s->c, global);
        for (struct forward *f = h->forwards; f != NULL; f = f->next)
            check(&f->c, global);
    }
    check_unused(h);
}

static void earlier(uint64_t *first, uint64_t other) {
    if (other < *first)
        *first = other;
}

uint64_t holder_timeout_deadline(const struct holder *h) {
    uint64_t first = CLOCK_NEVER, global = global_timeout(h);
    uint64_t unused = (uint64_t)h->config.unused_connection_timeout * 1000;
    if (h->connection == NULL)
        return first;
    if (unused > 0 && !h->held && connection_count(h->connection) == 0)
        earlier(&first, h->unused_at + unused);
    if (h->config.channel_timeout.n == 0)
        return first;
    for (const struct session *s = h->sessions; s != NULL; s = s->next)
        earlier(&first, deadline_of(&s->c, global));
    for (const struct forward *f = h->forwards; f != NULL; f = f->next)
        earlier(&first, deadline_of(&f->c, global));
    return first;
}
