// The server's machine of RFC 4252.
//
// Invariants: at most one request is being judged (`current`), and a question is open
// exactly in phase ASKED. Requests are answered in the order they came in. What is
// answered belongs to the request in `current`, which does not change while the question
// is open. Nothing but an answer of AUTH_GRANTED leads to DONE.
#include <stdlib.h>

#include "auth/server_state.h"
#include "base/secret.h"
#include "base/text.h"

// ---- methods ----

static enum err start_none(struct auth_server *a);
static enum err start_publickey(struct auth_server *a);
static enum err start_password(struct auth_server *a);
static enum err start_kbdint(struct auth_server *a);
static enum err start_hostbased(struct auth_server *a);
static enum err start_resumption(struct auth_server *a);

static const struct auth_server_method methods[] = {
    {"none", NULL, start_none},
    {PUBLICKEY_METHOD, "publickey", start_publickey},
    {PUBLICKEY_METHOD_HOSTBOUND, "publickey", start_publickey},
    {"password", "password", start_password},
    {"keyboard-interactive", "keyboard-interactive", start_kbdint},
    {HOSTBASED_METHOD, HOSTBASED_METHOD, start_hostbased},
    {RESUMPTION_METHOD, NULL, start_resumption},
};

static const struct auth_server_method *method_find(struct view name) {
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++)
        if (view_is(name, methods[i].name))
            return &methods[i];
    return NULL;
}

// ---- life ----

enum err auth_server_new(struct auth_server **out,
                         const struct auth_server_config *config) {
    struct auth_server *a = calloc(1, sizeof *a);
    if (a == NULL)
        return ERR_MEMORY;
    a->phase = AUTH_PHASE_SERVER_SERVICE;
    a->max_tries = config->max_tries > 0 ? config->max_tries : 1;
    a->session_id = auth_message_copy(config->session_id);
    a->host_key = auth_message_copy(config->host_key);
    a->banner = auth_message_copy(config->banner);
    a->algorithms = strdup(config->algorithms);
    bool fits = text_copy(a->methods, sizeof a->methods, view_text(config->methods));
    if (a->session_id == NULL || a->host_key == NULL || a->banner == NULL ||
        a->algorithms == NULL || !fits) {
        auth_server_free(a);
        return fits ? ERR_MEMORY : ERR_LIMIT;
    }
    *out = a;
    return OK;
}

void auth_server_drop_current(struct auth_server *a) {
    auth_message_free(a->current);
    auth_message_free(a->signed_data);
    a->current = a->signed_data = NULL;
    a->request = (struct msg_userauth_request){0};
    a->event = (struct auth_server_event){0};
}

void auth_server_free(struct auth_server *a) {
    if (a == NULL)
        return;
    auth_server_drop_current(a);
    auth_queue_clear(&a->in);
    auth_queue_clear(&a->out);
    auth_message_free(a->session_id);
    auth_message_free(a->host_key);
    auth_message_free(a->banner);
    free(a->algorithms);
    secret_wipe(a, sizeof *a);
    free(a);
}

// ---- out ----

// Encodes by a schema into a message of its own.
static enum err say(struct auth_server *a, uint8_t number, const void *fields,
                    size_t room) {
    struct auth_message *m = auth_message_new(room + 64);
    if (m == NULL)
        return ERR_MEMORY;
    struct writer w = writer_to_span((struct span){m->bytes, m->room});
    message_encode(&w, number, fields);
    return auth_queue_written(&a->out, m, &w);
}

// The banner goes before the first answer to a request, once (RFC 4252 s.5.4).
enum err auth_server_say_banner(struct auth_server *a) {
    if (a->banner_sent)
        return OK;
    a->banner_sent = true;
    struct msg_userauth_banner m = {.text = auth_message_view(a->banner)};
    return m.text.n > 0 ? say(a, SSH_MSG_USERAUTH_BANNER, &m, m.text.n) : OK;
}

enum err auth_server_policy(struct auth_server *a, unsigned max_tries,
                            struct view banner) {
    struct auth_message *copy = auth_message_copy(banner);
    if (copy == NULL)
        return ERR_MEMORY;
    auth_message_free(a->banner);
    a->banner = copy;
    a->max_tries = max_tries > 0 ? max_tries : 1;
    return OK;
}

