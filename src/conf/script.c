// Reading: files and lines into a script; Include; what is wrong, with file and line.
#include "conf/script.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "base/limits.h"
#include "base/text.h"

enum err conf_script_new(struct conf_script **script) {
    struct conf_script *s = calloc(1, sizeof *s);
    if (s == NULL)
        return ERR_MEMORY;
    s->blocks = calloc(8, sizeof *s->blocks);
    if (s->blocks == NULL) {
        free(s);
        return ERR_MEMORY;
    }
    s->blocks_room = 8;
    s->blocks_n = 1;
    *script = s;
    return OK;
}

void conf_script_free(struct conf_script *s) {
    if (s == NULL)
        return;
    conf_pool_drop(&s->pool);
    free(s->directives);
    free(s->blocks);
    free(s);
}

const struct conf_option *conf_table_find(const struct conf_table *t, const char *name) {
    for (size_t i = 0; i < t->n; i++)
        if (strcasecmp(t->options[i].name, name) == 0)
            return &t->options[i];
    return NULL;
}

static enum err add_directive(struct conf_script *s, const struct conf_directive *d) {
    if (s->n == s->room) {
        size_t room = s->room == 0 ? 64 : 2 * s->room;
        struct conf_directive *v = room > 2 * CONF_DIRECTIVES_MAX
                                       ? NULL
                                       : reallocarray(s->directives, room, sizeof *v);
        if (v == NULL)
            return ERR_MEMORY;
        s->directives = v;
        s->room = room;
    }
    s->directives[s->n++] = *d;
    return OK;
}

static enum err add_block(struct conf_script *s, const struct conf_block *b,
                          uint32_t *index) {
    if (s->blocks_n == s->blocks_room) {
        size_t room = 2 * s->blocks_room;
        struct conf_block *v = room > 2 * CONF_DIRECTIVES_MAX
                                   ? NULL
                                   : reallocarray(s->blocks, room, sizeof *v);
        if (v == NULL)
            return ERR_MEMORY;
        s->blocks = v;
        s->blocks_room = room;
    }
    *index = (uint32_t)s->blocks_n;
    s->blocks[s->blocks_n++] = *b;
    return OK;
}

// --- values

static const char *keyword_at(size_t index, const void *arg) {
    const struct conf_table *t = arg;
    for (size_t i = 0; i < t->n; i++)
        if (t->options[i].status != CONF_DEPRECATED &&
            t->options[i].status != CONF_GONE && index-- == 0)
            return t->options[i].name;
    return NULL;
}

static void unknown_keyword(struct conf_reader *r, const char *file, uint32_t number,
                            const char *word) {
    if (r->ignore_unknown != NULL && text_match_list(r->ignore_unknown, word, true) == 1)
        return;
    const struct conf_table *other =
        r->table->client ? &conf_server_table : &conf_client_table;
    const char *like = text_suggest(word, keyword_at, r->table);
    if (conf_table_find(other, word) != NULL)
        conf_problem_add(r->problems, CONF_ERROR, file, number,
                         "keyword %s belongs into %s", word,
                         r->table->client ? "sshd_config" : "ssh_config");
    else if (like != NULL)
        conf_problem_add(r->problems, CONF_ERROR, file, number,
                         "unknown keyword \"%s\"; did you mean %s?", word, like);
    else
        conf_problem_add(r->problems, CONF_ERROR, file, number, "unknown keyword \"%s\"",
                         word);
}

// The text of a row's value, in lower case, as it would be if set alone.
static enum err value_text(struct conf_reader *r, const struct conf_option *o,
                           const char *text, struct buf *out) {
    memset(r->scratch, 0, r->table->config_size);
    TRY(conf_head_init(r->scratch_head, r->table, NULL));
    enum err e =
        text == NULL ? OK : conf_value_set_text(o, r->scratch, r->scratch_head, text);
    if (e == OK)
        e = conf_value_dump(r->table, r->scratch, o, out);
    conf_pool_drop(&r->scratch_head->pool);
    return e;
}

static bool same_value(struct conf_reader *r, const struct conf_directive *d,
                       const char *text) {
    scoped_buf given, asked;
    const struct conf_option *o = d->option;
    buf_init(&given, LIMIT_TEXT_LINE);
    buf_init(&asked, LIMIT_TEXT_LINE);
    if (value_text(r, o, d->rest, &given) != OK || value_text(r, o, text, &asked) != OK)
        return false;
    return view_equal(buf_view(&given), buf_view(&asked));
}

