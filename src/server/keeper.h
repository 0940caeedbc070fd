// The keeper: one process for the life of the server. It reads the configuration, holds
// the host keys and signs with them, spawns the others and knows who is on. From gates it
// takes only the fixed, small messages of server/ipc_table.h; a bad one ends that link,
// never the keeper.
#pragma once

#include "base/ends_class.h"
#include "conf/server_config.h"
#include "connection/resume.h"
#include "io/endpoint.h"
#include "io/fd.h"
#include "io/log_sink.h"
#include "io/look_up.h"
#include "io/loop.h"
#include "io/process.h"
#include "io/sandbox.h"
#include "io/tcp.h"
#include "key/key.h"
#include "server/event_log.h"
#include "server/events.h"
#include "server/ipc.h"
#include "server/leavings.h"
#include "server/link_record.h"
#include "server/nursery.h"
#include "server/penalties.h"
#include "server/settings.h"

#define KEEPER_SESSION_ID_MAX 64
#define KEEPER_IDENTITY 32
#define KEEPER_HANDLE 16
#define KEEPER_SOCKETS_MAX 64

// Host keys, shared by the links that began with them; a reload makes new ones.
struct host_keys {
    unsigned refs;
    size_t n;
    struct key *keys[SETTINGS_HOST_KEYS_MAX];
    struct key *signer[SETTINGS_HOST_KEYS_MAX];  // the key itself, or a certificate's
    char *algorithms[SETTINGS_HOST_KEYS_MAX];    // that it can sign with and the
                                                 // configuration allows
    bool lent[SETTINGS_HOST_KEYS_MAX];           // the key is of one of these sets, which
    struct host_keys *owners[2];                 // live as long as this one; NULL: none
    // Keys that the configuration lets sign for certificates alone.
    struct key *spare[SETTINGS_HOST_KEYS_MAX];
    size_t spares;
    // Where the secret halves are that are not here: an agent's socket, the middleware of
    // security keys; NULL: none.
    char *agent, *provider;
};

// A listening socket and what it is for, so that a reload keeps it.
struct keeper_socket {
    int fd;
    char name[ENDPOINT_TEXT_SIZE + 24];
};

struct keeper_listener {
    struct keeper_listener *next;
    struct keeper *keeper;
    int fd;
    struct loop_watch watch;
    struct loop_child exit;
    bool running, draining;
    struct ipc_side side;
    struct ipc_outbox outbox;
    uint32_t forks, pending;
    uint64_t serial;
    uint64_t domain_of;  // the link that the domain was told for
    char domain[TCP_INTERFACE_SIZE];
};

// A judge or holder of a link.
struct keeper_child {
    struct link *link;
    int fd;  // -1: none
    struct loop_watch watch;
    struct loop_child exit;
    bool alive;
    struct ipc_side side;
};

// Writes utmp and its like; made when it is first needed.
struct keeper_recorder {
    int fd;                  // -1: not there
    struct loop_child exit;  // of the fork that it comes from
};

struct link_terminal;

