// When keys are renewed (RFC 4253 s.9, RFC 4344 s.3): by volume, packets and time,
// whichever is first, in either direction; never before authentication.
#include "transport/internal.h"

static uint64_t bytes_limit(const struct transport *t, const struct packet_way *way) {
    uint64_t own = t->config.rekey_bytes;
    uint64_t bears = way->rekey_bytes > 0 ? way->rekey_bytes : UINT64_MAX;
    return own > 0 && own < bears ? own : bears;
}

static bool way_is_due(const struct transport *t, const struct packet_way *way) {
    uint64_t packets =
        t->config.rekey_packets > 0 && t->config.rekey_packets < LIMIT_REKEY_PACKETS
            ? t->config.rekey_packets
            : LIMIT_REKEY_PACKETS;
    return way->bytes >= bytes_limit(t, way) || way->packets >= packets;
}

static bool may_rekey(const struct transport *t) {
    return t->out_open && t->phase == PHASE_OPEN && t->kex == NULL && t->failed == OK &&
           !t->closed;
}

static uint64_t due_at(const struct transport *t) {
    uint64_t ms = t->config.rekey_ms;
    return ms == 0 || t->keyed_at > UINT64_MAX - ms ? UINT64_MAX : t->keyed_at + ms;
}

static bool rekey_is_due(const struct transport *t) {
    return may_rekey(t) &&
           (way_is_due(t, &t->in) || way_is_due(t, &t->out) || t->now >= due_at(t));
}

enum err rekey_if_due(struct transport *t) {
    return rekey_is_due(t) ? exchange_start(t, false) : OK;
}

enum err transport_rekey(struct transport *t) {
    if (t->failed != OK)
        return t->failed;
    if (!t->out_open || t->closed)
        return ERR_REFUSED;
    if (t->kex != NULL)
        return OK;
    enum err e = exchange_start(t, false);
    return e == OK ? OK : transport_fail(t, e);
}

uint64_t transport_deadline(const struct transport *t) {
    return may_rekey(t) ? due_at(t) : UINT64_MAX;
}

enum err transport_tick(struct transport *t, uint64_t now) {
    if (t->failed != OK)
        return t->failed;
    t->now = now;
    enum err e = rekey_if_due(t);
    return e == OK ? OK : transport_fail(t, e);
}
