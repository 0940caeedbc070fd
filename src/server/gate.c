#include "server/gate.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/text.h"
#include "io/clock.h"
#include "io/fd.h"
#include "io/sandbox.h"
#include "server/template.h"
#include "wire/messages.h"

#define IDLE_MS 2000  // quiet for so long: buffers are given back
#define FLUSH_MS 500  // at the end: for the last bytes
#define RING_FULL_MS 5
#define SIGN_MS 30000  // a killed keeper's successor has so long for what we asked

enum {
    POLL_LINK,
    POLL_KEEPER,
    POLL_SEAM,
    POLL_COUNT
};

void gate_end(struct gate *g, enum gate_cause cause, uint32_t reason, const char *text) {
    if (g->ending)
        return;
    g->ending = true;
    g->cause = cause;
    g->reason = reason;
    text_copy(g->text, sizeof g->text, view_text(text));
}

static enum gate_cause cause_of(const struct gate *g, enum err e) {
    if (e == ERR_CLOSED)
        return g->identified ? GATE_CLOSED : GATE_NO_IDENT;
    if (e == ERR_NEGOTIATION)
        return GATE_NO_MATCH;
    return e == ERR_VERSION && !g->identified ? GATE_BAD_IDENT : GATE_FAULT;
}

void gate_fault(struct gate *g, enum err e, const struct fault *fault) {
    const char *text =
        fault != NULL && fault->text[0] != '\0' ? fault_text(fault) : err_text(e);
    enum err sent = transport_disconnect(g->transport, err_disconnect_reason(e), text);
    (void)sent;  // ERR_UNEXPECTED where the transport has said so itself
    gate_end(g, cause_of(g, e), err_disconnect_reason(e), text);
}

// ---- the peer ----

static void no_signature(struct gate *g) {
    struct fault fault = {0};
    gate_fault(g,
               fault_set(&fault, ERR_CRYPTO, 0,
                         "the server was stopped, new keys cannot be agreed on"),
               &fault);
}

static void ask_signature(struct gate *g, const struct transport_event *event) {
    struct ipc_sign sign = {event->ticket, (uint32_t)event->host_key_index,
                            view_text(event->algorithm), event->data};
    g->sign_deadline = g->now + SIGN_MS;
    if (ipc_send(g->keeper, IPC_SIGN, &sign, -1) != OK)
        no_signature(g);
}

static void closed_by_peer(struct gate *g, const struct transport_event *event) {
    char text[FAULT_TEXT_SIZE];
    const struct fault *fault = transport_fault(g->transport);
    if (event->reason == 0 && (fault->code == OK || fault->code == ERR_CLOSED)) {
        gate_end(g, cause_of(g, ERR_CLOSED), 0, g->link_reset ? GATE_RESET_TEXT : "");
    } else if (event->reason == 0) {
        gate_end(g, cause_of(g, fault->code), err_disconnect_reason(fault->code),
                 fault_text(fault));
    } else {
        text_clean(text, sizeof text, event->description);
        gate_end(g, GATE_DISCONNECTED, event->reason, text);
    }
}

static void log_agreed(struct gate *g) {
    const struct transport_agreed *a = transport_agreed(g->transport);
    log_debug(&g->log, "kex: %s host key %s, c2s %s %s, s2c %s %s%s", a->kex, a->host_key,
              a->cipher_c2s, a->mac_c2s, a->cipher_s2c, a->mac_s2c,
              a->strict ? " strict" : "");
}

static void take_message(struct gate *g, const struct transport_event *event,
                         struct span room) {
    if (g->authenticated && message_schema(event->message.p[0]) == NULL) {
        // RFC 4253 s.11.4; only here is the packet's number known.
        enum err e = transport_unimplemented(g->transport, event->sequence);
        if (e != OK)
            gate_fault(g, e, transport_fault(g->transport));
    } else if (g->authenticated && g->refusal != 0)
        gate_resume_up(g, event->message);
    else if (g->authenticated)
        gate_seam_up(g, event->message, room);
    else if (event->message.p[0] >= SSH_MSG_GLOBAL_REQUEST)
        gate_early_take(g, event->message);
    else if (g->auth != NULL)
        gate_auth_message(g, event->message, event->sequence);
    else
        gate_fault(g, ERR_UNEXPECTED, NULL);
}