struct link {
    struct link *next, *prev;
    struct keeper *keeper;
    uint64_t listener, id;  // the listener's serial and its number for the link
    int fd;                 // to the gate; -1: it has gone
    struct loop_watch watch;
    struct loop_timer grace;
    enum link_state state;
    struct ipc_side side;
    char peer[ENDPOINT_TEXT_SIZE], local[ENDPOINT_TEXT_SIZE];
    uint16_t peer_port, local_port;
    char domain[TCP_INTERFACE_SIZE];  // that its socket is bound to
    char host[LOOK_UP_NAME_SIZE];     // name of the peer's address (UseDNS); "": none
    char user[LIMIT_USER_NAME + 1];
    bool valid_user, authenticated, said_end, pending, grace_over;
    bool refused;  // by RefuseConnection
    struct host_keys *host_keys;
    uint32_t host_key;        // index, of the first exchange
    char host_algorithm[64];  // that it signed with
    uint32_t proofs;          // of host keys, asked for
    uint8_t session_id[KEEPER_SESSION_ID_MAX];
    size_t session_id_n;
    enum ipc_number question;  // that the judge has not answered; 0: none
    uint32_t ticket;
    uint32_t questions, failures, attempts, lines;
    uint64_t sign_at, line_at;  // token buckets
    uint32_t sign_tokens;
    struct link_signing *signing;  // for the gate, by somebody else; NULL: none is due
    struct link_proof *proof;      // for the holder; NULL: none is due
    struct keeper_child judge, holder;
    // For `bowline sessions`: from the verdict, and from the holder's STATUS.
    uint64_t serial, since;  // since: seconds since 1970
    long gate_pid;           // for the log; 0: not known
    struct log_as voice;
    // From the judge's FACTS.
    char why[200], ca[160];
    uint8_t certificate_id[256];
    size_t certificate_id_n;
    uint64_t certificate_serial;
    // For the last events.
    const char *reason;  // NULL: not known yet
    char reason_text[256];
    uint64_t event_at, events_lost;  // of the holder: a token bucket
    uint32_t event_tokens;
    struct link_terminal *terminals;  // that are logins in utmp
    uint32_t uid;
    char key[128], comment[96];
    uint64_t status_at, bytes_in, bytes_out;
    uint32_t sessions, channels, forwards, idle;
    bool status_asked;
    char tty[32], command[128];
    // resume-v1@bowline, see keeper_resume.c. Who may take its connection up, by which
    // handle; since when it has no link (clock_boot_ms(), and seconds since 1970; 0: it
    // has one), and for how long it is kept.
    uint8_t identity[KEEPER_IDENTITY], handle[KEEPER_HANDLE], wanted[KEEPER_HANDLE];
    size_t identity_n;
    uint32_t factors;  // of its login, from a person: bits as in ipc_factors
    bool resumable, comes_back, suspended_terminal;
    uint64_t suspended_at, suspended_since;
    uint32_t suspended_grace;
    // Why it ends: its holder's last word. A login that came for it was not let in.
    bool ended, turned_away;
    enum ends_class ended_class;
    char ended_text[200];
    bool held;  // .. and no client comes for it: sessions are left in it (keeper_views.h)
    struct buf sessions_told;  // of its terminals, as STATUS has them
    uint64_t
        attaching;     // serial of the link whose connection this one comes for; 0: none
    bool judge_stays;  // until its holder has ended
    int seam;          // the gate's end, of a holder that the judge made; else -1
    bool anchored;     // the anchor has what the next keeper needs
    struct leavings leavings;  // of its holder
};

#define RECORD_NAME_MAX 65u  // HOST_NAME_MAX and one, as OpenSSH has it

// A connection that could have been resumed, and has ended.
#define KEEPER_ENDS 64u
struct keeper_end {
    uint64_t at;  // seconds since 1970
    uint32_t uid;
    enum ends_class class;
    uint8_t handle[KEEPER_HANDLE];
    char text[160];
};

struct keeper_options {
    const char *config_file;
    const char *const *lines;
    size_t lines_n;
    const char *const *host_key_files;  // of -h
    size_t host_key_files_n;
    const char *log_file;  // of -E
    bool to_stderr, foreground, debug, inetd, quiet;
    unsigned debug_level;
    int address_family;        // of -4, -6; AF_UNSPEC
    uint32_t grace_s;          // of -g; UINT32_MAX: not given
    uint32_t record_name_max;  // of -u: longer names are addresses in utmp
    int argc;                  // the command line, to be executed anew
    char *const *argv;
    int handover;  // from the keeper before, over an exec; -1: none
};

