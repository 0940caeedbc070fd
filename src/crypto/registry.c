// Looking algorithms up, and OpenSSH's syntax for lists of them.
#include "crypto/registry.h"

#include "base/text.h"
#include "crypto/fetched.h"
#include "crypto/registry_rows.h"

#define NAME_MAX_LEN 128

static const struct alg_rows *const kinds[ALG_KINDS] = {
    [ALG_KEX] = &kex_rows,
    [ALG_SIGNATURE] = &signature_rows,
    [ALG_CIPHER] = &cipher_rows,
    [ALG_MAC] = &mac_rows,
    [ALG_COMPRESSION] = &compression_rows,
};

static const char *const kind_words[ALG_KINDS] = {
    [ALG_KEX] = "key exchange algorithm",
    [ALG_SIGNATURE] = "signature algorithm",
    [ALG_CIPHER] = "cipher",
    [ALG_MAC] = "MAC",
    [ALG_COMPRESSION] = "compression",
};

// Without AES instructions chacha20-poly1305 is several times faster than AES, and
// constant in time besides; it then changes places with those in front of it.
static size_t alg_row_at(enum alg_kind kind, size_t index) {
    if (kind != ALG_CIPHER || fetched()->aes_in_hardware)
        return index;
    size_t chacha = 0;
    while (chacha < cipher_rows.count &&
           strncmp(cipher_rows.rows[chacha].name, "chacha20", 8) != 0)
        chacha++;
    if (index > chacha || chacha == cipher_rows.count)
        return index;
    return index == 0 ? chacha : index - 1;
}

const struct alg *alg_at(enum alg_kind kind, size_t index) {
    if ((unsigned)kind >= ALG_KINDS || index >= kinds[kind]->count)
        return NULL;
    return &kinds[kind]->rows[alg_row_at(kind, index)];
}

const struct alg *alg_find(enum alg_kind kind, struct view name) {
    const struct alg *a;
    for (size_t i = 0; (a = alg_at(kind, i)) != NULL; i++)
        if (view_is(name, a->name))
            return a;
    return NULL;
}

// ---- lists: names separated by commas; the NUL comes last ----

// The next item of a comma-separated list as a C string; false at the end. *item is empty
// where two commas follow each other, and cut where it is longer than any name.
static bool list_next(const char **cursor, char item[NAME_MAX_LEN]) {
    if (*cursor == NULL || (*cursor)[0] == '\0')
        return false;
    const char *end = strchrnul(*cursor, ',');
    (void)text_copy(item, NAME_MAX_LEN, view_of(*cursor, (size_t)(end - *cursor)));
    *cursor = *end == ',' ? end + 1 : NULL;
    return true;
}

static bool list_has(const struct buf *list, const char *name) {
    struct view left = buf_len(list) > 0 ? buf_view(list) : view_of(NULL, 0);
    while (left.n > 0) {
        const uint8_t *comma = memchr(left.p, ',', left.n);
        size_t n = comma != NULL ? (size_t)(comma - left.p) : left.n;
        if (view_is(view_of(left.p, n), name))
            return true;
        if (comma == NULL)
            return false;
        left = view_of(left.p + n + 1, left.n - n - 1);
    }
    return false;
}

static enum err list_add(struct buf *list, const char *name) {
    if (list_has(list, name))
        return OK;
    if (buf_len(list) > 0)
        TRY(buf_append(list, view_text(",")));
    return buf_append(list, view_text(name));
}

static enum err list_end(struct buf *list) {
    return buf_append(list, view_of("", 1));
}

static enum err add_defaults(enum alg_kind kind, unsigned side, struct buf *out) {
    const struct alg *a;
    for (size_t i = 0; (a = alg_at(kind, i)) != NULL; i++)
        if ((a->flags & side) != 0)
            TRY(list_add(out, a->name));
    return OK;
}

enum err alg_default_list(enum alg_kind kind, unsigned side, struct buf *out) {
    buf_clear(out);
    TRY(add_defaults(kind, side, out));
    return list_end(out);
}

