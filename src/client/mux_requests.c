// What clients of the control socket ask for: a table {request, descriptors, question for
// `ask`, handler}.
#include <stdio.h>
#include <strings.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/text.h"
#include "client/mux_master.h"
#include "client/mux_proxy.h"
#include "client/run.h"
#include "client/tell.h"
#include "io/prompt.h"

// ---- answers ----

static void ok(struct mux_client *k, uint32_t id) {
    mux_send(k, MUX_S_OK, &(struct mux_id){id});
}

static void fail(struct mux_client *k, uint32_t id, const char *why) {
    log_debug(&k->run->c->log, "control socket: refused: %s", why);
    mux_send(k, MUX_S_FAILURE, &(struct mux_reason){id, view_text(why)});
}

static void send_pair(struct mux_client *k, enum mux_number number, uint32_t id,
                      uint32_t value) {
    mux_send(k, number, &(struct mux_pair){id, value});
}

// ---- hello ----

static enum err on_hello(struct mux_client *k, const struct mux_message *m) {
    struct view rest = m->hello.extensions, name, value;
    if (m->hello.version != MUX_VERSION || k->greeted) {
        log_error(&k->run->c->log,
                  "control socket: a client's hello of version %u is not taken%s",
                  m->hello.version, k->greeted ? ": it is its second" : ", 4 is spoken");
        k->gone = true;
    }
    k->greeted = true;
    while (mux_next_string(&rest, &name) && mux_next_string(&rest, &value))
        if (view_is(name, MUX_REASONS))
            k->wants_reasons = true;
    return OK;
}

// ---- sessions ----

static enum err open_for(struct mux_client *k, uint32_t id, const struct want *want) {
    int fds[MUX_FDS] = {k->fds[0], k->fds[1], k->fds_n == MUX_FDS ? k->fds[2] : -1};
    if (k->session != NULL) {
        fail(k, id, "this client has a session already");
        return OK;
    }
    k->fds_n = 0;
    k->request = id;
    k->session = session_new(k->run, fds, k);
    if (k->session == NULL) {
        fail(k, id, "no memory");
        return OK;
    }
    enum err e = session_open(k->session, want);
    if (e == OK)
        return OK;
    // Whatever it was (no channel free, too long), only this session has it.
    mux_session_refused(k, err_text(e));
    k->session->passenger = NULL;
    enum err left = session_abandon(k->session);
    k->session = NULL;
    return left;
}

static enum err on_session(struct mux_client *k, const struct mux_message *m) {
    const struct mux_new_session *f = &m->session;
    const struct client_config *o = &k->run->c->config;
    struct want want = {
        .tty = f->tty != 0,
        .x11 = f->x11 != 0 && o->forward_x11,
        .agent = f->agent != 0,
        .subsystem = f->subsystem != 0,
        // OpenSSH's clients name one always, which is meant for terminals.
        .escape = f->tty != 0 && f->escape <= UINT8_MAX ? (int)f->escape : -1,
        .term = f->term,
        .command = f->command,
        .environment = f->environment,
    };
    return open_for(k, f->id, &want);
}

static bool read_end(struct forward_end *end, struct view host, uint32_t port) {
    *end = (struct forward_end){0};
    if (port == MUX_PORT_PATH)
        return host.n > 0 && text_copy(end->path, sizeof end->path, host);
    end->port = port;
    return port <= UINT16_MAX && text_copy(end->host, sizeof end->host, host);
}

static enum err on_stdio(struct mux_client *k, const struct mux_message *m) {
    struct forward_end end;
    if (!read_end(&end, m->stdio.host, m->stdio.port)) {
        fail(k, m->id, "bad host or port");
        return OK;
    }
    return open_for(k, m->id, &(struct want){.escape = -1, .stdio = &end});
}

void mux_session_opened(struct mux_client *k, struct session *s) {
    if (k != NULL)
        send_pair(k, MUX_S_SESSION_OPENED, k->request, s->channel);
}

void mux_session_refused(struct mux_client *k, const char *why) {
    if (k != NULL)
        fail(k, k->request, why);
}

void mux_session_no_tty(struct mux_client *k, const struct session *s) {
    if (k != NULL)
        send_pair(k, MUX_S_TTY_ALLOC_FAIL, s->channel, 0);
}

void mux_session_ended(struct mux_client *k, struct session *s) {
    if (k == NULL)
        return;
    k->session = NULL;
    // Refused: the client was told, and may ask for something else.
    if (!s->opened)
        return;
    if (session_is_left(s)) {
        session_tell_left(s);
        send_pair(k, MUX_S_EXIT, s->channel, 0);
    } else if (s->status_known)
        send_pair(k, MUX_S_EXIT, s->channel, (uint32_t)s->status);
    k->ending = true;
}

