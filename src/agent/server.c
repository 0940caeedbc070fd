#include "agent/server.h"

#include <stdlib.h>

#include "agent/server_state.h"
#include "base/secret.h"
#include "base/text.h"
#include "crypto/bcrypt_pbkdf.h"
#include "crypto/random.h"

#define LOCK_ROUNDS 1
#define UNLOCK_STEP_MS 100  // more for each wrong attempt
#define UNLOCK_STEPS 100

void agent_server_init(struct agent_server *s, const struct agent_options *o) {
    *s = (struct agent_server){.options = *o};
    if (s->options.hash == NULL)
        s->options.hash = &digest_sha256;
}

void agent_server_drop(struct agent_server *s) {
    agent_store_clear(&s->store);
    secret_wipe(s->lock_hash, sizeof s->lock_hash);
}

static void forget_request(struct agent_client *c) {
    secret_wipe(c->request.p, c->request.room);
    buf_free(&c->request);
    buf_init(&c->request, AGENT_MESSAGE_MAX);
}

void agent_client_init(struct agent_client *c, struct agent_server *s) {
    *c = (struct agent_client){.server = s};
    buf_init(&c->request, AGENT_MESSAGE_MAX);
}

void agent_client_drop(struct agent_client *c) {
    forget_request(c);
    for (size_t i = 0; i < c->bindings_n; i++)
        key_free(c->bindings[i].host_key);
    c->bindings_n = 0;
}

bool agent_sees(const struct agent_client *c, const struct agent_key *k,
                const char *user) {
    if (k->destinations.n > 0 && c->bind_failed && c->bindings_n == 0)
        return false;
    return agent_destinations_permit(&k->destinations, c->bindings, c->bindings_n, user);
}

// ---- lists ----

static enum err list(struct agent_turn *t) {
    const struct agent_store *s = &t->server->store;
    struct agent_identities answer = {0};
    scoped_buf keys;
    struct agent_empty empty;
    buf_init(&keys, AGENT_MESSAGE_MAX);
    struct writer w = writer_to_buf(&keys);
    TRY(agent_decode(AGENTC_REQUEST_IDENTITIES, t->message, &empty, t->fault));
    for (size_t i = 0; i < s->n && !t->server->locked; i++) {
        if (!agent_sees(t->client, s->keys[i], NULL))
            continue;
        answer.count++;
        write_string(&w, key_blob(s->keys[i]->public));
        write_text(&w, s->keys[i]->comment);
    }
    TRY(writer_end(&w));
    answer.keys = buf_view(&keys);
    agent_encode(&t->answer, AGENT_IDENTITIES_ANSWER, &answer);
    return OK;
}

static enum err remove_one(struct agent_turn *t) {
    struct agent_remove m;
    TRY(agent_decode(AGENTC_REMOVE_IDENTITY, t->message, &m, t->fault));
    const struct agent_key *k = agent_store_find(&t->server->store, m.key);
    if (k == NULL || !agent_sees(t->client, k, NULL))
        return fault_set(t->fault, ERR_NOT_FOUND, 0, "no such key to remove");
    agent_store_remove(&t->server->store, m.key);
    return agent_succeeds(t);
}

static enum err remove_all(struct agent_turn *t) {
    struct agent_empty empty;
    TRY(agent_decode(AGENTC_REMOVE_ALL_IDENTITIES, t->message, &empty, t->fault));
    agent_store_clear(&t->server->store);
    return agent_succeeds(t);
}

// ---- lock and unlock ----

static enum err hash_passphrase(const struct agent_server *s, struct view passphrase,
                                uint8_t out[32]) {
    return bcrypt_pbkdf(passphrase, view_of(s->lock_salt, sizeof s->lock_salt),
                        LOCK_ROUNDS, out, 32);
}

static enum err lock(struct agent_turn *t) {
    struct agent_server *s = t->server;
    struct agent_lock m;
    TRY(agent_decode(AGENTC_LOCK, t->message, &m, t->fault));
    if (m.passphrase.n == 0)
        return fault_set(t->fault, ERR_REFUSED, 0, "no lock without a passphrase");
    random_bytes(s->lock_salt, sizeof s->lock_salt);
    TRY(hash_passphrase(s, m.passphrase, s->lock_hash));
    s->locked = true;
    s->unlock_failures = 0;
    s->unlock_after = 0;
    return agent_succeeds(t);
}

static enum err refuse_unlock(struct agent_turn *t) {
    struct agent_server *s = t->server;
    s->unlock_failures += s->unlock_failures < UNLOCK_STEPS;
    s->unlock_after = t->now.ms + (uint64_t)s->unlock_failures * UNLOCK_STEP_MS;
    return fault_set(t->fault, ERR_REFUSED, 0, "wrong passphrase to unlock");
}

// One attempt at a time, whatever the number of connections.
static enum err unlock(struct agent_turn *t) {
    struct agent_server *s = t->server;
    struct agent_lock m;
    uint8_t hash[32];
    TRY(agent_decode(AGENTC_UNLOCK, t->message, &m, t->fault));
    if (!s->locked || m.passphrase.n == 0)
        return fault_set(t->fault, ERR_REFUSED, 0, "not locked, or no passphrase");
    if (t->now.ms < s->unlock_after) {
        t->question->until_ms = s->unlock_after;
        return agent_asks(t, AGENT_WANT_TIME);
    }
    enum err e = hash_passphrase(s, m.passphrase, hash);
    bool right = e == OK && secret_equal(hash, s->lock_hash, sizeof hash);
    secret_wipe(hash, sizeof hash);
    if (!right)
        return refuse_unlock(t);
    s->locked = false;
    secret_wipe(s->lock_hash, sizeof s->lock_hash);
    return agent_succeeds(t);
}