// A keyword that is not acted upon yet: silent where the outcome is the same.
static void note_later(struct conf_reader *r, const struct conf_directive *d) {
    const struct conf_option *o = d->option;
    char text[300];
    if (o->status != CONF_LATER_IGNORE && o->status != CONF_LATER_WARN &&
        o->status != CONF_LATER_REFUSE)
        return;
    // Appended values never equal the default, unless there is none to append.
    if (same_value(r, d, o->fallback) ||
        (o->harmless != NULL && same_value(r, d, o->harmless)))
        return;
    if (o->reason != NULL)
        snprintf(text, sizeof text, "keyword %s: %s", o->name, o->reason);
    else
        snprintf(text, sizeof text,
                 "keyword %s is OpenSSH's and Bowline doesn't support it yet", o->name);
    if (o->status == CONF_LATER_REFUSE)
        conf_problem_add(r->problems, CONF_ERROR, d->file, d->line, "%s", text);
    else
        conf_problem_add(r->problems,
                         o->status == CONF_LATER_WARN ? CONF_WARNING : CONF_NOTE, d->file,
                         d->line, "%s; the line has no effect", text);
}

static enum err keep_directive(struct conf_reader *r, struct conf_directive *d) {
    char why[400];
    if (d->block != CONF_BLOCK_GLOBAL && d->option->scope == CONF_GLOBAL) {
        conf_problem_add(r->problems, CONF_ERROR, d->file, d->line,
                         "keyword %s is not allowed inside a Match block",
                         d->option->name);
        return OK;
    }
    memset(r->scratch, 0, r->table->config_size);
    TRY(conf_head_init(r->scratch_head, r->table, NULL));
    enum err e =
        conf_value_apply(r->table, r->scratch, r->scratch_head, d, why, sizeof why);
    conf_pool_drop(&r->scratch_head->pool);
    if (e == ERR_CONFIG) {
        conf_problem_add(r->problems, CONF_ERROR, d->file, d->line, "%s", why);
        return OK;
    }
    TRY(e);
    note_later(r, d);
    if (r->table->client && r->ignore_unknown == NULL &&
        strcmp(d->option->name, "IgnoreUnknown") == 0)
        r->ignore_unknown = d->argv[0];
    return add_directive(r->script, d);
}

// --- Include

struct include {
    struct conf_reader *reader;
    uint32_t block;
};

static enum err include_each(void *arg, const char *path) {
    struct include *i = arg;
    return conf_read_file(i->reader, path, i->block, false);
}

static enum err include_path(struct conf_reader *r, const char *word, char *out,
                             size_t size, struct fault *fault) {
    char a[4096], b[4096];
    const char *s = word;
    if (r->tokens != NULL) {
        TRY(tokens_expand(TOKENS_MATCH_EXEC, r->tokens, s, a, sizeof a, fault));
        s = a;
    }
    if (r->env != NULL) {
        TRY(tokens_expand_env(s, r->env, r->env_ctx, b, sizeof b, fault));
        s = b;
    }
    int n;
    if (s[0] == '~' && s[1] == '/' && r->home != NULL)
        n = snprintf(out, size, "%s%s", r->home, s + 1);
    else if (s[0] == '/' || s[0] == '~')
        n = snprintf(out, size, "%s", s);
    else
        n = snprintf(out, size, "%s%s", r->include_folder, s);
    return n < (int)size ? OK : fault_set(fault, ERR_CONFIG, 0, "the path is too long");
}

static enum err include(struct conf_reader *r, const char *file, uint32_t number,
                        const struct conf_line *line, uint32_t block) {
    if (line->argc == 0)
        conf_problem_add(r->problems, CONF_ERROR, file, number, "Include needs a path");
    if (r->depth >= LIMIT_INCLUDE_DEPTH) {
        conf_problem_add(r->problems, CONF_ERROR, file, number,
                         "too many levels of Include");
        return OK;
    }
    if (r->source == NULL) {
        conf_problem_add(r->problems, CONF_ERROR, file, number, "no Include here");
        return OK;
    }
    for (size_t i = 0; i < line->argc; i++) {
        char path[4096];
        struct fault fault = {0};
        if (include_path(r, line->argv[i], path, sizeof path, &fault) != OK) {
            conf_problem_add(r->problems, CONF_ERROR, file, number, "Include: %s",
                             fault_text(&fault));
            continue;
        }
        struct include inc = {r, block};
        r->depth++;
        enum err e = r->source->glob(r->source->ctx, path, include_each, &inc);
        r->depth--;
        TRY(e);
    }
    return OK;
}

// --- lines and files

