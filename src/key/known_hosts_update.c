// Plans and rewrites known_hosts for keys that a host has announced.
#include "key/known_hosts_update.h"

#include "base/limits.h"
#include "base/text.h"
#include "key/base64.h"

// Does the line match one of the names?
static enum err matches_any(const struct known_hosts_line *line,
                            const struct known_hosts_names *names, bool *is) {
    *is = false;
    for (size_t i = 0; i < names->n && !*is; i++)
        TRY(known_hosts_line_match(line, names->v[i], is));
    return OK;
}

static bool is_name(struct view word, const struct known_hosts_names *names) {
    for (size_t i = 0; i < names->n; i++)
        if (view_is(word, names->v[i]))
            return true;
    return false;
}

// A host field of nothing but our names, or a hash of one.
static bool is_simple(const struct known_hosts_line *line,
                      const struct known_hosts_names *names) {
    struct view rest = line->hosts;
    if (known_hosts_line_hashed(line))
        return true;
    while (rest.n > 0) {
        const uint8_t *comma = memchr(rest.p, ',', rest.n);
        size_t n = comma != NULL ? (size_t)(comma - rest.p) : rest.n;
        if (!is_name(view_of(rest.p, n), names))
            return false;
        n += comma != NULL;
        rest = view_of(rest.p + n, rest.n - n);
    }
    return true;
}

static enum err is_offer(const struct known_hosts_line *line,
                         const struct known_hosts_offer *offer, bool *is) {
    scoped_buf base64;
    buf_init(&base64, LIMIT_TEXT_LINE * 2);
    TRY(base64_encode(&base64, key_blob(offer->key)));
    *is = view_equal(line->base64, buf_view(&base64));
    return OK;
}

// The offer with the line's key; offers_n: none.
static enum err find_offer(const struct known_hosts_line *line,
                           const struct known_hosts_offer *offers, size_t offers_n,
                           size_t *index) {
    for (*index = 0; *index < offers_n; (*index)++) {
        bool is;
        TRY(is_offer(line, &offers[*index], &is));
        if (is)
            break;
    }
    return OK;
}

static void block(struct known_hosts_plan *plan, const char *why,
                  const struct known_hosts_line *line) {
    if (plan->blocked != NULL)
        return;
    plan->blocked = why;
    plan->line = *line;
}

static enum err plan_line(const struct known_hosts_line *line,
                          const struct known_hosts_names *names,
                          struct known_hosts_offer *offers, size_t offers_n,
                          struct known_hosts_plan *plan) {
    bool ours;
    size_t at;
    TRY(matches_any(line, names, &ours));
    TRY(find_offer(line, offers, offers_n, &at));
    if (ours && line->marker != KNOWN_HOSTS_PLAIN)
        block(plan, "an authority or a revocation for this host", line);
    else if (line->marker != KNOWN_HOSTS_PLAIN)
        return OK;
    else if (!ours && at < offers_n)
        block(plan, "another name for one of its keys", line);
    else if (ours && !is_simple(line, names))
        block(plan, "a pattern, or other names beside this one,", line);
    if (!ours)
        return OK;
    if (at < offers_n)
        offers[at].known = true;
    else
        plan->old++;
    return OK;
}

// Keys that are to go must not be known under other names either: somebody wants them.
static enum err check_old(const struct known_hosts_file *files, size_t count,
                          const struct known_hosts_names *names,
                          const struct known_hosts_line *old,
                          struct known_hosts_plan *plan) {
    for (size_t i = 0; i < count; i++) {
        struct known_hosts_cursor c = known_hosts_cursor_of(&files[i]);
        struct known_hosts_line line;
        enum known_hosts_kind kind;
        while ((kind = known_hosts_next(&c, &line)) != KNOWN_HOSTS_END) {
            bool ours;
            if (kind != KNOWN_HOSTS_ENTRY || line.marker != KNOWN_HOSTS_PLAIN ||
                !view_equal(line.base64, old->base64))
                continue;
            TRY(matches_any(&line, names, &ours));
            if (!ours)
                block(plan, "another name for one of its old keys", &line);
        }
    }
    return OK;
}

