#include "server/penalties.h"

#include <stdio.h>
#include <stdlib.h>

#define NONE UINT32_MAX

struct penalty {
    struct penalty_source source;
    uint8_t reason;
    bool active;      // min was reached
    uint64_t expiry;  // ms
    uint32_t next;    // index + 1
};

// ---- sources ----

static int family_of(const struct penalty_source *s) {
    return s->bytes[0] == 4 ? PENALTY_IP4 : PENALTY_IP6;
}

static bool cut_address(const struct penalty_rules *rules, const char *text,
                        struct address *a, unsigned *bits) {
    if (!address_parse(a, text))
        return false;
    address_unmap(a);
    unsigned want = rules->bits[a->family == ADDRESS_IP4 ? PENALTY_IP4 : PENALTY_IP6];
    *bits = want < address_bits(a) ? want : address_bits(a);
    address_mask(a, *bits);
    a->zone[0] = '\0';
    return true;
}

bool penalty_source_of(const struct penalty_rules *rules, const char *address,
                       struct penalty_source *out) {
    struct address a;
    unsigned bits;
    memset(out, 0, sizeof *out);
    if (!cut_address(rules, address, &a, &bits))
        return false;
    out->bytes[0] = (uint8_t)a.family;
    memcpy(out->bytes + 1, a.bytes, a.family == ADDRESS_IP4 ? 4 : 16);
    return true;
}

const char *penalty_source_text(const struct penalty_rules *rules, const char *address,
                                char *out, size_t size) {
    struct address a;
    unsigned bits;
    char text[ADDRESS_TEXT_SIZE];
    if (cut_address(rules, address, &a, &bits))
        snprintf(out, size, "%s/%u", address_format(&a, text, sizeof text), bits);
    else
        snprintf(out, size, "%s", "UNKNOWN");
    return out;
}

static bool is_exempt(const struct penalties *p, const char *address) {
    const char *list = p->rules.exempt;
    return list != NULL && list[0] != '\0' &&
           address_match_list(list, NULL, address) == ADDRESS_MATCH_YES;
}

// ---- one table: entries in a row, chains by hash ----

static uint32_t bucket_of(const struct penalties *p, const struct penalty_table *t,
                          const struct penalty_source *s) {
    uint64_t h = 0xcbf29ce484222325u ^ p->seed;
    for (size_t i = 0; i < sizeof s->bytes; i++) {
        h = (h ^ s->bytes[i]) * 0x100000001b3u;
        h ^= h >> 29;
    }
    h = (h ^ (p->seed >> 32)) * 0x9e3779b97f4a7c15u;
    return (uint32_t)(h >> 32) % t->buckets_n;
}

static uint32_t find(const struct penalties *p, const struct penalty_table *t,
                     const struct penalty_source *s) {
    if (t->buckets_n == 0)
        return NONE;
    uint32_t i = t->buckets[bucket_of(p, t, s)];
    while (i != 0 && memcmp(&t->v[i - 1].source, s, sizeof *s) != 0)
        i = t->v[i - 1].next;
    return i == 0 ? NONE : i - 1;
}

static void relink(struct penalties *p, struct penalty_table *t) {
    if (t->buckets_n > 0)
        memset(t->buckets, 0, t->buckets_n * sizeof *t->buckets);
    for (uint32_t i = 0; i < t->n; i++) {
        uint32_t b = bucket_of(p, t, &t->v[i].source);
        t->v[i].next = t->buckets[b];
        t->buckets[b] = i + 1;
    }
}

static bool grow(struct penalties *p, struct penalty_table *t, uint32_t max) {
    uint32_t room = t->room == 0 ? 64 : t->room * 2;
    if (room > max)
        room = max;
    struct penalty *v = reallocarray(t->v, room, sizeof *v);
    if (v == NULL)
        return false;
    t->v = v;
    uint32_t *buckets = reallocarray(t->buckets, room, sizeof *buckets);
    if (buckets == NULL)
        return false;
    t->buckets = buckets;
    t->room = t->buckets_n = room;
    relink(p, t);
    return true;
}

// What is over goes; with `one` at least the source that would be free first.
static void sweep(struct penalties *p, struct penalty_table *t, uint64_t now, bool one) {
    uint32_t kept = 0, first = 0;
    for (uint32_t i = 0; i < t->n; i++)
        if (t->v[i].expiry < t->v[first].expiry)
            first = i;
    if (one && t->n > 0 && t->v[first].expiry > now)
        t->v[first].expiry = now;
    for (uint32_t i = 0; i < t->n; i++)
        if (t->v[i].expiry > now)
            t->v[kept++] = t->v[i];
    t->n = kept;
    relink(p, t);
}

static struct penalty *insert(struct penalties *p, const struct penalty_source *s,
                              uint64_t now) {
    int family = family_of(s);
    struct penalty_table *t = &p->tables[family];
    uint32_t max = p->rules.max_sources[family];
    if (t->n >= max)
        sweep(p, t, now, !p->rules.deny_all[family]);
    if (t->n >= max || (t->n == t->room && !grow(p, t, max)))
        return NULL;
    uint32_t b = bucket_of(p, t, s);
    t->v[t->n] = (struct penalty){.source = *s, .expiry = now, .next = t->buckets[b]};
    t->buckets[b] = ++t->n;
    return &t->v[t->n - 1];
}

// ---- the rules ----

void penalties_init(struct penalties *p, const struct penalty_rules *rules,
                    uint64_t seed) {
    *p = (struct penalties){.rules = *rules, .seed = seed};
}

