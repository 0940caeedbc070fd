// Adding keys: from fields, with constraints, or all those of a token.
#include <stdlib.h>
#include <strings.h>

#include "agent/server_state.h"
#include "key/secret_fields.h"

#define INTERNAL "internal"  // our own helper's FIDO, no library of the user's

struct added {
    struct key *secret, *certificate;
    struct view comment;
    struct agent_constraints constraints;
};

static void added_free(struct added *a) {
    key_free(a->secret);
    key_free(a->certificate);
    agent_constraints_free(&a->constraints);
}

static enum err copy_text(char **out, const char *text) {
    *out = strdup(text);
    return *out != NULL ? OK : ERR_MEMORY;
}

static void constrain(const struct agent_turn *t, struct agent_key *k,
                      const struct agent_constraints *c) {
    uint32_t lifetime =
        c->lifetime_s != 0 ? c->lifetime_s : t->server->options.lifetime_s;
    k->confirm = c->confirm;
    if (lifetime != 0)
        k->deadline = t->now.ms + (uint64_t)lifetime * 1000;
}

// In the place of one that is there, if that may be seen at all.
static enum err put(struct agent_turn *t, struct agent_key *k) {
    const struct agent_key *before =
        agent_store_find(&t->server->store, key_blob(k->public));
    if (before != NULL && !agent_sees(t->client, before, NULL))
        return fault_set(t->fault, ERR_REFUSED, 0, "the key is there, out of sight");
    enum err e = agent_store_put(&t->server->store, k);
    return e == OK ? OK : fault_set(t->fault, e, 0, "the agent is full");
}

// A library that is named over a forwarded connection would be loaded here.
static enum err check_remote(const struct agent_turn *t) {
    return t->client->bindings_n == 0 && !t->client->bind_failed ? OK
           : t->server->options.remote_providers
               ? OK
               : fault_set(t->fault, ERR_REFUSED, 0,
                           "no libraries over forwarded connections");
}

// ---- keys ----

static bool is_internal(struct view provider) {
    return provider.p == NULL ||
           (provider.n == strlen(INTERNAL) &&
            strncasecmp((const char *)provider.p, INTERNAL, provider.n) == 0);
}

// *path: where the library lies; NULL: it is asked for.
static enum err find_provider(struct agent_turn *t, const struct added *a,
                              const char **path) {
    struct view provider = a->constraints.provider;
    *path = NULL;
    if (!a->secret->type->security_key)
        return provider.p == NULL
                   ? OK
                   : fault_set(t->fault, ERR_KEY, 0, "a provider, and no security key");
    if (is_internal(provider)) {
        *path = INTERNAL;
        return OK;
    }
    TRY(check_remote(t));
    if (t->reply == NULL) {
        t->question->provider = provider;
        return agent_asks(t, AGENT_WANT_PROVIDER);
    }
    if (!t->reply->yes || t->reply->path == NULL)
        return fault_set(t->fault, ERR_REFUSED, 0, "the provider may not be used");
    *path = t->reply->path;
    return OK;
}

static enum err keep(struct agent_turn *t, struct added *a, const char *path) {
    struct agent_key *k;
    TRY(agent_key_new(&k, a->secret, a->certificate, a->comment));
    enum err e = OK;
    if (path != NULL) {
        k->holder = AGENT_HELD_BY_SECURITY_KEY;
        e = copy_text(&k->provider, path);
    }
    constrain(t, k, &a->constraints);
    k->destinations = a->constraints.destinations;
    a->constraints.destinations = (struct agent_destinations){0};
    if (e == OK)
        e = put(t, k);
    if (e != OK)
        agent_key_free(k);
    return e == OK ? agent_succeeds(t) : e;
}

static enum err read_added(struct agent_turn *t, struct view rest, struct added *a) {
    struct reader r = reader_of(rest);
    bool constrained = t->message.p[0] == AGENTC_ADD_ID_CONSTRAINED;
    TRY(secret_fields_read(&r, &a->secret, &a->certificate, t->fault));
    a->comment = read_text(&r);
    TRY(r.err);
    if (a->comment.n > AGENT_COMMENT_MAX)
        return fault_set(t->fault, ERR_LIMIT, 0, "the comment is over %d bytes",
                         AGENT_COMMENT_MAX);
    if (!constrained)
        return reader_end(&r);
    return agent_constraints_read(&a->constraints, &r, false, t->fault);
}