static void take_event(struct gate *g, const struct transport_event *event,
                       struct span room) {
    char text[LIMIT_IDENT_LINE + 1];
    switch (event->kind) {
    case TRANSPORT_IDENT:
        g->identified = true;
        log_debug(&g->log, "peer is %s", text_clean(text, sizeof text, event->data));
        break;
    case TRANSPORT_SIGN:
        ask_signature(g, event);
        break;
    case TRANSPORT_KEYED:
        log_agreed(g);
        if (event->first)
            gate_auth_start(g);
        break;
    case TRANSPORT_MESSAGE:
        take_message(g, event, room);
        break;
    case TRANSPORT_EXT_INFO:
        gate_resume_asked(g, event->name, event->data);
        break;
    case TRANSPORT_DEBUG:
        log_debug(&g->log, "peer says: %s", text_clean(text, sizeof text, event->data));
        break;
    case TRANSPORT_CLOSED:
        closed_by_peer(g, event);
        break;
    default:
        break;
    }
}

static bool may_take(struct gate *g) {
    if (g->ending)
        return false;
    if (g->auth != NULL)
        return auth_server_can_take(g->auth);
    return !g->authenticated || gate_seam_can_take(g);
}

static void pull_transport(struct gate *g) {
    while (may_take(g)) {
        struct transport_event event;
        struct span slot = gate_seam_room(g), room = slot;
        if (g->ring_full)
            return;
        if (slot.n >
            0)  // what stands before a payload in its packet goes to the headroom
            room =
                (struct span){slot.p - TRANSPORT_HEADROOM, slot.n + TRANSPORT_HEADROOM};
        enum err e = transport_next_into(g->transport, room, &event);
        if (e != OK) {
            gate_fault(g, e, transport_fault(g->transport));
            return;
        }
        if (event.kind == TRANSPORT_NONE)
            return;
        take_event(g, &event, slot);
    }
}

static void read_link(struct gate *g) {
    struct span room = transport_in(g->transport);
    if (room.n == 0)
        return;
    size_t n = 0;
    errno = 0;
    enum err e = fd_read_some(g->link, room, &n);
    if (e == OK && n == 0)
        return;
    g->busy_at = g->now;
    if (e != OK) {
        g->link_eof = true;
        g->link_reset = errno != 0;
        transport_in_eof(g->transport);
        return;
    }
    e = transport_in_done(g->transport, n, g->now);
    if (e != OK)
        gate_fault(g, e, transport_fault(g->transport));
}

// True: something was written.
static bool write_link(struct gate *g) {
    struct view out = transport_out(g->transport);
    size_t n = 0;
    if (out.n == 0)
        return false;
    enum err e = fd_write_some(g->link, out, &n);
    if (e != OK) {
        gate_end(g, cause_of(g, ERR_CLOSED), 0, errno == EPIPE ? "" : GATE_RESET_TEXT);
        transport_out_done(g->transport, out.n);  // nobody takes it any more
        return false;
    }
    transport_out_done(g->transport, n);
    if (n > 0)
        g->busy_at = g->now;
    return n > 0;
}

// ---- the keeper ----

static void take_ipc(struct gate *g, struct ipc_message *m) {
    switch (m->row->number) {
    case IPC_SIGNED: {
        g->sign_deadline = CLOCK_NEVER;
        enum err e = transport_answer_sign(g->transport, m->body.signature.ticket,
                                           m->body.signature.signature);
        if (e != OK)
            gate_fault(g, e, transport_fault(g->transport));
        break;
    }
    case IPC_USER_ANSWER:
        gate_auth_user_answer(g, &m->body.user_answer);
        break;
    case IPC_POLICY:
        gate_auth_policy(g, &m->body.policy);
        break;
    case IPC_ANSWER:
        gate_auth_answer(g, &m->body.answer);
        break;
    case IPC_PROMPTS:
        gate_auth_prompts(g, &m->body.prompts);
        break;
    case IPC_CHANGE:
        gate_auth_change(g, &m->body.change);
        break;
    case IPC_HOLDER_READY:
        gate_seam_open(g, m->fd, m->body.holder_ready.version);
        m->fd = -1;
        break;
    case IPC_ENDED:
        gate_resume_ended(g, &m->body.ended);
        break;
    case IPC_NOT_RESUMED:
        gate_resume_refused(g, m->body.not_resumed.reason);
        break;
    case IPC_TELL: {
        char text[FAULT_TEXT_SIZE];
        text_clean(text, sizeof text, m->body.tell.text);
        enum err e = transport_disconnect(g->transport, DISCONNECT_BY_APPLICATION, text);
        (void)e;
        gate_end(g, GATE_FAULT, DISCONNECT_BY_APPLICATION, text);
        break;
    }
    default:
        break;
    }
    fd_close(&m->fd);
}

// The keeper has gone: who is in stays in, until a rekey needs the host key; others
// cannot get in.
static void keeper_lost(struct gate *g) {
    g->keeper_gone = true;
    if (!g->authenticated)
        gate_end(g, GATE_FAULT, DISCONNECT_BY_APPLICATION, "server is going down");
}

