// ssh-agent: what its files share. ssh-agent.c (life), agent_options.c (command line),
// agent_socket.c (where it listens), agent_serve.c (connections), agent_questions.c (what
// the agent cannot do itself).
#pragma once

#include <limits.h>

#include "agent/server.h"
#include "base/log.h"
#include "io/log_sink.h"
#include "io/loop.h"
#include "io/process.h"

// Connections at a time; further ones wait in the socket's queue.
#define AGENT_CLIENTS_MAX 512

enum agent_mode {
    AGENT_DAEMON,
    AGENT_FOREGROUND,  // -D
    AGENT_DEBUG,       // -d
    AGENT_COMMAND,     // until the command ends
    AGENT_KILL,        // -k
    AGENT_CLEAN,       // -u
    AGENT_VERSION,     // -V
};

struct agent_settings {
    enum agent_mode mode;
    bool csh;
    const char *address;    // -a
    const char *providers;  // -P: patterns of libraries that may be loaded
    struct agent_options rules;
    bool in_tmp;           // -T
    bool keep_stale;       // -U
    bool clean_all_hosts;  // -uu
    char *const *command;
};

struct agent_socket {
    int fd;
    char path[PATH_MAX];    // empty: given by systemd
    char folder[PATH_MAX];  // made for it, to be removed with it; may be empty
    pid_t owner;            // who removes them
};

struct agent_program {
    struct agent_settings settings;
    struct log log;
    struct log_sink sink;
    struct agent_server server;
    struct agent_socket socket;
    struct loop loop;
    struct loop_watch accept_watch;
    struct loop_timer expiry;
    struct loop_signal signals[4];
    struct loop_watch parent_watch;
    int parent;  // pidfd of the command; -1: none
    struct agent_conn *conns;
    size_t conns_n;
    int status;
};

// ---- agent_options.c: what went wrong is said; exit status, or -1: go on ----
int agent_options(struct agent_settings *s, int argc, char **argv);

// ---- agent_socket.c ----
// A socket given by systemd, -a's, or a new name in ~/.ssh/agent.
must_check enum err agent_socket_open(struct agent_program *p, struct fault *f);
// Removes it, in the process that owns it.
void agent_socket_remove(struct agent_socket *s);
// Removes sockets in ~/.ssh/agent that nobody listens on; of this host, or of all.
void agent_socket_clean(bool all_hosts);

// ---- agent_serve.c ----
// Until a signal or the command's end.
must_check enum err agent_serve(struct agent_program *p);

struct agent_conn {
    struct agent_program *program;
    struct agent_conn *next, **link;
    struct agent_client client;
    int fd;
    struct loop_watch watch;
    struct buf in, out;
    bool asking;  // a question is open
    struct agent_question question;

    struct loop_timer timer;  // WANT_TIME
    struct loop_child child;  // an askpass or helper
    struct process process;
    int pipe;  // what it says; -1: none
    struct loop_watch pipe_watch;
    struct buf said;
    char path[PATH_MAX];          // of the library that is being asked
    struct agent_notice *notice;  // that a touch is waited for; NULL: none is shown
    bool pin_asked;               // for the security key that is to sign
};
// The answer to what was asked.
void agent_conn_reply(struct agent_conn *c, const struct agent_reply *reply);

// ---- agent_questions.c ----
// Starts to find out; agent_conn_reply() is called now or later.
void agent_question_start(struct agent_conn *c);
// Gives up: the connection is gone.
void agent_question_drop(struct agent_conn *c);