void mux_tell_reason(struct mux_master *m, const char *why) {
    for (struct mux_client *k = m->clients; k != NULL; k = k->next)
        if (k->wants_reasons && k->session != NULL && k->session->opened)
            mux_send(k, MUX_S_FAILURE,
                     &(struct mux_reason){k->session->channel, view_text(why)});
}

// ---- forwards ----

static bool read_spec(const struct mux_forward *m, enum forward_kind *kind,
                      struct forward_spec *spec) {
    *spec = (struct forward_spec){0};
    if (!read_end(&spec->listen, m->listen_host, m->listen_port))
        return false;
    spec->host_given = spec->listen.host[0] != 0;
    *kind = m->type == MUX_FORWARD_LOCAL    ? FORWARD_LOCAL
            : m->type == MUX_FORWARD_REMOTE ? FORWARD_REMOTE
                                            : FORWARD_DYNAMIC;
    // A remote one without a port to go to speaks SOCKS.
    spec->dynamic =
        *kind == FORWARD_DYNAMIC || (*kind == FORWARD_REMOTE && m->connect_port == 0);
    if (m->type < MUX_FORWARD_LOCAL || m->type > MUX_FORWARD_DYNAMIC)
        return false;
    if (spec->dynamic)
        return true;
    return read_end(&spec->connect, m->connect_host, m->connect_port) &&
           m->connect_port != 0 && m->connect_host.n > 0;
}

void mux_forward_answered(struct forward_asker asker, const struct forward_rule *rule,
                          bool success) {
    struct mux_client *k = asker.client;
    if (k == NULL)
        return;
    if (rule->lent_to != NULL)
        mux_proxy_answered(k->proxy, rule, success);
    else if (!success)
        fail(k, asker.id, "remote port forwarding failed");
    else if (rule->kind == FORWARD_REMOTE && rule->spec.listen.path[0] == 0 &&
             rule->spec.listen.port == 0)
        send_pair(k, MUX_S_REMOTE_PORT, asker.id, rule->listen_port);
    else
        ok(k, asker.id);
}

static enum err on_open_forward(struct mux_client *k, const struct mux_message *m) {
    enum forward_kind kind;
    struct forward_spec spec;
    struct forward_rule *rule;
    enum forward_outcome outcome;
    struct forward_asker asker = {k, m->id};
    if (!read_spec(&m->forward, &kind, &spec)) {
        fail(k, m->id, "bad forwarding");
        return OK;
    }
    TRY(forwards_ask(&k->run->forwards, kind, &spec, asker, &rule, &outcome));
    if (outcome == FORWARD_FAILED)
        fail(k, m->id, "Port forwarding failed");
    else if (outcome == FORWARD_DONE)
        mux_forward_answered(asker, rule, true);
    return OK;
}

static enum err on_close_forward(struct mux_client *k, const struct mux_message *m) {
    enum forward_kind kind;
    struct forward_spec spec;
    bool found = false;
    if (!read_spec(&m->forward, &kind, &spec)) {
        fail(k, m->id, "bad forwarding");
        return OK;
    }
    TRY(forwards_cancel(&k->run->forwards, kind, &spec, &found));
    if (found)
        ok(k, m->id);
    else
        fail(k, m->id, "port not forwarded");
    return OK;
}

// ---- the master itself ----

static enum err on_alive(struct mux_client *k, const struct mux_message *m) {
    send_pair(k, MUX_S_ALIVE, m->id, (uint32_t)getpid());
    return OK;
}

static enum err on_terminate(struct mux_client *k, const struct mux_message *m) {
    ok(k, m->id);
    log_debug(&k->run->c->log, "asked to end at the control socket");
    mux_tell_reason(&k->run->mux, "the master was asked to end (ssh -O exit)");
    k->run->done = true;
    return OK;
}

static enum err on_stop(struct mux_client *k, const struct mux_message *m) {
    mux_master_stop(&k->run->mux);
    // Without a session of its own it was there for others alone: it ends with the last.
    if (k->run->own == NULL)
        k->run->mux.persists = true;
    ok(k, m->id);
    return OK;
}

static enum err on_info(struct mux_client *k, const struct mux_message *m) {
    scoped_buf text;
    buf_init(&text, MUX_MESSAGE_MAX / 2);
    if (view_is(m->info.text, "connection"))
        tell_connection(k->run, &text);
    else if (view_is(m->info.text, "channels"))
        tell_channels(k->run, &text);
    else {
        fail(k, m->id, "unknown information (connection, channels)");
        return OK;
    }
    mux_send(k, MUX_S_INFO, &(struct mux_info){m->id, buf_view(&text)});
    return OK;
}

