// ssh_config: loading, the passes over the script, and what follows from the values.
#include "conf/client_config.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "base/address.h"
#include "base/text.h"
#include "conf/canonical.h"
#include "conf/script.h"

#define CLIENT_FOLDER "/etc/ssh/"
#define HOST_SIZE 1025

// One pass over the script.
struct pass {
    struct client_config *c;
    const struct client_subject *subject;
    char host[HOST_SIZE];  // what Host and originally named criteria are about
    bool final;
    bool *wants_final;
    uint8_t *decided;  // for each block: 0 not yet, 1 holds, 2 does not
    uint32_t asked;    // blocks up to here were asked
};

// --- names

static void lower(char *s) {
    for (; *s != '\0'; s++)
        *s = (char)tolower((unsigned char)*s);
}

// Hostname with its %h, or the host; what cannot be expanded stays as it is (loading says
// so).
static void current_hostname(const struct client_config *c, const char *host,
                             char out[HOST_SIZE]) {
    struct token tokens[] = {{'h', host}, {0, NULL}};
    if (c->hostname == NULL ||
        tokens_expand(TOKENS_HOSTNAME, tokens, c->hostname, out, HOST_SIZE, NULL) != OK)
        (void)text_copy(out, HOST_SIZE, view_text(host));
}

#define TOKENS_MOST 24

struct token_texts {
    struct token at[TOKENS_MOST];
    char host[HOST_SIZE], port[8], hash[65], short_local[256];
};

static const char *or_text(const char *a, const char *b) {
    return a != NULL && *a != '\0' ? a : b;
}

static const char *connection_hash(const struct client_config *c,
                                   const struct client_subject *s, struct token_texts *t,
                                   const char *user) {
    char text[4096];
    // What %C is a hash of: %l%h%p%r%j.
    int n = snprintf(text, sizeof text, "%s%s%s%s%s", or_text(s->local_host, ""), t->host,
                     t->port, user, or_text(c->proxy_jump, ""));
    if (s->connection_hash == NULL || n >= (int)sizeof text ||
        !s->connection_hash(s->hook_ctx, text, t->hash))
        return NULL;
    return t->hash;
}

static void make_tokens(const struct client_config *c, const struct client_subject *s,
                        struct token_texts *t) {
    const char *user = or_text(c->user, or_text(s->user, or_text(s->local_user, "")));
    current_hostname(c, s->host, t->host);
    snprintf(t->port, sizeof t->port, "%u",
             c->port != 0   ? c->port
             : s->port != 0 ? s->port
                            : 22);
    (void)text_copy(
        t->short_local, sizeof t->short_local,
        view_of(or_text(s->local_host, ""), strcspn(or_text(s->local_host, ""), ".")));
    const struct token list[] = {{'h', t->host},
                                 {'n', s->host},
                                 {'p', t->port},
                                 {'r', user},
                                 {'u', s->local_user},
                                 {'d', s->home},
                                 {'j', or_text(c->proxy_jump, "")},
                                 {'k', or_text(c->host_key_alias, t->host)},
                                 {'l', s->local_host},
                                 {'L', s->local_host != NULL ? t->short_local : NULL},
                                 {'C', connection_hash(c, s, t, user)},
                                 {'i', s->local_uid}};
    memset(t->at, 0, sizeof t->at);
    memcpy(t->at, list, sizeof list);
}

enum err client_config_expand(const struct client_config *c,
                              const struct client_subject *subject, enum token_use use,
                              const struct token *more, const char *text, char *out,
                              size_t size, struct fault *fault) {
    struct token_texts t;
    make_tokens(c, subject, &t);
    size_t n = 0;
    while (t.at[n].letter != '\0')
        n++;
    for (; more != NULL && more->letter != '\0' && n < TOKENS_MOST - 1; more++)
        t.at[n++] = *more;
    return tokens_expand(use, t.at, text, out, size, fault);
}

enum err client_config_path(const struct client_config *c,
                            const struct client_subject *subject, const char *text,
                            char *out, size_t size, struct fault *fault) {
    char a[4096], b[4096];
    // The tilde first: what tokens and variables bring in is no home folder.
    TRY(tokens_expand_tilde(text, subject->home, NULL, NULL, a, sizeof a, fault));
    TRY(tokens_expand_env(a, subject->env, subject->env_ctx, b, sizeof b, fault));
    return client_config_expand(c, subject, TOKENS_PATHS, NULL, b, out, size, fault);
}

