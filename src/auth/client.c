// The client's machine of RFC 4252.
//
// Invariants: at most one request is outstanding and at most one question open, never
// both after SERVICE_ACCEPT. DONE is reached only from USERAUTH_SUCCESS in a phase whose
// request can succeed. Signatures, partial successes, banners and tries are bounded
// whatever the server says.
#include <stdlib.h>

#include "auth/client_state.h"
#include "base/limits.h"
#include "base/text.h"

// ---- life ----

enum err auth_client_new(struct auth_client **out,
                         const struct auth_client_config *config) {
    struct auth_client *a = calloc(1, sizeof *a);
    if (a == NULL)
        return ERR_MEMORY;
    a->outstanding = AUTH_PHASE_CLIENT_IDLE;
    a->user = strdup(config->user);
    a->service = strdup(config->service);
    a->preferred = strdup(config->methods);
    a->algorithms = strdup(config->algorithms);
    a->devices = strdup(config->devices != NULL ? config->devices : "");
    a->session_id = auth_message_copy(config->session_id);
    a->host_key = auth_message_copy(config->host_key);
    a->hostbound_allowed = config->hostbound;
    a->password_tries = config->password_tries;
    a->resumption_epoch = config->resumption.epoch;
    a->resumption_last = config->resumption_last;
    if (config->resumption.proof.n > 0)
        a->resumption = auth_message_copy(config->resumption.proof);
    if (a->user == NULL || a->service == NULL || a->preferred == NULL ||
        a->algorithms == NULL || a->devices == NULL || a->session_id == NULL ||
        a->host_key == NULL ||
        (config->resumption.proof.n > 0 && a->resumption == NULL)) {
        auth_client_free(a);
        return ERR_MEMORY;
    }
    *out = a;
    return OK;
}

static void drop_key(struct auth_client *a) {
    auth_message_free(a->blob);
    auth_message_free(a->signed_data);
    a->blob = a->signed_data = NULL;
    a->algorithm = NULL;
    free(a->host);
    free(a->host_user);
    a->host = a->host_user = NULL;
}

void auth_client_free(struct auth_client *a) {
    if (a == NULL)
        return;
    drop_key(a);
    auth_queue_clear(&a->out);
    auth_message_free(a->held);
    auth_message_free(a->resumption);
    auth_message_free(a->session_id);
    auth_message_free(a->host_key);
    free(a->user);
    free(a->service);
    free(a->preferred);
    free(a->algorithms);
    free(a->devices);
    free(a->server_sig_algs);
    free(a);
}

static enum auth_phase phase_of(const struct auth_client *a) {
    if (a->failed)
        return AUTH_PHASE_CLIENT_FAILED;
    if (a->done)
        return AUTH_PHASE_CLIENT_DONE;
    if (!a->started)
        return AUTH_PHASE_CLIENT_START;
    return a->accepted ? a->outstanding : AUTH_PHASE_CLIENT_SERVICE;
}

// ---- algorithms and extensions ----

static char *view_dup(struct view v) {
    char *s = malloc(v.n + 1);
    if (s == NULL)
        return NULL;
    if (v.n > 0)
        memcpy(s, v.p, v.n);
    s[v.n] = 0;
    return s;
}

void auth_client_ext_info(struct auth_client *a, struct view name, struct view value) {
    if (view_is(name, "server-sig-algs") && memchr(value.p, 0, value.n) == NULL) {
        char *copy = view_dup(value);
        if (copy == NULL)
            return;
        free(a->server_sig_algs);
        a->server_sig_algs = copy;
    } else if (view_is(name, PUBLICKEY_HOSTBOUND_EXTENSION)) {
        a->hostbound_announced = view_is(value, "0");
    }
}

