// The loop: waiting for link, sessions, forwardings and the control socket, and handing
// on what comes.
#include "client/run.h"

#include <errno.h>
#include <stdlib.h>

#include "base/limits.h"
#include "base/text.h"
#include "client/obscure.h"
#include "client/redial.h"
#include "client/signals.h"
#include "client/timeouts.h"
#include "io/clock.h"

#define LINK_POLLS 1
#define REDIAL_POLLS TCP_CONNECT_ADDRESSES
#define SESSION_POLLS 3

// ---- events ----

static struct session *find_session(struct run *r, uint32_t channel) {
    for (struct session *s = r->sessions; s != NULL; s = s->next)
        if (s->channel == channel && !s->closed)
            return s;
    return NULL;
}

static enum err on_nobodys(struct run *r, const struct connection_event *event) {
    if (event->kind == CONNECTION_REQUEST && event->want_reply)
        return connection_reply(r->connection, event->channel, false);
    if (event->kind == CONNECTION_PEER_CLOSE)
        return connection_close(r->connection, event->channel);
    return OK;
}

static enum err on_event(struct run *r, const struct connection_event *event) {
    bool mine = false;
    TRY(run_keys_event(r, event, &mine));
    if (mine)
        return OK;
    TRY(forwards_event(&r->forwards, event, &mine));
    if (!mine)
        TRY(mux_master_event(&r->mux, event, &mine));
    if (mine || event->kind == CONNECTION_GLOBAL_REPLY)
        return OK;
    if (event->kind == CONNECTION_GLOBAL_REQUEST)
        return event->want_reply
                   ? connection_global_reply(r->connection, false, (struct view){0})
                   : OK;
    struct session *s = find_session(r, event->channel);
    return s != NULL ? session_event(s, event) : on_nobodys(r, event);
}

static enum err take_message(struct run *r, const struct transport_event *event) {
    struct client *c = r->c;
    if (resume_is(event->message))
        return carrier_in(&r->carrier, event->message);
    uint64_t now = clock_ms();
    enum err e = connection_in(r->connection, event->message, now);
    if (e == ERR_UNSUPPORTED)
        return transport_unimplemented(c->link.transport, event->sequence);
    if (e != OK)
        return fault_set(&c->fault, e, event->message.n > 0 ? event->message.p[0] : 0,
                         "%s port %u: %s", c->address, c->config.port,
                         fault_text(connection_fault(r->connection)));
    TRY(carrier_took(&r->carrier, event->message, now));
    struct connection_event inner;
    while (connection_next(r->connection, &inner))
        TRY(on_event(r, &inner));
    return OK;
}

// All that came; until the transport has nothing more.
static enum err run_take_in(struct run *r) {
    for (;;) {
        // Answers that the server does not take stop the reading.
        r->stalled = !connection_in_ready(r->connection);
        if (r->stalled)
            return OK;
        struct transport_event event;
        TRY(client_next(r->c, &event));
        if (event.kind == TRANSPORT_NONE)
            return OK;
        if (event.kind == TRANSPORT_KEYED)
            client_tell_keyed(r->c);
        if (event.kind == TRANSPORT_MESSAGE)
            TRY(take_message(r, &event));
    }
}

enum err run_send_control(struct run *r) {
    struct carrier *w = &r->carrier;
    if (w->resume.state != RESUME_OFF)
        TRY(carrier_flush(w, clock_ms(), connection_out(r->connection).n > 0));
    for (struct view v;
         carrier_can_send_control(w) && (v = connection_out(r->connection)).n > 0;
         connection_out_done(r->connection))
        TRY(carrier_send_view(w, v));
    return OK;
}

// ---- waiting ----

static enum err make_room(struct run *r) {
    size_t room = LINK_POLLS + SESSION_POLLS * r->sessions_n + CHANGES_POLLS +
                  REDIAL_POLLS + forwards_poll_room(&r->forwards) +
                  mux_master_poll_room(&r->mux);
    if (room <= r->polls_room)
        return OK;
    struct pollfd *p = realloc(r->polls, 2 * room * sizeof *p);
    if (p == NULL)
        return ERR_MEMORY;
    r->polls = p;
    r->polls_room = 2 * room;
    return OK;
}

static struct pollfd poll_for(int fd, short events) {
    return (struct pollfd){.fd = events != 0 ? fd : -1, .events = events};
}

static size_t poll_session(struct session *s, struct pollfd *p) {
    bool reads = session_wants_input(s) && obscure_reads_now(&s->obscure);
    p[0] = poll_for(s->in.fd, reads ? POLLIN : 0);
    p[1] = poll_for(s->out.fd, buf_len(&s->out.left) > 0 ? POLLOUT : 0);
    p[2] = poll_for(s->err.fd, buf_len(&s->err.left) > 0 ? POLLOUT : 0);
    return SESSION_POLLS;
}