// --- Host and Match

static int patterns_hold(const char *patterns, const char *value, bool fold) {
    return text_match_list(patterns, value, fold) == 1;
}

// An empty pattern is about there being none.
static int may_be_empty_holds(const char *patterns, const char *value) {
    if (*patterns == '\0')
        return value == NULL || *value == '\0';
    return patterns_hold(patterns, or_text(value, ""), false);
}

static int exec_holds(const struct pass *p, const char *command) {
    char text[8192];
    const struct client_subject *s = p->subject;
    if (s->exec == NULL || client_config_expand(p->c, s, TOKENS_MATCH_EXEC, NULL, command,
                                                text, sizeof text, NULL) != OK)
        return -1;
    return s->exec(s->hook_ctx, text);
}

static int final_holds(const struct pass *p) {
    if (!p->final)
        *p->wants_final = true;
    return p->final;
}

// -N and -s are lines that came first.
static const char *session_type(const struct pass *p) {
    switch (p->c->session_type) {
    case SESSION_TYPE_NONE:
        return "none";
    case SESSION_TYPE_SUBSYSTEM:
        return "subsystem";
    default:
        return or_text(p->subject->session_type, "shell");
    }
}

static int match_host_holds(const struct pass *p, const char *patterns) {
    char name[HOST_SIZE];
    current_hostname(p->c, p->host, name);
    return patterns_hold(patterns, name, true);
}

static int client_holds(const void *ctx, const struct conf_criterion *c) {
    const struct pass *p = ctx;
    const struct client_subject *s = p->subject;
    const char *user = or_text(p->c->user, or_text(s->user, or_text(s->local_user, "")));
    switch (c->kind) {
    case CONF_CRITERION_HOST_LINE:
        // A pattern that a comma is part of is no list here.
        return text_match(c->argument, p->host);
    case CONF_CRITERION_ALL:
        return 1;
    case CONF_CRITERION_CANONICAL:
        return p->final;
    case CONF_CRITERION_FINAL:
        return final_holds(p);
    case CONF_CRITERION_HOST:
        return match_host_holds(p, c->argument);
    case CONF_CRITERION_ORIGINAL_HOST:
        return patterns_hold(c->argument, s->host, true);
    case CONF_CRITERION_USER:
        return patterns_hold(c->argument, user, false);
    case CONF_CRITERION_LOCAL_USER:
        return patterns_hold(c->argument, or_text(s->local_user, ""), false);
    case CONF_CRITERION_TAGGED:
        return may_be_empty_holds(c->argument, p->c->tag);
    case CONF_CRITERION_COMMAND:
        return may_be_empty_holds(c->argument, or_text(s->command, p->c->remote_command));
    case CONF_CRITERION_SESSION_TYPE:
        return patterns_hold(c->argument, session_type(p), true);
    case CONF_CRITERION_VERSION:
        return conf_version_match(c->argument) == 1;
    case CONF_CRITERION_LOCAL_NETWORK:
        return s->localnetwork == NULL ? -1 : s->localnetwork(s->hook_ctx, c->argument);
    case CONF_CRITERION_EXEC:
        return exec_holds(p, c->argument);
    default:
        return 0;
    }
}

// Blocks are asked when the pass has come to where they begin, parents first.
static bool block_holds(struct pass *p, uint32_t index) {
    struct conf_head *head = &p->c->head;
    uint32_t parent = head->script->blocks[index].parent;
    if (index == CONF_BLOCK_GLOBAL)
        return true;
    if (p->decided[index] != 0)
        return p->decided[index] == 1;
    bool yes = false;
    if (block_holds(p, parent)) {
        uint8_t before = head->active[parent];
        head->active[parent] = 1;
        yes = conf_block_holds(head, head->script, index, client_holds, p);
        head->active[parent] = before;
    }
    p->decided[index] = yes ? 1 : 2;
    head->active[index] |= yes;
    return yes;
}

