// Who are you? Drives the client's authentication machine with keys and a person.
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "base/limits.h"
#include "base/secret.h"
#include "base/text.h"
#include "client/client.h"
#include "client/host_identities.h"
#include "client/identities.h"
#include "client/kept.h"
#include "client/redial.h"
#include "client/refusal.h"
#include "connection/resume.h"
#include "io/clock.h"
#include "io/prompt.h"
#include "wire/messages.h"

struct login {
    struct client *c;
    struct auth_client *auth;
    struct identities ids;
    struct host_identities hosts;
    char methods[128];           // that are tried, in this order
    const struct kept *offered;  // on a further link: the one before
    bool done, failed;
};

// ---- which methods ----

// The preference without what is switched off.
static void choose_methods(struct client *c, char *out, size_t size) {
    const struct client_config *o = &c->config;
    const char *list = o->preferred_authentications;
    if (list == NULL)
        list = "hostbased,publickey,keyboard-interactive,password";
    bool person = !o->batch_mode && !c->distrusted && o->number_of_password_prompts > 0;
    const struct {
        const char *name;
        bool on;
    } switches[] = {
        {"publickey", o->pubkey_authentication != PUBKEY_AUTH_NO},
        {"keyboard-interactive", o->kbd_interactive_authentication && person},
        {"password", o->password_authentication && person},
        {"hostbased", o->hostbased_authentication},
    };
    struct view rest = view_text(list), name;
    size_t n = 0;
    out[0] = 0;
    while (name_list_next(&rest, &name))
        for (size_t i = 0; i < sizeof switches / sizeof switches[0]; i++)
            if (view_is(name, switches[i].name) && switches[i].on &&
                n + name.n + 2 < size)
                n += (size_t)snprintf(out + n, size - n, "%s%s", n > 0 ? "," : "",
                                      switches[i].name);
}

static enum err make_auth(struct login *l) {
    struct client *c = l->c;
    uint8_t proof[RESUME_SECRET];
    choose_methods(c, l->methods, sizeof l->methods);
    struct auth_client_config config = {
        .user = c->config.user,
        .service = "ssh-connection",
        .session_id = transport_session_id(c->link.transport),
        .host_key = transport_host_key(c->link.transport),
        .methods = l->methods,
        .algorithms = c->config.pubkey_accepted_algorithms,
        .hostbound = c->config.pubkey_authentication == PUBKEY_AUTH_YES ||
                     c->config.pubkey_authentication == PUBKEY_AUTH_HOST_BOUND,
        .devices = c->config.kbd_interactive_devices,
        .password_tries = c->config.number_of_password_prompts,
        .resumption_last = c->by_host,
    };
    if (c->redial != NULL && c->by_person) {
        TRY(redial_proof(c, &config.resumption.epoch, proof));
        config.resumption.proof = view_of(proof, sizeof proof);
    }
    enum err e = auth_client_new(&l->auth, &config);
    secret_wipe(proof, sizeof proof);
    return e;
}

// ---- questions to a person ----

// The two ends of a question: who and where.
static void who(const struct client *c, char *out, size_t size) {
    char user[128], host[256];
    snprintf(out, size, "%s@%s", text_clean(user, sizeof user, view_text(c->config.user)),
             text_clean(host, sizeof host, view_text(c->host)));
}

static enum err on_password(struct login *l, const struct auth_client_event *event) {
    char name[400], question[512], answer[PROMPT_MAX];
    who(l->c, name, sizeof name);
    if (event->attempt > 1)
        log_info(&l->c->log, "Permission denied, please try again.");
    snprintf(question, sizeof question, "%s's password: ", name);
    bool given = prompt_ask(question, 0, answer, sizeof answer, NULL) == OK;
    enum err e = auth_client_answer_password(
        l->auth, event->ticket, given ? view_text(answer) : (struct view){0});
    secret_wipe(answer, sizeof answer);
    return e;
}

