#include "agent/store.h"

#include <stdlib.h>

#include "agent/protocol.h"
#include "base/limits.h"
#include "key/secret_fields.h"

// The largest RSA key's numbers, or a certificate with them.
#define SECRET_ROOM (LIMIT_CERTIFICATE + 16u * 1024u)

void agent_key_free(struct agent_key *k) {
    if (k == NULL)
        return;
    secret_arena_drop(&k->secret);
    agent_destinations_free(&k->destinations);
    key_free(k->public);
    free(k->comment);
    free(k->provider);
    free(k);
}

static enum err copy_text(char **out, struct view v) {
    *out = malloc(v.n + 1);
    if (*out == NULL)
        return ERR_MEMORY;
    memcpy(*out, v.n > 0 ? (const char *)v.p : "", v.n);
    (*out)[v.n] = '\0';
    return OK;
}

// First into room that is large enough for all, then into as little as it takes.
static enum err keep_secret(struct agent_key *k, const struct key *secret) {
    scoped_secret room = {0};
    TRY(secret_arena_init(&room, SECRET_ROOM, 0));
    uint8_t *p = secret_alloc(&room, SECRET_ROOM);
    struct writer w = writer_to_span((struct span){p, SECRET_ROOM});
    TRY(secret_fields_write(&w, secret, NULL));
    TRY(secret_arena_init(&k->secret, w.n, 0));
    uint8_t *kept = secret_alloc(&k->secret, w.n);
    if (kept == NULL)
        return ERR_MEMORY;
    memcpy(kept, p, w.n);
    k->secret_n = w.n;
    return OK;
}

enum err agent_key_new(struct agent_key **out, const struct key *secret,
                       const struct key *certificate, struct view comment) {
    struct agent_key *k = calloc(1, sizeof *k);
    const struct key *shown = certificate != NULL ? certificate : secret;
    if (k == NULL)
        return ERR_MEMORY;
    k->deadline = UINT64_MAX;
    enum err e = key_from_blob(&k->public, key_blob(shown), NULL);
    if (e == OK)
        e = copy_text(&k->comment, comment);
    if (e == OK && (secret->handle != NULL || pk_has_secret(secret->pk)))
        e = keep_secret(k, secret);
    if (e != OK)
        agent_key_free(k);
    else
        *out = k;
    return e;
}

enum err agent_key_open(const struct agent_key *k, struct key **out) {
    if (k->secret_n == 0 || k->holder == AGENT_HELD_BY_TOKEN)
        return ERR_KEY;
    struct reader r = reader_of(view_of(k->secret.p, k->secret_n));
    TRY(secret_fields_read(&r, out, NULL, NULL));
    return OK;
}

enum err agent_key_keep_pin(struct agent_key *k, struct view pin) {
    if (pin.n == 0)
        return OK;
    TRY(secret_arena_init(&k->secret, pin.n, 0));
    uint8_t *kept = secret_alloc(&k->secret, pin.n);
    if (kept == NULL)
        return ERR_MEMORY;
    memcpy(kept, pin.p, pin.n);
    k->secret_n = pin.n;
    return OK;
}

struct view agent_key_pin(const struct agent_key *k) {
    return k->holder == AGENT_HELD_BY_TOKEN ? view_of(k->secret.p, k->secret_n)
                                            : (struct view){0};
}

// ---- all of them ----

static size_t listed_size(const struct agent_key *k) {
    return 8 + k->public->blob_len + strlen(k->comment);
}

static size_t index_of(const struct agent_store *s, struct view blob) {
    size_t i = 0;
    while (i < s->n && !view_equal(key_blob(s->keys[i]->public), blob))
        i++;
    return i;
}

struct agent_key *agent_store_find(const struct agent_store *s, struct view blob) {
    size_t i = index_of(s, blob);
    return i < s->n ? s->keys[i] : NULL;
}

static void remove_at(struct agent_store *s, size_t i) {
    s->listed -= listed_size(s->keys[i]);
    agent_key_free(s->keys[i]);
    s->n--;
    memmove(&s->keys[i], &s->keys[i + 1], (s->n - i) * sizeof s->keys[0]);
    s->keys[s->n] = NULL;
}

enum err agent_store_put(struct agent_store *s, struct agent_key *k) {
    size_t i = index_of(s, key_blob(k->public));
    size_t before = i < s->n ? listed_size(s->keys[i]) : 0;
    if (i == AGENT_KEYS_MAX ||
        s->listed - before + listed_size(k) + 8 > AGENT_MESSAGE_MAX)
        return ERR_LIMIT;
    if (i < s->n)
        agent_key_free(s->keys[i]);
    else
        s->n++;
    s->keys[i] = k;
    s->listed += listed_size(k) - before;
    return OK;
}

void agent_store_remove(struct agent_store *s, struct view blob) {
    size_t i = index_of(s, blob);
    if (i < s->n)
        remove_at(s, i);
}

void agent_store_clear(struct agent_store *s) {
    while (s->n > 0)
        remove_at(s, s->n - 1);
}

size_t agent_store_remove_provider(struct agent_store *s, const char *provider) {
    size_t removed = 0;
    for (size_t i = s->n; i-- > 0;) {
        const struct agent_key *k = s->keys[i];
        if (k->holder == AGENT_HELD_BY_TOKEN && strcmp(k->provider, provider) == 0) {
            remove_at(s, i);
            removed++;
        }
    }
    return removed;
}

void agent_store_expire(struct agent_store *s, uint64_t now) {
    for (size_t i = s->n; i-- > 0;)
        if (s->keys[i]->deadline <= now)
            remove_at(s, i);
}

uint64_t agent_store_deadline(const struct agent_store *s) {
    uint64_t first = UINT64_MAX;
    for (size_t i = 0; i < s->n; i++)
        if (s->keys[i]->deadline < first)
            first = s->keys[i]->deadline;
    return first;
}
