// The holder: one login's connection, as the user: channels, programs, terminals. It is
// forked by the keeper on a judge's verdict, forgets the keeper's secrets, becomes the
// user and only then looks at what the gate sends.
#pragma once

#include "base/ends_class.h"
#include "conf/server_config.h"
#include "connection/connection.h"
#include "connection/pace.h"
#include "connection/resume.h"
#include "io/env.h"
#include "io/login_record.h"
#include "io/loop.h"
#include "io/process.h"
#include "io/pty.h"
#include "server/event_table.h"
#include "server/ipc.h"
#include "server/leavings.h"
#include "server/seam.h"

struct holder_start {
    int keeper, seam;                    // the holder's ends
    const struct server_config *config;  // without Match
    const struct ipc_verdict *verdict;
    const char *peer, *local;
    const char *host;  // the peer's name (UseDNS), or its address
    uint16_t peer_port, local_port;
    const char *domain;     // that the link's socket is bound to; "": none
    struct view host_keys;  // public blobs, strings
    bool as_root;           // the keeper is root: become the user
};

_Noreturn void holder_run(const struct holder_start *start);

// ---- inside the holder ----

struct carrier;

// One direction of output towards the peer: stdout, stderr, the terminal, or a socket.
struct stream {
    struct carrier *carrier;
    struct loop_watch watch;
    int fd;             // -1: none, or at its end
    uint32_t extended;  // 0, or SSH_EXTENDED_DATA_STDERR
    bool bulk;          // goes by the ring
    uint8_t tunnel;     // enum tun_mode: fd is such a device; 0: it is not
    uint8_t small_reads;
};

#define HOLDER_PIPE_SIZE (1024 * 1024)  // of a program's pipe while it carries bulk

// What becomes of a channel's events. `request` may be NULL: none is known.
struct carrier_ops {
    // What one of its streams gave, as it passes; and whether it may be read where no
    // channel takes it. Or NULL.
    void (*seen)(struct carrier *c, struct view data);
    bool (*room)(struct carrier *c);
    bool (*request)(struct carrier *c, struct view name, struct view fields);
    void (*opened)(struct carrier *c, bool confirmed);  // a channel that we opened
    void (*output_ended)(struct carrier *c);            // one of its streams
    void (*input_ended)(struct carrier *c);  // the peer's EOF, behind all that it sent
    void (*hang_up)(struct carrier *c);      // the channel ends, also by the peer
};

// A channel as the holder sees it: what sessions and forwarded sockets have in common;
// their first member.
struct carrier {
    const struct carrier_ops *ops;
    struct holder *holder;
    uint32_t channel;
    bool open;         // false: not yet, or not any more, a channel that takes data
    bool input_ready;  // else the window holds what comes
    bool input_eof;
    bool input_wide;  // its pipe was made larger
    bool alone;       // it has no channel any more: what is read is only seen
    bool at_end;      // what cannot be read at once is not waited for
    int input;        // for what the peer sends; -1: none
    // Takes what the peer sends in place of a descriptor; NULL: none. How much it took.
    size_t (*take)(struct carrier *c, struct view data);
    struct stream *duplex;  // its descriptor takes the input instead; or NULL
    struct loop_watch input_watch;
    struct buf waiting;            // for the input, bounded by the window
    struct pace pace;              // of its bulk, while a session has a terminal
    uint64_t used_at, timeout;     // ChannelTimeout: ms, 0 none
    uint64_t bytes_in, bytes_out;  // from and to the peer
};

enum {
    STREAM_OUT,
    STREAM_ERR,
    STREAM_COUNT
};

// A program's own ends of its pipes, and ours.
struct program_ends {
    int in, out, err;
    int our_in, our_out, our_err;
};

// A program that waits for what runs before it (~/.ssh/rc, xauth).
struct program_launch {
    struct env env;
    struct program_ends ends;
    char *command;  // owned; NULL: a login shell
    bool internal;  // the command is internal-sftp: served by a fork of ours
    struct loop_child before;
};

struct session_x11 {
    struct forward_listener *listener;  // NULL: none
    bool single;
    uint32_t screen, display;
    char protocol[64], cookie[256];
};

struct session {
    struct carrier c;
    struct session *next;
    bool started, exited, eof_sent, dropped;
    bool with_pty, subsystem, told;  // told: the keeper knows that it was opened
    struct pty pty;
    char term[64];
    struct env accepted;  // by AcceptEnv
    struct process process;
    struct loop_child exit;
    int status;
    struct stream streams[STREAM_COUNT];
    struct program_launch *launch;  // NULL: started, or nothing asked for
    struct session_x11 x11;
    struct holder_sftp *sftp;  // internal-sftp, served here; NULL: none
    // Of one with a terminal, see holder_view.h
    struct terminal_kept *kept;  // NULL: nobody can leave it
    char asked_name[64];         // by the client; "": none
    bool claimed;                // it was asked for
    int relay;                   // to a session of another holder's that is to be shown
    bool relayed;                // which is shown now
};