static enum err on_change(struct login *l, const struct auth_client_event *event) {
    char answer[3][PROMPT_MAX], name[400], question[512];
    static const char *const what[] = {"old password", "new password",
                                       "new password again"};
    client_show_text(l->c, event->text);
    who(l->c, name, sizeof name);
    bool given = true;
    for (size_t i = 0; i < 3 && given; i++) {
        snprintf(question, sizeof question, "%s's %s: ", name, what[i]);
        given = prompt_ask(question, 0, answer[i], PROMPT_MAX, NULL) == OK;
    }
    if (given && strcmp(answer[1], answer[2]) != 0) {
        log_error(&l->c->log, "the two new passwords differ");
        given = false;
    }
    struct view none = {0};
    enum err e = auth_client_answer_change(l->auth, event->ticket,
                                           given ? view_text(answer[0]) : none,
                                           given ? view_text(answer[1]) : none);
    secret_wipe(answer, sizeof answer);
    return e;
}

static bool ask_prompt(struct login *l, const struct kbdint_prompt *p, char *answer) {
    char name[400], text[512], question[1024];
    who(l->c, name, sizeof name);
    text_clean(text, sizeof text, p->text);
    snprintf(question, sizeof question, "(%s) %s", name, text);
    return prompt_ask(question, p->echo ? PROMPT_ECHO : 0, answer, PROMPT_MAX, NULL) ==
           OK;
}

static enum err on_prompts(struct login *l, const struct auth_client_event *event) {
    const struct kbdint_prompts *p = &event->prompts;
    char(*answers)[PROMPT_MAX] = calloc(LIMIT_KBDINT_PROMPTS, PROMPT_MAX);
    if (answers == NULL)
        return ERR_MEMORY;
    struct view texts[] = {p->name, p->instruction};
    for (size_t i = 0; i < 2; i++)
        if (texts[i].n > 0) {
            client_show_text(l->c, texts[i]);
            client_show_text(l->c, view_text("\n"));
        }
    struct kbdint_responses r = {.count = p->count};
    bool given = true;
    for (uint32_t i = 0; i < p->count && given; i++) {
        given = ask_prompt(l, &p->prompts[i], answers[i]);
        r.responses[i] = view_text(answers[i]);
    }
    enum err e = auth_client_answer_prompts(l->auth, event->ticket, given ? &r : NULL);
    secret_wipe(answers, LIMIT_KBDINT_PROMPTS * PROMPT_MAX);
    free(answers);
    return e;
}

// ---- keys ----

static enum err on_sign(struct login *l, const struct auth_client_event *event) {
    scoped_buf signature;
    buf_init(&signature, KEY_SIGNATURE_MAX);
    identities_sign(&l->ids, event->algorithm, event->data, &signature);
    if (l->c->redial != NULL && buf_len(&signature) == 0)
        redial_no_signature(l->c);
    return auth_client_answer_sign(l->auth, event->ticket, buf_view(&signature));
}

// On a further link: the same keys as on the first, in their order.
static bool next_kept(struct login *l, struct auth_identity *out) {
    struct kept *k = l->offered == NULL ? l->c->kept : kept_next(l->offered);
    if (k == NULL)
        return false;
    if (l->offered != NULL)
        identities_close(&l->ids);
    l->offered = k;
    bool good = kept_offer(k, &l->ids, l->c, l->auth, out);
    if (!good)
        redial_no_signature(l->c);
    return good;
}

static enum err on_need_identity(struct login *l, const struct auth_client_event *event) {
    struct auth_identity identity;
    // After a partial success the others follow: none is offered twice.
    bool more = l->c->redial != NULL ? next_kept(l, &identity)
                                     : identities_next(&l->ids, l->auth, &identity);
    return auth_client_answer_identity(l->auth, event->ticket, more ? &identity : NULL);
}

// ---- this host's keys ----

static enum err on_need_host(struct login *l, const struct auth_client_event *event) {
    struct auth_host_identity identity;
    bool more = host_identities_next(&l->hosts, l->c, &identity);
    return auth_client_answer_host(l->auth, event->ticket, more ? &identity : NULL);
}

static enum err on_host_sign(struct login *l, const struct auth_client_event *event) {
    scoped_buf signature;
    struct fault fault = {0};
    buf_init(&signature, KEY_SIGNATURE_MAX);
    if (host_identities_sign(l->c, event->data, &signature, &fault) != OK)
        log_error(&l->c->log, "hostbased: %s", fault_text(&fault));
    return auth_client_answer_host_sign(l->auth, event->ticket, buf_view(&signature));
}

// ---- ends ----