static void read_keeper(struct gate *g) {
    uint8_t bytes[LIMIT_IPC_MESSAGE];
    for (bool ready = true; ready && !g->ending && !g->keeper_gone;) {
        struct ipc_message m;
        struct fault fault = {0};
        enum err e = ipc_recv(g->keeper, &g->keeper_side,
                              (struct span){bytes, sizeof bytes}, &m, &ready, &fault);
        if (e == OK && ready)
            take_ipc(g, &m);
        else if (e != OK)
            keeper_lost(g);
    }
}

// ---- the loop ----

static bool wants_holder(const struct gate *g) {
    return g->authenticated && g->seam_open && transport_can_send(g->transport) &&
           transport_out(g->transport).n == 0;
}

static void fill_poll(struct gate *g, struct pollfd *p) {
    bool in = !g->link_eof && !g->ring_full && buf_len(&g->held) == 0 &&
              transport_in(g->transport).n > 0;
    bool out = transport_out(g->transport).n > 0;
    p[POLL_LINK] = (struct pollfd){in || out ? g->link : -1,
                                   (short)((in ? POLLIN : 0) | (out ? POLLOUT : 0)), 0};
    p[POLL_KEEPER] = (struct pollfd){g->keeper_gone ? -1 : g->keeper, POLLIN, 0};
    // A full ring with a full socket to the peer: the holder's words are not read now, so
    // its wake-up is not waited for either; see RING_FULL_MS.
    bool seam_in = wants_holder(g), seam_out = buf_len(&g->held) > 0;
    p[POLL_SEAM] =
        (struct pollfd){g->seam_open && (seam_in || seam_out) ? g->seam.fd : -1,
                        (short)((seam_in ? POLLIN : 0) | (seam_out ? POLLOUT : 0)), 0};
}

static uint64_t next_deadline(const struct gate *g) {
    uint64_t d = transport_deadline(g->transport);
    if (!g->authenticated && g->grace_deadline < d)
        d = g->grace_deadline;
    if (g->sign_deadline < d)
        d = g->sign_deadline;
    if (g->attach_deadline < d)
        d = g->attach_deadline;
    if (!g->idle_done && g->busy_at + IDLE_MS < d)
        d = g->busy_at + IDLE_MS;
    if (g->ring_full && !wants_holder(g) && g->now + RING_FULL_MS < d)
        d = g->now + RING_FULL_MS;
    return d;
}

static void check_time(struct gate *g) {
    g->now = clock_ms();
    if (!g->authenticated && g->now >= g->grace_deadline) {
        gate_end(g, GATE_TIMEOUT, 0, "");
        return;
    }
    if (g->now >= g->attach_deadline) {
        gate_resume_refuse(g, g->refusal);
        return;
    }
    if (g->now >= g->sign_deadline) {
        no_signature(g);
        return;
    }
    if (g->now >= transport_deadline(g->transport)) {
        enum err e = transport_tick(g->transport, g->now);
        if (e != OK)
            gate_fault(g, e, transport_fault(g->transport));
    }
    if (g->now < g->busy_at + IDLE_MS) {
        g->idle_done = false;
    } else if (!g->idle_done) {
        transport_idle(g->transport);
        if (g->seam_open)
            seam_idle(&g->seam);
        template_release();
        g->idle_done = true;
    }
}

// May we wait, or is there something in shared memory already?
static bool may_sleep(struct gate *g) {
    if (!g->seam_open || !wants_holder(g))
        return true;
    return seam_may_sleep(&g->seam, g->ring_full ? g->ring_least : 0);
}

static void turn(struct gate *g) {
    struct pollfd p[POLL_COUNT];
    pull_transport(g);
    if (g->authenticated && g->seam_open && !g->ending)
        gate_seam_down(g);
    (void)write_link(g);  // one write for all that this turn made
    if (g->ending)
        return;
    fill_poll(g, p);
    int n =
        poll(p, POLL_COUNT, may_sleep(g) ? clock_poll_ms(g->now, next_deadline(g)) : 0);
    check_time(g);
    if (n <= 0 || g->ending)
        return;
    if (p[POLL_KEEPER].revents)
        read_keeper(g);
    if (p[POLL_LINK].revents & (POLLIN | POLLHUP | POLLERR) && !g->ending)
        read_link(g);
    if (p[POLL_SEAM].revents) {
        g->busy_at = g->now;
        seam_turn(&g->seam);
    }
}

