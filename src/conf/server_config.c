// sshd_config: loading, what follows from the values, and Match for one login.
#include "conf/server_config.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "base/address.h"
#include "base/text.h"
#include "conf/script.h"

#define SERVER_FOLDER "/etc/ssh/"

// --- Match

static int list_holds(const char *patterns, const char *value, bool lower) {
    return value == NULL ? -1 : text_match_list(patterns, value, lower) == 1;
}

static int groups_hold(const char *patterns, const struct server_subject *s) {
    int found = 0;
    if (s->user == NULL && s->groups_n == 0)
        return -1;
    for (size_t i = 0; i < s->groups_n; i++) {
        int r = text_match_list(patterns, s->groups[i], false);
        if (r < 0)
            return 0;
        found |= r;
    }
    return found;
}

static int address_holds(const char *list, const char *address) {
    return address == NULL ? -1
                           : address_match_list(list, NULL, address) == ADDRESS_MATCH_YES;
}

static int port_holds(const char *argument, uint16_t port) {
    uint64_t number;
    return port == 0 ? -1 : text_number(argument, 1, 65535, &number) && number == port;
}

static int server_holds(const void *ctx, const struct conf_criterion *c) {
    const struct server_subject *s = ctx;
    switch (c->kind) {
    case CONF_CRITERION_ALL:
        return 1;
    case CONF_CRITERION_USER:
        return list_holds(c->argument, s->user, false);
    case CONF_CRITERION_INVALID_USER:
        return s->user == NULL && !s->invalid_user ? -1 : s->invalid_user;
    case CONF_CRITERION_GROUP:
        return groups_hold(c->argument, s);
    case CONF_CRITERION_HOST:
        return list_holds(c->argument, s->host, true);
    case CONF_CRITERION_ADDRESS:
        return address_holds(c->argument, s->address);
    case CONF_CRITERION_LOCAL_ADDRESS:
        return address_holds(c->argument, s->local_address);
    case CONF_CRITERION_LOCAL_PORT:
        return port_holds(c->argument, s->local_port);
    case CONF_CRITERION_RDOMAIN:
        return list_holds(c->argument, s->rdomain, false);
    case CONF_CRITERION_VERSION:
        return conf_version_match(c->argument) == 1;
    default:
        return 0;
    }
}

// --- loading

static enum err read_input(struct conf_reader *r, const struct server_config_input *in) {
    for (size_t i = 0; i < in->lines_n; i++) {
        uint32_t block = CONF_BLOCK_GLOBAL;
        TRY(conf_read_line(r, CONF_COMMAND_LINE, 0, in->lines[i], &block));
    }
    return in->file != NULL ? conf_read_file(r, in->file, CONF_BLOCK_GLOBAL, true) : OK;
}

static enum err read_script(struct server_config *c, const struct server_config_input *in,
                            struct conf_problems *problems) {
    struct server_config *scratch = calloc(1, sizeof *scratch);
    struct conf_head scratch_head = {.algorithms = in->algorithms,
                                     .algorithms_ctx = in->algorithms_ctx};
    struct conf_reader r = {.table = &conf_server_table,
                            .source = in->source,
                            .problems = problems,
                            .script = c->head.script,
                            .scratch = scratch,
                            .scratch_head = &scratch_head,
                            .include_folder = SERVER_FOLDER};
    enum err e = scratch != NULL ? read_input(&r, in) : ERR_MEMORY;
    conf_pool_drop(&scratch_head.pool);
    free(scratch);
    return e;
}

static enum err apply_globals(struct server_config *c, struct conf_problems *problems) {
    const struct conf_script *s = c->head.script;
    for (size_t i = 0; i < s->n; i++) {
        const struct conf_directive *d = &s->directives[i];
        char why[400];
        if (d->block != CONF_BLOCK_GLOBAL)
            continue;
        enum err e =
            conf_value_apply(&conf_server_table, c, &c->head, d, why, sizeof why);
        if (e == ERR_CONFIG)
            conf_problem_add(problems, CONF_ERROR, d->file, d->line, "%s", why);
        else
            TRY(e);
    }
    return OK;
}

