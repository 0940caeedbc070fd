// Criteria of Match and patterns of Host: text in, checked structs out.
#include <stdio.h>
#include <strings.h>

#include "base/address.h"
#include "base/text.h"
#include "base/version.h"
#include "conf/script.h"

static const struct {
    const char *word;
    bool argument, server, client;
} criteria[] = {
#define X(name, word, argument, server, client) {word, argument, server, client},
    CONF_CRITERIA(X)
#undef X
};

#define CRITERIA_N (sizeof criteria / sizeof criteria[0])

int conf_version_match(const char *patterns) {
    int own = text_match_list(patterns, "Bowline_" BOWLINE_VERSION, false);
    int like = text_match_list(patterns, BOWLINE_LIKE "p1", false);
    return own < 0 || like < 0 ? -1 : own | like;
}

const char *conf_criterion_word(enum conf_criterion_kind kind) {
    return kind < CRITERIA_N ? criteria[kind].word : "host";
}

static bool find(const char *word, size_t n, bool client,
                 enum conf_criterion_kind *kind) {
    for (size_t i = 0; i < CRITERIA_N; i++) {
        if (strlen(criteria[i].word) == n &&
            strncasecmp(criteria[i].word, word, n) == 0 &&
            (client ? criteria[i].client : criteria[i].server)) {
            *kind = (enum conf_criterion_kind)i;
            return true;
        }
    }
    return false;
}

struct criteria_names {
    bool client;
};

static const char *name_at(size_t index, const void *arg) {
    const struct criteria_names *names = arg;
    for (size_t i = 0; i < CRITERIA_N; i++)
        if ((names->client ? criteria[i].client : criteria[i].server) && index-- == 0)
            return criteria[i].word;
    return NULL;
}

static bool argument_is_good(const struct conf_criterion *c, char *why, size_t size) {
    uint64_t port;
    bool bad = false;
    switch (c->kind) {
    case CONF_CRITERION_ADDRESS:
    case CONF_CRITERION_LOCAL_ADDRESS:
        bad = address_match_list(c->argument, NULL, NULL) == ADDRESS_MATCH_ERROR;
        break;
    case CONF_CRITERION_LOCAL_NETWORK:
        bad = address_match_cidr_list(c->argument, NULL) == ADDRESS_MATCH_ERROR;
        break;
    case CONF_CRITERION_LOCAL_PORT:
        bad = !text_number(c->argument, 1, 65535, &port);
        break;
    default:
        break;
    }
    if (bad)
        snprintf(why, size, "Match %s: \"%s\" is malformed", conf_criterion_word(c->kind),
                 c->argument);
    return !bad;
}

// One criterion from argv[*i] on.
static bool parse_one(struct conf_reader *r, const struct conf_line *line, size_t *i,
                      struct conf_criterion *c, char *why, size_t size) {
    const char *word = line->argv[(*i)++];
    c->negated = *word == '!';
    word += c->negated;
    const char *equals = strchr(word, '=');
    size_t n = equals != NULL ? (size_t)(equals - word) : strlen(word);
    if (!find(word, n, r->table->client, &c->kind)) {
        struct criteria_names names = {r->table->client};
        const char *like = text_suggest(word, name_at, &names);
        snprintf(why, size, "Match: unknown criterion \"%s\"%s%s%s", word,
                 like != NULL ? "; did you mean " : "", like != NULL ? like : "",
                 like != NULL ? "?" : "");
        return false;
    }
    if (c->kind == CONF_CRITERION_ALL && c->negated) {
        snprintf(why, size, "Match: all cannot be negated");
        return false;
    }
    if (!criteria[c->kind].argument) {
        if (equals != NULL)
            snprintf(why, size, "Match: %s takes no value", criteria[c->kind].word);
        return equals == NULL;
    }
    if (equals != NULL)
        c->argument = equals + 1;
    else if (*i < line->argc)
        c->argument = line->argv[(*i)++];
    // An empty pattern means "none" to these.
    bool may_be_empty =
        c->kind == CONF_CRITERION_TAGGED || c->kind == CONF_CRITERION_COMMAND;
    if (c->argument == NULL || (*c->argument == '\0' && !may_be_empty)) {
        snprintf(why, size, "Match: %s needs a value", criteria[c->kind].word);
        return false;
    }
    return argument_is_good(c, why, size);
}

// "all" stands alone, or behind canonical and final.
static bool all_is_alone(const struct conf_block *b, char *why, size_t size) {
    bool all = false;
    size_t others = 0;
    for (size_t i = 0; i < b->n; i++) {
        if (b->v[i].kind == CONF_CRITERION_ALL)
            all = true;
        else if (b->v[i].kind != CONF_CRITERION_CANONICAL &&
                 b->v[i].kind != CONF_CRITERION_FINAL)
            others++;
    }
    if (all && others > 0)
        snprintf(why, size, "Match: all cannot be combined with other criteria");
    return !all || others == 0;
}

static bool host_patterns(const struct conf_line *line, struct conf_block *block) {
    for (size_t i = 0; i < line->argc; i++) {
        struct conf_criterion *c = &block->v[block->n++];
        c->kind = CONF_CRITERION_HOST_LINE;
        c->negated = line->argv[i][0] == '!';
        c->argument = line->argv[i] + c->negated;
    }
    return true;
}

bool conf_criteria_parse(struct conf_reader *r, const struct conf_line *line,
                         bool is_host, struct conf_block *block, char *why, size_t size) {
    if (line->argc == 0) {
        snprintf(why, size, "%s needs %s", is_host ? "Host" : "Match",
                 is_host ? "a pattern" : "a criterion");
        return false;
    }
    block->is_host = is_host;
    block->v = conf_pool_take(&r->script->pool, line->argc * sizeof *block->v);
    if (block->v == NULL) {
        snprintf(why, size, "out of memory");
        return false;
    }
    if (is_host)
        return host_patterns(line, block);
    for (size_t i = 0; i < line->argc;)
        if (!parse_one(r, line, &i, &block->v[block->n++], why, size))
            return false;
    return all_is_alone(block, why, size);
}
