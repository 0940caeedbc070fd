// Explain as text and as JSON, over the same facts.
#include "conf/explain.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/json.h"
#include "base/limits.h"
#include "conf/script.h"

#define LINE 1200

// ---- facts ----

static const struct conf_origin *origin_of(const struct explain *x,
                                           const struct conf_option *o) {
    return &x->head->origins[o - x->table->options];
}

static bool holds(const struct explain *x, const struct conf_directive *d) {
    return x->head->active[d->block];
}

static bool is_origin(const struct conf_origin *o, const struct conf_directive *d) {
    return o->file != NULL && o->line == d->line && strcmp(o->file, d->file) == 0;
}

// A line that would count were there not another one.
static bool is_shadowed(const struct explain *x, const struct conf_directive *d) {
    const struct conf_origin *o = origin_of(x, d->option);
    return d->option->merge == CONF_FIRST && holds(x, d) && !is_origin(o, d);
}

static bool is_risky_here(const struct explain *x, const struct conf_directive *d) {
    return explain_risk(x->table, d) != NULL && !is_shadowed(x, d);
}

// The values as the dump has them, a line each, into `lines`.
static enum err values_of(const struct explain *x, const struct conf_option *o,
                          struct buf *lines) {
    buf_clear(lines);
    return conf_value_dump(x->table, x->base, o, lines);
}

// Cuts the next line off; without the keyword.
static bool next_value(struct view *lines, struct view *value) {
    if (lines->n == 0)
        return false;
    const uint8_t *end = memchr(lines->p, '\n', lines->n);
    size_t n = end != NULL ? (size_t)(end - lines->p) : lines->n;
    const uint8_t *blank = memchr(lines->p, ' ', n);
    size_t skip = blank != NULL ? (size_t)(blank - lines->p) + 1 : n;
    *value = view_of(lines->p + skip, n - skip);
    *lines = view_of(lines->p + n + (end != NULL), lines->n - n - (end != NULL));
    return true;
}

static const char *block_text(const struct conf_block *b, char *out, size_t size) {
    size_t n = (size_t)snprintf(out, size, "%s", b->is_host ? "Host" : "Match");
    for (size_t i = 0; i < b->n && n < size; i++) {
        const struct conf_criterion *c = &b->v[i];
        bool word = c->kind != CONF_CRITERION_HOST_LINE;
        n += (size_t)snprintf(out + n, size - n, " %s%s%s%s", c->negated ? "!" : "",
                              word ? conf_criterion_word(c->kind) : "",
                              word && c->argument != NULL ? " " : "",
                              c->argument != NULL ? c->argument : "");
    }
    return out;
}

// ---- text ----

static __attribute__((format(printf, 2, 3))) enum err put(struct buf *out,
                                                          const char *format, ...) {
    char text[LINE];
    va_list ap;
    va_start(ap, format);
    int n = vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    size_t length = (size_t)n < sizeof text ? (size_t)n : sizeof text - 1;
    return buf_append(out, view_of(text, length));
}

static enum err text_sources(const struct explain *x, const struct conf_option *o,
                             struct buf *out) {
    const struct conf_script *s = x->head->script;
    const struct conf_origin *origin = origin_of(x, o);
    if (origin->file == NULL)
        return put(out, "default");
    TRY(put(out, origin->line == 0 ? "%s" : "%s:%u", origin->file, origin->line));
    for (size_t i = 0; i < s->n; i++) {
        const struct conf_directive *d = &s->directives[i];
        if (d->option == o && o->merge == CONF_APPEND && holds(x, d) &&
            !is_origin(origin, d))
            TRY(put(out, ", %s:%u", d->file, d->line));
    }
    return OK;
}

static enum err text_shadowed(const struct explain *x, const struct conf_option *o,
                              struct buf *out) {
    const struct conf_script *s = x->head->script;
    for (size_t i = 0; i < s->n; i++) {
        const struct conf_directive *d = &s->directives[i];
        if (d->option == o && is_shadowed(x, d))
            TRY(put(out, "    no effect: %s:%u: %s %.400s\n", d->file, d->line, o->name,
                    d->rest));
    }
    return OK;
}

static enum err text_value(const struct explain *x, const struct conf_option *o,
                           struct buf *lines, struct buf *out) {
    struct view rest, value;
    TRY(values_of(x, o, lines));
    rest = buf_view(lines);
    for (bool first = true; next_value(&rest, &value); first = false) {
        TRY(put(out, "%s %.*s", o->name, (int)value.n, (const char *)value.p));
        if (first) {
            TRY(put(out, "  # "));
            TRY(text_sources(x, o, out));
        }
        TRY(put(out, "\n"));
    }
    return text_shadowed(x, o, out);
}

static enum err text_blocks(const struct explain *x, struct buf *out) {
    const struct conf_script *s = x->head->script;
    bool any = false;
    for (uint32_t b = 1; b < s->blocks_n; b++) {
        char name[600];
        const char *why = explain_never(x, s, b);
        if (why == NULL)
            continue;
        if (!any)
            TRY(put(out, "\nBlocks that can never hold:\n"));
        any = true;
        TRY(put(out, "  %s:%u: %s: %s\n", s->blocks[b].file, s->blocks[b].line,
                block_text(&s->blocks[b], name, sizeof name), why));
    }
    return OK;
}