static enum err add_listen(struct server_config *c, const char *host, uint16_t port,
                           const char *rdomain) {
    // Room for every combination was made.
    struct server_listen *l = &c->listens.v[c->listens.n++];
    *l = (struct server_listen){.port = port, .rdomain = rdomain};
    if (host == NULL || strcmp(host, "*") == 0)
        return OK;
    l->host = conf_pool_text(&c->head.pool, view_text(host));
    return l->host != NULL ? OK : ERR_MEMORY;
}

static enum err add_listens(struct server_config *c, const char *text) {
    char host[256], address[400];
    uint16_t port = 0;
    size_t n = strcspn(text, " ");
    const char *rdomain = text[n] == ' ' ? text + n + 1 : NULL;
    if (!text_copy(address, sizeof address, view_of(text, n)))
        return ERR_CONFIG;
    TRY(address_split_port(address, host, sizeof host, &port));
    if (port != 0)
        return add_listen(c, host, port, rdomain);
    for (size_t i = 0; i < c->port.n; i++)
        TRY(add_listen(c, host, c->port.v[i], rdomain));
    return OK;
}

// Every ListenAddress without port stands for all the Ports, wherever they are in the
// file.
static enum err make_listens(struct server_config *c) {
    size_t most = (c->listen_address.n + 1) * c->port.n + c->listen_address.n;
    c->listens.v = conf_pool_take(&c->head.pool, most * sizeof *c->listens.v);
    if (c->listens.v == NULL)
        return ERR_MEMORY;
    for (size_t i = 0; i < c->listen_address.n; i++)
        TRY(add_listens(c, c->listen_address.v[i]));
    for (size_t i = 0; i < c->port.n && c->listen_address.n == 0; i++)
        TRY(add_listen(c, NULL, c->port.v[i], NULL));
    return OK;
}

enum err server_config_load(struct server_config *c, const struct server_config_input *in,
                            struct conf_problems *problems) {
    memset(c, 0, sizeof *c);
    memset(problems, 0, sizeof *problems);
    c->head.algorithms = in->algorithms;
    c->head.algorithms_ctx = in->algorithms_ctx;
    TRY(conf_script_new(&c->head.script));
    c->head.script_owned = true;
    TRY(read_script(c, in, problems));
    TRY(conf_head_init(&c->head, &conf_server_table, c->head.script));
    TRY(apply_globals(c, problems));
    TRY(conf_values_default(&conf_server_table, c, &c->head));
    TRY(make_listens(c));
    return problems->errors == 0 ? OK : ERR_CONFIG;
}

// --- one login

// Values of the blocks that hold, onto an empty configuration.
static enum err apply_blocks(struct server_config *m,
                             const struct server_subject *subject, struct fault *fault) {
    const struct conf_script *s = m->head.script;
    for (uint32_t b = 1; b < s->blocks_n; b++)
        m->head.active[b] = conf_block_holds(&m->head, s, b, server_holds, subject);
    for (size_t i = 0; i < s->n; i++) {
        const struct conf_directive *d = &s->directives[i];
        char why[400];
        if (d->block == CONF_BLOCK_GLOBAL || !m->head.active[d->block])
            continue;
        enum err e =
            conf_value_apply(&conf_server_table, m, &m->head, d, why, sizeof why);
        // All was checked when it was read; what is left is a Subsystem that is there
        // already, and of these the first counts.
        if (e != OK && e != ERR_CONFIG)
            return fault_set(fault, e, 0, "%s:%u: %s", d->file, d->line, err_text(e));
    }
    return OK;
}

static bool has_subsystem(const struct server_subsystems *all, const char *name) {
    for (size_t i = 0; i < all->n; i++)
        if (strcmp(all->v[i].name, name) == 0)
            return true;
    return false;
}

// Subsystems of a block come beside the global ones, or in place of their namesakes.
static enum err add_subsystems(struct server_config *m,
                               const struct server_subsystems *global) {
    size_t most = m->subsystem.n + global->n;
    struct server_subsystem *v = conf_pool_take(&m->head.pool, most * sizeof *v);
    if (v == NULL)
        return ERR_MEMORY;
    size_t n = m->subsystem.n;
    if (n > 0)
        memcpy(v, m->subsystem.v, n * sizeof *v);
    for (size_t i = 0; i < global->n; i++)
        if (!has_subsystem(&m->subsystem, global->v[i].name))
            v[n++] = global->v[i];
    m->subsystem = (struct server_subsystems){v, n};
    return OK;
}

