// The gate's side of authentication: auth_server asks, the keeper's judge answers.
#include "base/text.h"
#include "server/gate.h"

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

static void refuse(struct gate *g, uint32_t ticket, enum auth_verdict verdict) {
    struct auth_answer answer = {.verdict = verdict};
    enum err e = auth_server_answer(g->auth, ticket, &answer);
    if (e != OK)
        gate_fault(g, e, auth_server_fault(g->auth));
}

static void drain_out(struct gate *g) {
    for (struct view m; (m = auth_server_out(g->auth)).n > 0;
         auth_server_out_done(g->auth)) {
        enum err e = transport_send_view(g->transport, m);
        if (e != OK) {
            gate_fault(g, e, transport_fault(g->transport));
            return;
        }
    }
}

static void succeed(struct gate *g) {
    if (!g->seam_open) {
        gate_end(g, GATE_FAULT, DISCONNECT_BY_APPLICATION, "no holder");
        return;
    }
    transport_authenticated(g->transport);
    drain_out(g);
    g->authenticated = true;
    auth_server_free(g->auth);
    g->auth = NULL;
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
        refuse(g, event->ticket, AUTH_REFUSED);
        break;
    case AUTH_SERVER_ASK_KEY:
        ask_key(g, event);
        break;
    case AUTH_SERVER_ASK_PASSWORD:
    case AUTH_SERVER_ASK_KBDINT:
    case AUTH_SERVER_ASK_RESPONSES:
        refuse(g, event->ticket, AUTH_UNAVAILABLE);
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

void gate_auth_user_answer(struct gate *g, const struct ipc_user_answer *m) {
    char methods[256];
    if (g->auth == NULL || !text_copy(methods, sizeof methods, m->methods))
        return;
    enum err e = auth_server_answer_user(g->auth, m->ticket, methods);
    if (e != OK)
        gate_fault(g, e, auth_server_fault(g->auth));
    else
        pull(g);
}

void gate_auth_answer(struct gate *g, const struct ipc_answer *m) {
    char methods[256];
    if (g->auth == NULL || !text_copy(methods, sizeof methods, m->methods))
        return;
    struct auth_answer answer = {.verdict = (enum auth_verdict)m->verdict,
                                 .methods = methods[0] != '\0' ? methods : NULL};
    enum err e = auth_server_answer(g->auth, m->ticket, &answer);
    if (e != OK)
        gate_fault(g, e, auth_server_fault(g->auth));
    else
        pull(g);
}
