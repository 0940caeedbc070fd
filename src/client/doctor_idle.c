// Of bowline doctor: how much silence the way bears. What is set and was learned; and
// with
// --idle what is measured: several connections at once, each quiet for longer than the
// one before, then asked for a sign of life.
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "client/doctor_steps.h"
#include "io/clock.h"
#include "wire/messages.h"
#include "wire/writer.h"

#define LINKS 8u
#define ANSWER_MS 5000u
#define SHOW_MS 5000u

enum quiet_state {
    QUIET_WAITS,   // silence
    QUIET_ASKED,   // a sign of life is asked for
    QUIET_BEARS,   // it came
    QUIET_FAILS,   // it did not, or the link ended
    QUIET_SPOKEN,  // the server broke the silence
};

struct quiet {
    struct client *c;
    enum quiet_state state;
    uint64_t since, asked, read;  // clock_ms(); of bytes read when the silence began
    uint64_t want_ms, silence_ms;
    const char *how;  // it failed
    bool ended;       // .. as a rule of the server's would have it: in order
};

// ---- what is set, and known ----

static void say_settings(struct doctor *d) {
    const struct client *c = d->c;
    char value[16], alive[400], tcp[400];
    snprintf(value, sizeof value, "%u", c->config.server_alive_interval);
    doctor_setting(c, "ServerAliveInterval", value, alive, sizeof alive);
    doctor_setting(c, "TCPKeepAlive", c->config.tcp_keep_alive ? "yes" : "no", tcp,
                   sizeof tcp);
    doctor_say(
        d, FOUND_KEEPALIVE, UINT64_MAX,
        "%s, %s; where ServerAliveInterval is not set, ssh asks for a sign of life "
        "itself, at an interval that it learns for each network",
        alive, tcp);
}

// ---- quiet links ----

static bool open_link(struct doctor *d, struct quiet *q) {
    q->c = doctor_client(d, d->argc, d->argv);
    if (q->c == NULL)
        return false;
    q->c->config.session_type = SESSION_TYPE_NONE;
    if (client_connect(q->c) != OK || client_handshake(q->c) != OK ||
        client_login(q->c) != OK || link_flush(&q->c->link) != OK)
        return false;
    q->since = clock_ms();
    return true;
}

static enum err ask(struct client *c) {
    uint8_t room[64];
    struct transport *t = c->link.transport;
    if (transport_peer_has_ping(t))
        return transport_ping(t, view_text("alive"));
    struct writer w = writer_to_span((struct span){room, sizeof room});
    write_u8(&w, SSH_MSG_GLOBAL_REQUEST);
    write_text(&w, "keepalive@openssh.com");
    write_bool(&w, true);
    return transport_send_view(t, view_of(room, w.n));
}

static void fail(struct quiet *q, const char *how) {
    uint64_t end = q->state == QUIET_ASKED ? q->asked : clock_ms();
    q->state = QUIET_FAILS;
    q->silence_ms = end - q->since;
    q->how = how;
}

// What is still under way from the login is no break of the silence.
static void heard(struct quiet *q, uint64_t now) {
    if (q->state == QUIET_ASKED) {
        q->state = QUIET_BEARS;
        q->silence_ms = q->asked - q->since;
    } else if (now - q->since > 1000) {
        q->state = QUIET_SPOKEN;
        q->silence_ms = now - q->since;
    } else {
        q->since = now;
    }
}

static void take_in(struct quiet *q, uint64_t now) {
    struct link *l = &q->c->link;
    uint64_t before = l->read;
    enum err e = link_fill(l);
    struct transport_event event = {.kind = TRANSPORT_NONE};
    do
        e = e == OK ? client_next(q->c, &event) : e;
    while (e == OK && event.kind != TRANSPORT_NONE);
    q->ended = e != OK && l->error == 0;
    if (e != OK)
        fail(q, !q->ended                ? "it was reset"
                : q->c->end.disconnected ? fault_text(&q->c->fault)
                                         : "it was closed without a word");
    else if (l->read != before)
        heard(q, now);
}

static void step(struct quiet *q, uint64_t now) {
    if (q->state == QUIET_WAITS && now >= q->since + q->want_ms) {
        q->state = QUIET_ASKED;
        q->asked = now;
        if (ask(q->c) != OK || link_flush(&q->c->link) != OK)
            fail(q, "nothing can be sent");
    } else if (q->state == QUIET_ASKED && now >= q->asked + ANSWER_MS) {
        fail(q, "what is sent is lost without a word");
    }
}

static bool is_open(const struct quiet *q) {
    return q->state == QUIET_WAITS || q->state == QUIET_ASKED;
}

static uint64_t due(const struct quiet *q) {
    return q->state == QUIET_WAITS ? q->since + q->want_ms : q->asked + ANSWER_MS;
}