static enum err text_risks(const struct explain *x, struct buf *out) {
    const struct conf_script *s = x->head->script;
    bool any = false;
    for (size_t i = 0; i < s->n; i++) {
        const struct conf_directive *d = &s->directives[i];
        if (!is_risky_here(x, d))
            continue;
        if (!any)
            TRY(put(out, "\nRisky settings:\n"));
        any = true;
        TRY(put(out, "  %s:%u: %s %.300s: %s%s\n", d->file, d->line, d->option->name,
                d->rest, explain_risk(x->table, d),
                holds(x, d) ? "" : " (where its block holds)"));
    }
    return OK;
}

enum err explain_text(const struct explain *x, struct buf *out) {
    scoped_buf lines;
    buf_init(&lines, LIMIT_CONFIG_FILE);
    for (size_t i = 0; i < x->table->n; i++)
        TRY(text_value(x, &x->table->options[i], &lines, out));
    TRY(text_blocks(x, out));
    return text_risks(x, out);
}

// ---- JSON ----

static void json_where(struct json *j, const char *file, uint32_t line) {
    json_member_text(j, "file", file);
    if (line != 0)
        json_member_u64(j, "line", line);
}

static void json_lines(struct json *j, const struct explain *x,
                       const struct conf_option *o, const char *name, bool shadowed) {
    const struct conf_script *s = x->head->script;
    const struct conf_origin *origin = origin_of(x, o);
    json_name(j, name);
    json_array(j);
    for (size_t i = 0; i < s->n; i++) {
        const struct conf_directive *d = &s->directives[i];
        bool counts = holds(x, d) && (o->merge == CONF_APPEND || is_origin(origin, d));
        if (d->option != o || (shadowed ? !is_shadowed(x, d) : !counts))
            continue;
        json_object(j);
        json_where(j, d->file, d->line);
        json_member_text(j, "text", d->rest);
        json_object_end(j);
    }
    json_array_end(j);
}

static enum err json_value(struct json *j, const struct explain *x,
                           const struct conf_option *o, struct buf *lines) {
    struct view rest, value;
    TRY(values_of(x, o, lines));
    rest = buf_view(lines);
    if (rest.n == 0)
        return OK;
    json_object(j);
    json_member_text(j, "keyword", o->name);
    json_name(j, "values");
    json_array(j);
    while (next_value(&rest, &value))
        json_string(j, value);
    json_array_end(j);
    json_member_bool(j, "default", origin_of(x, o)->file == NULL);
    json_lines(j, x, o, "set_by", false);
    json_lines(j, x, o, "shadowed", true);
    json_object_end(j);
    return OK;
}

static void json_blocks(struct json *j, const struct explain *x) {
    const struct conf_script *s = x->head->script;
    json_name(j, "blocks");
    json_array(j);
    for (uint32_t b = 1; b < s->blocks_n; b++) {
        char name[600];
        json_object(j);
        json_where(j, s->blocks[b].file, s->blocks[b].line);
        json_member_text(j, "text", block_text(&s->blocks[b], name, sizeof name));
        json_member_bool(j, "holds", x->head->active[b]);
        json_member_text(j, "never", explain_never(x, s, b));
        json_object_end(j);
    }
    json_array_end(j);
}

static void json_risks(struct json *j, const struct explain *x) {
    const struct conf_script *s = x->head->script;
    json_name(j, "risks");
    json_array(j);
    for (size_t i = 0; i < s->n; i++) {
        const struct conf_directive *d = &s->directives[i];
        if (!is_risky_here(x, d))
            continue;
        json_object(j);
        json_where(j, d->file, d->line);
        json_member_text(j, "keyword", d->option->name);
        json_member_text(j, "text", d->rest);
        json_member_bool(j, "holds", holds(x, d));
        json_member_text(j, "why", explain_risk(x->table, d));
        json_object_end(j);
    }
    json_array_end(j);
}

static void json_problems(struct json *j, const struct conf_problems *problems) {
    static const char *const names[] = {"note", "warning", "error"};
    json_name(j, "problems");
    json_array(j);
    for (size_t i = 0; problems != NULL && i < problems->n; i++) {
        json_object(j);
        json_member_text(j, "severity", names[problems->at[i].severity]);
        json_member_text(j, "text", problems->at[i].text);
        json_object_end(j);
    }
    json_array_end(j);
}

enum err explain_json(const struct explain *x, struct buf *out) {
    struct json j = json_to_buf(out);
    scoped_buf lines;
    buf_init(&lines, LIMIT_CONFIG_FILE);
    json_object(&j);
    json_name(&j, "values");
    json_array(&j);
    for (size_t i = 0; i < x->table->n; i++)
        TRY(json_value(&j, x, &x->table->options[i], &lines));
    json_array_end(&j);
    json_blocks(&j, x);
    json_risks(&j, x);
    json_problems(&j, x->problems);
    json_object_end(&j);
    TRY(json_end(&j));
    return put(out, "\n");
}
