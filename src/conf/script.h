// A configuration as read: directives in order, each in a block; blocks with their
// criteria.
//
// Reading checks everything that does not depend on who logs in or where to: words,
// values, criteria. Evaluation then cannot fail but for want of memory.
#pragma once

#include "conf/option.h"
#include "conf/tokens.h"

#define CONF_BLOCK_GLOBAL 0u

// Limits of a whole configuration, Includes together: against one that multiplies itself.
#define CONF_DIRECTIVES_MAX 100000u
#define CONF_FILES_MAX 1024u

// Criteria of Match. The word, whether it takes an argument, and on which side it is
// known.
#define CONF_CRITERIA(X)                                                                 \
    X(ALL, "all", false, true, true)                                                     \
    X(USER, "user", true, true, true)                                                    \
    X(HOST, "host", true, true, true)                                                    \
    X(VERSION, "version", true, true, true)                                              \
    X(GROUP, "group", true, true, false)                                                 \
    X(ADDRESS, "address", true, true, false)                                             \
    X(LOCAL_ADDRESS, "localaddress", true, true, false)                                  \
    X(LOCAL_PORT, "localport", true, true, false)                                        \
    X(RDOMAIN, "rdomain", true, true, false)                                             \
    X(INVALID_USER, "invalid-user", false, true, false)                                  \
    X(CANONICAL, "canonical", false, false, true)                                        \
    X(FINAL, "final", false, false, true)                                                \
    X(EXEC, "exec", true, false, true)                                                   \
    X(LOCAL_NETWORK, "localnetwork", true, false, true)                                  \
    X(ORIGINAL_HOST, "originalhost", true, false, true)                                  \
    X(TAGGED, "tagged", true, false, true)                                               \
    X(COMMAND, "command", true, false, true)                                             \
    X(LOCAL_USER, "localuser", true, false, true)                                        \
    X(SESSION_TYPE, "sessiontype", true, false, true)

enum conf_criterion_kind {
#define X(name, word, argument, server, client) CONF_CRITERION_##name,
    CONF_CRITERIA(X)
#undef X
    CONF_CRITERION_HOST_LINE,  // a pattern of a Host line
};

struct conf_criterion {
    enum conf_criterion_kind kind;
    bool negated;
    const char *argument;
};

struct conf_block {
    uint32_t parent;  // holds only where that one does
    bool is_host;
    struct conf_criterion *v;
    size_t n;
    const char *file;
    uint32_t line;
};

struct conf_directive {
    const struct conf_option *option;
    const char **argv;
    size_t argc;
    const char *rest;
    const char *file;
    uint32_t line;
    uint32_t block;
};

struct conf_script {
    struct conf_pool pool;
    struct conf_directive *directives;
    size_t n, room;
    struct conf_block *blocks;  // the first has no criteria and always holds
    size_t blocks_n, blocks_room;
};

struct conf_reader {
    const struct conf_table *table;
    const struct conf_source *source;
    struct conf_problems *problems;
    struct conf_script *script;
    // Values are tried on this before they are kept.
    void *scratch;
    struct conf_head *scratch_head;
    const char *include_folder;  // for relative Includes, with its '/'
    const char *home;            // for "~/" in Includes; NULL: no such
    const struct token *tokens;  // for % in Includes; NULL: no such
    token_env_fn env;
    void *env_ctx;
    const char *ignore_unknown;  // patterns
    bool strict;                 // owner and mode of the files count
    unsigned depth, files;
    enum err err;  // ERR_MEMORY and such, which end the reading
};

must_check enum err conf_script_new(struct conf_script **script);
void conf_script_free(struct conf_script *script);

// Reads a file and what it includes. A file that is missing is a problem only if
// `required`. Problems go to the list; the result is an error only where reading cannot
// go on.
must_check enum err conf_read_file(struct conf_reader *r, const char *path,
                                   uint32_t block, bool required);

// One line, without its newline. *block is the block that it is in, and is changed by
// Host and Match.
must_check enum err conf_read_line(struct conf_reader *r, const char *file,
                                   uint32_t number, const char *text, uint32_t *block);

// line.c: cuts "Keyword value ..." as OpenSSH does. keyword NULL: blank or comment. All
// in pool.
struct conf_line {
    const char *keyword;
    const char *rest;
    const char **argv;
    size_t argc;
};
must_check enum err conf_line_split(struct conf_pool *pool, const char *text,
                                    struct conf_line *line, const char **why);

// criteria.c: those of a Match line, or the patterns of a Host line.
must_check bool conf_criteria_parse(struct conf_reader *r, const struct conf_line *line,
                                    bool is_host, struct conf_block *block, char *why,
                                    size_t size);
const char *conf_criterion_word(enum conf_criterion_kind kind);
// Match version: by our own name, "Bowline_…", or that of what we behave like,
// "OpenSSH_…p1", so that one file may serve both. As text_match_list() has it.
int conf_version_match(const char *patterns);

// Whether a criterion without its negation holds: 1, 0, or -1 where the subject does not
// say (then the block does not hold, negated or not).
typedef int (*conf_criterion_fn)(const void *ctx, const struct conf_criterion *c);

// values.c
// Marks in head->active which blocks hold (all but the global one are decided by
// `holds`).
must_check enum err conf_value_apply(const struct conf_table *t, void *base,
                                     struct conf_head *head,
                                     const struct conf_directive *d, char *why,
                                     size_t size);
bool conf_block_holds(const struct conf_head *head, const struct conf_script *s,
                      uint32_t index, conf_criterion_fn holds, const void *ctx);
// Head, origins, activity: allocated in head->pool.
must_check enum err conf_head_init(struct conf_head *head, const struct conf_table *t,
                                   struct conf_script *script);
// Defaults of the rows that nothing has set.
must_check enum err conf_values_default(const struct conf_table *t, void *base,
                                        struct conf_head *head);
must_check enum err conf_values_dump(const struct conf_table *t, const void *base,
                                     struct buf *out);
must_check enum err conf_script_text(const struct conf_script *s, struct buf *out);
// The value of one row as the dump has it.
must_check enum err conf_value_dump(const struct conf_table *t, const void *base,
                                    const struct conf_option *o, struct buf *out);
// Sets a row from a text, as a line "Keyword text" would.
must_check enum err conf_value_set_text(const struct conf_option *o, void *base,
                                        struct conf_head *head, const char *text);