// One wait for all. False: all are through.
static bool turn(struct quiet *q, size_t n, uint64_t until) {
    struct pollfd p[LINKS];
    bool any = false;
    for (size_t i = 0; i < n; i++) {
        p[i] = (struct pollfd){.fd = is_open(&q[i]) ? q[i].c->link.fd : -1,
                               .events = POLLIN};
        any = any || is_open(&q[i]);
        if (is_open(&q[i]) && due(&q[i]) < until)
            until = due(&q[i]);
    }
    if (!any)
        return false;
    bool ready = poll(p, n, clock_poll_ms(clock_ms(), until)) > 0;
    uint64_t now = clock_ms();
    for (size_t i = 0; i < n; i++) {
        if (ready && p[i].fd >= 0 && p[i].revents != 0)
            take_in(&q[i], now);
        if (is_open(&q[i]))
            step(&q[i], now);
    }
    return true;
}

static void show(const struct quiet *q, size_t n) {
    size_t open = 0;
    uint64_t longest = 0;
    for (size_t i = 0; i < n; i++) {
        open += is_open(&q[i]);
        if (q[i].state == QUIET_BEARS && q[i].silence_ms > longest)
            longest = q[i].silence_ms;
    }
    fprintf(stderr, "\ridle: %.0f s of silence were borne, %zu connections wait ",
            (double)longest / 1000, open);
}

static void watch(struct quiet *q, size_t n) {
    bool person = isatty(STDERR_FILENO) == 1;
    uint64_t next = clock_ms();
    while (turn(q, n, person ? next : CLOCK_NEVER)) {
        if (!person || clock_ms() < next)
            continue;
        show(q, n);
        next = clock_after(clock_ms(), SHOW_MS);
    }
    if (person)
        fprintf(stderr, "\r%60s\r", "");
}

// ---- the outcome ----

struct limits {
    uint64_t bears_ms, fails_ms, spoken_ms;  // 0: none
    const char *how;
    bool ended;
};

static struct limits limits_of(const struct quiet *q, size_t n) {
    struct limits l = {0};
    for (size_t i = 0; i < n; i++) {
        uint64_t ms = q[i].silence_ms > 0 ? q[i].silence_ms : 1;
        if (q[i].state == QUIET_BEARS && ms > l.bears_ms)
            l.bears_ms = ms;
        if (q[i].state == QUIET_SPOKEN && (l.spoken_ms == 0 || ms < l.spoken_ms))
            l.spoken_ms = ms;
        if (q[i].state == QUIET_FAILS && (l.fails_ms == 0 || ms < l.fails_ms)) {
            l.fails_ms = ms;
            l.how = q[i].how;
            l.ended = q[i].ended;
        }
    }
    return l;
}

static void say_measured(struct doctor *d, const struct quiet *q, size_t n) {
    struct limits l = limits_of(q, n);
    if (l.ended)
        doctor_say(d, FOUND_ENDED, UINT64_MAX,
                   "%.1f s of silence were borne; after %.1f s the connection was ended: "
                   "%s",
                   (double)l.bears_ms / 1000, (double)l.fails_ms / 1000, l.how);
    else if (l.fails_ms > 0)
        doctor_say(d, FOUND_LIMIT, UINT64_MAX,
                   "%.1f s of silence were borne, %.1f s were too long: %s",
                   (double)l.bears_ms / 1000, (double)l.fails_ms / 1000, l.how);
    else if (l.spoken_ms > 0)
        doctor_say(d, FOUND_SPOKEN, UINT64_MAX,
                   "the server itself broke the silence after %.1f s "
                   "(ClientAliveInterval), which keeps the way open",
                   (double)l.spoken_ms / 1000);
    else
        doctor_say(d, FOUND_NO_LIMIT, UINT64_MAX, "%.1f s of silence were borne",
                   (double)l.bears_ms / 1000);
}

static void measure(struct doctor *d) {
    struct quiet q[LINKS] = {0};
    size_t n = 0;
    while (n < LINKS && open_link(d, &q[n])) {
        q[n].want_ms = d->idle_most_s * 1000ull * (n + 1) / LINKS;
        n++;
    }
    if (n == LINKS) {
        watch(q, n);
        say_measured(d, q, n);
    } else {
        const struct client *c = q[n].c;
        doctor_say(d, FOUND_NOT_MEASURED, UINT64_MAX, "connection %zu of %u: %s", n + 1,
                   LINKS, c != NULL ? fault_text(&c->fault) : "it cannot be set up");
    }
    for (size_t i = 0; i < LINKS; i++)
        if (q[i].c != NULL)
            doctor_client_drop(q[i].c);
}

void doctor_idle(struct doctor *d) {
    say_settings(d);
    if (d->idle)
        measure(d);
}