void penalties_free(struct penalties *p) {
    for (int f = 0; f < PENALTY_FAMILIES; f++) {
        free(p->tables[f].v);
        free(p->tables[f].buckets);
        p->tables[f] = (struct penalty_table){0};
    }
}

bool penalties_add(struct penalties *p, const char *address, enum penalty_reason reason,
                   uint64_t now, uint64_t *ms_left) {
    struct penalty_source s;
    uint32_t ms = p->rules.ms[reason];
    if (!p->rules.enabled || ms == 0 || is_exempt(p, address) ||
        !penalty_source_of(&p->rules, address, &s))
        return false;
    struct penalty_table *t = &p->tables[family_of(&s)];
    uint32_t at = find(p, t, &s);
    struct penalty *e = at != NONE ? &t->v[at] : insert(p, &s, now);
    if (e == NULL)
        return false;
    if (e->expiry <= now) {
        e->expiry = now;
        e->active = false;
    }
    e->expiry += ms;
    if (e->expiry > now + p->rules.max_ms)
        e->expiry = now + p->rules.max_ms;
    bool before = e->active;
    e->reason = (uint8_t)reason;
    e->active = before || e->expiry - now >= p->rules.min_ms;
    *ms_left = e->expiry - now;
    return e->active && !before;
}

const char *penalties_refuse(struct penalties *p, const char *address, uint64_t now) {
    struct penalty_source s;
    if (!p->rules.enabled || is_exempt(p, address) ||
        !penalty_source_of(&p->rules, address, &s))
        return NULL;
    int family = family_of(&s);
    struct penalty_table *t = &p->tables[family];
    uint32_t at = find(p, t, &s);
    if (at != NONE && t->v[at].active && t->v[at].expiry > now)
        return penalty_reason_text(t->v[at].reason);
    if (!p->rules.deny_all[family] || t->n < p->rules.max_sources[family])
        return NULL;
    sweep(p, t, now, false);
    return t->n >= p->rules.max_sources[family] ? "too many penalised sources" : NULL;
}

static const struct {
    const char *word, *text;
} reasons[PENALTY_REASON_COUNT] = {
#define X(name, word, text) [PENALTY_##name] = {word, text},
    PENALTY_REASONS(X)
#undef X
};

const char *penalty_reason_word(enum penalty_reason reason) {
    return reasons[reason].word;
}

const char *penalty_reason_text(enum penalty_reason reason) {
    return reasons[reason].text;
}

// ---- to another process ----

void penalty_rules_write(const struct penalty_rules *rules, struct writer *w) {
    const char *exempt = rules->exempt != NULL ? rules->exempt : "";
    write_bool(w, rules->enabled);
    for (int i = 0; i < PENALTY_REASON_COUNT; i++)
        write_u32(w, rules->ms[i]);
    write_u32(w, rules->max_ms);
    write_u32(w, rules->min_ms);
    for (int f = 0; f < PENALTY_FAMILIES; f++) {
        write_u32(w, rules->max_sources[f]);
        write_bool(w, rules->deny_all[f]);
        write_u32(w, rules->bits[f]);
    }
    write_string(w, view_of(exempt, strlen(exempt) + 1));
}

void penalty_rules_read(struct penalty_rules *rules, struct reader *r) {
    rules->enabled = read_bool(r);
    for (int i = 0; i < PENALTY_REASON_COUNT; i++)
        rules->ms[i] = read_u32(r);
    rules->max_ms = read_u32(r);
    rules->min_ms = read_u32(r);
    for (int f = 0; f < PENALTY_FAMILIES; f++) {
        rules->max_sources[f] = read_u32(r);
        rules->deny_all[f] = read_bool(r);
        rules->bits[f] = read_u32(r);
    }
    struct view exempt = read_string(r);
    if (r->err == OK && (exempt.n == 0 || exempt.p[exempt.n - 1] != 0))
        r->err = ERR_FORMAT;
    rules->exempt = r->err == OK ? (const char *)exempt.p : "";
}

uint64_t penalties_until(const struct penalties *p) {
    uint64_t until = 0;
    for (int f = 0; f < PENALTY_FAMILIES; f++)
        for (uint32_t i = 0; i < p->tables[f].n; i++)
            if (p->tables[f].v[i].expiry > until)
                until = p->tables[f].v[i].expiry;
    return until;
}

void penalties_write(const struct penalties *p, uint64_t now, struct writer *w) {
    for (int f = 0; f < PENALTY_FAMILIES; f++) {
        const struct penalty_table *t = &p->tables[f];
        for (uint32_t i = 0; i < t->n; i++) {
            if (t->v[i].expiry <= now)
                continue;
            write_bytes(w, view_of(t->v[i].source.bytes, sizeof t->v[i].source.bytes));
            write_u8(w, t->v[i].reason);
            write_bool(w, t->v[i].active);
            write_u64(w, t->v[i].expiry);
        }
    }
}

enum err penalties_read(struct penalties *p, struct view bytes) {
    struct reader r = reader_of(bytes);
    while (reader_left(&r) > 0) {
        struct penalty_source s;
        struct view v = read_bytes(&r, sizeof s.bytes);
        uint8_t reason = read_u8(&r);
        bool active = read_bool(&r);
        uint64_t expiry = read_u64(&r);
        if (r.err != OK || reason >= PENALTY_REASON_COUNT)
            return ERR_FORMAT;
        memcpy(s.bytes, v.p, sizeof s.bytes);
        struct penalty *e =
            find(p, &p->tables[family_of(&s)], &s) == NONE ? insert(p, &s, 0) : NULL;
        if (e == NULL)
            continue;
        e->reason = reason;
        e->active = active;
        e->expiry = expiry;
    }
    return OK;
}
