// One attempt at a further link: connect, exchange keys, check the host, log in, attach.
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/text.h"
#include "client/hostkeys.h"
#include "client/kept.h"
#include "client/proxy.h"
#include "client/redial.h"
#include "io/clock.h"
#include "io/fd.h"
#include "wire/messages.h"

// For the answer to ATTACH.
#define PATIENCE_ANSWER_S 15u
// From so many on the pauses are the longest.
#define ATTEMPTS_SLOW 6u
// Of as many attempts one looks the host's name up again.
#define LOOK_UP_EACH 4u
#define LOOK_UP_EACH_UNANSWERED 16u

// ---- waiting ----

static bool any_ready(const struct pollfd *p, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (p[i].revents != 0)
            return true;
    return false;
}

// What link.wait is for: the run goes on meanwhile.
static enum err wait_in_turns(void *arg, struct pollfd *p, size_t n, uint64_t deadline) {
    struct redial *d = arg;
    enum err e = OK;
    for (size_t i = 0; i < n; i++)
        p[i].revents = 0;
    d->polls = p;
    d->polls_n = n;
    d->until = deadline;
    while (e == OK && !any_ready(p, n)) {
        e = d->error = run_turn(d->run);
        if (e == OK && (d->run->done || d->anew || redial_is_revived(d)))
            e = ERR_CLOSED;
        else if (e == OK && !any_ready(p, n) && clock_ms() >= deadline)
            e = ERR_TIMEOUT;
    }
    d->polls = NULL;
    d->polls_n = 0;
    d->until = CLOCK_NEVER;
    return e;
}

// ---- a client for it ----

// Nobody is asked anything, and only what is known is trusted.
static void restrain(struct client_config *o, uint32_t patience_s) {
    o->batch_mode = true;
    o->strict_host_key_checking = STRICT_HOST_KEY_YES;
    o->visual_host_key = false;
    o->warn_weak_crypto = WEAK_CRYPTO_NO;
    o->connection_attempts = 1;
    if (o->connect_timeout == 0 || o->connect_timeout > patience_s)
        o->connect_timeout = patience_s;
}

static enum err prepare(struct redial *d) {
    struct client *c = malloc(sizeof *c);
    if (c == NULL)
        return ERR_MEMORY;
    *c = *d->run->c;
    c->link = (struct link){.fd = -1, .wait = wait_in_turns, .wait_arg = d};
    c->proxied = c->takes_early = c->takes_resume = c->hold_step = false;
    c->known = NULL;
    c->host_key_algorithms = NULL;
    c->early = NULL;
    c->redial = d;
    c->end = (struct client_end){0};
    fault_clear(&c->fault);
    restrain(&c->config, patience_attempt_s(&d->run->silence.patience, d->attempts));
    // What goes wrong is told in one line (notice.h), unless somebody wants to know all.
    if (c->log.level < LOG_LEVEL_DEBUG1)
        c->log.level = LOG_LEVEL_QUIET;
    d->c = c;
    d->began = clock_ms();
    d->attach_sent = d->hopeless = d->anew = d->no_signature = false;
    d->why = RESUME_REFUSED_NONE;
    d->told = false;
    return OK;
}

static void forget(struct redial *d) {
    struct client *c = d->c;
    link_close(&c->link, 0);
    proxy_reap(c);
    hostkeys_forget(c);
    free(c->host_key_algorithms);
    free(c);
    d->c = NULL;
}

const struct client *redial_owner(const struct client *c) {
    return c->redial != NULL ? c->redial->run->c : c;
}

struct view redial_info(const struct client *c) {
    const struct carrier *w = c->redial != NULL ? &c->redial->run->carrier : NULL;
    return w != NULL ? view_of(w->info, sizeof w->info) : (struct view){0};
}

const char *redial_address(const struct client *c) {
    const struct redial *d = c->redial;
    unsigned each = d->unanswered ? LOOK_UP_EACH_UNANSWERED : LOOK_UP_EACH;
    return d->all % each == 0 ? "" : d->run->c->address;
}

uint64_t redial_dial_deadline(const struct client *c) {
    const struct redial *d = c->redial;
    uint64_t now = clock_ms();
    uint64_t ms =
        d == NULL || d->once ? 0 : silence_dial_ms(d->run, d->all, now - d->since);
    uint64_t deadline = clock_after(now, ms);
    return ms == 0 || c->deadline < deadline ? c->deadline : deadline;
}

bool redial_host_key_is_same(const struct client *c, struct view blob) {
    return c->redial != NULL &&
           view_equal(blob, transport_host_key(c->redial->run->c->link.transport));
}

// ---- attaching ----

// Nothing of the old link counts from here on.
static void let_go(struct run *r) {
    r->carrier.lost = true;
    fd_close(&r->c->link.fd);
    proxy_reap(r->c);
}

static enum err send_attach(struct redial *d) {
    struct transport *t = d->c->link.transport;
    scoped_buf attach;
    buf_init(&attach, LIMIT_PACKET);
    if (!d->run->carrier.lost)
        silence_replaced(d->run, d->since, clock_ms());
    let_go(d->run);
    TRY(resume_attach(&d->run->carrier.resume, transport_session_id(t), &attach));
    d->attach_sent = true;
    return transport_send_view(t, buf_view(&attach));
}

