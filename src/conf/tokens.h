// Tokens of configuration values: %h, ${VAR} and a leading ~, as ssh_config(5) TOKENS has
// them.
//
// Which keyword may use which token is a table; an unknown token is an error that names
// it. What a stranger chose (host and user names) must pass token_value_is_safe() before
// it reaches anything that a shell may see.
#pragma once

#include "base/bytes.h"
#include "base/err.h"
#include "base/fault.h"

struct token {
    char letter;        // 'h' for %h
    const char *value;  // NULL: not known here, using it is an error
};

// Sets of tokens, one for each group of keywords (the man page's table).
enum token_use {
    // client
    TOKENS_HOSTNAME,  // %% %h
    TOKENS_PATHS,     // IdentityFile, CertificateFile, UserKnownHostsFile, ControlPath,
                   // IdentityAgent, RemoteForward …: %% %C %d %h %i %j %k %L %l %n %p %r
                   // %u
    TOKENS_MATCH_EXEC,     // Match exec, Include, RemoteCommand, User, SetEnv: as paths
    TOKENS_LOCAL_COMMAND,  // as paths, and %T
    TOKENS_KNOWN_HOSTS_COMMAND,  // as paths, and %f %H %I %K %t
    TOKENS_PROXY_COMMAND,        // %% %h %n %p %r
    // server
    TOKENS_AUTHORIZED_KEYS_FILE,     // AuthorizedKeysFile, AuthorizedPrincipalsFile,
                                     // ChrootDirectory:
                                     // %% %h %U %u
    TOKENS_AUTHORIZED_KEYS_COMMAND,  // %% %C %D %f %h %k %t %U %u
    TOKENS_AUTHORIZED_PRINCIPALS_COMMAND,  // %% %C %D %F %f %h %i %K %k %s %T %t %U %u
    TOKENS_ROUTING_DOMAIN,                 // %D
    TOKENS_SFTP_START,                     // sftp-server -d: %% %d %u
    TOKENS_USE_COUNT
};

// Expands %x. `values` ends with a row of letter 0. ERR_CONFIG with a fault that names
// the token (unknown for this use, or without value here); ERR_LIMIT when it does not
// fit.
must_check enum err tokens_expand(enum token_use use, const struct token *values,
                                  const char *text, char *out, size_t size,
                                  struct fault *fault);

// Expands ${NAME} through lookup (NULL from it: ERR_CONFIG naming the variable). The core
// reads no environment: programs pass a wrapper of getenv().
typedef const char *(*token_env_fn)(void *ctx, const char *name);
must_check enum err tokens_expand_env(const char *text, token_env_fn lookup, void *ctx,
                                      char *out, size_t size, struct fault *fault);

// A leading "~" or "~/": the home folder. "~name" is asked of `home_of` (NULL:
// ERR_CONFIG).
typedef const char *(*token_home_fn)(void *ctx, const char *user);
must_check enum err tokens_expand_tilde(const char *text, const char *home,
                                        token_home_fn home_of, void *ctx, char *out,
                                        size_t size, struct fault *fault);

enum token_subject {
    TOKEN_SUBJECT_USER,
    TOKEN_SUBJECT_HOST,
};

// Whether a user or host name from the command line (or an ssh:// address) may be used:
// not empty, no leading '-', no control characters, none of the characters that a shell
// acts on (OpenSSH 9.6 and 10.3). Names in configuration files are the owner's own and
// are not asked about.
bool token_value_is_safe(enum token_subject subject, const char *value);