// Also those without a directive: Match exec may be there for what its command does.
static void ask_blocks(struct pass *p, uint32_t end) {
    for (; p->asked < end; p->asked++)
        (void)block_holds(p, p->asked);
}

static enum err run_pass(struct pass *p, struct conf_problems *problems) {
    const struct conf_script *s = p->c->head.script;
    p->asked = 0;
    p->decided = calloc(s->blocks_n, 1);
    if (p->decided == NULL)
        return ERR_MEMORY;
    enum err e = OK;
    for (size_t i = 0; i < s->n && e == OK; i++) {
        const struct conf_directive *d = &s->directives[i];
        char why[400];
        ask_blocks(p, d->block);
        if (!block_holds(p, d->block))
            continue;
        e = conf_value_apply(&conf_client_table, p->c, &p->c->head, d, why, sizeof why);
        if (e == ERR_CONFIG) {
            conf_problem_add(problems, CONF_ERROR, d->file, d->line, "%s", why);
            e = OK;
        }
    }
    if (e == OK)
        ask_blocks(p, (uint32_t)s->blocks_n);
    free(p->decided);
    p->decided = NULL;
    return e;
}

// --- loading

static enum err read_files(struct conf_reader *r, const struct client_config_input *in) {
    if (in->file != NULL) {
        r->include_folder = in->user_folder != NULL ? in->user_folder : CLIENT_FOLDER;
        return strcmp(in->file, "none") == 0
                   ? OK
                   : conf_read_file(r, in->file, CONF_BLOCK_GLOBAL, true);
    }
    if (in->user_file != NULL) {
        r->include_folder = in->user_folder != NULL ? in->user_folder : CLIENT_FOLDER;
        r->strict = true;
        TRY(conf_read_file(r, in->user_file, CONF_BLOCK_GLOBAL, false));
    }
    r->include_folder = CLIENT_FOLDER;
    r->strict = false;
    return in->system_file != NULL
               ? conf_read_file(r, in->system_file, CONF_BLOCK_GLOBAL, false)
               : OK;
}

static enum err read_input(struct conf_reader *r, const struct client_config_input *in) {
    for (size_t i = 0; i < in->lines_n; i++) {
        uint32_t block = CONF_BLOCK_GLOBAL;
        TRY(conf_read_line(r, CONF_COMMAND_LINE, 0, in->lines[i], &block));
    }
    return read_files(r, in);
}

static enum err read_script(struct client_config *c, const struct client_config_input *in,
                            const struct client_subject *subject,
                            struct conf_problems *problems) {
    struct client_config *scratch = calloc(1, sizeof *scratch);
    struct conf_head scratch_head = {.algorithms = in->algorithms,
                                     .algorithms_ctx = in->algorithms_ctx};
    struct token_texts tokens;
    char folder[1024] = "";
    struct client_config_input with_slash = *in;
    make_tokens(c, subject, &tokens);
    if (in->user_folder != NULL) {
        snprintf(folder, sizeof folder, "%s/", in->user_folder);
        with_slash.user_folder = folder;
    }
    struct conf_reader r = {.table = &conf_client_table,
                            .source = in->source,
                            .problems = problems,
                            .script = c->head.script,
                            .scratch = scratch,
                            .scratch_head = &scratch_head,
                            .home = subject->home,
                            .tokens = tokens.at,
                            .env = subject->env,
                            .env_ctx = subject->env_ctx};
    enum err e = scratch != NULL ? read_input(&r, &with_slash) : ERR_MEMORY;
    conf_pool_drop(&scratch_head.pool);
    free(scratch);
    return e;
}

// What the command line says besides -o: as if it were the first lines.
static enum err apply_subject(struct client_config *c, const struct client_subject *s) {
    char port[8];
    const struct {
        const char *keyword;
        const char *value;
    } given[] = {
        {"User", s->user}, {"Port", s->port != 0 ? port : NULL}, {"Tag", s->tag}};
    snprintf(port, sizeof port, "%u", s->port);
    for (size_t i = 0; i < sizeof given / sizeof given[0]; i++) {
        if (given[i].value == NULL || *given[i].value == '\0')
            continue;
        const struct conf_option *o =
            conf_table_find(&conf_client_table, given[i].keyword);
        const char *word = given[i].value;
        struct conf_directive d = {.option = o,
                                   .argv = &word,
                                   .argc = 1,
                                   .rest = word,
                                   .file = CONF_COMMAND_LINE};
        char why[400];
        TRY(conf_value_apply(&conf_client_table, c, &c->head, &d, why, sizeof why));
    }
    return OK;
}

