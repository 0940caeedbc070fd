// The answers to the server machine's questions (RFC 4252): whether one fits the question
// that is open, and what it says to the peer.
#include "auth/server_state.h"
#include "base/text.h"

static enum err accept_query(struct auth_server *a) {
    // Keys that are acceptable but never signed with would be an endless oracle.
    if (++a->queries > a->max_tries)
        return auth_server_refuse(a);
    TRY(auth_server_say_banner(a));
    struct auth_message *m =
        auth_message_new(a->event.key.algorithm.n + a->event.key.blob.n + 16);
    if (m == NULL)
        return ERR_MEMORY;
    struct writer w = writer_to_span((struct span){m->bytes, m->room});
    publickey_encode_ok(&w, a->event.key.algorithm, a->event.key.blob);
    TRY(auth_queue_written(&a->out, m, &w));
    auth_server_drop_current(a);
    a->phase = AUTH_PHASE_SERVER_READY;
    return OK;
}

static enum err grant(struct auth_server *a) {
    auth_server_drop_current(a);
    auth_queue_clear(&a->in);
    a->phase = AUTH_PHASE_SERVER_DONE;
    a->event = (struct auth_server_event){
        .kind = AUTH_SERVER_SUCCESS,
        .user = view_of(a->user, a->user_len),
        .service = view_text("ssh-connection"),
        .method = view_text(a->method->name),
        .tries = a->failures,
        .max_tries = a->max_tries,
    };
    a->untold = true;
    return auth_server_say_banner(a);
}

static bool is_open(const struct auth_server *a, uint32_t ticket) {
    return a->phase == AUTH_PHASE_SERVER_ASKED && ticket == a->ticket;
}

static enum err wrong_answer(struct auth_server *a) {
    return fault_set(&a->fault, ERR_UNEXPECTED, 0,
                     "answer to a question that is not open");
}

static enum err set_methods(struct auth_server *a, const char *list) {
    if (list == NULL)
        return OK;
    if (strlen(list) >= sizeof a->methods)
        return fault_set(&a->fault, ERR_LIMIT, 0, "list of methods too long");
    text_copy(a->methods, sizeof a->methods, view_text(list));
    return OK;
}

enum err auth_server_answer_user(struct auth_server *a, uint32_t ticket,
                                 const char *list) {
    if (!is_open(a, ticket) || a->event.kind != AUTH_SERVER_ASK_USER)
        return wrong_answer(a);
    TRY(set_methods(a, list));
    a->untold = false;
    a->user_answered = true;
    a->phase = AUTH_PHASE_SERVER_READY;
    return auth_server_judge(a);
}

// Which verdicts fit the open question: a query gets no rights, everything else no PK_OK.
static bool verdict_fits(const struct auth_server *a, enum auth_verdict verdict) {
    bool query = a->event.kind == AUTH_SERVER_ASK_KEY && !a->event.key.has_signature;
    switch (verdict) {
    case AUTH_REFUSED:
    case AUTH_UNAVAILABLE:
        return a->event.kind != AUTH_SERVER_ASK_USER;
    case AUTH_ACCEPTABLE:
        return query;
    case AUTH_PARTIAL:
    case AUTH_GRANTED:
        return !query && a->event.kind != AUTH_SERVER_ASK_USER;
    }
    return false;
}

enum err auth_server_answer(struct auth_server *a, uint32_t ticket,
                            const struct auth_answer *answer) {
    if (!is_open(a, ticket) || !verdict_fits(a, answer->verdict))
        return wrong_answer(a);
    TRY(set_methods(a, answer->methods));
    a->untold = false;
    switch (answer->verdict) {
    case AUTH_GRANTED:
        return grant(a);
    case AUTH_ACCEPTABLE:
        return accept_query(a);
    case AUTH_PARTIAL:
        auth_server_drop_current(a);
        a->phase = AUTH_PHASE_SERVER_READY;
        return auth_server_say_failure(a, true);
    case AUTH_REFUSED:
    case AUTH_UNAVAILABLE:
        break;
    }
    return auth_server_refuse(a);
}

static bool is_kbdint(const struct auth_server *a) {
    return a->event.kind == AUTH_SERVER_ASK_KBDINT ||
           a->event.kind == AUTH_SERVER_ASK_RESPONSES;
}

static size_t prompts_room(const struct kbdint_prompts *p) {
    size_t room = p->name.n + p->instruction.n + 32;
    for (uint32_t i = 0; i < p->count; i++)
        room += p->prompts[i].text.n + 5;
    return room;
}

enum err auth_server_answer_prompts(struct auth_server *a, uint32_t ticket,
                                    const struct kbdint_prompts *prompts) {
    if (!is_open(a, ticket) || !is_kbdint(a) || prompts->count > LIMIT_KBDINT_PROMPTS)
        return wrong_answer(a);
    TRY(auth_server_say_banner(a));
    struct auth_message *m = auth_message_new(prompts_room(prompts));
    if (m == NULL)
        return ERR_MEMORY;
    struct writer w = writer_to_span((struct span){m->bytes, m->room});
    kbdint_encode_prompts(&w, prompts);
    TRY(auth_queue_written(&a->out, m, &w));
    a->untold = false;
    auth_server_drop_current(a);
    a->phase = AUTH_PHASE_SERVER_PROMPTED;
    return OK;
}

enum err auth_server_answer_change(struct auth_server *a, uint32_t ticket,
                                   struct view prompt) {
    if (!is_open(a, ticket) || a->event.kind != AUTH_SERVER_ASK_PASSWORD)
        return wrong_answer(a);
    a->untold = false;
    // A right but expired password, offered again and again, would be judged without end.
    if (++a->changes > a->max_tries)
        return auth_server_refuse(a);
    TRY(auth_server_say_banner(a));
    struct auth_message *m = auth_message_new(prompt.n + 16);
    if (m == NULL)
        return ERR_MEMORY;
    struct writer w = writer_to_span((struct span){m->bytes, m->room});
    password_encode_change(&w, prompt);
    TRY(auth_queue_written(&a->out, m, &w));
    auth_server_drop_current(a);
    a->phase = AUTH_PHASE_SERVER_READY;
    return OK;
}
