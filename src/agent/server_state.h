// What the files of the agent's machine share: server.c (dispatch, lists, locks),
// server_add.c, server_bind.c, server_sign.c.
#pragma once

#include "agent/server.h"

// One look at a request.
struct agent_turn {
    struct agent_client *client;
    struct agent_server *server;
    struct view message;
    struct agent_now now;
    const struct agent_reply *reply;  // NULL: the first look
    struct writer answer;
    struct agent_question *question;
    struct fault *fault;
};

// Handlers write an answer or ask; an error becomes AGENT_FAILURE.
enum err agent_add(struct agent_turn *t);
enum err agent_add_smartcard(struct agent_turn *t);
enum err agent_remove_smartcard(struct agent_turn *t);
enum err agent_sign_request(struct agent_turn *t);
enum err agent_session_bind(struct agent_turn *t, struct view contents);

// May this connection see the key?
bool agent_sees(const struct agent_client *c, const struct agent_key *k,
                const char *user);

static inline enum err agent_succeeds(struct agent_turn *t) {
    agent_encode(&t->answer, AGENT_SUCCESS, &(struct agent_empty){0});
    return OK;
}
static inline enum err agent_asks(struct agent_turn *t, enum agent_want want) {
    t->question->want = want;
    return OK;
}
