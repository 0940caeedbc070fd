// PerSourcePenalties, the keeper's part: it sees how links end, keeps the penalties over
// the listeners' lives and tells the one that accepts.
#include <stdio.h>

#include "crypto/random.h"
#include "server/keeper.h"

// The next listener, or keeper, gets them all, and 2 MiB are for the rest.
_Static_assert(PENALTY_FAMILIES *LIMIT_PENALTY_SOURCES *PENALTY_BYTES <=
                   SETTINGS_MAX - 2u * 1024 * 1024,
               "settings have room for all penalties");

static struct penalty_rules rules_of(const struct server_config *c) {
    const struct server_penalties *p = &c->per_source_penalties;
    return (struct penalty_rules){
        .enabled = p->enabled,
        .ms = {[PENALTY_CRASH] = p->crash_ms,
               [PENALTY_AUTHFAIL] = p->authfail_ms,
               [PENALTY_INVALIDUSER] = p->invaliduser_ms,
               [PENALTY_NOAUTH] = p->noauth_ms,
               [PENALTY_GRACE] = p->grace_exceeded_ms,
               [PENALTY_REFUSED] = p->refuseconnection_ms},
        .max_ms = p->max_ms,
        .min_ms = p->min_ms,
        .max_sources = {p->max_sources4, p->max_sources6},
        .deny_all = {p->overflow4_deny_all, p->overflow6_deny_all},
        .bits = {c->per_source_net_block_size.ip4_bits,
                 c->per_source_net_block_size.ip6_bits},
        .exempt = c->per_source_penalty_exempt_list,
    };
}

enum err keeper_penalties_load(struct keeper *k) {
    struct penalty_rules rules = rules_of(k->config);
    uint64_t seed = 0;
    scoped_buf before;
    buf_init(&before, SETTINGS_MAX);
    struct writer w = writer_to_buf(&before);
    penalties_write(&k->penalties, clock_ms(), &w);
    enum err e = writer_end(&w);
    random_bytes(&seed, sizeof seed);
    penalties_free(&k->penalties);
    penalties_init(&k->penalties, &rules, seed);
    return e == OK ? penalties_read(&k->penalties, buf_view(&before)) : e;
}

void keeper_penalise(struct keeper *k, const char *peer, enum penalty_reason reason) {
    char source[ADDRESS_TEXT_SIZE + 8];
    uint64_t left = 0;
    bool active = penalties_add(&k->penalties, peer, reason, clock_ms(), &left);
    if (k->penalties.rules.enabled)
        keeper_anchor_penalties(k);
    if (!active)
        return;
    left = (left + 999) / 1000;
    penalty_source_text(&k->penalties.rules, peer, source, sizeof source);
    log_info(&k->log,
             "srclimit_penalise: %s: activating %s penalty of %llu seconds for "
             "penalty: %s",
             source, strchr(source, ':') != NULL ? "ipv6" : "ipv4",
             (unsigned long long)left, penalty_reason_text(reason));
    keeper_event_penalty(k, source, left, reason);
}

void keeper_penalise_link(struct link *l) {
    struct keeper *k = l->keeper;
    enum penalty_reason reason = PENALTY_NOAUTH;
    if (l->authenticated || k->stopping || !k->penalties.rules.enabled)
        return;
    if (l->grace_over)
        reason = PENALTY_GRACE;
    else if (l->refused)
        reason = PENALTY_REFUSED;
    else if (l->failures > 0)
        reason = l->valid_user ? PENALTY_AUTHFAIL : PENALTY_INVALIDUSER;
    struct ipc_penalty m = {view_text(l->peer), reason};
    keeper_penalise(k, l->peer, reason);
    keeper_tell_penalty(k, &m);
}
