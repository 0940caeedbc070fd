// ssh_config: every keyword of OpenSSH 10.5 as a typed field; Host and Match; dump and
// explain.
//
// The order is OpenSSH's: -o lines, the user's file, the system's; the first value of a
// keyword wins, but for those that add up. Read again as "final" when a Match final (or
// canonical) asks.
#pragma once

#include "conf/parser.h"
#include "conf/tokens.h"

enum {
    STRICT_HOST_KEY_OFF,  // no
    STRICT_HOST_KEY_ACCEPT_NEW,
    STRICT_HOST_KEY_ASK,
    STRICT_HOST_KEY_YES,
};

enum {
    REQUEST_TTY_AUTO,
    REQUEST_TTY_NO,
    REQUEST_TTY_YES,
    REQUEST_TTY_FORCE,
};

enum {
    SESSION_TYPE_DEFAULT,
    SESSION_TYPE_NONE,
    SESSION_TYPE_SUBSYSTEM,
};

enum {
    PUBKEY_AUTH_NO,
    PUBKEY_AUTH_UNBOUND,
    PUBKEY_AUTH_HOST_BOUND,
    PUBKEY_AUTH_YES,
};

enum {
    CONTROL_MASTER_NO,
    CONTROL_MASTER_YES,
    CONTROL_MASTER_ASK,
    CONTROL_MASTER_AUTO,
    CONTROL_MASTER_AUTO_ASK,
};

enum {
    CANONICALIZE_NO,
    CANONICALIZE_YES,
    CANONICALIZE_ALWAYS,
};

enum {
    TRISTATE_NO,
    TRISTATE_YES,
    TRISTATE_ASK,
};

enum {
    WEAK_CRYPTO_NO,
    WEAK_CRYPTO_YES,
    WEAK_CRYPTO_NO_PQ_KEX,
};

#define ESCAPE_CHAR_NONE (-1)

// AddKeysToAgent
struct client_add_keys {
    int how;  // TRISTATE_…
    bool confirm;
    uint32_t seconds;  // 0: no limit
};

struct client_obscure {
    bool enabled;
    uint32_t interval_ms;
};

struct client_tunnel_device {
    int local, remote;  // -1: any
};

struct client_config {
    struct conf_head head;

    // Matching and files
    const char *original_host;  // as typed
    const char *tag;            // NULL: none
    const char *ignore_unknown;
    const char *refuse_connection;  // the message; NULL: connect
    int canonicalize_hostname;      // CANONICALIZE_…
    struct conf_list canonical_domains;
    bool canonicalize_fallback_local;
    uint32_t canonicalize_max_dots;
    struct conf_list canonicalize_permitted_cnames;

    // Reaching the host
    const char *hostname;  // %h expanded; the typed name where the file has none
    uint16_t port;
    const char *user;  // the local user where neither command line nor file has one
    const char *proxy_jump, *proxy_command;  // NULL: none
    bool proxy_use_fdpass;
    int address_family;
    const char *bind_address, *bind_interface;
    uint32_t connect_timeout;  // seconds; 0: the system's
    uint32_t connection_attempts;
    struct conf_ipqos ipqos;
    const char *version_addendum;

    // Staying connected
    uint32_t server_alive_interval, server_alive_count_max;
    bool tcp_keep_alive;
    bool resume;          // resume-v1@bowline, where the server has it
    const char *session;  // its name, to be taken up or opened; NULL: none
    struct conf_channel_timeouts channel_timeout;
    struct conf_rekey rekey_limit;

    // Authentication
    struct conf_list identity_file;  // with tokens and ~; see client_config_path()
    bool identity_file_is_default;   // missing default files are no reason for a message
    bool identities_only;
    const char *identity_agent;  // NULL: SSH_AUTH_SOCK; "none": no agent
    struct conf_list certificate_file;
    struct client_add_keys add_keys_to_agent;
    const char *preferred_authentications;  // NULL: the built-in order
    int pubkey_authentication;              // PUBKEY_AUTH_…
    bool password_authentication, kbd_interactive_authentication;
    const char *kbd_interactive_devices;
    uint32_t number_of_password_prompts;
    bool hostbased_authentication, enable_ssh_keysign;
    bool gssapi_authentication, gssapi_delegate_credentials;
    const char *pkcs11_provider, *security_key_provider;
    uint32_t required_rsa_size;
    bool batch_mode;
    int fingerprint_hash;  // FINGERPRINT_… of server_config.h: 0 MD5, 1 SHA256

    // Trust in hosts
    int strict_host_key_checking;  // STRICT_HOST_KEY_…
    struct conf_list user_known_hosts_file, global_known_hosts_file;
    const char *host_key_alias;
    bool hash_known_hosts;
    int update_host_keys;  // TRISTATE_…
    const char *known_hosts_command;
    bool check_host_ip, no_host_authentication_for_localhost;
    int verify_host_key_dns;  // TRISTATE_…
    struct conf_list revoked_host_keys;
    bool visual_host_key;