struct keeper {
    const struct keeper_options *options;
    struct server_config *config;
    struct host_keys *host_keys;
    struct host_keys *retired;  // of keepers before, for their links; NULL: none
    struct log log;
    struct log_sink sink;
    struct event_log event_log;
    struct keeper_recorder recorder;
    struct loop loop;
    struct loop_signal term, interrupt, hang_up, child;
    struct keeper_socket sockets[KEEPER_SOCKETS_MAX];
    size_t sockets_n;
    int anchor_before;   // the socket of the anchor before, over an exec; -1: none
    bool sockets_given;  // by who started us; a reload keeps them
    struct keeper_listener *listeners;  // the first one accepts
    uint64_t listener_serial, respawn_at;
    struct loop_timer respawn;
    struct nursery *nursery;  // NULL: none yet
    struct link *links;       // the newest first
    size_t links_n;
    uint64_t link_serial;
    struct keeper_control *control;  // NULL: none
    struct keeper_anchor *anchor;    // NULL: none
    struct keeper_reload *reload;    // NULL: none goes on
    struct fd_limits limits;         // as they were given; programs of users get them
    char *folder;                    // that we were started in
    char *pid_file;                  // that was written; NULL: none
    struct penalties penalties;      // the listener has a copy of what is in force
    bool stopping;
    struct keeper_end ends[KEEPER_ENDS];  // the last ones, in turn
    uint64_t ends_n;                      // ever
    // From when on it knows of all connections there were: it, or the keeper that has
    // handed over to it, began with none. ms since 1970; 0: from before it.
    uint64_t since;
    int single;     // -i: the link, until the listener has it
    bool unserved;  // -i: the one link ended before anybody was let in
};

// Runs the server; the exit status.
int keeper_main(const struct keeper_options *options);

// Reads configuration (and -o lines) with its problems told on standard error.
must_check enum err keeper_load_config(const struct keeper_options *options,
                                       struct server_config *config, bool quiet);

// keeper_nursery.c
must_check enum err keeper_check_libraries(const struct server_config *config,
                                           struct fault *fault);
void keeper_forget(struct keeper *k);  // in a child: secrets go
must_check enum err keeper_start_nursery(struct keeper *k, struct fault *fault);
// A child at that end of a socket; a nursery that has died is replaced.
must_check enum err keeper_make(struct keeper *k, enum ipc_role role, int theirs,
                                pid_t *pid);

// keeper_keys.c
must_check enum err keeper_load_keys(const struct keeper_options *options,
                                     const struct server_config *config,
                                     const struct log *log, struct host_keys **out,
                                     struct fault *fault);
void host_keys_drop(struct host_keys *k);    // one reference
void host_keys_forget(struct host_keys *k);  // in a fork: whoever else refers to them
// The algorithm by its name, if that key may sign with it; else NULL.
const struct signature_alg *host_keys_algorithm(const struct host_keys *k, uint32_t index,
                                                struct view name);
// The secret half is with an agent or a security key.
bool host_keys_elsewhere(const struct host_keys *k, uint32_t index);
// With one that is here. ERR_REFUSED: not with that algorithm.
must_check enum err host_keys_sign(const struct host_keys *k, uint32_t index,
                                   struct view algorithm, struct view hash,
                                   struct buf *out);
// The public blobs as strings.
must_check enum err host_keys_blobs(const struct host_keys *k, struct buf *out);
// hostkeys-prove-00@openssh.com: which key a blob is, what is signed for it, and by which
// algorithm (RSA's: `own` if that is one).
bool host_keys_find(const struct host_keys *k, struct view blob, uint32_t *index);
must_check enum err host_keys_prove_data(const struct host_keys *k, uint32_t index,
                                         struct view session_id, struct buf *out);
struct view host_keys_prove_algorithm(const struct host_keys *k, uint32_t index,
                                      const char *own);

// keeper_key_sets.c: what a link began with, over the keeper's own life
// {blob, plain blob, algorithms} of each, as strings.
must_check enum err host_keys_write(const struct host_keys *k, struct buf *out);
// The set that such a list stands for, of keys that are loaded or retired; a reference.
must_check enum err keeper_keys_of(struct keeper *k, struct view list,
                                   struct host_keys **out);
// Secret halves that links still need, for the next keeper: wipe them. Read: k->retired.
must_check enum err keeper_retired_write(const struct keeper *k, struct buf *out);
must_check enum err keeper_retired_read(struct keeper *k, struct view keys);

// keeper_listener.c
must_check enum err keeper_bind(struct keeper *k, const struct server_config *config,
                                struct fault *fault);
void keeper_spawn_listener(struct keeper *k);  // the old one drains
void keeper_stop_listeners(struct keeper *k);
// One of the keeper before, which is to drain; takes over facts->outbox. False: it cannot
// be had.
bool keeper_adopt_listener(struct keeper *k, struct keeper_listener *facts, pid_t pid,
                           int pidfd);
