#include "agent/destination.h"

#include <stdlib.h>

#include "base/text.h"
#include "key/certificate.h"

// ---- keeping ----

static void hop_free(struct agent_hop *h) {
    for (size_t i = 0; i < h->keys_n; i++)
        key_free(h->keys[i].key);
    free(h->keys);
    free(h->host);
    free(h->user);
}

void agent_destinations_free(struct agent_destinations *d) {
    for (size_t i = 0; i < d->n; i++) {
        hop_free(&d->list[i].from);
        hop_free(&d->list[i].to);
    }
    free(d->list);
    *d = (struct agent_destinations){0};
}

// ---- reading ----

// NULL for an empty one.
static char *read_name(struct reader *r) {
    struct view v = read_text(r);
    if (v.n == 0)
        return NULL;
    char *copy = malloc(v.n + 1);
    if (copy == NULL)
        r->err = ERR_MEMORY;
    else
        (void)text_copy(copy, v.n + 1, v);
    return copy;
}

static enum err read_hop_key(struct reader *r, struct agent_hop *h, struct fault *fault) {
    struct view blob = read_string(r);
    bool authority = read_bool(r);
    TRY(r->err);
    if (h->keys_n == AGENT_HOP_KEYS_MAX)
        return fault_set(fault, ERR_LIMIT, 0, "over %d host keys", AGENT_HOP_KEYS_MAX);
    struct agent_hop_key *more = reallocarray(h->keys, h->keys_n + 1, sizeof h->keys[0]);
    if (more == NULL)
        return ERR_MEMORY;
    h->keys = more;
    TRY(key_from_blob(&more[h->keys_n].key, blob, fault));
    more[h->keys_n++].authority = authority;
    return OK;
}

static enum err read_hop(struct view bytes, struct agent_hop *h, struct fault *fault) {
    struct reader r = reader_of(bytes);
    h->user = read_name(&r);
    h->host = read_name(&r);
    struct view reserved = read_string(&r);
    if (r.err == OK && reserved.n != 0)
        return fault_set(fault, ERR_UNSUPPORTED, 0, "unknown part of a destination");
    while (reader_left(&r) > 0)
        TRY(read_hop_key(&r, h, fault));
    return reader_end(&r);
}

static enum err read_destination(struct view bytes, struct agent_destination *d,
                                 struct fault *fault) {
    struct reader r = reader_of(bytes);
    struct view from = read_string(&r), to = read_string(&r), reserved = read_string(&r);
    TRY(reader_end(&r));
    if (reserved.n != 0)
        return fault_set(fault, ERR_UNSUPPORTED, 0, "unknown part of a destination");
    TRY(read_hop(from, &d->from, fault));
    TRY(read_hop(to, &d->to, fault));
    // Half of a hop would match too much or nothing.
    if (d->from.user != NULL || (d->from.host == NULL) != (d->from.keys_n == 0) ||
        d->to.host == NULL || d->to.keys_n == 0)
        return fault_set(fault, ERR_FORMAT, 0, "a destination lacks its host or keys");
    return OK;
}

static enum err read_next(struct agent_destinations *d, struct reader *r,
                          struct fault *fault) {
    struct view bytes = read_string(r);
    TRY(r->err);
    if (d->n == AGENT_DESTINATIONS_MAX)
        return fault_set(fault, ERR_LIMIT, 0, "over %d destinations",
                         AGENT_DESTINATIONS_MAX);
    struct agent_destination *more = reallocarray(d->list, d->n + 1, sizeof d->list[0]);
    if (more == NULL)
        return ERR_MEMORY;
    d->list = more;
    more[d->n] = (struct agent_destination){0};
    return read_destination(bytes, &more[d->n++], fault);
}

