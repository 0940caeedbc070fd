// An SFTP session over the pipes of a program (ssh): the client engine with waiting.
//
// What ends the session (the program ended, the server broke the protocol) is told once,
// by remote_lost(); from then on every call has SFTP_CONNECTION_LOST for a status.
#pragma once

#include "sftp/client.h"
#include "sftp/transfer.h"
#include "transfer/meter.h"
#include "transfer/program.h"
#include "transfer/throttle.h"

struct ahead;

struct remote {
    struct sftp_client *client;
    struct program program;
    struct buf input;
    struct throttle *throttle;  // NULL: none
    struct ahead *ahead;        // transfer/ahead.h: owned; NULL: nothing was asked
    struct meter *meter;        // told of time passing; NULL: none
    bool lost, wide_in, wide_out;
    bool whole;  // data comes in whole answers
    struct fault fault;
};

// Starts the program and greets the server. On failure nothing is left.
must_check enum err remote_open(struct remote *r, const char *path,
                                const struct words *argv,
                                const struct sftp_client_config *config, struct fault *f);
// The program's exit status; -1: killed.
int remote_close(struct remote *r);

// Moves bytes once, waiting if there is nothing to move, and takes at most one reply
// (kind NONE: there was none). A signal ends the wait. False: the session is lost.
bool remote_turn(struct remote *r, struct sftp_reply *reply);
// Takes a reply that is there already, without moving bytes.
bool remote_ready(struct remote *r, struct sftp_reply *reply);
// For whoever waits for two sessions: moves what can be moved without waiting; `in`: also
// from the server, as far as there is room.
bool remote_move(struct remote *r, bool in);
bool remote_wants_in(const struct remote *r);
bool remote_wants_out(const struct remote *r);

// Asks and waits for the reply, which is valid until the next call. The status: SFTP_OK
// for replies that are none. Replies to others that come meanwhile are dropped.
uint32_t remote_call(struct remote *r, enum sftp_operation_id op,
                     const union sftp_request *request, struct sftp_reply *reply);
// Asks without waiting. 0: could not be asked (the session is lost, or has no such
// operation).
uint32_t remote_ask(struct remote *r, enum sftp_operation_id op,
                    const union sftp_request *request);
// Waits for several; a ticket of 0 has SFTP_OK. The first that failed, else SFTP_OK.
uint32_t remote_wait_all(struct remote *r, const uint32_t *tickets, size_t n);

// Notes that the session is lost. Always false.
bool remote_lost(struct remote *r, const struct fault *why);