// One factor was right: remembered for further links.
static void note_factor(struct login *l, const char *method) {
    struct client *c = l->c;
    bool key = strcmp(method, "publickey") == 0;
    if (key)
        identities_keep(&l->ids);
    if (!c->takes_resume || !c->config.resume)
        return;
    if (key)
        c->key_lost |= !kept_add(&c->kept, &l->ids);
    else if (strcmp(method, HOSTBASED_METHOD) == 0)
        c->by_host = true;
    else
        c->by_person = true;
}

bool client_may_return(const struct client *c) {
    return !c->key_lost && (c->kept != NULL || c->by_host || c->by_person);
}

static void say_success(struct login *l, const struct auth_client_event *event) {
    struct client *c = l->c;
    char print[KEY_FINGERPRINT_SIZE] = "";
    bool key = strcmp(event->method, "publickey") == 0;
    if (c->redial != NULL)
        return;
    if (key)
        key_fingerprint(print, sizeof print, event->blob, &digest_sha256);
    client_step(c, "you", "%s, by %s%s%s%s%s", c->config.user, event->method,
                key ? " " : "", print, key ? " " : "", key ? l->ids.name : "");
    note_factor(l, event->method);
    if (c->proxied)
        log_verbose(&c->log, "Authenticated to %s (via proxy) using \"%s\".",
                    c->known_name, event->method);
    else
        log_verbose(&c->log, "Authenticated to %s ([%s]:%u) using \"%s\".", c->host,
                    c->address, c->config.port, event->method);
}

static enum err say_failed(struct login *l, const struct auth_client_event *event) {
    struct client *c = l->c;
    if (c->redial == NULL)
        refusal_say(c, &l->ids, event->methods);
    char name[400], methods[512];
    who(c, name, sizeof name);
    l->failed = true;
    snprintf(c->end.methods_left, sizeof c->end.methods_left, "%.159s", event->methods);
    return fault_set(&c->fault, ERR_AUTH, 0, "%s: Permission denied (%s).", name,
                     text_clean(methods, sizeof methods, view_text(event->methods)));
}

static enum err on_event(struct login *l, const struct auth_client_event *event) {
    switch (event->kind) {
    case AUTH_CLIENT_NEED_IDENTITY:
        return on_need_identity(l, event);
    case AUTH_CLIENT_SIGN:
        return on_sign(l, event);
    case AUTH_CLIENT_NEED_HOST:
        return on_need_host(l, event);
    case AUTH_CLIENT_HOST_SIGN:
        return on_host_sign(l, event);
    case AUTH_CLIENT_PASSWORD:
        return on_password(l, event);
    case AUTH_CLIENT_CHANGE:
        return on_change(l, event);
    case AUTH_CLIENT_PROMPTS:
        return on_prompts(l, event);
    case AUTH_CLIENT_BANNER:
        if (l->c->redial == NULL)
            client_show_text(l->c, event->text);
        return OK;
    case AUTH_CLIENT_REFUSED:
        client_early_drop(l->c);
        log_debug(&l->c->log, "%s refused; can continue: %s", event->method,
                  event->methods);
        return OK;
    case AUTH_CLIENT_PARTIAL:
        client_early_drop(l->c);
        if (l->c->redial == NULL)
            note_factor(l, event->method);
        log_debug(&l->c->log, "%s is right, more is asked for: %s", event->method,
                  event->methods);
        return OK;
    case AUTH_CLIENT_SUCCESS:
        say_success(l, event);
        client_step_held(l->c);
        l->done = true;
        return OK;
    case AUTH_CLIENT_FAILED:
        return say_failed(l, event);
    case AUTH_CLIENT_NONE:
        break;
    }
    return OK;
}

// All events, then all messages: one flight.
static enum err pump(struct login *l) {
    struct auth_client_event event;
    do {
        TRY(auth_client_next(l->auth, &event));
        TRY(on_event(l, &event));
    } while (event.kind != AUTH_CLIENT_NONE && !l->done);
    struct transport *t = l->c->link.transport;
    for (struct view v; (v = auth_client_out(l->auth)).n > 0;
         auth_client_out_done(l->auth))
        if (transport_can_send(t))
            TRY(transport_send_view(t, v));
        else
            break;
    return OK;
}

