#include "client/silence.h"

#include <errno.h>

#include "client/kept.h"
#include "client/redial.h"
#include "io/clock.h"
#include "io/tcp.h"

// When the network has changed: then it is likely that the link is lost, and an attempt
// that was needless is dropped as soon as the old link speaks.
#define PATIENCE_CHANGED_MS 500u
#define SETTLE_MS 1000u
// A backstop: our own patience is over long before. The system counts from when it last
// had nothing to send again, which on a path that loses much may be minutes ago.
#define USER_TIMEOUT_MS 600000u
// When TCP's keepalive gives up: tcp_keepalive_time and nine probes.
#define USER_TIMEOUT_PLAIN_MS (7875u * 1000u)
// Shorter sleeps are the clocks' own difference.
#define ASLEEP_LEAST_MS 1000u

void silence_init(struct silence *s) {
    *s = (struct silence){.changes = CHANGES_NONE};
    idle_limit_init(&s->memory.limit);
}

void silence_close(struct silence *s) {
    changes_close(&s->changes);
}

// There is a link, and there may be another one after it.
static bool is_on(const struct run *r) {
    return r->carrier.resume.state == RESUME_ON && !r->carrier.lost && r->redial == NULL;
}

// There is a link, and it is the only one there will be.
static bool is_plain(const struct run *r) {
    return r->carrier.resume.state == RESUME_OFF;
}

// Who sets ServerAliveInterval to 0 wants no signs of life where all is quiet.
static bool keeps_awake(const struct run *r) {
    return client_config_origin(&r->c->config, "ServerAliveInterval")->file == NULL;
}

static bool asks(const struct run *r) {
    return r->c->config.server_alive_interval == 0 &&
           (is_on(r) || (is_plain(r) && keeps_awake(r)));
}

static uint64_t answer_within(const struct silence *s, uint64_t least_ms) {
    uint64_t rtts = PATIENCE_RTTS * (uint64_t)s->path.rtt_ms;
    return rtts > least_ms ? rtts : least_ms;
}

static uint64_t answer_ms(const struct silence *s) {
    return answer_within(s, PATIENCE_LEAST_MS);
}

static void measure(struct run *r) {
    struct tcp_info_short info;
    if (r->c->proxied || !tcp_info(r->c->link.fd, &info))
        return;
    r->silence.path = (struct patience_path){.rtt_ms = (info.rtt_us + 999) / 1000,
                                             .rto_ms = (info.rto_us + 999) / 1000,
                                             .heard_ms = info.last_ack_ms,
                                             .sent = info.data_segments,
                                             .again = info.retransmits,
                                             .row = info.row};
}

// ---- another link ----

void silence_begins(struct run *r, uint64_t now) {
    measure(r);
    patience_begin(&r->silence.patience, &r->silence.path, now);
}

uint64_t silence_due(struct run *r, uint64_t since, uint64_t now) {
    measure(r);
    return patience_due(&r->silence.patience, &r->silence.path, since, now);
}

uint64_t silence_pause_ms(const struct run *r) {
    return patience_pause_ms(&r->silence.patience, &r->silence.path);
}

uint64_t silence_dial_ms(const struct run *r, unsigned dials, uint64_t silent_ms) {
    return patience_dial_ms(&r->silence.patience, &r->silence.path, dials, silent_ms);
}

void silence_spoke(struct run *r, bool dialled, uint64_t now) {
    measure(r);
    patience_spoke(&r->silence.patience, &r->silence.path, dialled, now);
}

void silence_replaced(struct run *r, uint64_t since, uint64_t now) {
    measure(r);
    patience_replaced(&r->silence.patience, &r->silence.path, since, now);
}

// ---- what is learned ----

static uint64_t asleep_ms(void) {
    uint64_t boot = clock_boot_ms(), awake = clock_ms();
    return boot > awake ? boot - awake : 0;
}

// How long nothing went either way, s; 0: it would tell nothing, since this machine
// slept.
static uint64_t idle_s(struct run *r, uint64_t now) {
    struct tcp_info_short info;
    uint64_t before = r->silence.asleep_ms, ms = now - r->c->link.heard;
    r->silence.asleep_ms = asleep_ms();
    if (before + ASLEEP_LEAST_MS < r->silence.asleep_ms)
        return 0;
    if (!r->c->proxied && tcp_info(r->c->link.fd, &info) && info.last_sent_ms < ms)
        ms = info.last_sent_ms;
    return ms / 1000;
}

static void answered(struct run *r, uint64_t now) {
    struct silence *s = &r->silence;
    bool late = now > clock_after(s->probe, s->wait_ms);
    if (s->idle_s > 0 && !late)
        idle_memory_bears(&s->memory, r->c, s->idle_s);
    if (asks(r))
        r->c->end.probes = 0;
    if (is_plain(r))
        tcp_set_user_timeout(r->c->link.fd, 0);
    s->probe = s->idle_s = 0;
    s->changed = false;
}

static void know_link(struct run *r) {
    struct silence *s = &r->silence;
    s->asleep_ms = asleep_ms();
    s->way = (struct route_way){0};
    if (!r->c->proxied && is_on(r))
        route_way_note(&s->way, r->c->link.fd);
    measure(r);
    if (!asks(r))
        return;
    idle_memory_open(&s->memory, r->c);
    if (is_on(r))
        tcp_set_user_timeout(r->c->link.fd, USER_TIMEOUT_MS);
}

void silence_resumed(struct run *r, bool first) {
    struct silence *s = &r->silence;
    if (s->idle_s > 0 && first)
        idle_memory_fails(&s->memory, r->c, s->idle_s);
    s->idle_s = 0;
    s->changed = false;
    s->path = (struct patience_path){0};
    patience_linked(&s->patience);
    if (s->settle == CLOCK_NEVER)
        know_link(r);
}

