#include "client/silence.h"

#include "client/kept.h"
#include "client/redial.h"
#include "io/clock.h"
#include "io/tcp.h"

#define IDLE_MS 60000u
#define PATIENCE_MS 3000u
#define PATIENCE_RTTS 4u
#define SETTLE_MS 1000u

void silence_init(struct silence *s) {
    *s = (struct silence){.changes = CHANGES_NONE};
}

void silence_close(struct silence *s) {
    changes_close(&s->changes);
}

// There is a link, and there may be another one after it.
static bool is_on(const struct run *r) {
    return r->carrier.resume.state == RESUME_ON && !r->carrier.lost && r->redial == NULL;
}

static bool asks(const struct run *r) {
    return is_on(r) && r->c->config.server_alive_interval == 0;
}

static uint64_t patience_ms(const struct silence *s) {
    uint64_t rtts = PATIENCE_RTTS * (uint64_t)s->rtt_ms;
    return rtts > PATIENCE_MS ? rtts : PATIENCE_MS;
}

static void measure(struct run *r) {
    struct tcp_info_short info;
    if (!r->c->proxied && tcp_info(r->c->link.fd, &info))
        r->silence.rtt_ms = (info.rtt_us + 999) / 1000;
}

void silence_note(struct run *r, uint64_t now) {
    struct silence *s = &r->silence;
    if (!is_on(r)) {
        s->waiting = s->probe = 0;
        return;
    }
    if (s->settle == 0)
        s->settle = clock_after(now, SETTLE_MS);
    if (r->carrier.resume.store.bytes == 0)
        s->waiting = 0;
    else if (s->waiting == 0)
        s->waiting = now;
    if (s->probe != 0 && r->c->link.read != s->read)
        s->probe = 0;
}

// Since when an answer is missing; 0: none is.
static uint64_t missing_since(const struct run *r) {
    uint64_t heard = r->c->link.heard, waiting = r->silence.waiting;
    return waiting == 0 ? 0 : waiting > heard ? waiting : heard;
}

static uint64_t probe_due(const struct run *r) {
    uint64_t missing = missing_since(r);
    return missing != 0 ? clock_after(missing, patience_ms(&r->silence) / 2)
                        : clock_after(r->c->link.heard, IDLE_MS);
}

uint64_t silence_deadline(const struct run *r) {
    const struct silence *s = &r->silence;
    uint64_t settle = is_on(r) && s->settle != 0 ? s->settle : CLOCK_NEVER;
    if (!is_on(r) || (!asks(r) && s->probe == 0))
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
    if (missing == 0)
        resume_idle(&r->carrier.resume);
    s->wait_ms = missing != 0 ? patience_ms(s) / 2 : patience_ms(s);
    r->c->end.probes++;
    enum err e = transport_ping(r->c->link.transport, view_text("alive"));
    // A link that takes no ping any more is silent too.
    return e == ERR_MEMORY ? e : OK;
}

static void settle(struct run *r) {
    r->silence.settle = CLOCK_NEVER;
    changes_open(&r->silence.changes);
    kept_lock(r->c->kept);
    measure(r);
}

enum err silence_tick(struct run *r, uint64_t now) {
    struct silence *s = &r->silence;
    silence_note(r, now);
    if (!is_on(r))
        return OK;
    if (now >= s->settle)
        settle(r);
    if (s->probe != 0)
        return now >= clock_after(s->probe, s->wait_ms)
                   ? redial_silent(r, s->since, false)
                   : OK;
    if (!asks(r) || now < probe_due(r))
        return OK;
    return ask(r, now);
}

enum err silence_hurry(struct run *r, uint64_t now) {
    if (r->redial != NULL)
        redial_hurry(r->redial, now);
    return is_on(r) && r->silence.probe == 0 ? ask(r, now) : OK;
}
