// Sets of host keys over the life of links: a link goes on with the keys that it began
// with, also under the next keeper, which has loaded its own.
#include <stdlib.h>

#include "base/secret.h"
#include "base/text.h"
#include "key/private_key.h"
#include "server/keeper.h"

enum err host_keys_write(const struct host_keys *k, struct buf *out) {
    struct writer w = writer_to_buf(out);
    for (size_t i = 0; i < k->n; i++) {
        write_string(&w, key_blob(k->keys[i]));
        write_string(&w, key_plain_blob(k->keys[i]));
        write_text(&w, k->algorithms[i]);
    }
    return writer_end(&w);
}

// Nothing was changed since: what is loaded now is what the link began with.
static bool is_same(const struct host_keys *k, struct view list) {
    struct reader r = reader_of(list);
    for (size_t i = 0; i < k->n; i++) {
        struct view blob = read_string(&r);
        read_string(&r);
        if (!view_equal(blob, key_blob(k->keys[i])) ||
            !view_is(read_text(&r), k->algorithms[i]))
            return false;
    }
    return reader_end(&r) == OK;
}

static struct key *find(const struct host_keys *k, struct view plain) {
    for (size_t i = 0; k != NULL && i < k->n; i++)
        if (k->keys[i]->certificate == NULL && view_equal(key_blob(k->keys[i]), plain))
            return k->keys[i];
    for (size_t i = 0; k != NULL && i < k->spares; i++)
        if (view_equal(key_blob(k->spare[i]), plain))
            return k->spare[i];
    return NULL;
}

// A key that is nowhere any more keeps its place: its public half, which signs nothing.
static enum err add(struct host_keys *set, struct view plain, struct view names) {
    size_t at = set->n;
    for (size_t i = 0; i < 2 && set->keys[at] == NULL; i++)
        set->keys[at] = find(set->owners[i], plain);
    set->lent[at] = set->keys[at] != NULL;
    if (!set->lent[at])
        TRY(key_from_blob(&set->keys[at], plain, NULL));
    set->signer[at] = set->keys[at];
    set->n++;
    set->algorithms[at] = strndup((const char *)names.p, names.n);
    return set->algorithms[at] != NULL ? OK : ERR_MEMORY;
}

static enum err fill(struct host_keys *set, struct view list) {
    struct reader r = reader_of(list);
    while (reader_left(&r) > 0 && set->n < SETTINGS_HOST_KEYS_MAX) {
        read_string(&r);
        struct view plain = read_string(&r), names = read_text(&r);
        TRY(r.err);
        TRY(add(set, plain, names));
    }
    return reader_end(&r);
}

enum err keeper_keys_of(struct keeper *k, struct view list, struct host_keys **out) {
    if (is_same(k->host_keys, list)) {
        k->host_keys->refs++;
        *out = k->host_keys;
        return OK;
    }
    struct host_keys *set = calloc(1, sizeof *set);
    if (set == NULL)
        return ERR_MEMORY;
    set->refs = 1;
    set->owners[0] = k->host_keys;
    set->owners[1] = k->retired;
    for (size_t i = 0; i < 2; i++)
        if (set->owners[i] != NULL)
            set->owners[i]->refs++;
    set->agent = k->host_keys->agent != NULL ? strdup(k->host_keys->agent) : NULL;
    set->provider =
        k->host_keys->provider != NULL ? strdup(k->host_keys->provider) : NULL;
    enum err e = fill(set, list);
    if (e != OK)
        host_keys_drop(set);
    else
        *out = set;
    return e;
}

// ---- over an exec ----

static bool wrote(const struct host_keys *done, const struct key *key) {
    return find(done, key_blob(key)) != NULL;
}

static enum err write_key(struct host_keys *done, struct key *key, struct writer *w) {
    struct private_key_options options = {0};
    struct fault fault = {0};
    scoped_buf text;
    buf_init(&text, LIMIT_KEY_FILE);
    if (key->certificate != NULL || wrote(done, key) || !pk_has_secret(key->pk) ||
        done->n == SETTINGS_HOST_KEYS_MAX)
        return OK;
    enum err e = private_key_write(key, &options, &text, &fault);
    if (e == OK)
        write_string(w, buf_view(&text));
    if (text.p != NULL)
        secret_wipe(text.p, text.room);
    done->keys[done->n++] = key;
    return e;
}

enum err keeper_retired_write(const struct keeper *k, struct buf *out) {
    struct host_keys done = {0};
    struct writer w = writer_to_buf(out);
    for (const struct link *l = k->links; l != NULL; l = l->next)
        for (size_t i = 0; i < l->host_keys->n; i++)
            TRY(write_key(&done, l->host_keys->signer[i], &w));
    return writer_end(&w);
}

enum err keeper_retired_read(struct keeper *k, struct view keys) {
    struct reader r = reader_of(keys);
    struct host_keys *set = calloc(1, sizeof *set);
    struct fault fault = {0};
    if (set == NULL)
        return ERR_MEMORY;
    set->refs = 1;
    k->retired = set;
    while (reader_left(&r) > 0 && set->n < SETTINGS_HOST_KEYS_MAX) {
        struct view text = read_string(&r);
        TRY(r.err);
        TRY(private_key_parse(&set->keys[set->n], text, view_of(NULL, 0), &fault));
        set->signer[set->n] = set->keys[set->n];
        set->n++;
    }
    return reader_end(&r);
}