// The array's parts, in this order: link, sessions, forwardings, control socket, changes,
// a further link.
struct parts {
    size_t forwards, mux, changes, redial, n;
};

static struct parts fill_polls(struct run *r) {
    struct link *l = &r->c->link;
    struct parts at;
    size_t n = LINK_POLLS;
    short events = r->carrier.lost
                       ? 0
                       : (short)((transport_in(l->transport).n > 0 ? POLLIN : 0) |
                                 (l->blocked ? POLLOUT : 0));
    r->polls[0] = poll_for(l->fd, events);
    for (struct session *s = r->sessions; s != NULL; s = s->next) {
        s->poll_at = n;
        n += poll_session(s, r->polls + n);
    }
    at.forwards = n;
    n += forwards_poll(&r->forwards, r->polls + n);
    at.mux = n;
    at.changes = n + mux_master_poll(&r->mux, r->polls + n);
    changes_poll(&r->silence.changes, r->polls + at.changes);
    at.redial = at.n = at.changes + CHANGES_POLLS;
    if (r->redial != NULL)
        at.n += redial_poll(r->redial, r->polls + at.redial);
    return at;
}

static uint64_t link_deadline(const struct run *r) {
    return r->carrier.lost ? CLOCK_NEVER : transport_deadline(r->c->link.transport);
}

static uint64_t earliest(const struct run *r, uint64_t now) {
    uint64_t all[] = {link_deadline(r),
                      run_alive_deadline(r),
                      forwards_deadline(&r->forwards),
                      mux_master_deadline(&r->mux),
                      timeouts_deadline(r),
                      run_keys_deadline(r),
                      carrier_deadline(&r->carrier, now),
                      silence_deadline(r),
                      r->redial != NULL ? redial_deadline(r->redial) : CLOCK_NEVER};
    uint64_t first = CLOCK_NEVER;
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        first = all[i] < first ? all[i] : first;
    for (const struct session *s = r->sessions; s != NULL; s = s->next) {
        uint64_t due = obscure_deadline(&s->obscure), line = notice_deadline(s);
        first = due < first ? due : first;
        first = line < first ? line : first;
    }
    return first;
}

static enum err wait_for_all(struct run *r, struct parts *at) {
    TRY(make_room(r));
    *at = fill_polls(r);
    uint64_t now = clock_ms();
    silence_note(r, now);
    uint64_t deadline = earliest(r, now);
    int ms = -1;
    if ((r->stalled || mux_master_is_due(&r->mux)) && connection_in_ready(r->connection))
        ms = 0;  // what waits will not be announced again
    else if (deadline != CLOCK_NEVER)
        ms = clock_poll_ms(now, deadline);
    struct timespec t = {ms / 1000, (long)(ms % 1000) * 1000000};
    if (ppoll(r->polls, at->n, ms < 0 ? NULL : &t, signals_waiting()) >= 0)
        return OK;
    for (size_t i = 0; i < at->n; i++)
        r->polls[i].revents = 0;
    return errno == EINTR ? OK : ERR_IO;
}

// ---- one turn ----

static enum err on_signals(struct run *r) {
    if (signals_end() != 0) {
        r->signal = signals_end();
        r->done = true;
    }
    if (!signals_resized())
        return OK;
    for (struct session *s = r->sessions; s != NULL; s = s->next)
        TRY(session_send_size(s));
    return OK;
}

// Of what was done with the link: that it alone has ended is no error.
static enum err by_link(struct run *r, enum err e) {
    return e != OK && redial_takes(r, e) ? redial_lost(r, e) : e;
}

static enum err on_link(struct run *r) {
    if (!r->carrier.lost && (r->polls[0].revents & (POLLIN | POLLHUP | POLLERR)) != 0)
        TRY(by_link(r, link_fill(&r->c->link)));
    return r->carrier.lost ? OK : by_link(r, run_take_in(r));
}

static enum err on_changes(struct run *r, const struct parts *at) {
    struct changes_seen seen = changes_take(&r->silence.changes, r->polls + at->changes);
    return seen.network || seen.awake ? silence_changed(r, &seen, clock_ms()) : OK;
}

