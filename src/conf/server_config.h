// sshd_config: every keyword of OpenSSH 10.5 as a typed field, its Match blocks, dump and
// explain.
//
// Loaded once; evaluated for each login by server_config_match() from memory alone, so it
// works in a process without file access. Rows are in server_table.c; values that Bowline
// does not act on yet are parsed and kept all the same (status column of the table; see
// conf/option.h).
#pragma once

#include "conf/parser.h"

enum {
    PERMIT_ROOT_NO,
    PERMIT_ROOT_PROHIBIT_PASSWORD,  // also written without-password
    PERMIT_ROOT_FORCED_COMMANDS_ONLY,
    PERMIT_ROOT_YES,
};

enum {
    FORWARD_NO = 0,
    FORWARD_LOCAL = 1,
    FORWARD_REMOTE = 2,
    FORWARD_ALL = 3,  // the bits together
};

enum {
    GATEWAY_NO,
    GATEWAY_YES,
    GATEWAY_CLIENT_SPECIFIED,
};

enum {
    TUNNEL_NO = 0,
    TUNNEL_POINT_TO_POINT = 1,
    TUNNEL_ETHERNET = 2,
    TUNNEL_ANY = 3,
};

enum {
    IGNORE_RHOSTS_NO,
    IGNORE_RHOSTS_YES,
    IGNORE_RHOSTS_SHOSTS_ONLY,
};

enum {
    COMPRESSION_NO,
    COMPRESSION_DELAYED,  // yes
};

enum {
    FINGERPRINT_MD5,
    FINGERPRINT_SHA256,
};

enum {  // bits of PubkeyAuthOptions
    PUBKEY_TOUCH_REQUIRED = 1,
    PUBKEY_VERIFY_REQUIRED = 2,
};

// One socket to listen on; host NULL: every address of address_family.
struct server_listen {
    const char *host;
    uint16_t port;
    const char *rdomain;
};

struct server_max_startups {
    uint32_t begin, rate, full;  // rate in percent
};

struct server_netblock {
    uint32_t ip4_bits, ip6_bits;
};

struct server_penalties {
    bool enabled;
    // milliseconds of penalty for each kind of event
    uint32_t crash_ms, authfail_ms, invaliduser_ms, noauth_ms, grace_exceeded_ms,
        refuseconnection_ms;
    uint32_t max_ms, min_ms;  // the most that adds up; below min nothing is refused
    uint32_t max_sources4, max_sources6;
    bool overflow4_deny_all, overflow6_deny_all;  // else permissive
};

struct server_subsystem {
    const char *name;
    const char *command;  // a command line, or "internal-sftp" with arguments
};

struct server_subsystems {
    struct server_subsystem *v;
    size_t n;
};

struct server_listens {
    struct server_listen *v;
    size_t n;
};

struct server_ports {
    uint16_t *v;
    size_t n;
};

// Seconds that a connection without a link is kept; 0: not at all.
struct server_resume_grace {
    uint32_t terminal, others;
};

struct server_config {
    struct conf_head head;

    // Files and listening
    struct server_ports port;           // as in the file
    struct conf_list listen_address;    // as in the file
    struct server_listens listens;      // what comes of the two: bind these
    int address_family;                 // CONF_ADDRESS_FAMILY_…
    struct conf_list host_key;          // paths
    struct conf_list host_certificate;  // paths
    const char *host_key_agent;         // NULL: none
    const char *pid_file;               // NULL: none
    const char *event_log;              // NULL: none
    const char *moduli_file;
    const char *version_addendum;  // NULL: none
    const char *rdomain;           // NULL: none
    const char *sshd_session_path, *sshd_auth_path;

    // Who may log in
    struct conf_list allow_users, deny_users;  // user or user@host patterns
    struct conf_list allow_groups, deny_groups;
    int permit_root_login;  // PERMIT_ROOT_…
    bool password_authentication, pubkey_authentication, kbd_interactive_authentication;
    struct conf_list authentication_methods;  // one list of methods each; "any" alone
    bool permit_empty_passwords;
    struct conf_list authorized_keys_file;  // paths with tokens; "none" alone
    const char *authorized_keys_command, *authorized_keys_command_user;
    struct conf_list trusted_user_ca_keys;   // paths; empty: none
    const char *authorized_principals_file;  // NULL: none
    const char *authorized_principals_command, *authorized_principals_command_user;
    struct conf_list revoked_keys;  // paths; empty: none
    int pubkey_auth_options;        // PUBKEY_… bits
    const char *security_key_provider;
    uint32_t required_rsa_size;  // bits
    bool strict_modes;
    bool use_pam;
    const char *pam_service_name;
    bool gssapi_authentication, gssapi_cleanup_credentials, gssapi_delegate_credentials,
        gssapi_strict_acceptor_check;
    bool kerberos_authentication, kerberos_get_afs_token, kerberos_or_local_passwd,
        kerberos_ticket_cleanup;
    bool hostbased_authentication, hostbased_uses_name_from_packet_only;
    int ignore_rhosts;  // IGNORE_RHOSTS_…
    bool ignore_user_known_hosts;
    bool expose_auth_info;
    bool refuse_connection;