enum err auth_server_banner(struct auth_server *a, struct view text) {
    if (text.n == 0 || auth_server_done(a))
        return OK;
    TRY(auth_server_say_banner(a));
    struct msg_userauth_banner m = {.text = text};
    return say(a, SSH_MSG_USERAUTH_BANNER, &m, text.n);
}

struct view auth_server_out(struct auth_server *a) {
    return auth_message_view(a->out.first);
}

void auth_server_out_done(struct auth_server *a) {
    auth_message_free(auth_queue_pop(&a->out));
}

// ---- ends of a request ----

static void fail_link(struct auth_server *a, enum disconnect_reason reason,
                      const char *text) {
    auth_server_drop_current(a);
    auth_queue_clear(&a->in);
    a->phase = AUTH_PHASE_SERVER_FAILED;
    a->event = (struct auth_server_event){
        .kind = AUTH_SERVER_FAILED,
        .user = view_of(a->user, a->user_len),
        .tries = a->failures,
        .max_tries = a->max_tries,
        .reason = reason,
        .text = text,
    };
    a->untold = true;
}

// One more failure; false when that was the last one allowed.
static bool count_failure(struct auth_server *a) {
    a->failures++;
    if (a->failures < a->max_tries)
        return true;
    // The reason is OpenSSH's, whose clients are known to cope with it.
    fail_link(a, DISCONNECT_PROTOCOL_ERROR, "Too many authentication failures");
    return false;
}

enum err auth_server_say_failure(struct auth_server *a, bool partial) {
    struct msg_userauth_failure m = {.methods = view_text(a->methods),
                                     .partial_success = partial};
    TRY(auth_server_say_banner(a));
    return say(a, SSH_MSG_USERAUTH_FAILURE, &m, m.methods.n);
}

enum err auth_server_refuse(struct auth_server *a) {
    // Every client may ask first what there is (RFC 4252 s.5.2).
    bool free_look = a->requests == 1 && view_is(a->request.method, "none");
    auth_server_drop_current(a);
    a->phase = AUTH_PHASE_SERVER_READY;
    if (!free_look && !count_failure(a))
        return OK;
    return auth_server_say_failure(a, false);
}

// ---- questions ----

static enum err ask(struct auth_server *a, enum auth_server_event_kind kind) {
    a->phase = AUTH_PHASE_SERVER_ASKED;
    a->event.kind = kind;
    a->event.ticket = ++a->ticket;
    a->event.user = view_of(a->user, a->user_len);
    a->event.service = view_text("ssh-connection");
    a->event.method = a->request.method;
    a->event.tries = a->failures;
    a->event.max_tries = a->max_tries;
    a->untold = true;
    return OK;
}

static enum err start_none(struct auth_server *a) {
    struct reader r = reader_of(a->request.fields);
    if (reader_end(&r) != OK)
        return fault_set(&a->fault, ERR_TRAILING, SSH_MSG_USERAUTH_REQUEST,
                         "none request: bytes left over at the end");
    return ask(a, AUTH_SERVER_ASK_NONE);
}

// What a signature is over, by one of the two encoders.
static enum err build_signed_data(struct auth_server *a,
                                  const struct publickey_request *key,
                                  const struct hostbased_request *host) {
    struct view session_id = auth_message_view(a->session_id);
    size_t room = session_id.n + a->current->n + 64;
    a->signed_data = auth_message_new(room);
    if (a->signed_data == NULL)
        return ERR_MEMORY;
    struct writer w = writer_to_span((struct span){a->signed_data->bytes, room});
    if (key != NULL)
        publickey_encode_signed(&w, session_id, key);
    else
        hostbased_encode_signed(&w, session_id, host);
    a->signed_data->n = w.n;
    return writer_end(&w);
}