static struct conf_origin *origin_of(struct client_config *c, const char *keyword) {
    const struct conf_option *o = conf_table_find(&conf_client_table, keyword);
    return &c->head.origins[o - conf_client_table.options];
}

const struct conf_origin *client_config_origin(const struct client_config *c,
                                               const char *keyword) {
    const struct conf_option *o = conf_table_find(&conf_client_table, keyword);
    return &c->head.origins[o - conf_client_table.options];
}

// ProxyCommand and ProxyJump exclude each other: the one that was there first counts.
static void choose_proxy(struct client_config *c) {
    struct conf_origin *command = origin_of(c, "ProxyCommand"),
                       *jump = origin_of(c, "ProxyJump");
    if (command->file == NULL || jump->file == NULL)
        return;
    if (command->order < jump->order)
        c->proxy_jump = NULL;
    else
        c->proxy_command = NULL;
}

// Files of the user's choice, or names that are vouched for otherwise, are not written to
// unless that is asked for.
static void choose_update(struct client_config *c) {
    const struct conf_list *files = &c->user_known_hosts_file;
    bool usual = origin_of(c, "UserKnownHostsFile")->file == NULL ||
                 (files->n == 1 && strcmp(files->v[0], "~/.ssh/known_hosts") == 0);
    if (origin_of(c, "UpdateHostKeys")->file == NULL)
        c->update_host_keys =
            usual && c->verify_host_key_dns == TRISTATE_NO ? TRISTATE_YES : TRISTATE_NO;
}

// User may have tokens in a file; on the command line a percent sign is itself.
static enum err expand_user(struct client_config *c, const struct client_subject *s,
                            struct conf_problems *problems) {
    const struct conf_origin *o = origin_of(c, "User");
    char user[1024];
    struct fault fault = {0};
    if (c->user == NULL || strchr(c->user, '%') == NULL ||
        strcmp(o->file, CONF_COMMAND_LINE) == 0)
        return OK;
    if (client_config_expand(c, s, TOKENS_MATCH_EXEC, NULL, c->user, user, sizeof user,
                             &fault) != OK) {
        conf_problem_add(problems, CONF_ERROR, o->file, o->line, "User: %s",
                         fault_text(&fault));
        return OK;
    }
    c->user = conf_pool_text(&c->head.pool, view_text(user));
    return c->user != NULL ? OK : ERR_MEMORY;
}

static enum err finish(struct client_config *c, const struct client_subject *s) {
    char name[HOST_SIZE];
    struct address address;
    struct fault fault = {0};
    struct token tokens[] = {{'h', s->host}, {0, NULL}};
    if (c->hostname != NULL) {
        TRY(tokens_expand(TOKENS_HOSTNAME, tokens, c->hostname, name, sizeof name,
                          &fault));
    } else if (!text_copy(name, sizeof name, view_text(s->host))) {
        return ERR_LIMIT;
    }
    // An address has one way to be written.
    if (address_parse(&address, name))
        (void)address_format(&address, name, sizeof name);
    else
        lower(name);
    c->hostname = conf_pool_text(&c->head.pool, view_text(name));
    if (c->user == NULL && s->local_user != NULL)
        c->user = conf_pool_text(&c->head.pool, view_text(s->local_user));
    c->identity_file_is_default = origin_of(c, "IdentityFile")->file == NULL;
    choose_proxy(c);
    choose_update(c);
    if (c->clear_all_forwardings) {
        c->local_forward = (struct conf_list){0};
        c->remote_forward = (struct conf_list){0};
        c->dynamic_forward = (struct conf_list){0};
        c->tunnel = 0;
    }
    return c->hostname != NULL ? OK : ERR_MEMORY;
}

// --- canonical names

static bool is_given(struct client_config *c, const char *keyword) {
    return origin_of(c, keyword)->file != NULL;
}

static bool is_direct(const struct client_config *c) {
    return c->proxy_jump == NULL &&
           (c->proxy_command == NULL || conf_is_none(c->proxy_command));
}

