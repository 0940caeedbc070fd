// The gate's side of authentication: auth_server asks, the keeper's judge answers.
#include "base/secret.h"
#include "base/text.h"
#include "server/gate.h"
#include "wire/messages.h"

static void ask_keeper(struct gate *g, enum ipc_number number, const void *body) {
    if (ipc_send(g->keeper, number, body, -1) != OK)
        gate_end(g, GATE_FAULT, DISCONNECT_BY_APPLICATION, "keeper does not listen");
}

void gate_auth_start(struct gate *g) {
    const struct settings *s = g->settings;
    struct auth_server_config config = {
        .session_id = transport_session_id(g->transport),
        .host_key = transport_host_key(g->transport),
        .max_tries = s->max_tries,
        .methods = settings_text(s->methods),
        .algorithms = settings_text(s->user_algorithms),
        .banner = s->banner,
    };
    enum err e = auth_server_new(&g->auth, &config);
    if (e != OK)
        gate_fault(g, e, NULL);
}

static void ask_key(struct gate *g, const struct auth_server_event *event) {
    const struct publickey_request *key = &event->key;
    if (!key->has_signature) {
        struct ipc_key_query query = {event->ticket, key->algorithm, key->blob};
        ask_keeper(g, IPC_KEY_QUERY, &query);
        return;
    }
    struct ipc_key_auth auth = {event->ticket, key->algorithm, key->blob,
                                event->signed_data, key->signature};
    ask_keeper(g, IPC_KEY_AUTH, &auth);
}

static void ask_hostbased(struct gate *g, const struct auth_server_event *event) {
    const struct hostbased_request *h = &event->hostbased;
    struct ipc_hostbased m = {event->ticket,  h->algorithm,       h->blob,     h->host,
                              h->client_user, event->signed_data, h->signature};
    ask_keeper(g, IPC_HOSTBASED, &m);
}

static void ask_password(struct gate *g, const struct auth_server_event *event) {
    const struct password_request *p = &event->password;
    struct ipc_password m = {event->ticket, p->password, p->change, p->new_password};
    ask_keeper(g, IPC_PASSWORD, &m);
}

static void ask_responses(struct gate *g, const struct auth_server_event *event) {
    scoped_secret arena = {0};
    size_t room = 0;
    for (uint32_t i = 0; i < event->responses.count; i++)
        room += 4 + event->responses.responses[i].n;
    if (secret_arena_init(&arena, room + 1, 0) != OK) {
        gate_fault(g, ERR_MEMORY, NULL);
        return;
    }
    struct writer w = writer_to_span((struct span){arena.p, room});
    for (uint32_t i = 0; i < event->responses.count; i++)
        write_string(&w, event->responses.responses[i]);
    struct ipc_responses m = {event->ticket, view_of(arena.p, w.n)};
    ask_keeper(g, IPC_RESPONSES, &m);
}

static void refuse(struct gate *g, uint32_t ticket, enum auth_verdict verdict) {
    struct auth_answer answer = {.verdict = verdict};
    enum err e = auth_server_answer(g->auth, ticket, &answer);
    if (e != OK)
        gate_fault(g, e, auth_server_fault(g->auth));
}

// Once for a link, and only of who has said what connection they come for.
static void ask_resumption(struct gate *g, const struct auth_server_event *event) {
    const struct resumption_request *q = &event->resumption;
    struct ipc_resumption m = {event->ticket, q->epoch, q->proof};
    if (!g->comes_back || g->asked_resumption) {
        refuse(g, event->ticket, AUTH_REFUSED);
        return;
    }
    g->asked_resumption = true;
    ask_keeper(g, IPC_RESUMPTION, &m);
}

static void drain_out(struct gate *g) {
    for (struct view m; (m = auth_server_out(g->auth)).n > 0;
         auth_server_out_done(g->auth)) {
        if (m.p[0] == SSH_MSG_USERAUTH_FAILURE)
            gate_early_drop(g);
        enum err e = transport_send_view(g->transport, m);
        if (e != OK) {
            gate_fault(g, e, transport_fault(g->transport));
            return;
        }
    }
}

static void succeed(struct gate *g) {
    if (!g->seam_open && g->refusal == 0) {
        gate_end(g, GATE_FAULT, DISCONNECT_BY_APPLICATION, "no holder");
        return;
    }
    transport_authenticated(g->transport);
    drain_out(g);
    g->authenticated = true;
    auth_server_free(g->auth);
    g->auth = NULL;
    gate_early_deliver(g);
}

static void fail(struct gate *g, const struct auth_server_event *event) {
    drain_out(g);
    enum err e = transport_disconnect(g->transport, event->reason, event->text);
    (void)e;  // the link ends in any case
    gate_end(g, GATE_TOO_MANY, event->reason, event->text);
}

