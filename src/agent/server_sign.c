// Signing: which keys, for whom, after asking whom.
#include <stdio.h>

#include "agent/server_state.h"
#include "agent/userauth.h"
#include "base/text.h"

struct sign {
    struct agent_turn *t;
    struct agent_sign_request m;
    const struct agent_key *key;
    char purpose[512];  // for a person; may be empty
};

// ---- may it? ----

static enum err refuse(struct sign *s, const char *why) {
    return fault_set(s->t->fault, ERR_REFUSED, 0, "not signed with \"%.100s\": %s",
                     s->key->comment, why);
}

// The session must be the one that the connection was bound to last, and its host the
// one in the request.
static enum err check_session(struct sign *s, const struct agent_userauth *login) {
    const struct agent_client *c = s->t->client;
    const struct agent_binding *last = &c->bindings[c->bindings_n - 1];
    if (!view_equal(login->session_id, view_of(last->session_id, last->session_id_n)))
        return refuse(s, "the request is of another session");
    if (login->host_key.p == NULL && c->bindings_n > 1)
        return refuse(s, "a forwarded request that names no host");
    if (login->host_key.p != NULL &&
        !view_equal(login->host_key, key_blob(last->host_key)))
        return refuse(s, "the request is for another host");
    return OK;
}

static enum err check_destination(struct sign *s) {
    struct agent_userauth login;
    char user[256];
    if (s->key->destinations.n == 0)
        return OK;
    if (s->t->client->bindings_n == 0)
        return refuse(s, "bound to hosts, and the connection is not");
    if (!agent_userauth_read(&login, s->m.data, s->key->public))
        return refuse(s, "bound to hosts, and this is no login");
    if (!text_copy(user, sizeof user, login.user) ||
        !agent_sees(s->t->client, s->key, user))
        return refuse(s, "not permitted for this destination");
    TRY(check_session(s, &login));
    char clean[128];
    snprintf(s->purpose, sizeof s->purpose,
             "public key authentication request for user \"%s\" to listed host",
             text_clean(clean, sizeof clean, login.user));
    return OK;
}

// A browser's key signs for SSH alone: a page could have somebody's login signed.
static enum err check_websafe(struct sign *s) {
    const struct agent_options *o = &s->t->server->options;
    struct agent_userauth login;
    char application[256];
    if (!s->key->public->type->security_key || o->no_websafe)
        return OK;
    if (text_copy(application, sizeof application, s->key->public->application) &&
        text_match_list(o->websafe_allow != NULL ? o->websafe_allow : "ssh:*",
                        application, false) == 1)
        return OK;
    if (agent_userauth_read(&login, s->m.data, s->key->public) ||
        agent_is_sshsig(s->m.data))
        return OK;
    return refuse(s, "a key of the web, and the data is not SSH's");
}

// ---- with what? ----

static const struct signature_alg *algorithm(const struct key *key, uint32_t flags) {
    const struct key_type *type = key_type_plain(key->type);
    const char *name = type->name;
    if (type->kind == PK_RSA)
        name = (flags & AGENT_RSA_SHA2_256) != 0   ? "rsa-sha2-256"
               : (flags & AGENT_RSA_SHA2_512) != 0 ? "rsa-sha2-512"
                                                   : "ssh-rsa";
    const struct alg *alg = alg_find(ALG_SIGNATURE, view_text(name));
    return alg != NULL ? alg->signature : NULL;
}

static enum err confirm(struct sign *s) {
    char print[KEY_FINGERPRINT_SIZE], comment[256];
    const char *named = text_clean(comment, sizeof comment, view_text(s->key->comment));
    key_fingerprint(print, sizeof print, key_plain_blob(s->key->public),
                    s->t->server->options.hash);
    snprintf(s->t->question->text, sizeof s->t->question->text,
             "Allow use of key %s?\nKey fingerprint %s.%s%s", named, print,
             s->purpose[0] != '\0' ? "\n" : "", s->purpose);
    return agent_asks(s->t, AGENT_WANT_CONFIRM);
}

static enum err answer(struct sign *s, struct view signature) {
    struct agent_signature m = {signature};
    agent_encode(&s->t->answer, AGENT_SIGN_RESPONSE, &m);
    return OK;
}

static enum err sign_here(struct sign *s, const struct signature_alg *alg) {
    struct key *k;
    scoped_buf signature;
    buf_init(&signature, KEY_SIGNATURE_MAX);
    TRY(agent_key_open(s->key, &k));
    enum err e = key_sign(k, alg, s->m.data, &signature);
    key_free(k);
    return e == OK ? answer(s, buf_view(&signature)) : e;
}

static enum err sign_elsewhere(struct sign *s, const struct signature_alg *alg) {
    struct agent_question *q = s->t->question;
    const struct agent_reply *reply = s->t->reply;
    if (reply != NULL && reply->signature.n > 0)
        return answer(s, reply->signature);
    q->key = s->key;
    q->alg = alg;
    q->data = s->m.data;
    return agent_asks(s->t, AGENT_WANT_SIGNATURE);
}

enum err agent_sign_request(struct agent_turn *t) {
    struct sign s = {.t = t};
    const uint32_t known = AGENT_RSA_SHA2_256 | AGENT_RSA_SHA2_512;
    TRY(agent_decode(AGENTC_SIGN_REQUEST, t->message, &s.m, t->fault));
    s.key = agent_store_find(&t->server->store, s.m.key);
    if (s.key == NULL)
        return fault_set(t->fault, ERR_NOT_FOUND, 0, "no such key to sign with");
    TRY(check_destination(&s));
    TRY(check_websafe(&s));
    const struct signature_alg *alg = algorithm(s.key->public, s.m.flags);
    if (alg == NULL || (s.m.flags & ~known) != 0)
        return refuse(&s, "signature algorithm not supported (SHA-1 is not)");
    if (t->reply != NULL && !t->reply->yes)
        return refuse(&s, "not confirmed");
    if (s.key->confirm && t->reply == NULL)
        return confirm(&s);
    return s.key->holder == AGENT_HELD_HERE ? sign_here(&s, alg)
                                            : sign_elsewhere(&s, alg);
}
