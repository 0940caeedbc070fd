// A holder loses its link, waits for its client, and gets another link (doc/resume.md).
//
// A client that comes back is an attempt until it has proved that it knows the
// connection's secret; until then neither connection nor living link notice it.
#include <stdio.h>
#include <stdlib.h>

#include "base/limits.h"
#include "base/secret.h"
#include "base/text.h"
#include "io/clock.h"
#include "server/forward.h"
#include "server/holder_link.h"
#include "server/holder_status.h"
#include "server/holder_view.h"
#include "wire/messages.h"

#define ATTEMPTS_MAX 2u
#define ATTEMPT_MS 10000u
// The loop's clock stands still while the machine sleeps, the grace does not: looked at
// so often.
#define LOOK_MS 300000u

struct holder_attempt {
    struct holder_attempt *next;
    struct holder *holder;
    struct seam seam;
    struct loop_watch watch;
    uint64_t link, until;
    uint8_t session_id[64];
    size_t session_id_n;
};

// ---- losing it ----

// A client that has confirmed nothing yet may never have got OPENED: then it cannot come
// back, and one that did get it comes at once.
#define UNKNOWN_GRACE_S 60

static uint32_t grace_of(const struct holder *h, bool terminal) {
    const struct server_resume_grace *g = &h->config.resume_grace;
    uint32_t grace = terminal ? g->terminal : g->others;
    if (grace > h->resume.grace)
        grace = h->resume.grace;
    return h->resume.known || grace < UNKNOWN_GRACE_S ? grace : UNKNOWN_GRACE_S;
}

static bool has_terminal(const struct holder *h) {
    for (const struct session *s = h->sessions; s != NULL; s = s->next)
        if (s->with_pty)
            return true;
    return false;
}

void holder_drop_link(struct holder *h) {
    (void)holder_ring_goes(h);
    loop_unwatch(&h->loop, &h->seam_watch);
    h->bytes_in += h->seam.counts.bytes_in;
    h->bytes_out += h->seam.counts.bytes_out;
    seam_free(&h->seam);
    h->seam = (struct seam){.fd = -1};
    h->linked = h->deaf = h->broken = h->blocked = h->ring_wait = false;
    buf_clear(&h->unsent);
}

static void end_silent(struct holder *h) {
    char text[64];
    snprintf(text, sizeof text, "%u probes were not answered", h->probes);
    holder_over(h, ENDS_SILENCE, text);
    holder_end_as(h, ENDS_SILENCE, "Timeout, your session not responding.");
}

void holder_link_lost(struct holder *h, bool silent) {
    bool terminal = has_terminal(h);
    uint32_t grace = grace_of(h, terminal);
    if (h->ending || !h->linked)
        return;
    bool kept = !h->held && h->resume.state == RESUME_ON && grace > 0;
    if (!kept && keep_link_gone(h, true))
        return;
    if (silent && kept)
        seam_end(&h->seam, 0, "");
    else if (silent)
        end_silent(h);
    if (!kept) {
        holder_over(h, ENDS_CLOSED, "");
        h->ending = true;
        return;
    }
    holder_drop_link(h);
    h->suspended_at = clock_boot_ms();
    h->grace_at = h->suspended_at + (uint64_t)grace * 1000;
    struct ipc_suspended told = {grace, terminal, silent};
    holder_tell_keeper(h, IPC_SUSPENDED, &told);
    holder_status_tell(h);
}

// ---- getting another one ----

static void drop_attempt(struct holder_attempt *a) {
    struct holder *h = a->holder;
    struct holder_attempt **at = &h->attempts;
    while (*at != a)
        at = &(*at)->next;
    *at = a->next;
    loop_unwatch(&h->loop, &a->watch);
    seam_free(&a->seam);
    free(a);
}

static void tell(struct holder *h, uint64_t link, enum resume_refusal why,
                 uint32_t seconds) {
    struct ipc_attached told = {link, why, seconds};
    holder_tell_keeper(h, IPC_ATTACHED, &told);
}

static void say_refused(struct seam *s, enum resume_refusal why) {
    scoped_buf out = {.max = 512};
    bool sent;
    enum err e = resume_refuse(why, NULL, &out);
    if (e == OK)
        e = seam_send(s, buf_view(&out), &sent);
    (void)e;  // then the end says it
    seam_end(s, DISCONNECT_BY_APPLICATION, resume_refusal_text(why));
}

static void refuse(struct holder_attempt *a, enum resume_refusal why) {
    // The keeper first: the gate's end would have it forget who that was.
    tell(a->holder, a->link, why, 0);
    say_refused(&a->seam, why);
    drop_attempt(a);
}

// Nothing is known of who that was: the link goes without a word, and may come again.
static void give_up(struct holder_attempt *a) {
    seam_end(&a->seam, 0, "");
    drop_attempt(a);
}

static void on_new_path(struct holder *h) {
    h->now = clock_ms();
    h->heard_at = h->probe_at = h->busy_at = h->now;
    h->probes = 0;
    for (struct session *s = h->sessions; s != NULL; s = s->next)
        pace_init(&s->c.pace);
    for (struct forward *f = h->forwards; f != NULL; f = f->next)
        pace_init(&f->c.pace);
}

