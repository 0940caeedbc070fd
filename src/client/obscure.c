// The ticks of typing.
#include "client/obscure.h"

#include "client/run.h"
#include "crypto/random.h"
#include "io/clock.h"

// What comes in larger pieces was not typed.
#define TYPED_BYTES 256u
#define CHAFF_MS 1024u
#define CHAFF_RANDOM_MS 2048u
// X11's own traffic tells as much as keys do, and must not be slowed.
#define X11_QUIET_MS 1000u

static uint32_t random_below(uint32_t n) {
    uint32_t value;
    random_padding(&value, sizeof value);
    return n > 0 ? value % n : 0;
}

bool obscure_reads_now(struct obscure *o) {
    o->looked = !o->active || clock_ms() >= o->next;
    return o->looked;
}

uint64_t obscure_deadline(const struct obscure *o) {
    return o->active ? o->next : CLOCK_NEVER;
}

static bool may_start(const struct session *s, uint64_t now) {
    const struct client_obscure *how = &s->c->config.obscure_keystroke_timing;
    uint64_t x11 = s->run->forwards.x11_used;
    return how->enabled && how->interval_ms > 0 && s->pty &&
           transport_peer_has_ping(s->c->link.transport) &&
           (x11 == 0 || now >= clock_after(x11, X11_QUIET_MS));
}

// A tenth earlier or later, so that the ticks themselves tell nothing of the clock.
static uint64_t next_tick(const struct session *s, uint64_t now) {
    uint32_t interval = s->c->config.obscure_keystroke_timing.interval_ms;
    uint32_t tenth = interval / 10;
    return clock_after(now, interval - tenth + random_below(2 * tenth + 1));
}

void obscure_sent(struct session *s, uint64_t n) {
    struct obscure *o = &s->obscure;
    uint64_t now = clock_ms();
    if (n == 0)
        return;
    if (n >= TYPED_BYTES || !may_start(s, now)) {
        o->active = false;
        return;
    }
    o->until = clock_after(now, CHAFF_MS + random_below(CHAFF_RANDOM_MS));
    o->sent = true;
    if (!o->active)
        o->next = next_tick(s, now);
    o->active = true;
}

enum err obscure_tick(struct session *s) {
    struct obscure *o = &s->obscure;
    struct transport *t = s->c->link.transport;
    uint64_t now = o->active ? clock_ms() : 0;
    // A tick at which nobody has looked is not over: what was typed leaves first.
    if (!o->active || !o->looked || now < o->next)
        return OK;
    bool sent = o->sent;
    o->sent = false;
    o->active = now < o->until && !s->closed;
    o->next = next_tick(s, now);
    if (sent || !o->active || s->run->carrier.lost || !transport_can_send(t))
        return OK;
    return transport_ping(t, view_text("PING!"));
}
