// Making revocation lists: entries are gathered, sorted, and written in the shortest
// form.
#include <stdlib.h>

#include "base/limits.h"
#include "key/certificate.h"
#include "key/krl.h"
#include "key/krl_format.h"
#include "wire/writer.h"

// A bitmap is written when it is shorter than what it stands for; readers limit its size.
#define BITMAP_BITS 8192u
#define SINGLE_COST 8u
#define RANGE_COST 21u  // with the head of its part

// Byte strings, each once when sorted.
struct set {
    struct view *v;  // the bytes are owned, too
    size_t n, room;
};

struct range {
    uint64_t lo, hi;
};

struct authority {
    struct view blob;  // owned; empty: any
    struct range *ranges;
    size_t n, room;
    struct set ids;
};

struct krl_maker {
    struct set keys, sha1, sha256;
    struct authority *authorities;
    size_t n;
};

enum err krl_maker_new(struct krl_maker **out) {
    *out = calloc(1, sizeof **out);
    return *out != NULL ? OK : ERR_MEMORY;
}

static void set_free(struct set *s) {
    for (size_t i = 0; i < s->n; i++)
        free((void *)(uintptr_t)s->v[i].p);
    free(s->v);
}

void krl_maker_free(struct krl_maker *m) {
    if (m == NULL)
        return;
    set_free(&m->keys);
    set_free(&m->sha1);
    set_free(&m->sha256);
    for (size_t i = 0; i < m->n; i++) {
        free((void *)(uintptr_t)m->authorities[i].blob.p);
        free(m->authorities[i].ranges);
        set_free(&m->authorities[i].ids);
    }
    free(m->authorities);
    free(m);
}

static enum err copy_of(struct view *out, struct view v) {
    uint8_t *p = malloc(v.n + 1);
    if (p == NULL)
        return ERR_MEMORY;
    if (v.n > 0)
        memcpy(p, v.p, v.n);
    *out = view_of(p, v.n);
    return OK;
}

// Room for one more in an array.
static enum err grow(void **array, size_t n, size_t *room, size_t size) {
    if (n < *room)
        return OK;
    size_t more = *room == 0 ? 16 : *room * 2;
    void *p = reallocarray(*array, more, size);
    if (p == NULL)
        return ERR_MEMORY;
    *array = p;
    *room = more;
    return OK;
}

static enum err set_add(struct set *s, struct view v) {
    void *array = s->v;
    TRY(grow(&array, s->n, &s->room, sizeof *s->v));
    s->v = array;
    TRY(copy_of(&s->v[s->n], v));
    s->n++;
    return OK;
}

static enum err authority_of(struct krl_maker *m, struct view blob,
                             struct authority **out) {
    for (size_t i = 0; i < m->n; i++) {
        *out = &m->authorities[i];
        if (view_equal((*out)->blob, blob))
            return OK;
    }
    struct authority *more =
        reallocarray(m->authorities, m->n + 1, sizeof *m->authorities);
    if (more == NULL)
        return ERR_MEMORY;
    m->authorities = more;
    *out = &more[m->n];
    **out = (struct authority){0};
    TRY(copy_of(&(*out)->blob, blob));
    m->n++;
    return OK;
}

static enum err add_range(struct authority *a, uint64_t lo, uint64_t hi) {
    void *array = a->ranges;
    if (lo == 0 || hi < lo)
        return ERR_FORMAT;
    TRY(grow(&array, a->n, &a->room, sizeof *a->ranges));
    a->ranges = array;
    a->ranges[a->n++] = (struct range){lo, hi};
    return OK;
}