void keeper_identity(struct sandbox_identity *as, bool *has);  // of unprivileged ones
void keeper_listener_link_authed(struct link *l);
void keeper_listener_link_done(
    struct link *l);  // authenticated, or ended: its slot is free

// keeper_defence.c
must_check enum err keeper_penalties_load(struct keeper *k);  // of the configuration
void keeper_penalise(struct keeper *k, const char *peer, enum penalty_reason reason);
// What the end of a link that let nobody in means for its source.
void keeper_penalise_link(struct link *l);
void keeper_tell_penalty(struct keeper *k, const struct ipc_penalty *m);

// keeper_service.c
void keeper_notify(const char *state);  // "READY", "RELOADING", "STOPPING": sd_notify(3)
bool keeper_take_sockets(struct keeper *k);  // true: there are some, and no others
must_check enum err keeper_reap_orphans(struct keeper *k);  // as process 1
// A child of the keeper before, over an exec, of which nothing more is wanted. 0: none.
void keeper_reap(struct keeper *k, pid_t pid);

// keeper_reload.c: SIGHUP. The program and its configuration are tried first; then the
// keeper executes it in its own place.
void keeper_reload(struct keeper *k);
bool keeper_reload_is(const struct keeper *k, pid_t pid);

// keeper_handover.c: what the keeper is, over that exec.
// A file to read it from, and every descriptor that it names made to pass the exec. -1.
int keeper_handover_write(struct keeper *k, struct fault *fault);
// Back again, after an exec that failed.
void keeper_handover_undo(struct keeper *k);
// The descriptor that this process was executed with; -1: it is a new server.
int keeper_handover_given(void);
// ERR_…: there is no such file. A part that is not usable is left out, which the log
// says.
must_check enum err keeper_handover_read(struct keeper *k, int fd, struct fault *fault);

// keeper_anchor.c: see anchor.h
// Takes over what the anchor of a killed keeper has, and starts one of our own.
void keeper_anchor_open(struct keeper *k);
void keeper_anchor_close(struct keeper *k);                   // the server ends
int keeper_anchor_facts(const struct keeper *k, pid_t *pid);  // its socket; -1: none
bool keeper_anchor_is(const struct keeper *k, pid_t pid);     // a child of that number
void keeper_anchor_ends(struct keeper *k);                    // one more is remembered
void keeper_anchor_penalties(struct keeper *k);               // they have changed
void keeper_anchor_again(struct link *l);  // what is kept of it has changed
void keeper_anchor_keep(struct link *l);   // somebody is in: keeps it from now on

// keeper_restore.c: one link over the life of keepers
// fds: LINK_FDS, which stay the link's.
must_check enum err link_record_of(const struct link *l, struct buf *out, int *fds);
// Takes over fds, each that it takes becomes -1.
must_check enum err keeper_restore(struct keeper *k, struct view record, int *fds,
                                   struct fault *fault);

// keeper_link.c
struct link *link_make(struct keeper *k, uint64_t serial);  // NULL: no memory
// grace_at: clock_ms() of the end of LoginGraceTime; 0: none.
must_check enum err link_watch_gate(struct link *l, int fd, uint64_t grace_at);
void link_new(struct keeper_listener *from, const struct ipc_link_new *m, int fd);
void link_end(struct link *l, const char *why);  // closes the gate; NULL: no log line
void link_sweep(struct link *l);                 // frees it when nothing of it is left
void link_log(struct link *l, enum ipc_role from, const struct ipc_log *m);
// keeper_events.c: the text log and typed events
must_check enum err keeper_event_log(struct keeper *k, struct fault *fault);  // opens it
void keeper_event(struct keeper *k, enum event_number number, const struct event *e);
void keeper_event_server(struct keeper *k, enum event_number number, const char *text);
void keeper_event_listening(struct keeper *k, const char *local, uint16_t port);
void keeper_event_stop(struct keeper *k, const char *signal);
void keeper_event_penalty(struct keeper *k, const char *source, uint64_t seconds,
                          enum penalty_reason reason);
