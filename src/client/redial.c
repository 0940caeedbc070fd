// When to try, how long, and with what words.
#include "client/redial.h"

#include <stdio.h>
#include <stdlib.h>

#include "client/proxy.h"
#include "crypto/random.h"
#include "io/clock.h"
#include "io/fd.h"

#define FIRST_PAUSE_MS 250u
#define LONGEST_PAUSE_MS 10000u
// Logins refused one after the other: it may be that the account's key file was being
// written, or that the agent was locked.
#define REFUSED_MOST 3u
// Beyond the grace, which begins at the server when that sees the link go.
#define GRACE_MORE_MS 60000ull

// ---- beginning ----

bool redial_takes(const struct run *r, enum err e) {
    return carrier_can_resume(&r->carrier) && !r->c->end.disconnected &&
           (e == ERR_CLOSED || e == ERR_IO || e == ERR_TIMEOUT);
}

static enum err begin(struct run *r, uint64_t since) {
    if (r->redial != NULL)
        return OK;
    struct redial *d = calloc(1, sizeof *d);
    if (d == NULL)
        return ERR_MEMORY;
    uint64_t now = clock_ms();
    *d = (struct redial){.run = r,
                         .until = CLOCK_NEVER,
                         .since = since,
                         .since_boot = clock_boot_ms() - (now - since),
                         .heard = r->c->link.heard,
                         .next = now};
    notice_start(&d->notice, since);
    r->redial = d;
    return OK;
}

// There is nothing to be waited for any more.
static void be_quick(struct redial *d, uint64_t now) {
    if (d->patient && d->c == NULL)
        d->next = d->until = now;
    d->patient = false;
}

enum err redial_lost(struct run *r, enum err e) {
    struct client *c = r->c;
    log_debug(&c->log, "resume: the link is lost: %s",
              c->fault.code != OK ? fault_text(&c->fault) : err_text(e));
    fault_clear(&c->fault);
    r->carrier.lost = true;
    r->stalled = false;
    fd_close(&c->link.fd);
    proxy_reap(c);
    if (r->redial != NULL)
        be_quick(r->redial, clock_ms());
    return begin(r, clock_ms());
}

enum err redial_silent(struct run *r, uint64_t since, bool once) {
    if (r->redial != NULL)
        return OK;
    uint64_t now = clock_ms();
    TRY(begin(r, since));
    struct redial *d = r->redial;
    d->once = once;
    d->patient = !once && !r->silence.changed;
    if (d->patient) {
        silence_begins(r, now);
        d->next = silence_due(r, since, now);
    }
    log_debug(&r->c->log, "resume: nothing was heard for %.1f s, %s",
              (double)(now - since) / 1000,
              d->next > now ? "waiting a little longer" : "trying another link");
    return OK;
}

// ---- the loop's view ----

size_t redial_poll(const struct redial *d, struct pollfd *p) {
    for (size_t i = 0; i < d->polls_n; i++)
        p[i] = d->polls[i];
    return d->polls_n;
}

void redial_polled(struct redial *d, const struct pollfd *p) {
    for (size_t i = 0; i < d->polls_n; i++)
        d->polls[i].revents = p[i].revents;
}

uint64_t redial_deadline(const struct redial *d) {
    return d->until < d->notice.due ? d->until : d->notice.due;
}

void redial_tick(struct redial *d, uint64_t now) {
    notice_tick(&d->notice, d->run, now, d->since,
                d->last.code != OK ? fault_text(&d->last) : "");
}

void redial_hurry(struct redial *d, uint64_t now) {
    d->attempts = 0;
    be_quick(d, now);
    // Not for each of a storm of changes.
    d->anew = d->c != NULL && now - d->began >= FIRST_PAUSE_MS;
    if (d->c == NULL)
        d->next = d->until = now;
}

bool redial_is_revived(const struct redial *d) {
    return !d->run->carrier.lost && d->run->c->link.heard != d->heard;
}

// ---- one attempt after the other ----

// Is it time for the next attempt? A link that is only silent may have shown signs of
// life meanwhile.
static bool is_due(struct redial *d) {
    uint64_t now = clock_ms();
    if (now >= d->next && d->patient && d->all == 0)
        d->next = silence_due(d->run, d->since, now);
    return now >= d->next;
}

static enum err pause(struct redial *d) {
    enum err e = OK;
    while (e == OK && !d->run->done && !redial_is_revived(d) && !is_due(d)) {
        d->until = d->next;
        e = run_turn(d->run);
    }
    d->until = CLOCK_NEVER;
    return e;
}