    // Abuse
    uint32_t max_auth_tries;
    uint32_t login_grace_time;  // seconds; 0: no limit
    struct server_max_startups max_startups;
    uint32_t per_source_max_startups;  // UINT32_MAX: none
    struct server_netblock per_source_net_block_size;
    struct server_penalties per_source_penalties;
    const char *per_source_penalty_exempt_list;  // NULL: none

    // Algorithms: lists as given to the key exchange, in order
    const char *ciphers, *macs, *kex_algorithms, *host_key_algorithms,
        *pubkey_accepted_algorithms, *hostbased_accepted_algorithms,
        *ca_signature_algorithms;
    int compression;  // COMPRESSION_…
    struct conf_rekey rekey_limit;
    int fingerprint_hash;  // FINGERPRINT_…

    // Session
    struct server_subsystems subsystem;
    const char *force_command;     // NULL: none
    const char *chroot_directory;  // NULL: none
    struct conf_list accept_env;   // patterns
    struct conf_list set_env;      // NAME=value
    bool permit_user_environment;  // all of it
    const char
        *permit_user_environment_names;  // patterns where it is not yes or no; else NULL
    bool permit_user_rc, permit_tty;
    uint32_t max_sessions;
    const char *banner;  // path; NULL: none
    bool print_motd, print_last_log;
    uint32_t client_alive_interval;   // seconds; 0: off
    uint32_t client_alive_count_max;  // 0: never ends the connection
    bool tcp_keep_alive;
    struct conf_channel_timeouts channel_timeout;
    uint32_t unused_connection_timeout;  // seconds; 0: none
    struct server_resume_grace resume_grace;
    bool sessions_hold;
    struct conf_ipqos ipqos;
    bool use_dns;

    // Forwarding
    int allow_tcp_forwarding, allow_stream_local_forwarding;  // FORWARD_…
    bool allow_agent_forwarding, disable_forwarding;
    int gateway_ports;                            // GATEWAY_…
    struct conf_list permit_open, permit_listen;  // host:port; "any" or "none" alone
    int permit_tunnel;                            // TUNNEL_…
    uint32_t stream_local_bind_mask;
    bool stream_local_bind_unlink;
    bool x11_forwarding;
    uint32_t x11_display_offset;
    bool x11_use_localhost;
    const char *xauth_location;

    // Logging
    int log_level;  // enum log_level
    int syslog_facility;
    struct conf_list log_verbose;  // patterns; empty: none
};

struct server_config_input {
    const struct conf_source *source;  // conf_files in programs
    const char *file;                  // NULL: none, defaults and lines alone
    const char *const
        *lines;  // of -o, "Keyword=value" or "Keyword value"; before the file
    size_t lines_n;
    conf_algorithms_fn algorithms;  // NULL: lists are kept as text, unchecked (tests)
    void *algorithms_ctx;
};

// Reads, checks everything (Match blocks too), sets the defaults. ERR_CONFIG: look at
// `problems`, which may hold notes and warnings on success too. c is zeroed first; free
// it in either case.
must_check enum err server_config_load(struct server_config *c,
                                       const struct server_config_input *input,
                                       struct conf_problems *problems);

// The login that Match blocks are asked about. What is NULL is not known: a criterion on
// it does not match, nor does its negation.
struct server_subject {
    const char *user;
    bool invalid_user;          // there is no such account
    const char *const *groups;  // names of the account's groups
    size_t groups_n;
    const char *host;     // name of the client (UseDNS), or its address
    const char *address;  // of the client, as text
    const char *local_address;
    uint16_t local_port;  // 0: not known
    const char *rdomain;
};

// What holds for that login. `out` shares text and script with `global`, which must
// outlive it; free both. No files, no processes, no name look-ups.
must_check enum err server_config_match(const struct server_config *global,
                                        const struct server_subject *subject,
                                        struct server_config *out, struct fault *fault);

// Whether any Match block asks about this; e.g. 'g' saves the look-up of groups.
bool server_config_asks_groups(const struct server_config *c);

// Whether a Match block may give the keyword another value.
bool server_config_matches_set(const struct server_config *c, const char *keyword);

// Of `-C user=u,host=h,addr=a,laddr=l,lport=p,rdomain=r,invalid-user`; values are in
// `pool`. May be called several times for one subject.
must_check enum err server_subject_parse(struct server_subject *subject,
                                         struct conf_pool *pool, const char *text,
                                         struct fault *fault);

// As `sshd -T`: "keyword value" lines in OpenSSH's order, which parse back to the same.
must_check enum err server_config_dump(const struct server_config *c, struct buf *out);

// The whole of it, Match blocks included, as one file without Include: what a process
// gives to another that loads it again.
must_check enum err server_config_text(const struct server_config *c, struct buf *out);

void server_config_free(struct server_config *c);
#define scoped_server_config                                                             \
    __attribute__((cleanup(server_config_free))) struct server_config