// Between the passes: the host's name is settled. Defaults are not there yet.
static enum err settle_name(struct client_config *c, const struct client_subject *s,
                            const char *host, char name[HOST_SIZE],
                            struct conf_problems *problems) {
    char current[HOST_SIZE];
    struct canonical rules = {
        .how = c->canonicalize_hostname,
        .direct = is_direct(c),
        .domains = &c->canonical_domains,
        .cnames = &c->canonicalize_permitted_cnames,
        .max_dots = is_given(c, "CanonicalizeMaxDots") ? c->canonicalize_max_dots : 1,
        .fallback_local =
            !is_given(c, "CanonicalizeFallbackLocal") || c->canonicalize_fallback_local,
    };
    current_hostname(c, host, current);
    lower(current);
    enum err e = canonical_name(&rules, s, c, current, name, HOST_SIZE);
    if (e == ERR_NOT_FOUND) {
        const struct conf_origin *o = origin_of(c, "CanonicalizeFallbackLocal");
        conf_problem_add(problems, CONF_ERROR, o->file, o->line,
                         "could not resolve host \"%s\" in any CanonicalDomains",
                         current);
        return ERR_CONFIG;
    }
    TRY(e);
    if (c->canonicalize_hostname == CANONICALIZE_NO)
        return OK;
    c->hostname = conf_pool_text(&c->head.pool, view_text(name));
    // The second reading does not change it any more.
    if (!is_given(c, "Hostname"))
        *origin_of(c, "Hostname") = *origin_of(c, "CanonicalizeHostname");
    return c->hostname != NULL ? OK : ERR_MEMORY;
}

static enum err evaluate(struct client_config *c, const struct client_subject *subject,
                         struct conf_problems *problems) {
    bool wants_final = false;
    struct pass p = {.c = c, .subject = subject, .wants_final = &wants_final};
    char name[HOST_SIZE];
    if (!text_copy(p.host, sizeof p.host, view_text(subject->host)))
        return ERR_LIMIT;
    TRY(apply_subject(c, subject));
    TRY(run_pass(&p, problems));
    if (!wants_final && c->canonicalize_hostname == CANONICALIZE_NO)
        return OK;
    TRY(settle_name(c, subject, p.host, name, problems));
    (void)text_copy(p.host, sizeof p.host, view_text(name));
    p.final = true;
    return run_pass(&p, problems);
}

enum err client_config_load(struct client_config *c, const struct client_config_input *in,
                            const struct client_subject *subject,
                            struct conf_problems *problems) {
    memset(c, 0, sizeof *c);
    memset(problems, 0, sizeof *problems);
    c->head.algorithms = in->algorithms;
    c->head.algorithms_ctx = in->algorithms_ctx;
    TRY(conf_script_new(&c->head.script));
    c->head.script_owned = true;
    TRY(read_script(c, in, subject, problems));
    TRY(conf_head_init(&c->head, &conf_client_table, c->head.script));
    c->original_host = conf_pool_text(&c->head.pool, view_text(subject->host));
    TRY(evaluate(c, subject, problems));
    TRY(conf_values_default(&conf_client_table, c, &c->head));
    enum err e = finish(c, subject);
    if (e == ERR_CONFIG) {
        struct conf_origin *o = origin_of(c, "Hostname");
        conf_problem_add(problems, CONF_ERROR, o->file, o->line,
                         "Hostname has an unknown token");
        return e;
    }
    TRY(e);
    TRY(expand_user(c, subject, problems));
    return problems->errors == 0 ? OK : ERR_CONFIG;
}

// --- out

static enum err dump_host(const struct client_config *c, struct buf *out) {
    TRY(conf_append_text(out, "host "));
    TRY(conf_append_word(out, c->original_host));
    return conf_append_text(out, "\n");
}

enum err client_config_dump(const struct client_config *c, struct buf *out) {
    TRY(dump_host(c, out));
    return conf_values_dump(&conf_client_table, c, out);
}

void client_config_free(struct client_config *c) {
    if (c->head.script_owned)
        conf_script_free(c->head.script);
    conf_pool_drop(&c->head.pool);
    memset(c, 0, sizeof *c);
}
