// Verdicts over known_hosts: is this key, or the authority of this certificate, known for
// the host?
#include "base/limits.h"
#include "key/base64.h"
#include "key/known_hosts.h"

static void note_damaged(struct known_hosts_verdict *v,
                         const struct known_hosts_line *line) {
    if (v->damaged_count++ == 0)
        v->damaged = *line;
}

// Stronger findings replace weaker ones, the first of each kind counts.
static void found(struct known_hosts_verdict *v, enum known_hosts_result result,
                  const struct known_hosts_line *line) {
    static const int strength[] = {
        [KNOWN_HOSTS_NEW] = 0, [KNOWN_HOSTS_OTHER_TYPE] = 1, [KNOWN_HOSTS_CHANGED] = 2,
        [KNOWN_HOSTS_OK] = 3,  [KNOWN_HOSTS_IS_REVOKED] = 4,
    };
    if (strength[result] <= strength[v->result])
        return;
    v->result = result;
    v->line = *line;
}

// The key looked for, in the forms that lines have it.
struct wanted {
    struct view base64;
    struct view type;
    bool authority;  // it is one, of a certificate: only lines of authorities know it
};

// The base64 of a line of ours must be a key of the type it names, else it is no evidence
// that the host's key has changed.
static bool decodes(const struct known_hosts_line *line) {
    if (key_type_find(line->type) == NULL)
        return true;  // a type that we do not have (yet) is not damage
    scoped_buf blob;
    buf_init(&blob, LIMIT_TEXT_LINE);
    if (base64_decode(&blob, line->base64) != OK)
        return false;
    struct view v = buf_view(&blob);
    return v.n >= 4 && load_u32(v.p) == line->type.n && v.n - 4 >= line->type.n &&
           memcmp(v.p + 4, line->type.p, line->type.n) == 0;
}

// What a line that matches the name says about the key itself.
static enum known_hosts_result about_key(const struct known_hosts_line *line,
                                         const struct wanted *w, bool same) {
    if (line->marker == KNOWN_HOSTS_REVOKED)
        return KNOWN_HOSTS_IS_REVOKED;
    // A type that nobody has any more (DSA) says nothing about the host's other keys.
    if (!view_equal(line->type, w->type))
        return key_type_find(line->type) != NULL ? KNOWN_HOSTS_OTHER_TYPE
                                                 : KNOWN_HOSTS_NEW;
    return same ? KNOWN_HOSTS_OK : KNOWN_HOSTS_CHANGED;
}

// Lines that have nothing to say, whatever names they are for.
static bool is_beside_the_point(const struct known_hosts_line *line,
                                const struct wanted *w, bool same) {
    if (line->marker == KNOWN_HOSTS_REVOKED)
        return !same;
    if (w->authority)
        return line->marker != KNOWN_HOSTS_CERT_AUTHORITY || !same;
    return line->marker == KNOWN_HOSTS_CERT_AUTHORITY;
}

// A failure here must not end as "this host is not known": the caller refuses.
static enum err judge(struct known_hosts_verdict *v, const struct known_hosts_line *line,
                      const struct wanted *w, const char *name) {
    bool same = view_equal(line->base64, w->base64), is;
    if (is_beside_the_point(line, w, same))
        return OK;
    TRY(known_hosts_line_match(line, name, &is));
    if (!is)
        return OK;
    if (!decodes(line))
        note_damaged(v, line);
    else
        found(v, about_key(line, w, same), line);
    return OK;
}

static enum err wanted_of(struct wanted *w, struct buf *base64, struct view blob) {
    if (blob.n < 4 || load_u32(blob.p) > blob.n - 4)
        return ERR_FORMAT;
    buf_init(base64, LIMIT_TEXT_LINE * 2);
    TRY(base64_encode(base64, blob));
    *w = (struct wanted){buf_view(base64), view_of(blob.p + 4, load_u32(blob.p)), false};
    return OK;
}

static enum err check_file(const struct known_hosts_file *file, const struct wanted *w,
                           const char *name, struct known_hosts_verdict *v) {
    struct known_hosts_cursor c = known_hosts_cursor_of(file);
    struct known_hosts_line line;
    enum known_hosts_kind kind;
    while ((kind = known_hosts_next(&c, &line)) != KNOWN_HOSTS_END) {
        if (kind == KNOWN_HOSTS_DAMAGED)
            note_damaged(v, &line);
        else if (kind == KNOWN_HOSTS_ENTRY)
            TRY(judge(v, &line, w, name));
    }
    return OK;
}