const struct signature_alg *auth_client_algorithm(const struct auth_client *a,
                                                  const char *key_type) {
    struct view list = view_text(a->algorithms), name;
    while (name_list_next(&list, &name)) {
        const struct alg *alg = alg_find(ALG_SIGNATURE, name);
        if (alg == NULL || strcmp(alg->signature->key_type, key_type) != 0)
            continue;
        // Only RSA has several algorithms for one key; some servers announce not all the
        // others.
        bool chosen = alg->signature->kind == PK_RSA && a->server_sig_algs != NULL;
        // Of a certificate's algorithm the one that it signs with is announced.
        if (!chosen ||
            name_list_has(view_text(a->server_sig_algs), alg->signature->signature_name))
            return alg->signature;
    }
    return NULL;
}

// ---- the record ----

static const char *outstanding_method(const struct auth_client *a) {
    switch (a->outstanding) {
    case AUTH_PHASE_CLIENT_NONE:
        return "none";
    case AUTH_PHASE_CLIENT_QUERY:
    case AUTH_PHASE_CLIENT_SIGNED:
        return "publickey";
    case AUTH_PHASE_CLIENT_PASSWORD:
        return "password";
    case AUTH_PHASE_CLIENT_HOSTBASED:
        return HOSTBASED_METHOD;
    case AUTH_PHASE_CLIENT_RESUMPTION:
        return RESUMPTION_METHOD;
    default:
        return "keyboard-interactive";
    }
}

static void record(struct auth_client *a, bool accepted) {
    if (a->record_count == AUTH_RECORDS)
        return;
    struct auth_client_record *r = &a->records[a->record_count++];
    *r = (struct auth_client_record){.method = outstanding_method(a),
                                     .accepted = accepted};
    if (strcmp(r->method, "publickey") != 0)
        return;
    r->query = a->query;
    key_fingerprint(r->fingerprint, sizeof r->fingerprint, auth_message_view(a->blob),
                    &digest_sha256);
}

const struct auth_client_record *auth_client_record_at(const struct auth_client *a,
                                                       size_t index) {
    return index < a->record_count ? &a->records[index] : NULL;
}

// ---- questions and notices ----

void auth_client_ask(struct auth_client *a, struct auth_client_event question) {
    question.ticket = ++a->ticket;
    a->question = question;
    a->question_untold = true;
    a->asked = true;
}

static void notify(struct auth_client *a, struct auth_client_event notice) {
    notice.methods = a->methods;
    a->notice = notice;
    a->notice_untold = true;
}

enum err auth_client_next(struct auth_client *a, struct auth_client_event *event) {
    *event = (struct auth_client_event){.kind = AUTH_CLIENT_NONE};
    if (a->fault.code != OK)
        return a->fault.code;
    if (a->notice_untold) {
        a->notice_untold = false;
        *event = a->notice;
    } else if (a->question_untold) {
        a->question_untold = false;
        *event = a->question;
    }
    return OK;
}

// The open question is answered; false if that one is not open.
bool auth_client_close_question(struct auth_client *a, uint32_t ticket,
                                enum auth_client_event_kind kind) {
    if (!a->asked || a->ticket != ticket || a->question.kind != kind) {
        (void)fault_set(&a->fault, ERR_UNEXPECTED, 0,
                        "answer to a question that is not open");
        return false;
    }
    a->asked = false;
    a->question_untold = false;
    return true;
}

// ---- methods: one row each, in the order of the user's preference ----

static enum err try_keys(struct auth_client *a) {
    auth_client_ask(a, (struct auth_client_event){.kind = AUTH_CLIENT_NEED_IDENTITY,
                                                  .restart = a->keys_restart});
    a->keys_restart = false;
    return OK;
}

static enum err try_password(struct auth_client *a) {
    auth_client_ask(a, (struct auth_client_event){.kind = AUTH_CLIENT_PASSWORD,
                                                  .attempt = ++a->passwords});
    return OK;
}

static enum err try_kbdint(struct auth_client *a) {
    a->kbdints++;
    return auth_client_send_kbdint(a);
}

static bool keys_left(const struct auth_client *a) {
    return !a->keys_done;
}

static bool hosts_left(const struct auth_client *a) {
    return !a->hosts_done;
}

static bool passwords_left(const struct auth_client *a) {
    return !a->password_done && a->passwords < a->password_tries;
}

