// The holder: one login's connection, as the user: channels, programs, terminals. It is
// forked by the keeper on a judge's verdict, forgets the keeper's secrets, becomes the
// user and only then looks at what the gate sends.
#pragma once

#include "conf/server_config.h"
#include "connection/connection.h"
#include "io/env.h"
#include "io/loop.h"
#include "io/process.h"
#include "io/pty.h"
#include "server/ipc.h"
#include "server/seam.h"

struct holder_start {
    int keeper, seam;                    // the holder's ends
    const struct server_config *config;  // without Match
    const struct ipc_verdict *verdict;
    const char *peer, *local;
    uint16_t peer_port, local_port;
    bool as_root;  // the keeper is root: become the user
};

_Noreturn void holder_run(const struct holder_start *start);

// ---- inside the holder ----

struct session;

// One direction of output of a session's program: stdout, stderr, or the terminal.
struct stream {
    struct session *session;
    struct loop_watch watch;
    int fd;             // -1: none, or at its end
    uint32_t extended;  // 0, or SSH_EXTENDED_DATA_STDERR
    bool bulk;          // goes by the ring
    uint8_t small_reads;
};

enum {
    STREAM_OUT,
    STREAM_ERR,
    STREAM_COUNT
};

struct session {
    struct session *next;
    struct holder *holder;
    uint32_t channel;
    bool channel_open;  // false: the peer is gone, only the program is waited for
    bool started, exited, eof_sent, input_eof, dropped;
    bool with_pty;
    struct pty pty;
    char term[64];
    struct env accepted;  // by AcceptEnv
    struct process process;
    struct loop_child exit;
    int status;
    struct stream streams[STREAM_COUNT];
    int input;  // the pipe to stdin; -1: none (a terminal is streams[STREAM_OUT].fd)
    struct loop_watch input_watch;
    struct buf waiting;  // for stdin, bounded by the window
};

struct holder {
    const struct holder_start *start;
    struct server_config config;  // with Match applied
    char user[LIMIT_USER_NAME + 1];
    const char *home, *shell, *forced_command;  // forced NULL: none
    struct log log;
    struct ipc_log_sink log_sink;
    struct loop loop;
    struct ipc_side keeper_side;
    struct loop_watch keeper_watch, seam_watch;
    struct seam seam;
    struct connection *connection;
    bool no_more_sessions, blocked, ring_wait, ending;
    struct session *sessions;
    struct buf unsent;  // one message that the seam had no room for
    uint64_t now, heard_at, probe_at, busy_at;
    bool idle_done;
    uint32_t probes;  // unanswered
};

// Ends the connection, telling the peer why.
void holder_end(struct holder *h, uint32_t reason, const char *text);
void holder_status(struct holder *h, const char *tty);

// holder_session.c: one "session" channel (RFC 4254 s.6)
void session_open(struct holder *h, uint32_t channel);
// One request; true: success.
bool session_request(struct session *s, struct view name, struct view fields);
void session_input(struct session *s, struct view data);
void session_input_eof(struct session *s);
void session_flush_input(struct session *s);
void session_hang_up(struct session *s);  // the peer closed the channel
// Ends the channel once the program has ended and its output is sent.
void session_try_end(struct session *s);
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

// holder_stream.c: program's output to the peer
void stream_open(struct stream *t, int fd);
void stream_close(struct stream *t);
// Reads while there is something and the peer has room: to be called after the program's
// end.
void stream_drain(struct stream *t);
// What each stream and stdin wait for now; before each wait of the loop.
void streams_update(struct holder *h);
bool holder_send_unsent(struct holder *h);

// holder_environment.c: pure
struct program_facts {
    const char *user, *home, *shell, *peer, *local, *tty, *term, *original_command,
        *timezone;
    const char *system_text;  // of /etc/environment; may be NULL
    const char *user_text;    // of ~/.ssh/environment, where permitted; may be NULL
    uint32_t uid;
    uint16_t peer_port, local_port;
    const struct env *accepted;
    struct view key_environment;  // strings NAME=value, where permitted
    const struct conf_list *set_env;
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