struct holder_attempt;

#define HOLDER_STOPS 3  // signals that end it

struct holder {
    const struct holder_start *start;
    struct server_config config;  // with Match applied
    char user[LIMIT_USER_NAME + 1];
    const char *home, *shell, *forced_command;  // forced NULL: none
    struct log log;
    struct ipc_log_sink log_sink;
    struct loop loop;
    struct loop_signal stops[HOLDER_STOPS], hang_up;
    struct process_limit files;  // what programs get: the system's, or PAM's
    struct ipc_side keeper_side;
    struct loop_watch keeper_watch, seam_watch;
    struct seam seam;
    struct connection *connection;
    bool bowline_peer;
    bool over;  // why it ends is known
    enum ends_class over_class;
    char over_text[FAULT_TEXT_SIZE];
    bool any_started, timed_out;  // programs; a channel, by ChannelTimeout
    bool no_more_sessions, blocked, ring_wait, ending;
    size_t ring_least;  // room that is waited for, with ring_wait
    bool again;         // something was left undone in favour of the others: do not sleep
    struct sftp_prepared *sftp;  // what internal-sftp has to have from outside a chroot
    bool proving;                // the keeper signs for the peer's oldest global request
    bool terminal;               // a session has one
    bool pace_wait;              // a stream is held back by its pace
    struct session *sessions;
    struct forward *forwards;
    struct forward_listener *listeners;
    size_t lookups;                         // helpers that run
    struct conf_list key_open, key_listen;  // permitopen=, permitlisten=; empty: any
    char *auth_info;                        // path of ExposeAuthInfo's file; NULL: none
    bool message_told;                      // the verdict's
    int64_t last_at;                        // of the login before; 0: none is told
    char last_host[LOGIN_RECORD_HOST];
    char tunnels[128];  // names of devices, for programs; "": none
    struct leavings leavings;
    char agent_path[LEAVING_NAME + 32];  // of its socket; "": no agent is forwarded
    uint64_t unused_at, used_at;         // no channel since; data last went
    struct buf unsent;                   // one message that the seam had no room for
    // resume-v1@bowline, see holder_link.h
    struct resume resume;
    uint8_t exporter[RESUME_SECRET];
    bool has_exporter, spoken;        // spoken: the peer's first message has come
    bool linked;                      // there is a link, and `seam` to its gate
    bool deaf;                        // which takes nothing any more
    bool broken;                      // and is to be let go of
    uint64_t suspended_at, grace_at;  // clock_boot_ms(), without a link
    struct holder_attempt *attempts;  // clients that come back
    uint64_t bytes_in, bytes_out;     // of links before
    uint64_t confirm_at;              // ACK
    uint64_t now, heard_at, probe_at, busy_at;
    bool idle_done;
    uint32_t probes;       // unanswered
    uint32_t events_lost;  // that the keeper had no room for
    // Sessions that are kept, see holder_view.h
    bool held;        // without a link, for them alone
    bool may_keep;    // the keeper says so
    bool claiming;    // a name, by the session of that channel: the peer waits
    bool claim_owed;  // .. for a reply
    uint32_t claim_channel, named;
    uint64_t claim_until;
    char id[48];  // of the connection
};

// Control messages to the gate, in order, while it takes them.
void holder_flush(struct holder *h);
void holder_on_seam(void *arg, uint32_t ready);
// Ends the connection, telling the peer why.
void holder_end(struct holder *h, uint32_t reason, const char *text);  // an error's
// The same, where it is none: a client of ours reads the class before the text.
void holder_end_as(struct holder *h, enum ends_class class, const char *text);
// holder_ends.c: why it ends, for the keeper. The first one counts.
void holder_over(struct holder *h, enum ends_class class, const char *text);
// Its client is gone: with what words (reason: of DISCONNECT, 0: without any).
void holder_client_gone(struct holder *h, uint32_t reason, struct view text);
void holder_over_tell(struct holder *h);  // that was all
// holder_info.c: the file of ExposeAuthInfo, made when first asked for; NULL: none.
const char *holder_auth_info(struct holder *h);
void holder_auth_info_remove(struct holder *h);

void holder_status(struct holder *h, const char *tty);
// An event for the keeper, as far as it wants to know; e->event is filled in.
void holder_tell(struct holder *h, enum event_number number, struct ipc_event *e);

// holder_input.c: what the peer sends on a channel
void carrier_init(struct carrier *c, struct holder *h, uint32_t channel,
                  const struct carrier_ops *ops);