static enum err check(const struct known_hosts_file *files, size_t count,
                      const char *name, struct view blob, bool authority,
                      struct known_hosts_verdict *v) {
    scoped_buf base64 = {0};
    struct wanted w;
    *v = (struct known_hosts_verdict){.result = KNOWN_HOSTS_NEW};
    TRY(wanted_of(&w, &base64, blob));
    w.authority = authority;
    for (size_t i = 0; i < count; i++)
        TRY(check_file(&files[i], &w, name, v));
    return OK;
}

enum err known_hosts_check(const struct known_hosts_file *files, size_t count,
                           const char *name, struct view blob,
                           struct known_hosts_verdict *v) {
    return check(files, count, name, blob, false, v);
}

enum err known_hosts_check_authority(const struct known_hosts_file *files, size_t count,
                                     const char *name, struct view ca_blob,
                                     struct known_hosts_verdict *v) {
    return check(files, count, name, ca_blob, true, v);
}

bool known_hosts_has_authority(const struct known_hosts_file *files, size_t count,
                               const char *name) {
    for (size_t i = 0; i < count; i++) {
        struct known_hosts_cursor c = known_hosts_cursor_of(&files[i]);
        struct known_hosts_line line;
        enum known_hosts_kind kind;
        while ((kind = known_hosts_next(&c, &line)) != KNOWN_HOSTS_END)
            if (kind == KNOWN_HOSTS_ENTRY && line.marker == KNOWN_HOSTS_CERT_AUTHORITY &&
                known_hosts_line_matches(&line, name))
                return true;
    }
    return false;
}

static void add_type(const struct key_type *type, const struct key_type **types,
                     size_t max, size_t *n) {
    for (size_t i = 0; i < *n; i++) {
        if (types[i] == type)
            return;
    }
    if (*n < max)
        types[(*n)++] = type;
}

size_t known_hosts_types(const struct known_hosts_file *files, size_t count,
                         const char *name, const struct key_type **types, size_t max) {
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        struct known_hosts_cursor c = known_hosts_cursor_of(&files[i]);
        struct known_hosts_line line;
        enum known_hosts_kind kind;
        while ((kind = known_hosts_next(&c, &line)) != KNOWN_HOSTS_END) {
            const struct key_type *type =
                kind == KNOWN_HOSTS_ENTRY ? key_type_find(line.type) : NULL;
            if (type != NULL && line.marker == KNOWN_HOSTS_PLAIN &&
                known_hosts_line_matches(&line, name) && decodes(&line))
                add_type(type, types, max, &n);
        }
    }
    return n;
}

enum err known_hosts_with_key(const struct known_hosts_file *files, size_t count,
                              struct view blob, struct known_hosts_line *lines,
                              size_t max, size_t *found_count) {
    scoped_buf base64 = {0};
    struct wanted w;
    *found_count = 0;
    TRY(wanted_of(&w, &base64, blob));
    for (size_t i = 0; i < count; i++) {
        struct known_hosts_cursor c = known_hosts_cursor_of(&files[i]);
        struct known_hosts_line line;
        enum known_hosts_kind kind;
        while ((kind = known_hosts_next(&c, &line)) != KNOWN_HOSTS_END) {
            if (kind != KNOWN_HOSTS_ENTRY || line.marker != KNOWN_HOSTS_PLAIN ||
                !view_equal(line.base64, w.base64))
                continue;
            if (*found_count < max)
                lines[*found_count] = line;
            (*found_count)++;
        }
    }
    return OK;
}

size_t known_hosts_find(const struct known_hosts_file *files, size_t count,
                        const char *name, struct known_hosts_line *lines, size_t max) {
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        struct known_hosts_cursor c = known_hosts_cursor_of(&files[i]);
        struct known_hosts_line line;
        enum known_hosts_kind kind;
        while ((kind = known_hosts_next(&c, &line)) != KNOWN_HOSTS_END) {
            if (kind != KNOWN_HOSTS_ENTRY || !known_hosts_line_matches(&line, name))
                continue;
            if (n < max)
                lines[n] = line;
            n++;
        }
    }
    return n;
}