static enum err start_publickey(struct auth_server *a) {
    struct publickey_request q;
    TRY(publickey_decode(&a->request, &q, &a->fault));
    const struct signature_alg *alg = publickey_algorithm(&q, a->algorithms);
    bool bound_elsewhere =
        q.hostbound && !view_equal(q.host_key, auth_message_view(a->host_key));
    if (alg == NULL || bound_elsewhere)
        return auth_server_refuse(a);
    if (q.has_signature)
        TRY(build_signed_data(a, &q, NULL));
    a->event.key = q;
    a->event.algorithm = alg;
    a->event.signed_data = auth_message_view(a->signed_data);
    return ask(a, AUTH_SERVER_ASK_KEY);
}

static enum err start_hostbased(struct auth_server *a) {
    struct hostbased_request q;
    TRY(hostbased_decode(&a->request, &q, &a->fault));
    if (hostbased_algorithm(&q, NULL) == NULL)
        return auth_server_refuse(a);
    TRY(build_signed_data(a, NULL, &q));
    a->event.hostbased = q;
    a->event.signed_data = auth_message_view(a->signed_data);
    return ask(a, AUTH_SERVER_ASK_HOSTBASED);
}

static enum err start_password(struct auth_server *a) {
    TRY(password_decode(&a->request, &a->event.password, &a->fault));
    return ask(a, AUTH_SERVER_ASK_PASSWORD);
}

static enum err start_kbdint(struct auth_server *a) {
    TRY(kbdint_decode_request(&a->request, &a->event.submethods, &a->fault));
    return ask(a, AUTH_SERVER_ASK_KBDINT);
}

static enum err start_resumption(struct auth_server *a) {
    TRY(resumption_decode(&a->request, &a->event.resumption, &a->fault));
    return ask(a, AUTH_SERVER_ASK_RESUMPTION);
}

// ---- handlers ----

enum err auth_server_on_service_request(struct auth_server *a, struct view message) {
    struct msg_service m;
    TRY(message_decode(SSH_MSG_SERVICE_REQUEST, message, &m, &a->fault));
    if (!view_is(m.name, "ssh-userauth")) {
        char clean[64];
        return fault_set(&a->fault, ERR_SERVICE, SSH_MSG_SERVICE_REQUEST,
                         "service %s is not available before authentication",
                         text_clean(clean, sizeof clean, m.name));
    }
    a->phase = AUTH_PHASE_SERVER_READY;
    return say(a, SSH_MSG_SERVICE_ACCEPT, &m, m.name.n);
}

// RFC 4252 s.5: user and service stay the same for the whole link here.
static enum err check_user(struct auth_server *a, const struct msg_userauth_request *m) {
    char clean[64];
    if (!view_is(m->service, "ssh-connection"))
        return fault_set(&a->fault, ERR_SERVICE, SSH_MSG_USERAUTH_REQUEST,
                         "service %s is not available",
                         text_clean(clean, sizeof clean, m->service));
    if (m->user.n > LIMIT_USER_NAME || memchr(m->user.p, 0, m->user.n) != NULL)
        return fault_set(&a->fault, ERR_LIMIT, SSH_MSG_USERAUTH_REQUEST,
                         "user name of %zu bytes, or with a NUL in it", m->user.n);
    if (a->user_given && !view_equal(m->user, view_of(a->user, a->user_len)))
        return fault_set(&a->fault, ERR_PROTOCOL, SSH_MSG_USERAUTH_REQUEST,
                         "change of user name not allowed: %s",
                         text_clean(clean, sizeof clean, m->user));
    return OK;
}

enum err auth_server_judge(struct auth_server *a) {
    a->method = method_find(a->request.method);
    if (a->method == NULL)
        return auth_server_refuse(a);
    if (a->method->listed != NULL &&
        !name_list_has(view_text(a->methods), a->method->listed))
        return auth_server_refuse(a);
    return a->method->start(a);
}