// The last bytes, and an orderly end of the stream: an unread byte would make it a reset
// that takes our DISCONNECT with it.
static void finish(struct gate *g) {
    // A DISCONNECT of either side ends the connection; a link that is lost does not.
    if (g->seam_open && (g->cause == GATE_DISCONNECTED || g->cause == GATE_FAULT))
        seam_end(&g->seam, g->reason, g->text);
    struct ipc_gate_end end = {g->cause, g->reason, view_text(g->text)};
    if (!g->keeper_gone && ipc_send(g->keeper, IPC_GATE_END, &end, -1) != OK)
        g->keeper_gone = true;
    uint64_t until = clock_ms() + FLUSH_MS;
    if (g->cause == GATE_CLOSED || g->cause == GATE_NO_IDENT ||
        g->cause == GATE_DISCONNECTED || g->cause == GATE_TIMEOUT ||
        g->cause == GATE_RELEASED)
        until = 0;
    while (transport_out(g->transport).n > 0) {
        struct pollfd p = {g->link, POLLOUT, 0};
        if (!write_link(g) &&
            (clock_ms() >= until || poll(&p, 1, clock_poll_ms(clock_ms(), until)) <= 0))
            break;
    }
    if (until == 0)
        return;
    uint8_t waste[1024];
    struct pollfd p = {g->link, POLLIN, 0};
    shutdown(g->link, SHUT_WR);
    for (int i = 0; i < 64 && clock_ms() < until && poll(&p, 1, FLUSH_MS / 4) > 0; i++)
        if (read(g->link, waste, sizeof waste) <= 0)
            break;
}

static const struct extension {
    const char *name, *value;
    bool resume;  // only where connections may outlive their links
} extensions[] = {
    {"publickey-hostbound@openssh.com", "0", false},
    {"ping@openssh.com", "0", false},
    {"agent-forward", "0", false},  // the names of RFC 9987, too
    {"early-session@bowline", "0", false},
    {"resume-v1@bowline", "", true},
};

static uint32_t write_extensions(const struct settings *s, struct writer *w) {
    uint32_t n = 0;
    for (size_t i = 0; i < sizeof extensions / sizeof extensions[0]; i++) {
        if (extensions[i].resume && !s->resume)
            continue;
        write_text(w, extensions[i].name);
        write_text(w, extensions[i].value);
        n++;
    }
    return n;
}

static enum err open_transport(struct gate *g, struct transport_host_key *keys,
                               size_t n) {
    const struct settings *s = g->settings;
    struct writer ext =
        writer_to_span((struct span){g->extensions, sizeof g->extensions});
    uint32_t ext_count = write_extensions(s, &ext);
    TRY(writer_end(&ext));
    struct transport_config config = {
        .role = TRANSPORT_SERVER,
        .early = true,
        .ident = settings_text(s->ident),
        .kex = settings_text(s->kex),
        .host_key_algorithms = settings_text(s->host_key_algorithms),
        .ciphers_c2s = settings_text(s->ciphers),
        .ciphers_s2c = settings_text(s->ciphers),
        .macs_c2s = settings_text(s->macs),
        .macs_s2c = settings_text(s->macs),
        .compression = settings_text(s->compression),
        .moduli = s->moduli,
        .rekey_bytes = s->rekey_bytes,
        .rekey_ms = (uint64_t)s->rekey_s * 1000,
        .server_sig_algs = settings_text(s->sig_algs),
        .ext_info = view_of(g->extensions, ext.n),
        .ext_info_count = ext_count,
        .host_keys = keys,
        .host_key_count = n,
    };
    return transport_new(&g->transport, &config, g->now);
}

_Noreturn void gate_run(const struct gate_start *start) {
    struct gate g = {.link = start->link,
                     .keeper = start->keeper,
                     .settings = start->settings,
                     .sign_deadline = CLOCK_NEVER,
                     .attach_deadline = CLOCK_NEVER};
    struct transport_host_key keys[SETTINGS_HOST_KEYS_MAX];
    struct fault fault = {0};
    size_t n;
    ipc_log_open(&g.log_sink, &g.log, g.keeper, (enum log_level)g.settings->log_level);
    g.keeper_side = (struct ipc_side){IPC_KEEPER, IPC_GATE, .state = LINK_NONE};
    g.now = g.busy_at = clock_ms();
    buf_init(&g.held, LIMIT_PACKET);
    buf_init(&g.early, LIMIT_EARLY_SESSION);
    g.grace_deadline = g.settings->grace_s == 0
                           ? CLOCK_NEVER
                           : clock_after(g.now, (uint64_t)g.settings->grace_s * 1000);
    if (sandbox_narrow(&sandbox_listener, &sandbox_gate, &fault) != OK) {
        log_error(&g.log, "gate is not confined: %s", fault_text(&fault));
        _exit(1);
    }
    if (settings_host_keys(g.settings, keys, &n) != OK ||
        open_transport(&g, keys, n) != OK)
        _exit(1);
    while (!g.ending)
        turn(&g);
    finish(&g);
    _exit(0);
}