void keeper_refused(struct keeper *k, const struct ipc_refused *m);
// "22-17": the port and the link's serial. Returns out.
const char *link_name(const struct link *l, char *out, size_t size);
// The keeper's log with the id of the link's gate; good until the next call.
struct log link_voice(struct link *l);
struct event_link link_event(const struct link *l);
// Fills in who and where, and puts the event.
void link_tell(const struct link *l, enum event_number number, struct event *e);
void link_facts(struct link *l, const struct ipc_facts *m);
// query: a key was asked about, not tried.
void link_postponed(struct link *l, struct view method);  // by questions
void link_failed(struct link *l, struct view method, struct view key, bool query);
void link_partial(struct link *l, struct view method, struct view key);
void link_accepted(struct link *l, const struct ipc_verdict *m);
void link_said_end(struct link *l, const struct ipc_gate_end *m);
// Why it ends, in a word of EVENTS(); the first reason counts.
void link_reason(struct link *l, const char *reason, struct view text);
void link_event_closed(const struct link *l);  // the link
// keeper_ends.c
void link_ended(struct link *l, const struct ipc_ended *m);
void link_killed(struct link *l, int signal);  // its holder, which had said nothing
void link_event_over(struct link *l);          // the login, and its line in the log
// Those that are remembered, the oldest first, for the next keeper; from the one before.
#define KEEPER_ENDS_TOLD (32u * 1024u)
must_check enum err keeper_ends_write(const struct keeper *k, struct buf *out);
must_check enum err keeper_ends_read(struct keeper *k, struct view list);
// A login that came for a connection has failed.
void link_turned_away(const struct link *l);
// Why the connection ended that this login came for: to the gate, before NOT_RESUMED,
// which gets *why. Its class; "": that is not known, and *why stays.
const char *link_tell_ended(struct link *l, enum resume_refusal *why);
void link_holder_event(struct link *l, const struct ipc_event *m);

// keeper_records.c: what a holder says of its terminals, for utmp
void link_terminal_opened(struct link *l, const struct ipc_event *m);
void link_terminal_closed(struct link *l, uint32_t channel);
void link_terminals_forget(struct link *l);  // the holder has ended
void link_terminals_write(const struct link *l, struct writer *w);
must_check enum err link_terminals_read(struct link *l, struct view bytes);

// keeper_signer.c: signatures with host keys, also with those that others hold
// SIGN of the gate; NULL, or why the link ends.
const char *link_sign(struct link *l, const struct ipc_sign *m);
// PROVE of the holder, which gets PROVED, now or later.
void link_prove(struct link *l, struct view blobs);
void link_signing_forget(struct link *l);                   // the link goes
void link_signing_move(struct link *l, struct link *from);  // its gate is l's now

// keeper_resume.c
bool keeper_resumes(const struct keeper *k);  // clients may come back
// The client comes to resume. NULL, or why the link must end.
const char *link_wants(struct link *l, const struct ipc_resume *m);
// Its login has succeeded: it gets the holder that it came for, or is told that it
// cannot.
const char *link_come_back(struct link *l);
// Its login, with a proof in place of a person. The judge hears what that stands for.
const char *link_resumption(struct link *l, const struct ipc_resumption *m);
void link_vouched(struct link *l, const struct ipc_vouched *m);
void link_resumable(struct link *l, const struct ipc_resumable *m);
void link_suspended(struct link *l, const struct ipc_suspended *m);
// It has no link from now on, which is said and counted.
void link_kept(struct link *l, const struct ipc_suspended *m);
void link_attached(struct link *l, const struct ipc_attached *m);
uint64_t link_grace_left(const struct link *l);  // seconds

// keeper_children.c
must_check enum err link_watch_judge(struct link *l);
must_check enum err link_watch_holder(struct link *l);
must_check enum err link_watch_exit(struct keeper_child *c, pid_t pid, int pidfd);
bool link_spawn_judge(struct link *l);
bool link_spawn_holder(struct link *l, const struct ipc_verdict *v);
bool link_adopt_holder(struct link *l);          // one that the judge made
void link_child_end(struct keeper_child *c);     // kills what still runs
void link_child_forget(struct keeper_child *c);  // lets it run; its end is still seen
