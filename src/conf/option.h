// Inside of conf: the rows of the option tables, the types of values, scripts.
//
// A row says everything about a keyword. Types are const objects {parse, dump}; a row's
// type and `detail` replace a function for each keyword.
#pragma once

#include "conf/parser.h"

enum conf_status {
    CONF_DONE,          // acted upon
    CONF_LATER_IGNORE,  // known; a value that differs from the default is a note, and
                        // kept
    CONF_LATER_WARN,    // the same, as a warning: the outcome is less than was asked for
    CONF_LATER_REFUSE,  // known; a value that differs is an error: without it the outcome
                        // is unsafe
    CONF_DEPRECATED,    // OpenSSH warns and goes on; so do we
    CONF_GONE,          // OpenSSH knows the word and ignores it silently
    CONF_BLOCK,         // Host, Match, Include: the reader's own
};

enum conf_scope {
    CONF_GLOBAL,
    CONF_MATCH,  // also inside Match
};

enum conf_merge {
    CONF_FIRST,   // the first value wins
    CONF_APPEND,  // values add up
};

// Bits of `processes`: who needs the value.
#define CONF_KEEPER 1u
#define CONF_LISTENER 2u
#define CONF_GATE 4u
#define CONF_JUDGE 8u
#define CONF_HOLDER 16u

struct conf_option;

// One value being parsed.
struct conf_parse {
    const struct conf_option *option;
    void *base;  // the configuration
    struct conf_head *head;
    const char **argv;
    size_t argc;
    const char *rest;  // the line after the keyword, unsplit
    char why[300];     // for people, when the result is false
};

struct conf_dump {
    const struct conf_option *option;
    const void *base;
    struct buf *out;
    bool none_is_printed;  // sshd -T prints "none" where ssh -G prints no line
};

struct conf_type {
    bool (*parse)(struct conf_parse *p);
    enum err (*dump)(const struct conf_dump *d);
    const char *syntax;  // for the manual page
    size_t size;         // of the field
    size_t also_size;    // of the second field; 0: none
};

struct conf_word {
    const char *word;
    int value;
};

struct conf_range {
    uint32_t min, max;
    const char *none;  // a word that stands for none_value; NULL: no such word
    uint32_t none_value;
};

struct conf_option {
    const char *name;
    const struct conf_type *type;
    size_t offset, also;  // fields in the configuration
    enum conf_status status;
    enum conf_scope scope;
    enum conf_merge merge;
    const void *detail;    // words, range, algorithm kind: the type knows
    const char *fallback;  // the default as text; NULL: nothing (zero)
    const char *harmless;  // another value that a LATER row takes without a word
    const char *reason;    // why a LATER row stays one; NULL: it does not
    const char *alias_of;
    uint8_t processes;
    const char *since;  // the OpenSSH version, where it is new enough to matter
};

struct conf_table {
    const struct conf_option *options;  // ends with name NULL
    size_t n;
    size_t config_size;
    bool client;
};

extern const struct conf_table conf_server_table, conf_client_table;

const struct conf_option *conf_table_find(const struct conf_table *t, const char *name);

bool conf_list_append(struct conf_pool *pool, struct conf_list *list, const char *word);

// The field of the row, inside the configuration.
#define CONF_FIELD(x, type) ((type *)(void *)((char *)(x)->base + (x)->option->offset))
#define CONF_ALSO(x, type) ((type *)(void *)((char *)(x)->base + (x)->option->also))
#define CONF_FIELD_CONST(x, type)                                                        \
    ((type const *)(const void *)((const char *)(x)->base + (x)->option->offset))
#define CONF_ALSO_CONST(x, type)                                                         \
    ((type const *)(const void *)((const char *)(x)->base + (x)->option->also))

// Writes p->why and returns false.
bool conf_bad(struct conf_parse *p, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
// One argument exactly.
bool conf_one_word(struct conf_parse *p);
bool conf_is_none(const char *word);
// One line "keyword value"; the format is that of the value.
enum err conf_dump_line(const struct conf_dump *d, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
// One line of words, quoted where needed.
enum err conf_dump_words(const struct conf_dump *d, const char *const *v, size_t n);
// Appends a word, in quotes if it would not be read back as one without.
enum err conf_append_word(struct buf *out, const char *word);
enum err conf_append_text(struct buf *out, const char *text);

// types.c
extern const struct conf_type conf_type_flag, conf_type_word, conf_type_number,
    conf_type_seconds, conf_type_seconds_none, conf_type_octal, conf_type_text,
    conf_type_text_none, conf_type_rest, conf_type_lines, conf_type_one_line,
    conf_type_list_none, conf_type_algorithms, conf_type_nothing, conf_type_place;
// types_shared.c
extern const struct conf_type conf_type_rekey, conf_type_ipqos, conf_type_channel_timeout,
    conf_type_set_env, conf_type_host_ports, conf_type_flag_or_text;
// types_server.c
extern const struct conf_type conf_type_ports, conf_type_listen, conf_type_max_startups,
    conf_type_netblock, conf_type_penalties, conf_type_subsystem,
    conf_type_pubkey_options, conf_type_auth_methods, conf_type_cidr_list,
    conf_type_users, conf_type_resume_grace, conf_type_session_name;
// types_client.c
extern const struct conf_type conf_type_port, conf_type_add_keys, conf_type_obscure,
    conf_type_tunnel_device, conf_type_escape, conf_type_control_persist,
    conf_type_forward, conf_type_send_env, conf_type_proxy_jump, conf_type_domains,
    conf_type_cnames, conf_type_shown_list;
extern const struct conf_word conf_words_log_level[], conf_words_facility[],
    conf_words_address_family[], conf_words_fingerprint[];

// Rows of both sides that hold no value: keywords of old, and other names of a row.
#define OLD(keyword, status_)                                                            \
    {                                                                                    \
        .name = keyword, .type = &conf_type_nothing, .status = CONF_##status_,           \
        .scope = CONF_MATCH                                                              \
    }
#define ALIAS(keyword, of)                                                               \
    {                                                                                    \
        .name = keyword, .type = &conf_type_nothing, .status = CONF_DEPRECATED,          \
        .scope = CONF_MATCH, .alias_of = of                                              \
    }