static void handle(struct gate *g, const struct auth_server_event *event) {
    switch (event->kind) {
    case AUTH_SERVER_NONE:
        break;
    case AUTH_SERVER_ASK_USER: {
        struct ipc_user user = {event->ticket, event->user, event->service};
        ask_keeper(g, IPC_USER, &user);
        break;
    }
    case AUTH_SERVER_ASK_NONE:
        if (g->ask_none)
            ask_keeper(g, IPC_NONE, &(struct ipc_none){event->ticket});
        else
            refuse(g, event->ticket, AUTH_REFUSED);
        break;
    case AUTH_SERVER_ASK_KEY:
        ask_key(g, event);
        break;
    case AUTH_SERVER_ASK_HOSTBASED:
        ask_hostbased(g, event);
        break;
    case AUTH_SERVER_ASK_RESUMPTION:
        ask_resumption(g, event);
        break;
    case AUTH_SERVER_ASK_PASSWORD:
        ask_password(g, event);
        break;
    case AUTH_SERVER_ASK_KBDINT: {
        struct ipc_kbdint kbdint = {event->ticket, event->submethods};
        ask_keeper(g, IPC_KBDINT, &kbdint);
        break;
    }
    case AUTH_SERVER_ASK_RESPONSES:
        ask_responses(g, event);
        break;
    case AUTH_SERVER_SUCCESS:
        succeed(g);
        break;
    case AUTH_SERVER_FAILED:
        fail(g, event);
        break;
    case AUTH_SERVER_UNIMPLEMENTED: {
        enum err e = transport_unimplemented(g->transport, event->sequence);
        if (e != OK)
            gate_fault(g, e, transport_fault(g->transport));
        break;
    }
    }
}

static void pull(struct gate *g) {
    while (g->auth != NULL && !g->ending) {
        struct auth_server_event event;
        enum err e = auth_server_next(g->auth, &event);
        if (e != OK) {
            gate_fault(g, e, auth_server_fault(g->auth));
            return;
        }
        if (event.kind == AUTH_SERVER_NONE)
            break;
        handle(g, &event);
    }
    if (g->auth != NULL && !g->ending)
        drain_out(g);
}

void gate_auth_message(struct gate *g, struct view message, uint32_t sequence) {
    enum err e = auth_server_in(g->auth, message, sequence);
    if (e != OK)
        gate_fault(g, e, auth_server_fault(g->auth));
    else
        pull(g);
}

static void answered(struct gate *g, enum err e) {
    if (e != OK)
        gate_fault(g, e, auth_server_fault(g->auth));
    else
        pull(g);
}

void gate_auth_policy(struct gate *g, const struct ipc_policy *m) {
    enum err e = g->auth != NULL ? auth_server_policy(g->auth, m->max_tries, m->banner)
                                 : ERR_UNEXPECTED;
    if (e != OK)
        gate_fault(g, e, NULL);
}

void gate_auth_user_answer(struct gate *g, const struct ipc_user_answer *m) {
    char methods[256];
    if (g->auth == NULL || !text_copy(methods, sizeof methods, m->methods))
        return;
    g->ask_none = m->none;
    enum err e = auth_server_answer_user(g->auth, m->ticket, methods);
    answered(g, e);
}

void gate_auth_answer(struct gate *g, const struct ipc_answer *m) {
    char methods[256];
    if (g->auth == NULL || !text_copy(methods, sizeof methods, m->methods))
        return;
    struct auth_answer answer = {.verdict = (enum auth_verdict)m->verdict,
                                 .methods = methods[0] != '\0' ? methods : NULL};
    enum err e = auth_server_banner(g->auth, m->banner);
    if (e == OK)
        e = auth_server_answer(g->auth, m->ticket, &answer);
    answered(g, e);
}

void gate_auth_prompts(struct gate *g, const struct ipc_prompts *m) {
    struct kbdint_prompts prompts = {.name = m->name, .instruction = m->instruction};
    struct reader r = reader_of(m->prompts);
    while (reader_left(&r) > 0 && prompts.count < LIMIT_KBDINT_PROMPTS) {
        struct kbdint_prompt *p = &prompts.prompts[prompts.count++];
        p->text = read_string(&r);
        p->echo = read_bool(&r);
    }
    if (g->auth != NULL)
        answered(g, r.err != OK
                        ? r.err
                        : auth_server_answer_prompts(g->auth, m->ticket, &prompts));
}

void gate_auth_change(struct gate *g, const struct ipc_change *m) {
    if (g->auth != NULL)
        answered(g, auth_server_answer_change(g->auth, m->ticket, m->prompt));
}