enum err auth_server_on_request(struct auth_server *a, struct view message) {
    struct msg_userauth_request m;
    TRY(message_decode(SSH_MSG_USERAUTH_REQUEST, message, &m, &a->fault));
    TRY(check_user(a, &m));
    // Prompts that are given up count, but get no answer of their own (RFC 4256 s.3.1).
    if (a->phase == AUTH_PHASE_SERVER_PROMPTED && !count_failure(a))
        return OK;
    if (!a->user_given) {
        if (m.user.n > 0)
            memcpy(a->user, m.user.p, m.user.n);
        a->user_len = m.user.n;
        a->user_given = true;
    }
    a->request = m;
    a->requests++;
    return a->user_answered ? auth_server_judge(a) : ask(a, AUTH_SERVER_ASK_USER);
}

enum err auth_server_on_responses(struct auth_server *a, struct view message) {
    TRY(kbdint_decode_responses(message, &a->event.responses, &a->fault));
    a->request.method = view_text(a->method->name);
    return ask(a, AUTH_SERVER_ASK_RESPONSES);
}

// ---- in ----

static enum err misplaced(struct auth_server *a, uint8_t number) {
    return fault_set(&a->fault, ERR_UNEXPECTED, number,
                     "message %u (%s) not allowed while %s", number, message_name(number),
                     auth_phase_name(a->phase));
}

bool auth_server_can_take(const struct auth_server *a) {
    return a->in.count < LIMIT_AUTH_QUEUE && a->in.bytes < LIMIT_AUTH_QUEUE_BYTES;
}

bool auth_server_undecided(const struct auth_server *a) {
    return a->phase == AUTH_PHASE_SERVER_ASKED || a->in.first != NULL;
}

enum err auth_server_in(struct auth_server *a, struct view message, uint32_t sequence) {
    if (message.n == 0)
        return fault_set(&a->fault, ERR_SHORT, 0, "empty message");
    const struct auth_row *row = auth_row_find(message.p[0], true, a->phase);
    if (row == NULL && a->phase == AUTH_PHASE_SERVER_DONE) {
        a->event = (struct auth_server_event){.kind = AUTH_SERVER_UNIMPLEMENTED,
                                              .sequence = sequence};
        a->untold = true;
        return OK;
    }
    // What waits may change the phase: then the table is asked again when its turn comes.
    if (row == NULL && a->in.first == NULL)
        return misplaced(a, message.p[0]);
    if (row != NULL && (row->flags & AUTH_IGNORED) != 0)
        return OK;
    if (!auth_server_can_take(a))
        return fault_set(&a->fault, ERR_LIMIT, message.p[0],
                         "more than %u requests sent without waiting", LIMIT_AUTH_QUEUE);
    struct auth_message *m = auth_message_copy(message);
    if (m == NULL)
        return ERR_MEMORY;
    auth_queue_push(&a->in, m);
    return OK;
}

// The next message's handler; only called while no question is open.
static enum err handle(struct auth_server *a) {
    struct auth_message *m = auth_queue_pop(&a->in);
    struct view message = auth_message_view(m);
    const struct auth_row *row = auth_row_find(message.p[0], true, a->phase);
    auth_server_drop_current(a);
    a->current = m;
    if (row == NULL || row->server == NULL)
        return misplaced(a, message.p[0]);
    return row->server(a, message);
}

static bool may_handle(const struct auth_server *a) {
    return a->in.first != NULL && a->phase != AUTH_PHASE_SERVER_ASKED;
}

enum err auth_server_next(struct auth_server *a, struct auth_server_event *event) {
    *event = (struct auth_server_event){.kind = AUTH_SERVER_NONE};
    if (a->fault.code != OK)
        return a->fault.code;
    while (!a->untold && may_handle(a))
        TRY(handle(a));
    if (!a->untold)
        return OK;
    a->untold = false;
    *event = a->event;
    // Only now, so that nobody can send it before the transport knows.
    if (event->kind == AUTH_SERVER_SUCCESS)
        return say(a, SSH_MSG_USERAUTH_SUCCESS, &(struct msg_empty){0}, 0);
    return OK;
}

// ---- facts ----

bool auth_server_done(const struct auth_server *a) {
    return a->phase == AUTH_PHASE_SERVER_DONE;
}

unsigned auth_server_tries(const struct auth_server *a) {
    return a->failures;
}

const struct fault *auth_server_fault(const struct auth_server *a) {
    return &a->fault;
}