enum err krl_maker_add(struct krl_maker *m, const struct krl_entry *e) {
    struct authority *a;
    switch (e->kind) {
    case KRL_KEY:
        return set_add(&m->keys, e->data);
    case KRL_SHA1:
        return e->data.n == KRL_SHA1_SIZE ? set_add(&m->sha1, e->data) : ERR_FORMAT;
    case KRL_SHA256:
        return e->data.n == KRL_SHA256_SIZE ? set_add(&m->sha256, e->data) : ERR_FORMAT;
    case KRL_SERIALS:
        TRY(authority_of(m, e->ca, &a));
        return add_range(a, e->lo, e->hi);
    case KRL_KEY_ID:
        TRY(authority_of(m, e->ca, &a));
        return set_add(&a->ids, e->data);
    }
    return ERR_FORMAT;
}

enum err krl_maker_add_list(struct krl_maker *m, struct view bytes, struct fault *fault) {
    struct krl k;
    struct krl_entry e;
    TRY(krl_open(&k, bytes, fault));
    enum err err;
    while ((err = krl_next(&k, &e, fault)) == OK)
        TRY(krl_maker_add(m, &e));
    return err == ERR_NOT_FOUND ? OK : err;
}

enum err krl_maker_add_key(struct krl_maker *m, const struct key *key) {
    const struct certificate *c = key->certificate;
    struct krl_entry e = {.kind = KRL_KEY, .data = key_blob(key)};
    if (c == NULL)
        return krl_maker_add(m, &e);
    e.ca = key_blob(c->ca);
    e.kind = c->serial != 0 ? KRL_SERIALS : KRL_KEY_ID;
    e.lo = e.hi = c->serial;
    e.data = c->key_id;
    return krl_maker_add(m, &e);
}

// --- sorting
// -----------------------------------------------------------------------------------

static int compare_views(const void *a, const void *b) {
    const struct view *x = a, *y = b;
    size_t n = x->n < y->n ? x->n : y->n;
    int c = n > 0 ? memcmp(x->p, y->p, n) : 0;
    return c != 0 ? c : (x->n > y->n) - (x->n < y->n);
}

static void set_sort(struct set *s) {
    size_t kept = 0;
    if (s->n > 1)
        qsort(s->v, s->n, sizeof *s->v, compare_views);
    for (size_t i = 0; i < s->n; i++) {
        if (kept > 0 && view_equal(s->v[kept - 1], s->v[i]))
            free((void *)(uintptr_t)s->v[i].p);
        else
            s->v[kept++] = s->v[i];
    }
    s->n = kept;
}

static int compare_ranges(const void *a, const void *b) {
    const struct range *x = a, *y = b;
    return (x->lo > y->lo) - (x->lo < y->lo);
}

// Sorted, those that touch made one.
static void ranges_merge(struct authority *a) {
    size_t kept = 0;
    if (a->n > 1)
        qsort(a->ranges, a->n, sizeof *a->ranges, compare_ranges);
    for (size_t i = 0; i < a->n; i++) {
        struct range *last = kept > 0 ? &a->ranges[kept - 1] : NULL;
        if (last == NULL || (last->hi != UINT64_MAX && a->ranges[i].lo > last->hi + 1))
            a->ranges[kept++] = a->ranges[i];
        else if (a->ranges[i].hi > last->hi)
            last->hi = a->ranges[i].hi;
    }
    a->n = kept;
}

// --- writing
// -----------------------------------------------------------------------------------

static void write_part(struct writer *w, uint8_t type, const struct buf *data) {
    write_u8(w, type);
    write_string(w, buf_view(data));
}

// How many ranges from `at` on are best written as one bitmap; 0: none.
static size_t bitmap_span(const struct authority *a, size_t at) {
    size_t best = 0, cost = 0;
    uint64_t first = a->ranges[at].lo;
    for (size_t i = at; i < a->n && a->ranges[i].hi - first < BITMAP_BITS; i++) {
        cost += a->ranges[i].lo == a->ranges[i].hi ? SINGLE_COST : RANGE_COST;
        if (i > at && (a->ranges[i].hi - first) / 8 + RANGE_COST < cost)
            best = i - at + 1;
    }
    return best;
}