    // Algorithms
    const char *ciphers, *macs, *kex_algorithms, *host_key_algorithms,
        *pubkey_accepted_algorithms, *hostbased_accepted_algorithms,
        *ca_signature_algorithms;
    bool compression;
    int warn_weak_crypto;  // WEAK_CRYPTO_…

    // Session
    int request_tty;             // REQUEST_TTY_…
    const char *remote_command;  // NULL: none
    int session_type;            // SESSION_TYPE_…
    struct conf_list send_env, set_env;
    bool stdin_null, fork_after_authentication;
    const char *local_command;
    bool permit_local_command;
    int escape_char;  // a byte, or ESCAPE_CHAR_NONE
    bool enable_escape_commandline;
    struct client_obscure obscure_keystroke_timing;
    int log_level, syslog_facility;
    struct conf_list log_verbose;

    // Forwarding
    struct conf_list local_forward,
        remote_forward;  // "listen" or "listen connect", one blank
    struct conf_list dynamic_forward;
    struct conf_list permit_remote_open;
    bool forward_agent;
    const char
        *forward_agent_path;  // a path or $VARIABLE where it is not yes or no; else NULL
    bool forward_x11, forward_x11_trusted;
    uint32_t forward_x11_timeout;
    const char *xauth_location;
    bool gateway_ports, exit_on_forward_failure, clear_all_forwardings;
    uint32_t stream_local_bind_mask;
    bool stream_local_bind_unlink;
    int tunnel;  // 0 no, 1 point-to-point, 2 ethernet
    struct client_tunnel_device tunnel_device;

    // Sharing one connection
    int control_master;        // CONTROL_MASTER_…
    const char *control_path;  // NULL: none
    bool control_persist;
    uint32_t control_persist_seconds;  // 0: for ever, when control_persist
};

// What Host and Match are asked about; NULL where there is none.
struct client_subject {
    const char *host;  // as typed, without user and port
    const char *user;  // -l or user@
    uint16_t port;     // -p; 0: not given
    const char *local_user;
    const char *local_uid;   // in decimal, for %i; NULL: unknown
    const char *local_host;  // for %l; NULL: unknown
    const char *home;
    const char *command;  // on the command line, joined
    const char *tag;      // -P
    const char
        *session_type;  // "exec", "shell", "subsystem", "none"; NULL: not asked yet
    token_env_fn env;   // ${VAR} in Include and Match exec; NULL: no variables
    void *env_ctx;
    // Match exec: whether `command` (tokens expanded) exits with 0. NULL: never matches.
    bool (*exec)(void *ctx, const char *command);
    // Match localnetwork: whether an interface's address is in the CIDR list. NULL:
    // never.
    bool (*localnetwork)(void *ctx, const char *cidr_list);
    // CanonicalizeHostname: is there such a name, and what is it an alias of ("" where
    // that is not known)? c is half read. NULL: there are no names.
    bool (*resolve)(void *ctx, const struct client_config *c, const char *name,
                    char *alias, size_t size);
    void *hook_ctx;
    // %C and %j: the hash over %l%h%p%r%j in hexadecimal, into out (of 65 bytes). NULL:
    // %C is an error where it is used.
    bool (*connection_hash)(void *ctx, const char *text, char *out);
};

struct client_config_input {
    const struct conf_source *source;  // conf_files in programs
    // -F: only this one, and it must exist ("none": no files at all).
    const char *file;
    const char *user_file, *system_file;  // otherwise, where they exist; NULL: none
    const char *user_folder;              // relative Includes of the user's file: ~/.ssh
    const char *const *lines;             // of -o
    size_t lines_n;
    conf_algorithms_fn algorithms;
    void *algorithms_ctx;
};

// Reads and evaluates for the subject (which must live as long as c). c is zeroed first;
// free it in either case. ERR_CONFIG: look at `problems`.
must_check enum err client_config_load(struct client_config *c,
                                       const struct client_config_input *in,
                                       const struct client_subject *subject,
                                       struct conf_problems *problems);

// A value of a path-like keyword (IdentityFile, UserKnownHostsFile, ControlPath, …) made
// usable: tokens, ${VAR} and ~ expanded. `k` is HostKeyAlias or the host; taken from c.
must_check enum err client_config_path(const struct client_config *c,
                                       const struct client_subject *subject,
                                       const char *text, char *out, size_t size,
                                       struct fault *fault);

// The same without ~ and ${VAR}, for any use (RemoteCommand, ProxyCommand, LocalCommand).
// Tokens of known_hosts commands (%f %H %I %K %t) and %T come from `more`, which may be
// NULL.
must_check enum err client_config_expand(const struct client_config *c,
                                         const struct client_subject *subject,
                                         enum token_use use, const struct token *more,
                                         const char *text, char *out, size_t size,
                                         struct fault *fault);

// As `ssh -G`.
must_check enum err client_config_dump(const struct client_config *c, struct buf *out);

// Where the value of a keyword of the table comes from.
const struct conf_origin *client_config_origin(const struct client_config *c,
                                               const char *keyword);

void client_config_free(struct client_config *c);
#define scoped_client_config                                                             \
    __attribute__((cleanup(client_config_free))) struct client_config