// Not while the old link may be only slow: nothing is let go of before the host has let
// us in.
enum err redial_early(struct client *c) {
    struct redial *d = c->redial;
    if (!c->takes_early || !c->takes_resume || !d->run->carrier.lost ||
        !transport_can_send(c->link.transport))
        return OK;
    return send_attach(d);
}

void redial_early_drop(struct client *c) {
    c->redial->attach_sent = false;
}

// "name:style" logs in as name.
enum err redial_proof(const struct client *c, uint64_t *epoch, uint8_t *proof) {
    const struct resume *r = &c->redial->run->carrier.resume;
    struct view user = view_until(view_text(c->config.user), ':');
    *epoch = r->epoch;
    return resume_login_proof(r, transport_session_id(c->link.transport), user, proof);
}

// A locked agent, or a key that was taken out of it, may be back later: that is looked at
// before the host is troubled.
static enum err find_keys(struct redial *d) {
    for (const struct kept *k = d->c->kept; k != NULL; k = kept_next(k)) {
        if (kept_is_there(k, d->c))
            continue;
        d->no_signature = true;
        return fault_set(&d->c->fault, ERR_AUTH, 0, "the agent does not have %s now",
                         kept_name(k));
    }
    return OK;
}

void redial_wants_touch(struct client *c) {
    struct redial *d = c->redial;
    uint64_t now = clock_ms();
    d->notice.due = now;
    notice_tick(&d->notice, d->run, now, d->since, "touch the security key");
}

// Somebody may have been asked, and said no: not again at once.
void redial_no_signature(struct client *c) {
    c->redial->no_signature = true;
    c->redial->attempts = ATTEMPTS_SLOW;
}

static enum err hopeless(struct redial *d, enum err e, const char *what) {
    d->hopeless = true;
    return fault_set(&d->c->fault, e, 0, "%s", what);
}

static enum err on_answer(struct redial *d, struct view message) {
    struct fault fault = {0};
    enum resume_refusal why;
    char text[FAULT_TEXT_SIZE], said[FAULT_TEXT_SIZE];
    struct view rest, id = transport_session_id(d->c->link.transport);
    enum err e = resume_attached_in(&d->run->carrier.resume, message, id, &why, &fault);
    if (e != OK)
        return hopeless(d, e, fault.code != OK ? fault_text(&fault) : err_text(e));
    if (why == RESUME_REFUSED_NONE) {
        d->attached = true;
        return OK;
    }
    d->why = why;
    d->told = ends_class_in(resume_refused_text(message), &d->told_as, &rest);
    snprintf(text, sizeof text, "the host refuses: %s",
             d->told ? text_clean(said, 200, rest) : resume_refusal_text(why));
    (void)!hopeless(d, ERR_REFUSED, text);
    d->hopeless = why != RESUME_REFUSED_BUSY;
    return ERR_REFUSED;
}

static enum err on_message(struct redial *d, struct view message) {
    char text[80];
    if (resume_is(message))
        return on_answer(d, message);
    // Asked of everybody who logs in (hostkeys-00@openssh.com).
    if (message.p[0] == SSH_MSG_GLOBAL_REQUEST)
        return OK;
    snprintf(text, sizeof text, "message %u came before the connection was resumed",
             message.p[0]);
    return hopeless(d, ERR_UNEXPECTED, text);
}

static enum err await_answer(struct redial *d) {
    struct client *c = d->c;
    uint64_t deadline = clock_after(clock_ms(), PATIENCE_ANSWER_S * 1000ull);
    while (!d->attached) {
        struct transport_event event;
        TRY(client_next(c, &event));
        if (event.kind == TRANSPORT_MESSAGE)
            TRY(on_message(d, event.message));
        else if (event.kind == TRANSPORT_NONE)
            TRY(link_wait(&c->link, deadline));
    }
    return OK;
}

static enum err attach(struct redial *d) {
    if (!d->c->takes_resume)
        return hopeless(d, ERR_UNSUPPORTED, "the host does not resume connections");
    if (!d->attach_sent)
        TRY(send_attach(d));
    return await_answer(d);
}

// ---- taking it over ----

static void adopt(struct redial *d) {
    struct client *c = d->run->c, *new = d->c;
    let_go(d->run);
    transport_free(c->link.transport);
    free(c->host_key_algorithms);
    c->host_key_algorithms = new->host_key_algorithms;
    c->link = new->link;
    c->link.wait = NULL;
    c->proxied = new->proxied;
    c->proxy = new->proxy;
    c->is_local = new->is_local;
    memcpy(c->address, new->address, sizeof c->address);
    c->end.probes = 0;
    c->end.resumed++;
    hostkeys_forget(new);
    free(new);
    d->c = NULL;
    d->run->carrier.lost = false;
    run_tune(d->run);
}

static enum err go(struct redial *d) {
    if (!client_may_return(d->c))
        return hopeless(d, ERR_KEY, "the key that opened it cannot be used again");
    TRY(find_keys(d));
    TRY(client_connect(d->c));
    TRY(client_handshake(d->c));
    TRY(client_login(d->c));
    return attach(d);
}

enum err redial_attempt(struct redial *d) {
    TRY(prepare(d));
    enum err e = go(d);
    if (e == OK) {
        adopt(d);
        return OK;
    }
    d->attached = false;
    d->unanswered = e == ERR_TIMEOUT && d->c->link.fd < 0 && !d->run->c->proxied;
    d->last = d->c->fault;
    (void)!fault_set(&d->last, e, 0, "%s", err_text(e));
    forget(d);
    return e;
}