static bool kbdints_left(const struct auth_client *a) {
    return !a->kbdint_done && a->kbdints < a->password_tries;
}

static const struct method {
    const char *name;
    bool (*left)(const struct auth_client *a);
    enum err (*try)(struct auth_client *a);
} methods[] = {
    {"publickey", keys_left, try_keys},
    {HOSTBASED_METHOD, hosts_left, auth_client_try_hosts},
    {"password", passwords_left, try_password},
    {"keyboard-interactive", kbdints_left, try_kbdint},
};

static const struct method *method_find(struct view name) {
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++)
        if (view_is(name, methods[i].name))
            return &methods[i];
    return NULL;
}

// The next request or question. Before the server has said what it takes, only the first
// key was offered; if even that came to nothing, `none` asks for the list.
enum err auth_client_advance(struct auth_client *a) {
    a->outstanding = AUTH_PHASE_CLIENT_IDLE;
    drop_key(a);
    if (!a->methods_known && !a->none_done)
        return auth_client_send_none(a);
    struct view list = view_text(a->preferred), name;
    while (name_list_next(&list, &name)) {
        const struct method *m = method_find(name);
        if (m != NULL && name_list_has(view_text(a->methods), m->name) && m->left(a))
            return m->try(a);
    }
    if (a->resumption != NULL)
        return auth_client_send_resumption(a);
    a->failed = true;
    auth_client_ask(
        a, (struct auth_client_event){.kind = AUTH_CLIENT_FAILED, .methods = a->methods});
    a->asked = false;
    return OK;
}

// ---- keys ----

static enum err ask_signature(struct auth_client *a) {
    if (++a->signatures > LIMIT_AUTH_SIGNATURES) {
        a->keys_done = true;
        return auth_client_advance(a);
    }
    struct publickey_request q = auth_client_key_request(a);
    struct view session_id = auth_message_view(a->session_id);
    auth_message_free(a->signed_data);
    a->signed_data = auth_message_new(auth_client_key_room(a) + session_id.n);
    if (a->signed_data == NULL)
        return ERR_MEMORY;
    struct writer w =
        writer_to_span((struct span){a->signed_data->bytes, a->signed_data->room});
    publickey_encode_signed(&w, session_id, &q);
    TRY(writer_end(&w));
    a->signed_data->n = w.n;
    auth_client_ask(
        a, (struct auth_client_event){.kind = AUTH_CLIENT_SIGN,
                                      .blob = q.blob,
                                      .algorithm = a->algorithm,
                                      .data = auth_message_view(a->signed_data)});
    return OK;
}

static enum err offer(struct auth_client *a, const struct auth_identity *identity) {
    drop_key(a);
    a->blob = auth_message_copy(identity->blob);
    if (a->blob == NULL)
        return ERR_MEMORY;
    a->algorithm = identity->algorithm;
    a->hostbound = a->hostbound_allowed && a->hostbound_announced;
    return identity->sign_now ? ask_signature(a)
                              : auth_client_send_key(a, (struct view){0});
}

enum err auth_client_start(struct auth_client *a, const struct auth_identity *first) {
    if (a->started)
        return fault_set(&a->fault, ERR_UNEXPECTED, 0, "authentication started twice");
    a->started = true;
    TRY(auth_client_send_service_request(a));
    if (first != NULL)
        return offer(a, first);
    return a->resumption != NULL && !a->resumption_last ? auth_client_send_resumption(a)
                                                        : auth_client_send_none(a);
}

enum err auth_client_answer_identity(struct auth_client *a, uint32_t ticket,
                                     const struct auth_identity *identity) {
    if (!auth_client_close_question(a, ticket, AUTH_CLIENT_NEED_IDENTITY))
        return ERR_UNEXPECTED;
    if (identity != NULL)
        return offer(a, identity);
    a->keys_done = true;
    return auth_client_advance(a);
}