static void inherit(struct server_config *m, const struct server_config *global,
                    size_t size, size_t offset) {
    memcpy((char *)m + offset, (const char *)global + offset, size);
}

enum err server_config_match(const struct server_config *global,
                             const struct server_subject *subject,
                             struct server_config *out, struct fault *fault) {
    memset(out, 0, sizeof *out);
    out->head.algorithms = global->head.algorithms;
    out->head.algorithms_ctx = global->head.algorithms_ctx;
    TRY(conf_head_init(&out->head, &conf_server_table, global->head.script));
    TRY(apply_blocks(out, subject, fault));
    if (out->subsystem.n > 0)
        TRY(add_subsystems(out, &global->subsystem));
    for (size_t i = 0; i < conf_server_table.n; i++) {
        const struct conf_option *o = &conf_server_table.options[i];
        if (out->head.origins[i].file != NULL)
            continue;
        out->head.origins[i] = global->head.origins[i];
        inherit(out, global, o->type->size, o->offset);
        inherit(out, global, o->type->also_size, o->also);
    }
    out->listens = global->listens;
    return OK;
}

bool server_config_matches_set(const struct server_config *c, const char *keyword) {
    const struct conf_script *s = c->head.script;
    for (size_t i = 0; i < s->n; i++)
        if (s->directives[i].block != 0 &&
            strcmp(s->directives[i].option->name, keyword) == 0)
            return true;
    return false;
}

bool server_config_asks_groups(const struct server_config *c) {
    const struct conf_script *s = c->head.script;
    for (size_t b = 1; b < s->blocks_n; b++)
        for (size_t i = 0; i < s->blocks[b].n; i++)
            if (s->blocks[b].v[i].kind == CONF_CRITERION_GROUP)
                return true;
    return false;
}

// --- -C user=...,host=...

static enum err subject_word(struct server_subject *s, struct conf_pool *pool,
                             struct view word, struct fault *fault) {
    static const struct {
        const char *name;
        size_t offset;
    } texts[] = {{"user", offsetof(struct server_subject, user)},
                 {"host", offsetof(struct server_subject, host)},
                 {"addr", offsetof(struct server_subject, address)},
                 {"laddr", offsetof(struct server_subject, local_address)},
                 {"rdomain", offsetof(struct server_subject, rdomain)}};
    const char *text = conf_pool_text(pool, word);
    if (text == NULL)
        return ERR_MEMORY;
    const char *equals = strchr(text, '=');
    if (equals == NULL && strcmp(text, "invalid-user") == 0) {
        s->invalid_user = true;
        return OK;
    }
    size_t n = equals != NULL ? (size_t)(equals - text) : 0;
    uint64_t port;
    if (n == 5 && strncmp(text, "lport", 5) == 0) {
        if (!text_number(equals + 1, 1, 65535, &port))
            return fault_set(fault, ERR_CONFIG, 0,
                             "bad port in connection test \"%.100s\"", text);
        s->local_port = (uint16_t)port;
        return OK;
    }
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (n == strlen(texts[i].name) && strncmp(text, texts[i].name, n) == 0) {
            *(const char **)(void *)((char *)s + texts[i].offset) = equals + 1;
            return OK;
        }
    }
    return fault_set(fault, ERR_CONFIG, 0, "unknown connection test \"%.100s\"", text);
}

enum err server_subject_parse(struct server_subject *subject, struct conf_pool *pool,
                              const char *text, struct fault *fault) {
    while (*text != '\0') {
        size_t n = strcspn(text, ",");
        TRY(subject_word(subject, pool, view_of(text, n), fault));
        text += n + (text[n] == ',');
    }
    return OK;
}

// --- out

enum err server_config_dump(const struct server_config *c, struct buf *out) {
    return conf_values_dump(&conf_server_table, c, out);
}

enum err server_config_text(const struct server_config *c, struct buf *out) {
    return conf_script_text(c->head.script, out);
}

void server_config_free(struct server_config *c) {
    if (c->head.script_owned)
        conf_script_free(c->head.script);
    conf_pool_drop(&c->head.pool);
    memset(c, 0, sizeof *c);
}