static enum err on_transport(struct login *l, const struct transport_event *event) {
    if (event->kind == TRANSPORT_EXT_INFO) {
        auth_client_ext_info(l->auth, event->name, event->data);
        if (view_is(event->name, "early-session@bowline"))
            l->c->takes_early = true;
        if (view_is(event->name, "agent-forward"))
            l->c->takes_agent_names = true;
        if (view_is(event->name, RESUME_NAME))
            l->c->takes_resume = true;
    }
    if (event->kind != TRANSPORT_MESSAGE)
        return OK;
    TRY(auth_client_in(l->auth, event->message));
    return pump(l);
}

static bool first_identity(struct login *l, struct auth_identity *first) {
    struct client *c = l->c;
    struct view methods = view_text(l->methods);
    if (c->redial != NULL)
        return next_kept(l, first);
    if (name_list_has(methods, "publickey"))
        identities_open(&l->ids, c);
    return view_is(view_until(methods, ','), "publickey") &&
           identities_next(&l->ids, l->auth, first);
}

// Is the proof what may let us in first?
static bool starts_with_proof(const struct login *l, bool key) {
    const struct client *c = l->c;
    return c->redial != NULL && c->by_person && !c->by_host && !key;
}

static enum err start(struct login *l) {
    struct auth_identity first;
    bool any = first_identity(l, &first);
    TRY(auth_client_start(l->auth, any ? &first : NULL));
    TRY(pump(l));
    bool signs = any && first.sign_now;
    return signs || starts_with_proof(l, any) ? client_early(l->c) : OK;
}

// ConnectTimeout for the waiting of a login: what the person or the keys take does not
// count.
struct login_wait {
    uint64_t deadline;  // CLOCK_NEVER: none
    uint64_t busy;      // since when nothing was waited for
};

static struct login_wait wait_of(const struct client *c) {
    uint64_t now = clock_ms(), ms = c->config.connect_timeout * 1000ull;
    return (struct login_wait){ms == 0 ? CLOCK_NEVER : clock_after(now, ms), now};
}

static enum err wait(struct login *l, struct login_wait *p) {
    struct client *c = l->c;
    p->deadline = clock_after(p->deadline, clock_ms() - p->busy);
    enum err e = link_wait(&c->link, p->deadline);
    p->busy = clock_ms();
    if (e != ERR_TIMEOUT || p->busy < p->deadline)
        return e;
    return fault_set(&c->fault, e, 0,
                     "Connection to %s port %u timed out during authentication",
                     c->address, c->config.port);
}

static enum err run(struct login *l) {
    struct client *c = l->c;
    TRY(make_auth(l));
    bool started = false;
    struct login_wait patience = wait_of(c);
    while (!l->done) {
        struct transport_event event;
        TRY(client_next(c, &event));
        if (event.kind != TRANSPORT_NONE) {
            TRY(on_transport(l, &event));
            continue;
        }
        // What came with the keys (EXT_INFO) was looked at; now ours goes out in one
        // flight.
        if (!started) {
            started = true;
            TRY(start(l));
            continue;
        }
        TRY(pump(l));
        TRY(wait(l, &patience));
    }
    transport_authenticated(c->link.transport);
    return OK;
}

// Behind ATTACH the link may be the connection's already: it would end by that.
static bool says_goodbye(const struct client *c) {
    return c->redial == NULL || !c->redial->attach_sent;
}

static void leave(struct login *l, enum err e) {
    struct client *c = l->c;
    const struct fault *fault = auth_client_fault(l->auth);
    if (fault->code != OK)
        (void)fault_set(&c->fault, e, fault->message, "%s port %u: %s", c->address,
                        c->config.port, fault_text(fault));
    if (says_goodbye(c))
        (void)!transport_disconnect(
            c->link.transport,
            l->failed ? DISCONNECT_NO_MORE_AUTH_METHODS : err_disconnect_reason(e),
            l->failed ? "no more authentication methods to try" : err_text(e));
}

enum err client_login(struct client *c) {
    struct login *l = calloc(1, sizeof *l);
    if (l == NULL)
        return ERR_MEMORY;
    l->c = c;
    l->ids.agent.fd = -1;
    enum err e = run(l);
    if (e != OK && l->auth != NULL)
        leave(l, e);
    identities_close(&l->ids);
    host_identities_close(&l->hosts);
    auth_client_free(l->auth);
    free(l);
    return e;
}
