// Configuration files: OpenSSH's line syntax read once into a script of directives, which
// is then evaluated as often as needed (for each login, for each pass) without files.
//
// A table of rows (server_table.c, client_table.c) drives everything that repeats:
// defaults, parsing, dump, explain, manual page, completion. This header is what the two
// sides share.
//
// Ownership: all text and lists of a configuration live in its pool and go with it.
#pragma once

#include "base/buf.h"
#include "base/bytes.h"
#include "base/err.h"
#include "base/fault.h"

#define CONF_COMMAND_LINE "command line"  // the "file" of -o lines
#define CONF_PROBLEMS_MAX 20

// A list of words. `v` is in the pool of the configuration that the list is in.
struct conf_list {
    const char **v;
    size_t n;
};

// Where a value comes from; file NULL: the default.
struct conf_origin {
    const char *file;
    uint32_t line;
    uint32_t order;  // of being set: 1 was first
};

// Memory that is dropped whole.
struct conf_pool {
    struct conf_chunk *chunks;
    size_t total;
};

void *conf_pool_take(struct conf_pool *pool,
                     size_t n);  // zeroed, aligned; NULL: no memory
char *conf_pool_text(struct conf_pool *pool, struct view v);
void conf_pool_drop(struct conf_pool *pool);

enum conf_severity {
    CONF_NOTE,     // a keyword of OpenSSH's that has no effect yet: for -v
    CONF_WARNING,  // deprecated, or risky
    CONF_ERROR,    // the configuration is not used
};

struct conf_problem {
    enum conf_severity severity;
    char text[512];  // "FILE:LINE: what", cleaned for a terminal
};

// The first CONF_PROBLEMS_MAX of each severity together; `errors` counts all.
struct conf_problems {
    struct conf_problem at[CONF_PROBLEMS_MAX];
    size_t n;
    size_t errors;
};

__attribute__((format(printf, 5, 6))) void
conf_problem_add(struct conf_problems *problems, enum conf_severity severity,
                 const char *file, uint32_t line, const char *format, ...);

// Where files come from; conf_files (conf/files.h) is the real one, tests have their own.
struct conf_source {
    void *ctx;
    // Appends the whole file. ERR_NOT_FOUND: there is none; ERR_REFUSED: owner or mode is
    // bad (when `strict`); ERR_IO. `detail` (of 128 bytes) says why, in words.
    enum err (*read)(void *ctx, const char *path, bool strict, struct buf *out,
                     char *detail);
    // Calls each(arg, path) for the files that the pattern names, sorted. No match is OK.
    enum err (*glob)(void *ctx, const char *pattern,
                     enum err (*each)(void *arg, const char *path), void *arg);
};

// Algorithm lists are checked and expanded by somebody who knows algorithms.
enum conf_algorithms {
    CONF_CIPHERS,
    CONF_MACS,
    CONF_KEX,
    CONF_HOST_KEY_ALGORITHMS,
    CONF_PUBKEY_ALGORITHMS,  // accepted from users
    CONF_HOSTBASED_ALGORITHMS,
    CONF_CA_ALGORITHMS,
    CONF_ALGORITHMS_COUNT
};

// `spec` is the text of the file: a list of names or patterns, with +, - or ^ in front.
// Writes the resulting comma-separated list, NUL-terminated, into `out`; spec NULL or ""
// asks for the default list. ERR_CONFIG with a fault that names the bad entry.
typedef enum err (*conf_algorithms_fn)(void *ctx, enum conf_algorithms kind,
                                       const char *spec, char *out, size_t size,
                                       struct fault *fault);

// What every configuration starts with.
struct conf_head {
    struct conf_pool pool;
    struct conf_script
        *script;  // owned by the loaded configuration, shared by matched ones
    bool script_owned;
    uint32_t applied;             // directives so far
    uint8_t *active;              // for each block of the script, whether it held
    struct conf_origin *origins;  // one for each row of the table
    conf_algorithms_fn algorithms;
    void *algorithms_ctx;
};

// Bytes and seconds; 0: the default, decided by the cipher, or never.
struct conf_rekey {
    uint64_t bytes;
    uint32_t seconds;
};

// DSCP values for the socket; -1: leave to the system.
struct conf_ipqos {
    int interactive, bulk;
};

// A time out for channels of a type ("session:command", "direct-tcpip", "global", "*").
struct conf_channel_timeout {
    const char *type;
    uint32_t seconds;
};

struct conf_channel_timeouts {
    struct conf_channel_timeout *v;
    size_t n;
};

enum {
    CONF_ADDRESS_FAMILY_ANY,
    CONF_ADDRESS_FAMILY_INET,
    CONF_ADDRESS_FAMILY_INET6,
};

// LogLevel values are those of enum log_level (base/log.h). SyslogFacility values are the
// LOG_… numbers of syslog(3), already shifted: ready for openlog().