static enum err each_line(const struct known_hosts_file *files, size_t count,
                          const struct known_hosts_names *names,
                          struct known_hosts_offer *offers, size_t offers_n,
                          struct known_hosts_plan *plan) {
    for (size_t i = 0; i < count; i++) {
        struct known_hosts_cursor c = known_hosts_cursor_of(&files[i]);
        struct known_hosts_line line;
        enum known_hosts_kind kind;
        while ((kind = known_hosts_next(&c, &line)) != KNOWN_HOSTS_END) {
            size_t old = plan->old;
            if (kind != KNOWN_HOSTS_ENTRY)
                continue;
            TRY(plan_line(&line, names, offers, offers_n, plan));
            if (plan->old > old)
                TRY(check_old(files, count, names, &line, plan));
        }
    }
    return OK;
}

enum err known_hosts_plan(const struct known_hosts_file *files, size_t count,
                          const struct known_hosts_names *names,
                          struct known_hosts_offer *offers, size_t offers_n,
                          struct known_hosts_plan *plan) {
    *plan = (struct known_hosts_plan){0};
    for (size_t i = 0; i < offers_n; i++)
        offers[i].known = false;
    TRY(each_line(files, count, names, offers, offers_n, plan));
    for (size_t i = 0; i < offers_n; i++)
        plan->fresh += !offers[i].known;
    return OK;
}

// ---- rewriting ----

// One line for both names, or, hashed, one for each.
static enum err add_key(const struct known_hosts_names *names, const struct key *key,
                        bool hash, struct buf *out) {
    char both[2200];
    size_t n = 0;
    for (size_t i = 0; i < names->n; i++) {
        if (hash)
            TRY(known_hosts_make(names->v[i], true, key, out));
        size_t length = strlen(names->v[i]);
        if (n + length + 2 > sizeof both)
            return ERR_LIMIT;
        if (n > 0)
            both[n++] = ',';
        memcpy(both + n, names->v[i], length + 1);
        n += length;
    }
    return hash ? OK : known_hosts_make(both, false, key, out);
}

static enum err end_line(struct buf *out) {
    struct view v = buf_view(out);
    return v.n == 0 || v.p[v.n - 1] == '\n' ? OK : buf_append(out, view_text("\n"));
}

struct rewrite {
    const struct known_hosts_names *names;
    const struct known_hosts_offer *offers;
    size_t offers_n;
    bool there[64];  // offers that the file has
    bool changed;
};

// Does the line stay?
static enum err stays(struct rewrite *r, enum known_hosts_kind kind,
                      const struct known_hosts_line *line, bool *stay) {
    bool ours;
    size_t at;
    *stay = true;
    if (kind != KNOWN_HOSTS_ENTRY || line->marker != KNOWN_HOSTS_PLAIN)
        return OK;
    TRY(matches_any(line, r->names, &ours));
    if (!ours)
        return OK;
    TRY(find_offer(line, r->offers, r->offers_n, &at));
    if (at < r->offers_n && at < sizeof r->there)
        r->there[at] = true;
    *stay = at < r->offers_n;
    return OK;
}

enum err known_hosts_replace(const struct known_hosts_file *file,
                             const struct known_hosts_names *names,
                             const struct known_hosts_offer *offers, size_t offers_n,
                             bool add, bool hash, struct buf *out, bool *changed) {
    struct rewrite r = {.names = names, .offers = offers, .offers_n = offers_n};
    struct known_hosts_cursor c = known_hosts_cursor_of(file);
    struct known_hosts_line line;
    enum known_hosts_kind kind;
    if (offers_n > sizeof r.there)
        return ERR_LIMIT;
    for (size_t from = 0; (kind = known_hosts_next(&c, &line)) != KNOWN_HOSTS_END;
         from = c.at) {
        bool stay;
        TRY(stays(&r, kind, &line, &stay));
        r.changed |= !stay;
        if (stay)
            TRY(buf_append(out, view_of(file->text.p + from, c.at - from)));
    }
    for (size_t i = 0; add && i < offers_n; i++) {
        if (r.there[i])
            continue;
        r.changed = true;
        TRY(end_line(out));
        TRY(add_key(names, offers[i].key, hash, out));
    }
    *changed = r.changed;
    return OK;
}
