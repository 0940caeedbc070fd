#include "client/kept.h"

#include <stdlib.h>

#include "agent/store.h"
#include "base/text.h"
#include "wire/reader.h"

struct kept {
    struct kept *next;
    uint8_t *blob;  // as it was offered: a key or its certificate
    size_t blob_n;
    char name[PATH_MAX];
    struct key *secret;        // NULL: with the agent, or locked
    struct agent_key *locked;  // NULL: not so
};

// One that a PIN belongs to each time is of no use where nobody is asked.
static bool wants_a_person(const struct key *k) {
    return k != NULL && k->type->security_key &&
           (k->handle_flags & KEY_HANDLE_VERIFY) != 0;
}

static struct kept *kept_new(struct identities *ids) {
    if (wants_a_person(ids->secret))
        return NULL;
    struct kept *k = calloc(1, sizeof *k);
    if (k == NULL || (ids->secret == NULL && !ids->in_agent) || ids->blob.n == 0 ||
        (k->blob = malloc(ids->blob.n)) == NULL) {
        free(k);
        return NULL;
    }
    memcpy(k->blob, ids->blob.p, ids->blob.n);
    k->blob_n = ids->blob.n;
    memcpy(k->name, ids->name, sizeof k->name);
    // The agent may have been what signed, with the file as well.
    if (!ids->in_agent) {
        // The public half on offer may be this key's own.
        ids->blob = view_of(k->blob, k->blob_n);
        k->secret = ids->secret;
        ids->secret = NULL;
    }
    return k;
}

bool kept_add(struct kept **list, struct identities *ids) {
    while (*list != NULL)
        list = &(*list)->next;
    *list = kept_new(ids);
    return *list != NULL;
}

struct kept *kept_next(const struct kept *k) {
    return k->next;
}

static void lock(struct kept *k) {
    if (k->secret == NULL ||
        agent_key_new(&k->locked, k->secret, NULL, (struct view){0}) != OK)
        return;
    key_free(k->secret);
    k->secret = NULL;
}

void kept_lock(struct kept *list) {
    for (struct kept *k = list; k != NULL; k = k->next)
        lock(k);
}

void kept_free(struct kept *list) {
    for (struct kept *k = list, *next; k != NULL; k = next) {
        next = k->next;
        agent_key_free(k->locked);
        key_free(k->secret);
        free(k->blob);
        free(k);
    }
}

static const struct signature_alg *algorithm_of(const struct kept *k,
                                                const struct auth_client *auth) {
    char name[64];
    struct reader r = reader_of(view_of(k->blob, k->blob_n));
    return text_copy(name, sizeof name, read_text(&r)) ? auth_client_algorithm(auth, name)
                                                       : NULL;
}

static bool open_halves(struct kept *k, struct identities *ids) {
    struct key *shown = NULL;
    if (key_from_blob(&shown, view_of(k->blob, k->blob_n), NULL) != OK)
        return false;
    ids->blob = key_blob(shown);
    if (shown->certificate != NULL)
        ids->certificate = shown;
    else
        ids->public = shown;
    lock(k);
    ids->in_agent = k->locked == NULL;
    return ids->in_agent ? agent_link_find(&ids->agent, key_plain_blob(shown)) != NULL
                         : agent_key_open(k->locked, &ids->secret) == OK;
}

const char *kept_name(const struct kept *k) {
    return k->name;
}

bool kept_is_there(const struct kept *k, struct client *c) {
    struct identities ids;
    struct key *key = NULL;
    if (k->secret != NULL || k->locked != NULL)
        return true;
    if (key_from_blob(&key, view_of(k->blob, k->blob_n), NULL) != OK)
        return false;
    identities_open(&ids, c);
    bool there = agent_link_find(&ids.agent, key_plain_blob(key)) != NULL;
    identities_close(&ids);
    key_free(key);
    return there;
}

bool kept_offer(struct kept *k, struct identities *ids, struct client *c,
                const struct auth_client *auth, struct auth_identity *out) {
    const struct signature_alg *alg = algorithm_of(k, auth);
    if (k->secret == NULL && k->locked == NULL) {
        identities_open(ids, c);
    } else {
        memset(ids, 0, sizeof *ids);
        ids->c = c;
        ids->agent.fd = -1;
    }
    memcpy(ids->name, k->name, sizeof ids->name);
    if (alg == NULL || !open_halves(k, ids))
        return false;
    // The server is known to take it.
    *out = (struct auth_identity){.blob = ids->blob, .algorithm = alg, .sign_now = true};
    return true;
}
