// The server machine's state, shared by its files: server.c (requests and questions) and
// server_answer.c (what comes back).
#pragma once

#include "auth/dispatch.h"
#include "auth/queue.h"
#include "auth/server.h"
#include "base/limits.h"

#define METHODS_SIZE 256

struct auth_server_method;

struct auth_server {
    struct auth_message *session_id, *host_key, *banner;
    char *algorithms;
    char methods[METHODS_SIZE];
    unsigned max_tries;

    enum auth_phase phase;
    uint8_t user[LIMIT_USER_NAME];
    size_t user_len;
    bool user_given, user_answered, banner_sent;
    unsigned requests, failures, queries, changes;

    struct auth_queue in, out;
    struct auth_message *current;      // the request being judged
    struct auth_message *signed_data;  // of it
    struct msg_userauth_request
        request;  // views into current, or into the kept first one
    const struct auth_server_method *method;

    uint32_t ticket;                 // of the open question
    bool untold;                     // event is to be told
    struct auth_server_event event;  // the open question, or the end
    struct fault fault;
};

// A method: one row.
struct auth_server_method {
    const char *name;    // in requests
    const char *listed;  // in lists of methods that can continue; NULL: never listed
    enum err (*start)(struct auth_server *a);
};

// What the open question belongs to is over.
void auth_server_drop_current(struct auth_server *a);
// The banner goes before the first answer to a request, once (RFC 4252 s.5.4).
must_check enum err auth_server_say_banner(struct auth_server *a);
must_check enum err auth_server_say_failure(struct auth_server *a, bool partial);
must_check enum err auth_server_refuse(struct auth_server *a);
// The request in hand is given to its method.
must_check enum err auth_server_judge(struct auth_server *a);