// From here on the client speaks the connection protocol.
static enum err on_proxy(struct mux_client *k, const struct mux_message *m) {
    if (k->session != NULL) {
        fail(k, m->id, "this client has a session already");
        return OK;
    }
    k->proxy = mux_proxy_new(k);
    if (k->proxy == NULL) {
        fail(k, m->id, "no memory");
        return OK;
    }
    mux_send(k, MUX_S_PROXY, &(struct mux_id){m->id});
    log_debug(&k->run->c->log, "control socket: a client in proxy mode");
    return OK;
}

// ---- the table ----

static const struct request {
    enum mux_number number;
    size_t fds;            // that come behind it
    const char *question;  // for ControlMaster ask
    enum err (*handler)(struct mux_client *k, const struct mux_message *m);
} requests[] = {
    {MUX_HELLO, 0, NULL, on_hello},
    {MUX_C_NEW_SESSION, 3, "Allow shared connection to %s? ", on_session},
    {MUX_C_NEW_STDIO_FORWARD, 2, "Allow forward to %s by the shared connection? ",
     on_stdio},
    {MUX_C_ALIVE_CHECK, 0, NULL, on_alive},
    {MUX_C_TERMINATE, 0, "Terminate shared connection to %s? ", on_terminate},
    {MUX_C_OPEN_FORWARD, 0, "Open a forwarding on the shared connection to %s? ",
     on_open_forward},
    {MUX_C_CLOSE_FORWARD, 0, NULL, on_close_forward},
    {MUX_C_STOP_LISTENING, 0, "Disable further multiplexing on shared connection to %s? ",
     on_stop},
    {MUX_C_PROXY, 0, "Allow shared connection to %s? ", on_proxy},
    {MUX_C_INFO, 0, NULL, on_info},
};

static const struct request *request_find(uint32_t number) {
    for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++)
        if ((uint32_t)requests[i].number == number)
            return &requests[i];
    return NULL;
}

static bool permitted(struct client *c, const char *question) {
    int how = c->config.control_master;
    if (question == NULL || (how != CONTROL_MASTER_ASK && how != CONTROL_MASTER_AUTO_ASK))
        return true;
    char text[512], host[256], answer[PROMPT_MAX] = "";
    struct fault fault = {0};
    text_clean(host, sizeof host, view_text(c->host));
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(text, sizeof text, question, host);
#pragma GCC diagnostic pop
    enum err e = prompt_ask(text, PROMPT_CONFIRM | PROMPT_ONLY_ASKPASS, answer,
                            sizeof answer, &fault);
    if (e != OK)
        log_debug(&c->log, "not permitted: %s", fault_text(&fault));
    return e == OK && (answer[0] == 0 || strcasecmp(answer, "yes") == 0);
}

static void drop_fds(struct mux_client *k) {
    for (size_t i = 0; i < k->fds_n; i++)
        (void)close(k->fds[i]);
    k->fds_n = 0;
}

static enum err take_request(struct mux_client *k, const struct mux_message *m,
                             const struct request *r) {
    if (!k->greeted && m->number != MUX_HELLO) {
        k->gone = true;
        return OK;
    }
    if (!permitted(k->run->c, r->question)) {
        mux_send(k, MUX_S_PERMISSION_DENIED,
                 &(struct mux_reason){m->id, view_text("Permission denied")});
        return OK;
    }
    return r->handler(k, m);
}

enum err mux_take(struct mux_client *k) {
    while (!k->gone && !k->ending && k->proxy == NULL) {
        struct mux_message m;
        struct fault fault = {0};
        size_t taken = 0;
        enum err e = mux_decode(buf_view(&k->in), &m, &taken, &fault);
        const struct request *r = taken > 0 ? request_find(m.number) : NULL;
        if (e == OK && taken == 0)
            return OK;
        if (e != OK && e != ERR_UNSUPPORTED) {
            log_error(&k->run->c->log, "control socket: %s", fault_text(&fault));
            k->gone = true;
            return OK;
        }
        size_t fds = r != NULL ? r->fds : 0;
        if (k->fds_n < fds || buf_len(&k->in) < taken + fds)
            return OK;  // the descriptors are still on their way
        if (r == NULL)
            fail(k, m.id, "unsupported request");
        else
            TRY(take_request(k, &m, r));
        drop_fds(k);
        buf_taken(&k->in, taken + fds);
    }
    return OK;
}
