#include "server/event_table.h"

#include <stdio.h>
#include <time.h>

#include "base/json.h"
#include "base/text.h"

enum kind {
    KIND_TEXT,
    KIND_NUMBER,
    KIND_OPTION
};

static const struct field {
    const char *name;
    size_t offset, max;
    enum kind kind;
    const char *meaning;
} fields[EVENT_FIELDS_N] = {
#define X(NAME, name, kind, max, meaning)                                                \
    {#name, offsetof(struct event, name), max, KIND_##kind, meaning},
    EVENT_FIELDS(X)
#undef X
};

static const struct row {
    const char *name;
    bool of_holder;
    uint64_t fields;
    const char *meaning;
} rows[EVENT_COUNT] = {
#define X(NAME, name, holder, fields, meaning) {name, holder, fields, meaning},
    EVENTS(X)
#undef X
};

_Static_assert(EVENT_FIELDS_N <= 64, "a bit for each");

const char *event_name(enum event_number number) {
    return rows[number].name;
}

const char *event_meaning(enum event_number number) {
    return rows[number].meaning;
}

uint64_t event_fields(enum event_number number) {
    return rows[number].fields;
}

bool event_of_holder(enum event_number number) {
    return number < EVENT_COUNT && rows[number].of_holder;
}

const char *event_field_name(enum event_field field) {
    return fields[field].name;
}

const char *event_field_meaning(enum event_field field) {
    return fields[field].meaning;
}

const char *event_field_type(enum event_field field) {
    static const char *const types[] = {[KIND_TEXT] = "text",
                                        [KIND_NUMBER] = "number",
                                        [KIND_OPTION] = "number, or left out"};
    return types[fields[field].kind];
}

size_t event_field_max(enum event_field field) {
    return fields[field].max;
}

// ---- encoding ----

// "2026-11-21T13:25:03.123456Z"
static void time_text(char *out, size_t size, uint64_t us) {
    time_t s = (time_t)(us / 1000000);
    struct tm tm;
    char head[40] = "1970-01-01T00:00:00";
    if (gmtime_r(&s, &tm) != NULL)
        (void)strftime(head, sizeof head, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(out, size, "%s.%06uZ", head, (unsigned)(us % 1000000));
}

// At most `max` bytes, not within a character.
static struct view cut(struct view v, size_t max) {
    if (v.n <= max)
        return v;
    size_t n = 0;
    while (n < max) {
        uint32_t rune;
        size_t one = text_utf8(view_of(v.p + n, v.n - n), &rune);
        one = one > 0 ? one : 1;
        if (n + one > max)
            break;
        n += one;
    }
    return view_of(v.p, n);
}

// True: something was left out.
static bool put_text(struct json *j, const struct field *f, const struct event *e,
                     size_t max) {
    const struct view *v =
        (const struct view *)(const void *)((const char *)e + f->offset);
    if (v->n == 0)
        return false;
    struct view shown = cut(*v, f->max < max ? f->max : max);
    json_member_string(j, f->name, shown);
    return shown.n < v->n;
}

static void put_number(struct json *j, const struct field *f, const struct event *e) {
    const uint64_t *v = (const uint64_t *)(const void *)((const char *)e + f->offset);
    if (f->kind == KIND_NUMBER || *v != EVENT_UNKNOWN)
        json_member_u64(j, f->name, *v);
}

static enum err encode(enum event_number number, const struct event *e, const char *when,
                       size_t max, struct buf *out) {
    struct json j = json_to_buf(out);
    bool is_cut = false;
    json_object(&j);
    json_member_u64(&j, "v", EVENT_SCHEMA);
    json_member_text(&j, "time", when);
    json_member_text(&j, "event", rows[number].name);
    for (size_t i = 0; i < EVENT_FIELDS_N; i++) {
        if (!(rows[number].fields >> i & 1))
            continue;
        if (fields[i].kind == KIND_TEXT)
            is_cut |= put_text(&j, &fields[i], e, max);
        else
            put_number(&j, &fields[i], e);
    }
    if (is_cut)
        json_member_bool(&j, "cut", true);
    json_object_end(&j);
    TRY(json_end(&j));
    return buf_append(out, view_text("\n"));
}

enum err event_encode(enum event_number number, const struct event *e, uint64_t time_us,
                      struct buf *out) {
    char when[64];
    time_text(when, sizeof when, time_us);
    // What is escaped may take six bytes for one: then less of it is shown.
    for (size_t max = 1024; max >= 16; max /= 2) {
        buf_free(out);
        buf_init(out, EVENT_LINE_MAX);
        if (encode(number, e, when, max, out) == OK)
            return OK;
    }
    return ERR_LIMIT;
}