static void plan_next(struct redial *d) {
    uint64_t ms = FIRST_PAUSE_MS << (d->attempts < 6 ? d->attempts : 6);
    uint32_t random;
    if (ms > LONGEST_PAUSE_MS)
        ms = LONGEST_PAUSE_MS;
    random_padding(&random, sizeof random);
    // Many that lost the same host do not come back at the same moment.
    ms = ms * 3 / 4 + random % (ms / 2);
    d->attempts++;
    if (d->patient && ms < silence_pause_ms(d->run))
        ms = silence_pause_ms(d->run);
    d->next = clock_after(clock_ms(), ms);
}

static bool grace_passed(const struct redial *d, uint64_t more_ms) {
    uint64_t grace = d->run->carrier.resume.grace * 1000ull;
    return clock_boot_ms() - d->since_boot > grace + more_ms;
}

// Of a connection that it does not have the host cannot say why.
static enum ends_class class_of(const struct redial *d) {
    if (d->told)
        return d->told_as;
    switch (d->why) {
    case RESUME_REFUSED_UNKNOWN:
    case RESUME_REFUSED_ENDED:
        return grace_passed(d, 0) ? ENDS_GRACE : ENDS_GONE;
    case RESUME_REFUSED_IDENTITY:
        return ENDS_REMOVED;
    default:
        return ENDS_LOST;
    }
}

static enum err give_up(struct redial *d, enum ends_class class, const char *what) {
    struct client *c = d->run->c;
    c->end.not_resumed = true;
    c->end.lost_as = class;
    return fault_set(&c->fault, ERR_CLOSED, 0,
                     "Lost the link to %s, and could not resume the connection: %s%s%s",
                     c->host, what, what[0] != 0 ? ": " : "", fault_text(&d->last));
}

// OK: go on trying.
static enum err after_failure(struct redial *d, enum err e) {
    log_debug(&d->run->c->log, "resume: attempt %u: %s", d->all, fault_text(&d->last));
    d->refused = e == ERR_AUTH && !d->no_signature ? d->refused + 1 : 0;
    if (d->once)
        return run_alive_over(d->run);
    if (d->hopeless)
        return give_up(d, class_of(d), "");
    if (d->refused >= REFUSED_MOST)
        return give_up(d, ENDS_REMOVED, "the host refuses the login");
    if (grace_passed(d, GRACE_MORE_MS))
        return give_up(d, ENDS_GRACE, "the host was not reached as long as it keeps it");
    bool again = d->unanswered && clock_ms() - d->since < PATIENCE_DIALS_FOR_MS;
    if (!again)
        plan_next(d);
    if (again || d->anew)
        d->next = clock_ms();
    return OK;
}

static enum err try_once(struct redial *d) {
    TRY(pause(d));
    if (d->run->done || redial_is_revived(d))
        return OK;
    d->all++;
    enum err e = redial_attempt(d);
    if (d->error != OK)
        return d->error;
    if (d->attached || d->run->done || redial_is_revived(d))
        return OK;
    return after_failure(d, e);
}

static void tell_end(struct redial *d) {
    struct run *r = d->run;
    uint64_t now = clock_ms();
    // Whoever leaves while the link is silent has none either.
    bool linked = d->attached || redial_is_revived(d);
    notice_end(&d->notice, r, now, d->since, linked);
    if (d->attached)
        log_debug(&r->c->log,
                  "resume: after %.3f s and %u attempts, %zu bytes are sent again",
                  (double)(now - d->since) / 1000, d->all, r->carrier.resume.store.bytes);
    else if (linked)
        log_debug(&r->c->log, "resume: the link is back after %.3f s",
                  (double)(now - d->since) / 1000);
}

static enum err go_on(struct run *r) {
    for (struct session *s = r->sessions; s != NULL; s = s->next)
        TRY(session_send_size(s));
    return OK;
}

enum err redial_run(struct run *r) {
    struct redial *d = r->redial;
    enum err e = OK;
    while (e == OK && !d->attached && !r->done && !redial_is_revived(d))
        e = try_once(d);
    bool attached = d->attached, first = d->all == 1;
    if (!attached && redial_is_revived(d))
        silence_spoke(r, d->patient && d->all > 0, clock_ms());
    tell_end(d);
    r->redial = NULL;
    free(d);
    if (attached)
        silence_resumed(r, first);
    return e == OK && attached ? go_on(r) : e;
}