enum err agent_add(struct agent_turn *t) {
    struct agent_add m;
    struct added a = {0};
    const char *path = NULL;
    TRY(agent_decode(t->message.p[0], t->message, &m, t->fault));
    enum err e = read_added(t, m.rest, &a);
    if (e == OK)
        e = find_provider(t, &a, &path);
    if (e == OK && t->question->want == AGENT_WANT_NOTHING)
        e = keep(t, &a, path);
    added_free(&a);
    return e;
}

// ---- tokens ----

struct card {
    const struct agent_constraints *c;
    struct view pin;
};

static enum err put_token(struct agent_turn *t, const struct key *public,
                          struct view label, const struct card *card) {
    const struct agent_constraints *c = card->c;
    struct agent_key *k;
    TRY(agent_key_new(&k, public, NULL, label));
    k->holder = AGENT_HELD_BY_TOKEN;
    enum err e = copy_text(&k->provider, t->reply->path);
    if (e == OK)
        e = agent_key_keep_pin(k, card->pin);
    constrain(t, k, c);
    if (e == OK && c->destinations.n > 0) {
        // Each key has a copy of its own.
        scoped_buf copy;
        buf_init(&copy, AGENT_MESSAGE_MAX);
        struct writer w = writer_to_buf(&copy);
        agent_destinations_write(&w, &c->destinations);
        e = writer_end(&w);
        if (e == OK)
            e = agent_destinations_read(&k->destinations, buf_view(&copy), t->fault);
    }
    if (e == OK)
        e = put(t, k);
    if (e != OK)
        agent_key_free(k);
    return e;
}

static enum err put_with_certificates(struct agent_turn *t,
                                      const struct agent_token_key *token,
                                      const struct card *card) {
    const struct agent_constraints *c = card->c;
    struct key *public;
    TRY(key_from_blob(&public, token->blob, t->fault));
    enum err e = OK;
    for (size_t i = 0; e == OK && i < c->certificates_n; i++) {
        if (!view_equal(key_plain_blob(c->certificates[i]), token->blob))
            continue;
        e = put_token(t, c->certificates[i], token->label, card);
    }
    if (e == OK && !(c->certificates_only && c->certificates_n > 0))
        e = put_token(t, public, token->label, card);
    key_free(public);
    return e;
}

static enum err put_tokens(struct agent_turn *t, const struct card *card) {
    const struct agent_reply *reply = t->reply;
    if (!reply->yes || reply->path == NULL || reply->keys_n == 0)
        return fault_set(t->fault, ERR_REFUSED, 0, "no keys by that provider");
    for (size_t i = 0; i < reply->keys_n; i++)
        TRY(put_with_certificates(t, &reply->keys[i], card));
    return agent_succeeds(t);
}

enum err agent_add_smartcard(struct agent_turn *t) {
    struct agent_smartcard m;
    struct agent_constraints c = {0};
    TRY(agent_decode(t->message.p[0], t->message, &m, t->fault));
    TRY(check_remote(t));
    struct reader r = reader_of(m.constraints);
    if (t->message.p[0] == AGENTC_ADD_SMARTCARD_KEY_CONSTRAINED)
        TRY(agent_constraints_read(&c, &r, true, t->fault));
    else
        TRY(reader_end(&r));
    enum err e = OK;
    if (t->reply == NULL) {
        t->question->provider = m.provider;
        t->question->pin = m.pin;
        e = agent_asks(t, AGENT_WANT_KEYS);
    } else {
        e = put_tokens(t, &(struct card){&c, m.pin});
    }
    agent_constraints_free(&c);
    return e;
}

enum err agent_remove_smartcard(struct agent_turn *t) {
    struct agent_smartcard m;
    TRY(agent_decode(AGENTC_REMOVE_SMARTCARD_KEY, t->message, &m, t->fault));
    if (m.constraints.n != 0)
        return ERR_TRAILING;
    if (t->reply == NULL) {
        t->question->provider = m.provider;
        return agent_asks(t, AGENT_WANT_PROVIDER);
    }
    if (!t->reply->yes || t->reply->path == NULL ||
        agent_store_remove_provider(&t->server->store, t->reply->path) == 0)
        return fault_set(t->fault, ERR_NOT_FOUND, 0, "no keys of that provider");
    return agent_succeeds(t);
}