static enum err on_times(struct run *r) {
    uint64_t deadline = link_deadline(r), alive = run_alive_deadline(r),
             silence = silence_deadline(r);
    if (deadline == CLOCK_NEVER && alive == CLOCK_NEVER && silence == CLOCK_NEVER &&
        r->redial == NULL)
        return OK;
    uint64_t now = clock_ms();
    if (now >= deadline)
        TRY(by_link(r, transport_tick(r->c->link.transport, now)));
    if (now >= silence)
        TRY(silence_tick(r, now));
    if (r->redial != NULL)
        redial_tick(r->redial, now);
    return now >= alive ? run_alive_tick(r, now) : OK;
}

static enum err write_sessions(struct run *r) {
    const struct pollfd *p = r->polls;
    for (struct session *s = r->sessions; s != NULL; s = s->next) {
        if (p[s->poll_at + 1].revents != 0)
            TRY(session_pump_output(s, &s->out));
        if (p[s->poll_at + 2].revents != 0)
            TRY(session_pump_output(s, &s->err));
    }
    return OK;
}

static enum err read_sessions(struct run *r) {
    for (struct session *s = r->sessions; s != NULL; s = s->next) {
        bool ready = s->poll_at > 0 && r->polls[s->poll_at].revents != 0;
        if ((ready || buf_len(&s->typed) > 0) && session_wants_input(s))
            TRY(session_pump_input(s));
        TRY(obscure_tick(s));
        if (notice_deadline(s) != CLOCK_NEVER)
            TRY(notice_turn(s, clock_ms()));
    }
    return OK;
}

void run_remove_session(struct run *r, struct session *s) {
    for (struct session **at = &r->sessions; *at != NULL; at = &(*at)->next)
        if (*at == s) {
            *at = s->next;
            r->sessions_n--;
            session_free(s);
            return;
        }
}

// Anything but listeners: sessions, what is forwarded now, clients of the control socket.
static bool run_busy(const struct run *r) {
    size_t others = r->sessions_n - (r->own != NULL);
    return others > 0 || forwards_busy(&r->forwards) || r->mux.clients != NULL;
}

// What has come to its end is taken away, and with the last of it the run.
static enum err run_check_ends(struct run *r) {
    for (struct session *s = r->sessions, *next; s != NULL; s = next) {
        next = s->next;
        TRY(session_settle(s));
        if (s->own || !session_is_over(s))
            continue;
        mux_session_ended(s->passenger, s);
        run_remove_session(r, s);
    }
    TRY(mux_master_sweep(&r->mux));
    if (r->fork_due && r->forwards.waiting == 0) {
        r->fork_due = false;
        TRY(run_fork_away(r));
    }
    // What others use of it keeps the rest alive.
    if (r->own != NULL && r->own->closed && !run_busy(r) && !run_keys_due(r, clock_ms()))
        r->done = true;
    if (mux_master_expired(&r->mux, run_busy(r), clock_ms()))
        r->done = true;
    return OK;
}

enum err run_turn(struct run *r) {
    struct parts at;
    TRY(run_send_control(r));
    if (!r->carrier.lost)
        TRY(by_link(r, link_flush(&r->c->link)));
    TRY(wait_for_all(r, &at));
    if (r->redial != NULL)
        redial_polled(r->redial, r->polls + at.redial);
    TRY(on_signals(r));
    TRY(write_sessions(r));
    TRY(on_link(r));
    TRY(on_changes(r, &at));
    TRY(read_sessions(r));
    TRY(run_send_control(r));
    // The array stays as it is until the next waiting.
    TRY(forwards_ready(&r->forwards, r->polls + at.forwards));
    TRY(mux_master_ready(&r->mux, r->polls + at.mux));
    TRY(timeouts_check(r));
    TRY(run_check_ends(r));
    return on_times(r);
}

// What came right behind the answer is there already.
static enum err another_link(struct run *r) {
    TRY(redial_run(r));
    TRY(r->done || r->carrier.lost ? OK : by_link(r, run_take_in(r)));
    return r->done ? OK : run_check_ends(r);
}

enum err client_session(struct client *c) {
    bool early = c->early != NULL;
    struct run *r = early ? c->early : run_new(c);
    size_t opening;
    if (r == NULL)
        return ERR_MEMORY;
    c->early = NULL;
    // Nothing could be resumed for which somebody had to be asked again.
    enum err e =
        early || !client_may_return(c) ? OK : carrier_open(&r->carrier, &opening);
    if (e == OK)
        e = run_start(r);
    // What came along with the success is there already.
    if (e == OK && !r->done)
        e = by_link(r, run_take_in(r));
    if (e == OK && !r->done)
        e = run_check_ends(r);
    while (e == OK && !r->done)
        e = r->redial != NULL ? another_link(r) : run_turn(r);
    run_end(r, &e);
    return e;
}