// ---- extensions ----

static enum err query(struct agent_turn *t, struct view contents);

static const struct extension {
    const char *name;
    bool while_locked;
    enum err (*handle)(struct agent_turn *t, struct view contents);
} extensions[] = {
    {AGENT_QUERY, false, query},
    // A link bound late would be taken for one that is local.
    {AGENT_SESSION_BIND, true, agent_session_bind},
};
#define EXTENSIONS (sizeof extensions / sizeof extensions[0])

static enum err query(struct agent_turn *t, struct view contents) {
    uint8_t room[512];
    struct writer w = writer_to_span((struct span){room, sizeof room});
    if (contents.n != 0)
        return ERR_TRAILING;
    for (size_t i = 0; i < EXTENSIONS; i++)
        write_text(&w, extensions[i].name);
    TRY(writer_end(&w));
    struct agent_extension answer = {view_text(AGENT_QUERY), view_of(room, w.n)};
    agent_encode(&t->answer, AGENT_EXTENSION_RESPONSE, &answer);
    return OK;
}

static enum err extension(struct agent_turn *t) {
    char clean[80];
    struct agent_extension m;
    TRY(agent_decode(AGENTC_EXTENSION, t->message, &m, t->fault));
    for (size_t i = 0; i < EXTENSIONS; i++) {
        const struct extension *e = &extensions[i];
        if (!view_is(m.name, e->name))
            continue;
        if (t->server->locked && !e->while_locked)
            return fault_set(t->fault, ERR_REFUSED, 0, "the agent is locked");
        return e->handle(t, m.contents);
    }
    return fault_set(t->fault, ERR_UNSUPPORTED, 0, "unknown extension \"%s\"",
                     text_clean(clean, sizeof clean, m.name));
}

// ---- dispatch ----

static const struct handler {
    uint8_t number;
    bool while_locked;
    enum err (*handle)(struct agent_turn *t);
} handlers[] = {
    {AGENTC_REQUEST_IDENTITIES, true, list},
    {AGENTC_SIGN_REQUEST, false, agent_sign_request},
    {AGENTC_ADD_IDENTITY, false, agent_add},
    {AGENTC_ADD_ID_CONSTRAINED, false, agent_add},
    {AGENTC_REMOVE_IDENTITY, false, remove_one},
    {AGENTC_REMOVE_ALL_IDENTITIES, false, remove_all},
    {AGENTC_ADD_SMARTCARD_KEY, false, agent_add_smartcard},
    {AGENTC_ADD_SMARTCARD_KEY_CONSTRAINED, false, agent_add_smartcard},
    {AGENTC_REMOVE_SMARTCARD_KEY, false, agent_remove_smartcard},
    {AGENTC_LOCK, false, lock},
    {AGENTC_UNLOCK, true, unlock},
    {AGENTC_EXTENSION, true, extension},
};

static enum err handle(struct agent_turn *t) {
    uint8_t number = t->message.n > 0 ? t->message.p[0] : 0;
    for (size_t i = 0; i < sizeof handlers / sizeof handlers[0]; i++) {
        if (handlers[i].number != number)
            continue;
        if (t->server->locked && !handlers[i].while_locked)
            return fault_set(t->fault, ERR_REFUSED, 0, "the agent is locked");
        return handlers[i].handle(t);
    }
    return fault_set(t->fault, ERR_UNSUPPORTED, 0, "unknown request %u", number);
}

static enum err look(struct agent_client *c, const struct agent_reply *reply,
                     struct agent_now now, struct buf *answer,
                     struct agent_question *question, struct fault *fault) {
    scoped_buf out;
    buf_init(&out, AGENT_MESSAGE_MAX);
    struct agent_turn t = {
        .client = c,
        .server = c->server,
        .message = buf_view(&c->request),
        .now = now,
        .reply = reply,
        .answer = writer_to_buf(&out),
        .question = question,
        .fault = fault,
    };
    memset(question, 0, sizeof *question);
    agent_store_expire(&c->server->store, now.ms);
    enum err e = handle(&t);
    if (e == OK && question->want != AGENT_WANT_NOTHING)
        return OK;
    if (e == OK)
        e = writer_end(&t.answer);
    if (e != OK) {
        bool extended = t.message.n > 0 && t.message.p[0] == AGENTC_EXTENSION;
        fault_set(fault, e, 0, "%s", err_text(e));
        question->want = AGENT_WANT_NOTHING;
        buf_clear(&out);
        t.answer = writer_to_buf(&out);
        agent_encode(&t.answer,
                     extended && e != ERR_UNSUPPORTED ? AGENT_EXTENSION_FAILURE
                                                      : AGENT_FAILURE,
                     &(struct agent_empty){0});
    }
    forget_request(c);
    return buf_append(answer, buf_view(&out));
}

enum err agent_client_request(struct agent_client *c, struct view message,
                              struct agent_now now, struct buf *answer,
                              struct agent_question *question, struct fault *fault) {
    if (buf_len(&c->request) != 0)
        return ERR_UNEXPECTED;
    TRY(buf_append(&c->request, message));
    return look(c, NULL, now, answer, question, fault);
}

enum err agent_client_answer(struct agent_client *c, const struct agent_reply *reply,
                             struct agent_now now, struct buf *answer,
                             struct agent_question *question, struct fault *fault) {
    if (buf_len(&c->request) == 0)
        return ERR_UNEXPECTED;
    return look(c, reply, now, answer, question, fault);
}