static enum err open_block(struct conf_reader *r, const char *file, uint32_t number,
                           const struct conf_line *line, bool is_host, uint32_t *block,
                           uint32_t parent) {
    char why[300];
    struct conf_block b = {.parent = parent, .file = file, .line = number};
    if (!conf_criteria_parse(r, line, is_host, &b, why, sizeof why)) {
        conf_problem_add(r->problems, CONF_ERROR, file, number, "%s", why);
        // What follows is still checked.
        b.v = NULL;
        b.n = 0;
    }
    return add_block(r->script, &b, block);
}

static enum err read_known(struct conf_reader *r, const struct conf_option *o,
                           struct conf_directive *d) {
    if (o->alias_of != NULL)
        o = conf_table_find(r->table, o->alias_of);
    else if (o->status == CONF_DEPRECATED)
        conf_problem_add(r->problems, CONF_WARNING, d->file, d->line,
                         "keyword %s is deprecated and has no effect", o->name);
    if (o == NULL || o->status == CONF_DEPRECATED || o->status == CONF_GONE)
        return OK;
    d->option = o;
    return keep_directive(r, d);
}

// `parent` is the block that the file was included in.
static enum err read_line(struct conf_reader *r, const char *file, uint32_t number,
                          const char *text, uint32_t *block, uint32_t parent) {
    struct conf_line line;
    const char *why = "";
    enum err e = conf_line_split(&r->script->pool, text, &line, &why);
    if (e == ERR_CONFIG) {
        conf_problem_add(r->problems, CONF_ERROR, file, number, "%s", why);
        return OK;
    }
    TRY(e);
    if (line.keyword == NULL)
        return OK;
    if (r->script->n >= CONF_DIRECTIVES_MAX || r->script->blocks_n >= CONF_DIRECTIVES_MAX)
        return ERR_LIMIT;
    const struct conf_option *o = conf_table_find(r->table, line.keyword);
    if (o == NULL) {
        unknown_keyword(r, file, number, line.keyword);
        return OK;
    }
    if (o->status == CONF_BLOCK && file[0] != '/' &&
        strcmp(file, CONF_COMMAND_LINE) == 0) {
        conf_problem_add(r->problems, CONF_ERROR, file, number,
                         "%s is not for the command line", o->name);
        return OK;
    }
    if (o->status == CONF_BLOCK && strcmp(o->name, "Include") == 0)
        return include(r, file, number, &line, *block);
    if (o->status == CONF_BLOCK)
        return open_block(r, file, number, &line, strcmp(o->name, "Host") == 0, block,
                          parent);
    struct conf_directive d = {.argv = line.argv,
                               .argc = line.argc,
                               .rest = line.rest,
                               .file = file,
                               .line = number,
                               .block = *block};
    return read_known(r, o, &d);
}

enum err conf_read_line(struct conf_reader *r, const char *file, uint32_t number,
                        const char *text, uint32_t *block) {
    return read_line(r, file, number, text, block, CONF_BLOCK_GLOBAL);
}

static enum err read_text(struct conf_reader *r, const char *file, struct view text,
                          uint32_t block) {
    uint32_t current = block, number = 0;
    while (text.n > 0) {
        const uint8_t *end = memchr(text.p, '\n', text.n);
        size_t n = end != NULL ? (size_t)(end - text.p) : text.n;
        number++;
        if (n > LIMIT_TEXT_LINE || memchr(text.p, '\0', n) != NULL) {
            conf_problem_add(r->problems, CONF_ERROR, file, number, "%s",
                             n > LIMIT_TEXT_LINE ? "the line is too long"
                                                 : "a NUL in the line");
        } else {
            char *line = strndup((const char *)text.p, n);
            if (line == NULL)
                return ERR_MEMORY;
            enum err e = read_line(r, file, number, line, &current, block);
            free(line);
            TRY(e);
        }
        n += end != NULL;
        text = view_of(text.p + n, text.n - n);
    }
    return OK;
}

enum err conf_read_file(struct conf_reader *r, const char *path, uint32_t block,
                        bool required) {
    char detail[128] = "";
    scoped_buf text;
    buf_init(&text, LIMIT_CONFIG_FILE);
    if (++r->files > CONF_FILES_MAX)
        return ERR_LIMIT;
    enum err e = r->source->read(r->source->ctx, path, r->strict, &text, detail);
    if (e == ERR_NOT_FOUND && !required)
        return OK;
    if (e == ERR_MEMORY)
        return e;
    if (e != OK) {
        conf_problem_add(r->problems, CONF_ERROR, path, 0, "%s: %s", path,
                         detail[0] != '\0' ? detail : err_text(e));
        return OK;
    }
    const char *name = conf_pool_text(&r->script->pool, view_text(path));
    if (name == NULL)
        return ERR_MEMORY;
    return read_text(r, name, buf_view(&text), block);
}