enum err auth_client_answer_sign(struct auth_client *a, uint32_t ticket,
                                 struct view signature_blob) {
    if (!auth_client_close_question(a, ticket, AUTH_CLIENT_SIGN))
        return ERR_UNEXPECTED;
    return signature_blob.n > 0 ? auth_client_send_key(a, signature_blob)
                                : auth_client_advance(a);
}

// ---- passwords and prompts ----

enum err auth_client_answer_password(struct auth_client *a, uint32_t ticket,
                                     struct view password) {
    if (!auth_client_close_question(a, ticket, AUTH_CLIENT_PASSWORD))
        return ERR_UNEXPECTED;
    if (password.p == NULL) {
        a->password_done = true;
        return auth_client_advance(a);
    }
    return auth_client_send_password(a, &(struct password_request){.password = password});
}

enum err auth_client_answer_change(struct auth_client *a, uint32_t ticket,
                                   struct view old_password, struct view new_password) {
    if (!auth_client_close_question(a, ticket, AUTH_CLIENT_CHANGE))
        return ERR_UNEXPECTED;
    if (old_password.p == NULL || new_password.p == NULL) {
        a->password_done = true;
        return auth_client_advance(a);
    }
    return auth_client_send_password(
        a, &(struct password_request){
               .password = old_password, .change = true, .new_password = new_password});
}

enum err auth_client_answer_prompts(struct auth_client *a, uint32_t ticket,
                                    const struct kbdint_responses *responses) {
    if (!auth_client_close_question(a, ticket, AUTH_CLIENT_PROMPTS))
        return ERR_UNEXPECTED;
    if (responses == NULL) {
        a->kbdint_done = true;
        return auth_client_advance(a);
    }
    // RFC 4256 s.3.4: as many responses as there were prompts.
    if (responses->count != a->question.prompts.count)
        return fault_set(&a->fault, ERR_UNEXPECTED, 0, "%u responses to %u prompts",
                         responses->count, a->question.prompts.count);
    return auth_client_send_responses(a, responses);
}

// ---- handlers ----

enum err auth_client_on_service_accept(struct auth_client *a, struct view message) {
    struct msg_service m;
    TRY(message_decode(SSH_MSG_SERVICE_ACCEPT, message, &m, &a->fault));
    if (!view_is(m.name, "ssh-userauth"))
        return fault_set(&a->fault, ERR_PROTOCOL, SSH_MSG_SERVICE_ACCEPT,
                         "the server accepted a service that was not asked for");
    a->accepted = true;
    return OK;
}

// What may be tried again after one factor was right: everything but what is bounded for
// ever.
static enum err start_over(struct auth_client *a) {
    if (++a->partials > LIMIT_AUTH_PARTIAL)
        return fault_set(&a->fault, ERR_LIMIT, SSH_MSG_USERAUTH_FAILURE,
                         "the server answers with partial success for ever");
    a->keys_done = a->hosts_done = a->password_done = a->kbdint_done = false;
    a->keys_restart = true;
    a->passwords = a->kbdints = 0;
    return OK;
}

enum err auth_client_on_failure(struct auth_client *a, struct view message) {
    struct msg_userauth_failure m;
    TRY(message_decode(SSH_MSG_USERAUTH_FAILURE, message, &m, &a->fault));
    if (m.partial_success && a->outstanding == AUTH_PHASE_CLIENT_QUERY)
        return fault_set(&a->fault, ERR_PROTOCOL, SSH_MSG_USERAUTH_FAILURE,
                         "the server took a key query for a proof");
    text_copy(a->methods, sizeof a->methods, m.methods);
    a->methods_known = true;
    record(a, m.partial_success);
    if (a->outstanding == AUTH_PHASE_CLIENT_KBDINT && !a->kbdint_prompted)
        a->kbdint_done = true;
    notify(a, (struct auth_client_event){.kind = m.partial_success ? AUTH_CLIENT_PARTIAL
                                                                   : AUTH_CLIENT_REFUSED,
                                         .method = outstanding_method(a)});
    if (m.partial_success)
        TRY(start_over(a));
    return auth_client_advance(a);
}