static enum err write_bitmap(struct writer *w, const struct range *ranges, size_t n) {
    uint8_t bits[BITMAP_BITS / 8] = {0};
    uint64_t first = ranges[0].lo;
    scoped_buf data;
    for (size_t i = 0; i < n; i++) {
        for (uint64_t b = ranges[i].lo - first; b <= ranges[i].hi - first; b++)
            bits[sizeof bits - 1 - b / 8] |= (uint8_t)(1u << b % 8);
    }
    buf_init(&data, LIMIT_TEXT_LINE);
    struct writer inner = writer_to_buf(&data);
    write_u64(&inner, first);
    write_mpint(&inner, view_of(bits, sizeof bits));
    TRY(writer_end(&inner));
    write_part(w, KRL_PART_BITMAP, &data);
    return OK;
}

static enum err write_range(struct writer *w, const struct range *r) {
    write_u8(w, KRL_PART_RANGE);
    write_u32(w, 16);
    write_u64(w, r->lo);
    write_u64(w, r->hi);
    return OK;
}

static enum err write_serials(struct writer *w, struct authority *a) {
    scoped_buf singles;
    buf_init(&singles, LIMIT_KRL);
    struct writer inner = writer_to_buf(&singles);
    ranges_merge(a);
    for (size_t i = 0; i < a->n;) {
        size_t span = bitmap_span(a, i);
        if (span > 0)
            TRY(write_bitmap(w, &a->ranges[i], span));
        else if (a->ranges[i].lo != a->ranges[i].hi)
            TRY(write_range(w, &a->ranges[i]));
        else
            write_u64(&inner, a->ranges[i].lo);
        i += span > 0 ? span : 1;
    }
    TRY(writer_end(&inner));
    if (buf_len(&singles) > 0)
        write_part(w, KRL_PART_SERIALS, &singles);
    return OK;
}

static enum err write_strings(struct buf *out, struct set *s) {
    struct writer w = writer_to_buf(out);
    set_sort(s);
    for (size_t i = 0; i < s->n; i++)
        write_string(&w, s->v[i]);
    return writer_end(&w);
}

static enum err write_authority(struct writer *w, struct authority *a) {
    scoped_buf section, ids;
    buf_init(&section, LIMIT_KRL);
    buf_init(&ids, LIMIT_KRL);
    struct writer inner = writer_to_buf(&section);
    write_string(&inner, a->blob);
    write_text(&inner, "");
    TRY(write_serials(&inner, a));
    TRY(write_strings(&ids, &a->ids));
    if (buf_len(&ids) > 0)
        write_part(&inner, KRL_PART_KEY_IDS, &ids);
    TRY(writer_end(&inner));
    write_part(w, KRL_SECTION_CERTIFICATES, &section);
    return OK;
}

static enum err write_set(struct writer *w, uint8_t type, struct set *s) {
    scoped_buf section;
    buf_init(&section, LIMIT_KRL);
    if (s->n == 0)
        return OK;
    TRY(write_strings(&section, s));
    write_part(w, type, &section);
    return OK;
}

enum err krl_maker_write(struct krl_maker *m, uint64_t version, uint64_t generated_s,
                         const char *comment, struct buf *out) {
    struct writer w = writer_to_buf(out);
    write_bytes(&w, view_of(KRL_MAGIC, sizeof KRL_MAGIC));
    write_u32(&w, KRL_FORMAT);
    write_u64(&w, version);
    write_u64(&w, generated_s);
    write_u64(&w, 0);
    write_text(&w, "");
    write_text(&w, comment);
    for (size_t i = 0; i < m->n; i++)
        TRY(write_authority(&w, &m->authorities[i]));
    TRY(write_set(&w, KRL_SECTION_KEYS, &m->keys));
    TRY(write_set(&w, KRL_SECTION_SHA1, &m->sha1));
    TRY(write_set(&w, KRL_SECTION_SHA256, &m->sha256));
    return writer_end(&w);
}