enum err agent_destinations_read(struct agent_destinations *out, struct view contents,
                                 struct fault *fault) {
    struct agent_destinations d = {0};
    struct reader r = reader_of(contents);
    enum err e = OK;
    while (e == OK && reader_left(&r) > 0)
        e = read_next(&d, &r, fault);
    // None at all would be taken for "everywhere".
    if (e == OK && d.n == 0)
        e = ERR_FORMAT;
    if (e != OK) {
        agent_destinations_free(&d);
        return fault_set(fault, e, 0, "destination: %s", err_text(e));
    }
    *out = d;
    return OK;
}

// ---- writing ----

// A string whose contents are written after its length is known.
static void write_hop(struct writer *w, const struct agent_hop *h) {
    size_t n = 12 + (h->user != NULL ? strlen(h->user) : 0) +
               (h->host != NULL ? strlen(h->host) : 0);
    for (size_t i = 0; i < h->keys_n; i++)
        n += 4 + h->keys[i].key->blob_len + 1;
    write_u32(w, (uint32_t)n);
    write_text(w, h->user != NULL ? h->user : "");
    write_text(w, h->host != NULL ? h->host : "");
    write_u32(w, 0);
    for (size_t i = 0; i < h->keys_n; i++) {
        write_string(w, key_blob(h->keys[i].key));
        write_bool(w, h->keys[i].authority);
    }
}

void agent_destinations_write(struct writer *w, const struct agent_destinations *d) {
    for (size_t i = 0; i < d->n; i++) {
        scoped_buf hops;
        buf_init(&hops, 1u << 20);
        struct writer inner = writer_to_buf(&hops);
        write_hop(&inner, &d->list[i].from);
        write_hop(&inner, &d->list[i].to);
        write_u32(&inner, 0);
        if (inner.err != OK)
            w->err = inner.err;
        write_string(w, buf_view(&hops));
    }
}

// ---- judging ----

// Is this host, by the key that it showed, the one that the hop names?
static bool hop_is(const struct agent_hop *h, const struct key *host_key) {
    const struct certificate *c = host_key->certificate;
    for (size_t i = 0; i < h->keys_n; i++) {
        const struct agent_hop_key *k = &h->keys[i];
        if (c == NULL && !k->authority &&
            view_equal(key_blob(host_key), key_blob(k->key)))
            return true;
        if (c != NULL && k->authority && view_equal(key_blob(c->ca), key_blob(k->key)) &&
            c->kind == CERTIFICATE_HOST && h->host != NULL &&
            certificate_names_host(c, h->host))
            return true;
    }
    return false;
}

static bool from_here(const struct agent_hop *h) {
    return h->host == NULL && h->keys_n == 0;
}

// One hop: from NULL is from here, to NULL is to anywhere, user NULL is anybody.
static bool hop_permitted(const struct agent_destinations *d, const struct key *from,
                          const struct key *to, const char *user) {
    for (size_t i = 0; i < d->n; i++) {
        const struct agent_destination *one = &d->list[i];
        if (from == NULL ? !from_here(&one->from) : !hop_is(&one->from, from))
            continue;
        if (to != NULL && !hop_is(&one->to, to))
            continue;
        if (user != NULL && one->to.user != NULL && !text_match(one->to.user, user))
            continue;
        return true;
    }
    return false;
}

bool agent_destinations_permit(const struct agent_destinations *d,
                               const struct agent_binding *way, size_t n,
                               const char *user) {
    const struct key *from = NULL;
    if (d->n == 0 || n == 0)
        return true;
    for (size_t i = 0; i < n; i++) {
        bool last = i == n - 1;
        // Only the last hop logs in, and what logs in is forwarded no further.
        if (last ? user != NULL && way[i].forwarding : !way[i].forwarding)
            return false;
        if (!hop_permitted(d, from, way[i].host_key, last ? user : NULL))
            return false;
        from = way[i].host_key;
    }
    // A key that may be used to log in to that host, but not from there, is not shown
    // there.
    return user != NULL || !way[n - 1].forwarding || hop_permitted(d, from, NULL, NULL);
}
