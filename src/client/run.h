// What one ssh does on its connection: its own session if it has one, those of passengers
// (mux_master.h), and all that is forwarded. run.c has the loop, run_start.c beginning
// and going to the background, run_end.c the end.
#pragma once

#include "client/carrier.h"
#include "client/client.h"
#include "client/forwards.h"
#include "client/mux_master.h"
#include "client/session.h"
#include "client/silence.h"
#include "connection/connection.h"

struct run {
    struct client *c;
    struct carrier carrier;  // of the connection's messages
    struct connection *connection;
    struct session *own;       // NULL: -N, or a master in the background
    struct session *sessions;  // all of them
    size_t sessions_n;
    struct forwards forwards;
    struct mux_master mux;
    struct run_keys *keys;  // that the server announced; NULL: none yet; owned
    struct redial *redial;  // the link is lost, or silent; NULL: it is not; owned
    struct silence silence;
    struct pollfd *polls;
    size_t polls_room;

    bool fork_due;     // -f: when all forwardings are there
    bool stalled;      // messages wait in the transport until our answers are taken
    bool done;         // leave the loop
    bool handed_over;  // another process has the connection now, and this one's answer is
                       // in exit_code
    int signal;        // that ends us; 0: none

    unsigned alive_sent;   // since anything was heard
    uint64_t alive_heard;  // link.heard when they began
};

// ---- run.c ----
// Control messages into the transport.
must_check enum err run_send_control(struct run *r);
// One wait, and all that there is to do behind it. Where the link alone ends and may be
// followed by another one, redial is set.
must_check enum err run_turn(struct run *r);
// Takes it out of the list and frees it.
void run_remove_session(struct run *r, struct session *s);

// ---- run_start.c ----
// With a connection and nothing else; NULL: no memory.
struct run *run_new(struct client *c);
// Asks for the own session, if there is to be one.
must_check enum err run_open_own(struct run *r);
must_check enum err run_start(struct run *r);
// What the socket of a link is to be like.
void run_tune(const struct run *r);
// -f: the rest happens in a child; this process is gone.
must_check enum err run_fork_away(struct run *r);

// ---- run_end.c ----
void run_end(struct run *r, enum err *e);

// ---- run_keys.c: host keys that the server announces ----
// *mine: nobody else has to see it.
must_check enum err run_keys_event(struct run *r, const struct connection_event *event,
                                   bool *mine);
// The session is over: is a proof to be waited for, and until when (CLOCK_NEVER: none
// is)? A host whose keys a token holds is not done as fast as a short command.
bool run_keys_due(struct run *r, uint64_t now);
uint64_t run_keys_deadline(const struct run *r);
void run_keys_free(struct run_keys *keys);

// ---- local_command.c ----
must_check enum err run_local_command(struct run *r);
// Runs a command by the user's shell and waits for it.
void local_command_run(struct client *c, const char *command);

// ---- keepalive.c ----
uint64_t run_alive_deadline(const struct run *r);
// A sign of life, in the way that this peer knows.
must_check enum err run_alive_ask(struct run *r);
// Asks for one where it is due; ERR_TIMEOUT when there were too many in vain.
must_check enum err run_alive_tick(struct run *r, uint64_t now);
// ERR_TIMEOUT, said in the fault.
must_check enum err run_alive_over(struct run *r);