enum err auth_client_on_success(struct auth_client *a, struct view message) {
    struct msg_empty m;
    TRY(message_decode(SSH_MSG_USERAUTH_SUCCESS, message, &m, &a->fault));
    record(a, true);
    notify(a, (struct auth_client_event){.kind = AUTH_CLIENT_SUCCESS,
                                         .method = outstanding_method(a),
                                         .blob = auth_message_view(a->blob)});
    a->done = true;
    return OK;
}

enum err auth_client_on_banner(struct auth_client *a, struct view message) {
    struct msg_userauth_banner m;
    TRY(message_decode(SSH_MSG_USERAUTH_BANNER, message, &m, &a->fault));
    if (++a->banners > LIMIT_AUTH_BANNERS)
        return fault_set(&a->fault, ERR_LIMIT, SSH_MSG_USERAUTH_BANNER,
                         "more than %u banners", LIMIT_AUTH_BANNERS);
    notify(a, (struct auth_client_event){.kind = AUTH_CLIENT_BANNER, .text = m.text});
    return OK;
}

enum err auth_client_on_pk_ok(struct auth_client *a, struct view message) {
    struct view algorithm, blob;
    TRY(publickey_decode_ok(message, &algorithm, &blob, &a->fault));
    if (!view_is(algorithm, a->algorithm->name) ||
        !view_equal(blob, auth_message_view(a->blob)))
        return fault_set(&a->fault, ERR_PROTOCOL, SSH_MSG_USERAUTH_PK_OK,
                         "the server accepts a key that was not offered");
    record(a, true);
    a->outstanding = AUTH_PHASE_CLIENT_IDLE;
    return ask_signature(a);
}

enum err auth_client_on_change(struct auth_client *a, struct view message) {
    struct view prompt;
    TRY(password_decode_change(message, &prompt, &a->fault));
    a->outstanding = AUTH_PHASE_CLIENT_IDLE;
    if (++a->passwords > a->password_tries + 1) {
        a->password_done = true;
        return auth_client_advance(a);
    }
    auth_client_ask(
        a, (struct auth_client_event){.kind = AUTH_CLIENT_CHANGE, .text = prompt});
    return OK;
}

enum err auth_client_on_prompts(struct auth_client *a, struct view message) {
    struct auth_client_event question = {.kind = AUTH_CLIENT_PROMPTS,
                                         .attempt = a->kbdints};
    TRY(kbdint_decode_prompts(message, &question.prompts, &a->fault));
    a->kbdint_prompted = true;
    const struct kbdint_prompts *p = &question.prompts;
    // Nothing to ask and nothing to show (PAM ends so): answered without anybody.
    if (p->count == 0 && p->name.n == 0 && p->instruction.n == 0)
        return auth_client_send_responses(a, &(struct kbdint_responses){0});
    a->outstanding = AUTH_PHASE_CLIENT_IDLE;
    auth_client_ask(a, question);
    return OK;
}

// ---- in ----

enum err auth_client_in(struct auth_client *a, struct view message) {
    if (message.n == 0)
        return fault_set(&a->fault, ERR_SHORT, 0, "empty message");
    enum auth_phase phase = phase_of(a);
    const struct auth_row *row = auth_row_find(message.p[0], false, phase);
    if (row == NULL)
        return fault_set(&a->fault, ERR_UNEXPECTED, message.p[0],
                         "the server sent message %u (%s), not allowed with %s",
                         message.p[0], message_name(message.p[0]),
                         auth_phase_name(phase));
    // A banner may come while a question is open that points into the message held.
    if (row->client == auth_client_on_banner)
        return row->client(a, message);
    auth_message_free(a->held);
    a->held = auth_message_copy(message);
    if (a->held == NULL)
        return ERR_MEMORY;
    return row->client(a, auth_message_view(a->held));
}

// ---- facts ----

bool auth_client_done(const struct auth_client *a) {
    return a->done;
}

const struct fault *auth_client_fault(const struct auth_client *a) {
    return &a->fault;
}