// The old link is let go of, with whatever may still stand in it; then the new one is the
// connection's, and what the client lacks goes first.
static void take_over(struct holder_attempt *a, struct view message) {
    struct holder *h = a->holder;
    struct fault fault = {0};
    scoped_buf out = {.max = LIMIT_PACKET};
    uint64_t away = h->linked ? 0 : (clock_boot_ms() - h->suspended_at) / 1000;
    if (h->linked) {
        seam_end(&h->seam, 0, "");
        holder_drop_link(h);
    }
    enum err e = resume_attach_in(&h->resume, message,
                                  view_of(a->session_id, a->session_id_n), &out, &fault);
    loop_unwatch(&h->loop, &a->watch);
    h->seam = a->seam;
    a->seam = (struct seam){.fd = -1};
    h->linked = true;
    if (e == OK)
        e = loop_watch(&h->loop, &h->seam_watch, h->seam.fd, LOOP_IN, holder_on_seam, h);
    if (e != OK) {
        holder_end(h, err_disconnect_reason(e),
                   fault.text[0] != '\0' ? fault_text(&fault) : err_text(e));
        return;
    }
    on_new_path(h);
    holder_say(h, buf_view(&out));
    tell(h, a->link, RESUME_REFUSED_NONE, (uint32_t)away);
    holder_status_tell(h);
    drop_attempt(a);
}

// The first message, and the attempt is over.
static void judge(struct holder_attempt *a, struct view message) {
    struct view id = view_of(a->session_id, a->session_id_n);
    enum resume_refusal why = resume_attach_check(&a->holder->resume, message, id);
    if (why == RESUME_REFUSED_NONE)
        take_over(a, message);
    else
        refuse(a, why);
}

static void on_attempt(void *arg, uint32_t ready) {
    struct holder_attempt *a = arg;
    (void)ready;
    seam_turn(&a->seam);
    for (;;) {
        struct seam_event event;
        struct fault fault = {0};
        enum err e = seam_next(&a->seam, &event, &fault);
        if (e == OK && event.kind == SEAM_NONE)
            return;
        if (e == OK && event.kind == SEAM_HELLO)
            continue;
        if (e == OK && event.kind == SEAM_SECRET) {
            secret_wipe(event.slot, event.message.n);
            continue;
        }
        if (e == OK && event.kind == SEAM_MESSAGE)
            judge(a, event.message);
        else
            give_up(a);
        return;
    }
}

static uint32_t attempts(const struct holder *h) {
    uint32_t n = 0;
    for (const struct holder_attempt *a = h->attempts; a != NULL; a = a->next)
        n++;
    return n;
}

// No attempt is made of it.
static void turn_away(struct holder *h, uint64_t link, struct seam *s,
                      enum resume_refusal why) {
    tell(h, link, why, 0);
    say_refused(s, why);
    seam_free(s);
}

void holder_attach(struct holder *h, const struct ipc_attach *m, int fd) {
    struct seam seam = {.fd = -1};
    if (seam_init(&seam, fd, true) != OK || seam_hello(&seam, view_of(NULL, 0)) != OK) {
        seam_free(&seam);
        return;
    }
    struct holder_attempt *a = calloc(1, sizeof *a);
    bool known = h->resume.state == RESUME_ON && m->session_id.n <= sizeof a->session_id;
    if (a == NULL || !known || attempts(h) >= ATTEMPTS_MAX) {
        turn_away(h, m->link, &seam,
                  known ? RESUME_REFUSED_BUSY : RESUME_REFUSED_UNKNOWN);
        free(a);
        return;
    }
    a->holder = h;
    a->seam = seam;
    a->link = m->link;
    a->until = clock_ms() + ATTEMPT_MS;  // h->now may be of long ago
    a->session_id_n = m->session_id.n;
    memcpy(a->session_id, m->session_id.p, m->session_id.n);
    a->next = h->attempts;
    h->attempts = a;
    if (loop_watch(&h->loop, &a->watch, fd, LOOP_IN, on_attempt, a) != OK)
        refuse(a, RESUME_REFUSED_BUSY);
}

// Not yet a word on whether it gets the connection: ATTACH says that.
void holder_vouch(struct holder *h, const struct ipc_vouch *m) {
    struct ipc_vouched told = {m->link, RESUME_REFUSED_NONE};
    told.reason = resume_login_check(&h->resume, m->epoch, m->session_id,
                                     view_text(h->user), m->proof);
    holder_tell_keeper(h, IPC_VOUCHED, &told);
}

// ---- time ----

void holder_check_grace(struct holder *h) {
    for (struct holder_attempt *a = h->attempts, *next; a != NULL; a = next) {
        next = a->next;
        if (h->now >= a->until)
            give_up(a);
    }
    if (h->linked || h->ending || clock_boot_ms() < h->grace_at)
        return;
    if (keep_link_gone(h, false))
        return;
    log_info(&h->log,
             h->held ? "what user %s had left was not taken up in time"
                     : "the client of user %s did not come back in time",
             h->user);
    holder_over(h, ENDS_GRACE, h->held ? "what was left was not taken up in time" : "");
    h->ending = true;
}

uint64_t holder_grace_deadline(const struct holder *h) {
    uint64_t first = CLOCK_NEVER;
    for (const struct holder_attempt *a = h->attempts; a != NULL; a = a->next)
        if (a->until < first)
            first = a->until;
    if (h->linked)
        return first;
    uint64_t boot = clock_boot_ms(), left = h->grace_at > boot ? h->grace_at - boot : 0;
    uint64_t look = h->now + (left < LOOK_MS ? left : LOOK_MS);
    return look < first ? look : first;
}