void carrier_drop(struct carrier *c);  // closes and frees what is in it, not the channel
void carrier_input(struct carrier *c, struct view data);
void carrier_input_eof(struct carrier *c);
void carrier_flush_input(struct carrier *c);
void carrier_close_input(struct carrier *c);
must_check bool carrier_watch_input(struct carrier *c, int fd);
void carrier_eof(struct carrier *c);    // our EOF
void carrier_close(struct carrier *c);  // ours; the peer's is waited for by nobody

// holder_timeout.c: ChannelTimeout, UnusedConnectionTimeout
void carrier_set_timeout(struct carrier *c, const char *type);
void carrier_used(struct carrier *c);
void holder_check_timeouts(struct holder *h);
uint64_t holder_timeout_deadline(const struct holder *h);

// holder_chroot.c: ChrootDirectory, as root. ERR_REFUSED: somebody else could change it.
must_check enum err holder_chroot(struct holder *h, struct fault *fault);

// holder_session.c: one "session" channel (RFC 4254 s.6)
void session_open(struct holder *h, uint32_t channel);
// Ends the channel once the program has ended and its output is sent.
void session_try_end(struct session *s);
void session_program_ended(struct session *s, int status);
void session_hang_up(struct session *s);
void session_told_end(struct session *s);  // to the keeper, once
// Those that are open, or whose program runs on although the peer has closed:
// MaxSessions.
uint32_t session_count(const struct holder *h);
// Frees those of which nothing is left.
void session_sweep(struct holder *h);

// holder_program.c: starting what was asked for
enum program_kind {
    PROGRAM_SHELL,
    PROGRAM_EXEC,
    PROGRAM_SUBSYSTEM
};
bool session_start(struct session *s, enum program_kind kind, struct view command);
// Starts what waits in s->launch, and drops that.
void session_launch(struct session *s);
void session_launch_drop(struct session *s);

// holder_sftp.c: internal-sftp, by a process of its own or here
// Before a chroot, where one is configured.
void sftp_prepare(struct holder *h);
// Is this command ours to serve?
bool sftp_is_internal(const char *command);
// Serves it in this process, where that holds nobody up. *here false: it does not.
bool sftp_serve_here(struct session *s, const char *command, bool *here);
// In a child: serves it on standard input and output.
_Noreturn void sftp_serve_child(struct holder *h, const char *command);
void sftp_update(struct session *s);  // once in each turn of the loop
uint64_t sftp_deadline(const struct session *s);
void sftp_end(struct session *s);  // also of a session that has none

// holder_rc.c: ~/.ssh/rc, /etc/ssh/sshrc, xauth. True: one runs, and session_launch()
// follows.
bool session_prelude(struct session *s);
// Does any of that run for this session?
bool session_has_prelude(const struct session *s);

// holder_stream.c: program's output to the peer
// Bulk beside a terminal goes at a pace: bytes that may go now (0: not before an answer);
// n went.
uint64_t carrier_bulk_room(struct carrier *c);
void carrier_bulk_sent(struct carrier *c, size_t n);
void stream_open(struct stream *t, int fd);
void stream_close(struct stream *t);
// Reads while there is something and the peer has room: to be called after the program's
// end.
void stream_drain(struct stream *t);
// What the stream and the input wait for now; before each wait of the loop.
void stream_update(struct stream *t);
// The peer has answered a probe behind this carrier's bulk.
void stream_answered(struct carrier *c);

// holder_environment.c: pure
struct program_facts {
    const char *user, *home, *shell, *peer, *local, *tty, *term, *original_command,
        *timezone;
    const char *system_text;  // of /etc/environment; may be NULL
    const char *user_text;    // of ~/.ssh/environment, where permitted; may be NULL
    uint32_t uid;
    bool mail;  // MAIL is ours to set: with PAM it is pam_mail's
    uint16_t peer_port, local_port;
    const struct env *accepted;
    struct view key_environment;  // strings NAME=value, where permitted
    const char *user_names;       // PermitUserEnvironment's patterns; NULL: all
    const char *display;          // X11; NULL: none
    const char *agent_socket;     // NULL: none
    const char *tunnels;          // names of devices; NULL: none
    const struct conf_list *set_env;
    struct view pam_environment;  // strings NAME=value
    const char *auth_info;        // path of ExposeAuthInfo's file; NULL: none
    const char *control;          // folder of control sockets (server/control.h); or NULL
};
must_check enum err program_environment(struct env *e, const struct program_facts *f);
// May the peer set this variable?
bool program_env_accepted(const struct conf_list *accept, const char *name);
// argv for the shell: login shell "-sh" when command is NULL, else "sh -c command".
struct program_argv {
    char name[256];
    char *v[4];
};
void program_argv(struct program_argv *a, const char *shell, const char *command);