static const char *suggest_at(size_t index, const void *arg) {
    const struct alg *a = alg_at(*(const enum alg_kind *)arg, index);
    return a != NULL ? a->name : NULL;
}

static enum err unknown_name(enum alg_kind kind, const char *name, struct fault *fault) {
    char clean[NAME_MAX_LEN];
    text_clean(clean, sizeof clean, view_text(name));
    const char *like = text_suggest(name, suggest_at, &kind);
    if (like != NULL)
        return fault_set(fault, ERR_CONFIG, 0, "unknown %s \"%s\"; did you mean \"%s\"?",
                         kind_words[kind], clean, like);
    return fault_set(fault, ERR_CONFIG, 0, "unknown %s \"%s\"", kind_words[kind], clean);
}

static bool is_absent(enum alg_kind kind, const char *name) {
    for (size_t i = 0; absent_names[kind][i] != NULL; i++)
        if (strcmp(absent_names[kind][i], name) == 0)
            return true;
    return false;
}

// Adds what a name or pattern stands for. Only a plain name can be unknown: a pattern may
// well match nothing of ours.
static enum err add_matching(enum alg_kind kind, const char *pattern, struct buf *out,
                             struct fault *fault) {
    if (strpbrk(pattern, "*?") == NULL) {
        if (alg_find(kind, view_text(pattern)) != NULL)
            return list_add(out, pattern);
        return is_absent(kind, pattern) ? OK : unknown_name(kind, pattern, fault);
    }
    const struct alg *a;
    for (size_t i = 0; (a = alg_at(kind, i)) != NULL; i++)
        if (text_match(pattern, a->name))
            TRY(list_add(out, a->name));
    return OK;
}

static enum err add_spec(enum alg_kind kind, const char *spec, struct buf *out,
                         struct fault *fault) {
    char item[NAME_MAX_LEN];
    while (list_next(&spec, item))
        TRY(add_matching(kind, item, out, fault));
    return OK;
}

static bool spec_matches(const char *spec, const char *name) {
    char pattern[NAME_MAX_LEN];
    while (list_next(&spec, pattern))
        if (text_match(pattern, name))
            return true;
    return false;
}

// Names to be removed may be unknown: lists written for other versions name more than
// there is.
static enum err add_defaults_without(enum alg_kind kind, unsigned side, const char *spec,
                                     struct buf *out) {
    const struct alg *a;
    for (size_t i = 0; (a = alg_at(kind, i)) != NULL; i++)
        if ((a->flags & side) != 0 && !spec_matches(spec, a->name))
            TRY(list_add(out, a->name));
    return OK;
}

static enum err apply(enum alg_kind kind, unsigned side, const char *spec,
                      struct buf *out, struct fault *fault) {
    switch (spec[0]) {
    case '+':
        TRY(add_defaults(kind, side, out));
        return add_spec(kind, spec + 1, out, fault);
    case '^':
        TRY(add_spec(kind, spec + 1, out, fault));
        return add_defaults(kind, side, out);
    case '-':
        return add_defaults_without(kind, side, spec + 1, out);
    default:
        return add_spec(kind, spec, out, fault);
    }
}

static enum err nothing_left(enum alg_kind kind, const char *spec, struct fault *fault) {
    for (size_t i = 0; absent_names[kind][i] != NULL; i++)
        if (spec[0] != '-' && spec_matches(spec, absent_names[kind][i]))
            return fault_set(fault, ERR_CONFIG, 0, "no %s is left: Bowline has no %s",
                             kind_words[kind], absent_names[kind][i]);
    return fault_set(fault, ERR_CONFIG, 0, "no %s is left", kind_words[kind]);
}

enum err alg_list_apply(enum alg_kind kind, unsigned side, const char *spec,
                        struct buf *out, struct fault *fault) {
    buf_clear(out);
    TRY(apply(kind, side, spec, out, fault));
    if (buf_len(out) == 0)
        return nothing_left(kind, spec, fault);
    return list_end(out);
}
