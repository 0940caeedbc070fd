// One run of ssh: what its files share.
//
// The order is that of the five steps: configuration (setup.c), link (connect.c), secured
// and host checked (handshake.c, hostkeys.c), you checked (login.c, identities.c),
// session (session.c).
#pragma once

#include <limits.h>

#include "base/ends_class.h"
#include "base/log.h"
#include "client/flags.h"
#include "client/link.h"
#include "conf/client_config.h"
#include "io/log_sink.h"
#include "io/process.h"
#include "key/key.h"

#define CLIENT_EXIT_FAILURE 255

enum client_phase {
    CLIENT_LINK,
    CLIENT_HANDSHAKE,
    CLIENT_LOGIN,
    CLIENT_SESSION
};

// What is to be known of the end (ends.h).
struct client_end {
    enum client_phase phase;         // that was reached
    uint64_t started, started_boot;  // clock_ms(), clock_boot_ms(); 0: no link of ours
    unsigned probes;                 // unanswered signs of life
    bool disconnected;               // the server said why ..
    enum ends_class said;            // .. in this class
    char methods_left[160];          // what the server would have taken, after ERR_AUTH
    int host_result;                 // enum known_hosts_result, after ERR_HOST_KEY
    bool not_resumed;                // the link was lost, and there was no other ..
    enum ends_class lost_as;         // .. for this reason
    bool idle;                       // ChannelTimeout has ended the own session
    unsigned resumed;                // times that another link took over
    bool by_user;
};

struct kept;
struct redial;

struct client {
    struct flags flags;
    struct client_config config;
    struct client_subject subject;
    struct log log;
    struct log_sink sink;
    char home[PATH_MAX], local_user[256], local_uid[16], local_host[256];

    struct link link;
    bool proxied;                  // proxy runs, and the link goes through it
    struct process proxy;          // see proxy.h
    bool proxy_has_goodbye;        // .. and is to hand it on before it is ended
    char ident[1024];              // of ours; too long a one is refused later
    char host[1025];               // what is connected to
    char known_name[1025 + 16];    // for known_hosts: "host" or "[host]:port"
    char address[80];              // numeric, of the peer
    struct hostkeys_files *known;  // as they were read at the start; owned
    char *host_key_algorithms;     // in the order that the known keys ask for; owned
    uint64_t deadline;             // for link and handshake; CLOCK_NEVER: none
    int remembered;                // enum remember of this host, from the start
    bool bowline_peer, openssh_peer;
    bool distrusted;       // a changed key was let pass: no password goes there
    bool is_local;         // the peer is this very machine
    bool keys_may_change;  // the host's key stands in a file of the user's

    bool takes_early;        // the server announced early-session@bowline
    bool takes_resume;       // .. and resume-v1@bowline
    bool takes_agent_names;  // .. and agent-forward: RFC 9987's names
    struct run *early;       // asked for along with the login; NULL: not so; owned
    bool hold_step;          // the next step is told after the login
    char held_step[1024];

    struct kept *kept;  // keys that let us in, for further links; owned
    // What else did: this host's key, or a person, for whom the connection's proof stands
    // at a further link. lost: a key that cannot be used again without asking.
    bool by_host, by_person, key_lost;
    struct redial *redial;  // this is a further link of a connection; NULL: its first

    char identity[PATH_MAX + KEY_FINGERPRINT_SIZE];  // what let us in, for the steps
    struct client_end end;
    struct fault fault;
    int exit_code;
};

// ---- setup.c: configuration and log; false: everything is said, exit_code is set ----
bool client_setup(struct client *c, int argc, char **argv);
void client_drop(struct client *c);
// ~, tokens and ${VAR} expanded; false (and said at level `loud`) if that fails.
bool client_path(struct client *c, const char *text, char *out, size_t size);

// ---- connect.c ----
int client_family(const struct client_config *config);  // AF_… of AddressFamily
must_check enum err client_connect(struct client *c);
// For a link that somebody has made: link.fd is connected to the host.
must_check enum err client_adopt(struct client *c);

// ---- handshake.c ----
must_check enum err client_handshake(struct client *c);
void client_tell_keyed(struct client *c);  // to the log, for people that look for it
// The transport's next event that is login's or session's business; what is everybody's
// (text, debug, host keys, the end) is dealt with. NONE: nothing there, wait.
must_check enum err client_next(struct client *c, struct transport_event *event);
void client_show_ident(struct client *c, struct view ident);

// ---- login.c ----
must_check enum err client_login(struct client *c);
// Could what let us in let in a further link?
bool client_may_return(const struct client *c);

// ---- run_early.c ----
// Along with a request that may let us in: the session, where all is plain.
must_check enum err client_early(struct client *c);
// That request has failed, or the login has: the server forgets it, and so do we.
void client_early_drop(struct client *c);

// ---- run.c; sets exit_code ----
must_check enum err client_session(struct client *c);

// ---- steps.c: the five steps, with -v ----
__attribute__((format(printf, 3, 4))) void client_step(struct client *c, const char *name,
                                                       const char *format, ...);
// What was held back by hold_step.
void client_step_held(struct client *c);
void client_step_secured(struct client *c);
// A server's text for people, cleaned, on standard error.
void client_show_text(struct client *c, struct view text);
