// Values: directives applied to a configuration, defaults, dump, explain, and the script
// as text.
#include <ctype.h>
#include <stdio.h>

#include "base/limits.h"
#include "conf/script.h"

enum err conf_head_init(struct conf_head *head, const struct conf_table *t,
                        struct conf_script *script) {
    head->pool = (struct conf_pool){0};
    head->script = script;
    head->origins = conf_pool_take(&head->pool, t->n * sizeof *head->origins);
    size_t blocks = script != NULL ? script->blocks_n : 1;
    head->active = conf_pool_take(&head->pool, blocks);
    if (head->origins == NULL || head->active == NULL)
        return ERR_MEMORY;
    head->active[0] = 1;
    return OK;
}

static enum err parse(const struct conf_option *o, void *base, struct conf_head *head,
                      const struct conf_line *line, char *why, size_t size) {
    struct conf_parse p = {.option = o,
                           .base = base,
                           .head = head,
                           .argv = line->argv,
                           .argc = line->argc,
                           .rest = line->rest};
    if (o->type->parse(&p))
        return OK;
    snprintf(why, size, "%s", p.why);
    return strcmp(p.why, "out of memory") == 0 ? ERR_MEMORY : ERR_CONFIG;
}

enum err conf_value_apply(const struct conf_table *t, void *base, struct conf_head *head,
                          const struct conf_directive *d, char *why, size_t size) {
    struct conf_origin *origin = &head->origins[d->option - t->options];
    struct conf_line line = {.rest = d->rest, .argv = d->argv, .argc = d->argc};
    if (d->option->merge == CONF_FIRST && origin->file != NULL)
        return OK;
    TRY(parse(d->option, base, head, &line, why, size));
    if (origin->file == NULL)
        *origin = (struct conf_origin){d->file, d->line, ++head->applied};
    return OK;
}

enum err conf_value_set_text(const struct conf_option *o, void *base,
                             struct conf_head *head, const char *text) {
    char why[300], with_keyword[1024];
    const char *split_why = "";
    struct conf_line line;
    if (snprintf(with_keyword, sizeof with_keyword, "%s %s", o->name, text) >=
        (int)sizeof with_keyword)
        return ERR_LIMIT;
    TRY(conf_line_split(&head->pool, with_keyword, &line, &split_why));
    return parse(o, base, head, &line, why, sizeof why);
}

// Algorithm lists have no default text: who knows algorithms is asked.
static enum err default_algorithms(const struct conf_option *o, void *base,
                                   struct conf_head *head) {
    char list[4096];
    if (head->algorithms == NULL)
        return OK;
    TRY(head->algorithms(head->algorithms_ctx, *(const enum conf_algorithms *)o->detail,
                         NULL, list, sizeof list, NULL));
    const char **field = (const char **)(void *)((char *)base + o->offset);
    *field = conf_pool_text(&head->pool, view_text(list));
    return *field != NULL ? OK : ERR_MEMORY;
}

enum err conf_values_default(const struct conf_table *t, void *base,
                             struct conf_head *head) {
    for (size_t i = 0; i < t->n; i++) {
        const struct conf_option *o = &t->options[i];
        if (head->origins[i].file != NULL)
            continue;
        if (o->type == &conf_type_algorithms)
            TRY(default_algorithms(o, base, head));
        else if (o->fallback != NULL)
            TRY(conf_value_set_text(o, base, head, o->fallback));
    }
    return OK;
}

// --- blocks

static int host_line_holds(const struct conf_block *b, conf_criterion_fn holds,
                           const void *ctx) {
    int found = 0;
    for (size_t i = 0; i < b->n; i++) {
        if (holds(ctx, &b->v[i]) != 1)
            continue;
        if (b->v[i].negated)
            return 0;
        found = 1;
    }
    return found;
}

bool conf_block_holds(const struct conf_head *head, const struct conf_script *s,
                      uint32_t index, conf_criterion_fn holds, const void *ctx) {
    const struct conf_block *b = &s->blocks[index];
    if (!head->active[b->parent])
        return false;
    if (b->is_host)
        return host_line_holds(b, holds, ctx) == 1;
    for (size_t i = 0; i < b->n; i++) {
        int r = holds(ctx, &b->v[i]);
        // What is not known neither matches nor "not matches".
        if (r < 0 || (r == 1) == b->v[i].negated)
            return false;
    }
    return b->n > 0;
}

// --- dump

enum err conf_value_dump(const struct conf_table *t, const void *base,
                         const struct conf_option *o, struct buf *out) {
    struct conf_dump d = {
        .option = o, .base = base, .out = out, .none_is_printed = !t->client};
    return o->type->dump(&d);
}

enum err conf_values_dump(const struct conf_table *t, const void *base, struct buf *out) {
    for (size_t i = 0; i < t->n; i++)
        TRY(conf_value_dump(t, base, &t->options[i], out));
    return OK;
}

// --- the script as one file

static enum err criterion_text(const struct conf_criterion *c, struct buf *out) {
    TRY(conf_append_text(out, c->negated ? " !" : " "));
    TRY(conf_append_text(out, conf_criterion_word(c->kind)));
    if (c->argument == NULL)
        return OK;
    TRY(conf_append_text(out, " "));
    return conf_append_word(out, c->argument);
}

static size_t count_criteria(const struct conf_script *s, uint32_t block) {
    size_t n = 0;
    for (; block != CONF_BLOCK_GLOBAL; block = s->blocks[block].parent)
        for (size_t i = 0; i < s->blocks[block].n; i++)
            n += s->blocks[block].v[i].kind != CONF_CRITERION_ALL ||
                 s->blocks[block].v[i].negated;
    return n;
}

// A block inside another (by Include) holds where both do: the criteria of all in one
// line.
static enum err block_text(const struct conf_script *s, uint32_t block, struct buf *out) {
    TRY(conf_append_text(out, "Match"));
    if (count_criteria(s, block) == 0)
        return conf_append_text(out, " all\n");
    for (; block != CONF_BLOCK_GLOBAL; block = s->blocks[block].parent)
        for (size_t i = 0; i < s->blocks[block].n; i++)
            if (s->blocks[block].v[i].kind != CONF_CRITERION_ALL ||
                s->blocks[block].v[i].negated)
                TRY(criterion_text(&s->blocks[block].v[i], out));
    return conf_append_text(out, "\n");
}

static enum err directives_text(const struct conf_script *s, uint32_t block,
                                struct buf *out) {
    for (size_t i = 0; i < s->n; i++) {
        const struct conf_directive *d = &s->directives[i];
        if (d->block != block)
            continue;
        TRY(conf_append_text(out, d->option->name));
        TRY(conf_append_text(out, " "));
        TRY(conf_append_text(out, d->rest));
        TRY(conf_append_text(out, "\n"));
    }
    return OK;
}

enum err conf_script_text(const struct conf_script *s, struct buf *out) {
    TRY(directives_text(s, CONF_BLOCK_GLOBAL, out));
    for (uint32_t b = 1; b < s->blocks_n; b++) {
        TRY(block_text(s, b, out));
        TRY(directives_text(s, b, out));
    }
    return OK;
}