// A box that has forgotten the connection answers with RST, or not at all.
void silence_ended(const struct run *r) {
    struct idle_memory m = r->silence.memory;
    int error = r->c->link.error;
    if (r->silence.probe != 0 && r->silence.idle_s > 0 && is_plain(r) &&
        (error == ECONNRESET || error == EPIPE || error == ETIMEDOUT))
        idle_memory_fails(&m, r->c, r->silence.idle_s);
}

// ---- when ----

void silence_note(struct run *r, uint64_t now) {
    struct silence *s = &r->silence;
    if (!is_on(r) && !is_plain(r)) {
        s->waiting = s->probe = 0;
        return;
    }
    if (s->settle == 0)
        s->settle = clock_after(now, SETTLE_MS);
    if (patience_is_calm(&s->patience, now)) {
        measure(r);
        patience_calm(&s->patience, &s->path);
    }
    if (r->carrier.resume.store.bytes == 0)
        s->waiting = 0;
    else if (s->waiting == 0)
        s->waiting = now;
    if (s->probe != 0 && r->c->link.read != s->read)
        answered(r, now);
    if (s->probe == 0)
        s->idle_s = 0;
}

// Since when an answer is missing; 0: none is.
static uint64_t missing_since(const struct run *r) {
    uint64_t heard = r->c->link.heard, waiting = r->silence.waiting;
    return waiting == 0 ? 0 : waiting > heard ? waiting : heard;
}

static uint64_t probe_due(const struct run *r) {
    uint64_t missing = missing_since(r);
    if (missing != 0)
        return clock_after(missing, answer_ms(&r->silence) / 2);
    return keeps_awake(r) ? clock_after(r->c->link.heard,
                                        1000ull * r->silence.memory.limit.interval_s)
                          : CLOCK_NEVER;
}

uint64_t silence_deadline(const struct run *r) {
    const struct silence *s = &r->silence;
    bool has_link = is_on(r) || is_plain(r);
    uint64_t settle = has_link && s->settle != 0 ? s->settle : CLOCK_NEVER;
    bool over = s->probe != 0 && is_plain(r);  // whatever comes of it is the system's
    if (!has_link || over || (!asks(r) && s->probe == 0))
        return settle;
    uint64_t due = s->probe != 0 ? clock_after(s->probe, s->wait_ms) : probe_due(r);
    return due < settle ? due : settle;
}

static enum err ask(struct run *r, uint64_t now) {
    struct silence *s = &r->silence;
    uint64_t missing = missing_since(r);
    measure(r);
    s->probe = now;
    s->read = r->c->link.read;
    s->since = missing != 0 ? missing : now;
    s->idle_s = missing == 0 ? idle_s(r, now) : 0;
    if (missing == 0)
        resume_idle(&r->carrier.resume);
    s->wait_ms = missing != 0 ? answer_ms(s) / 2 : answer_ms(s);
    r->c->end.probes++;
    if (is_plain(r))
        tcp_set_user_timeout(r->c->link.fd, USER_TIMEOUT_PLAIN_MS);
    enum err e = is_plain(r) ? run_alive_ask(r)
                             : transport_ping(r->c->link.transport, view_text("alive"));
    // A link that takes no ping any more is silent too.
    return e == ERR_MEMORY ? e : OK;
}

static void settle(struct run *r) {
    r->silence.settle = CLOCK_NEVER;
    if (is_on(r)) {
        changes_open(&r->silence.changes);
        kept_lock(r->c->kept);
    }
    know_link(r);
}

enum err silence_tick(struct run *r, uint64_t now) {
    struct silence *s = &r->silence;
    silence_note(r, now);
    if (!is_on(r) && !is_plain(r))
        return OK;
    if (now >= s->settle)
        settle(r);
    if (s->probe != 0 && is_plain(r))
        return OK;
    if (s->probe != 0)
        return now >= clock_after(s->probe, s->wait_ms)
                   ? redial_silent(r, s->since, false)
                   : OK;
    if (!asks(r) || now < probe_due(r))
        return OK;
    return ask(r, now);
}

// A question that is open, or was asked just now, has to be answered soon.
static void shorten(struct run *r, uint64_t now) {
    struct silence *s = &r->silence;
    uint64_t patience = answer_within(s, PATIENCE_CHANGED_MS);
    if (s->probe == 0 || now - s->probe + patience >= s->wait_ms)
        return;
    s->wait_ms = now - s->probe + patience;
    log_debug(&r->c->log, "resume: the network has changed, the link has %u ms to speak",
              (unsigned)patience);
}

// A further link is another connection: it goes whatever way there is to the host's
// address, or to another one of its addresses.
static bool is_touched(struct run *r) {
    struct route_way *way = &r->silence.way;
    struct route_changed changed = route_way_look(way);
    return changed.own || (r->redial != NULL && (changed.fresh || !way->fresh.there));
}

static enum err hurry(struct run *r, uint64_t now) {
    if (r->redial != NULL)
        redial_hurry(r->redial, now);
    enum err e = is_on(r) && r->silence.probe == 0 ? ask(r, now) : OK;
    if (is_on(r))
        shorten(r, now);
    patience_changed(&r->silence.patience, now);
    r->silence.changed = true;
    // If that is in vain, it is the change that has cost the link.
    r->silence.idle_s = 0;
    return e;
}

enum err silence_changed(struct run *r, const struct changes_seen *seen, uint64_t now) {
    return seen->awake || (seen->network && is_touched(r)) ? hurry(r, now) : OK;
}
