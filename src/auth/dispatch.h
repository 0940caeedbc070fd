// The only gate for messages of user authentication: which message, from whom, in which
// phases. A message without a row, or out of its row's phases, reaches no handler.
#pragma once

#include "auth/client.h"
#include "auth/server.h"

// Phases of the two machines; one list, so that one table can name them.
enum auth_phase {
    AUTH_PHASE_SERVER_SERVICE,   // nothing but SERVICE_REQUEST
    AUTH_PHASE_SERVER_READY,     // a request may come
    AUTH_PHASE_SERVER_ASKED,     // a question is open: requests wait
    AUTH_PHASE_SERVER_PROMPTED,  // INFO_REQUEST was sent
    AUTH_PHASE_SERVER_DONE,      // success was said
    AUTH_PHASE_SERVER_FAILED,    // the link is being cut
    AUTH_PHASE_CLIENT_START,     // nothing sent
    AUTH_PHASE_CLIENT_SERVICE,   // SERVICE_ACCEPT has to come first
    AUTH_PHASE_CLIENT_IDLE,      // nothing outstanding: our side is thinking
    AUTH_PHASE_CLIENT_NONE,      // outstanding: none
    AUTH_PHASE_CLIENT_QUERY,     // .. a key query
    AUTH_PHASE_CLIENT_SIGNED,    // .. a signed publickey request
    AUTH_PHASE_CLIENT_PASSWORD,  // .. password
    AUTH_PHASE_CLIENT_KBDINT,    // .. keyboard-interactive or responses to it
    AUTH_PHASE_CLIENT_HOSTBASED,
    AUTH_PHASE_CLIENT_RESUMPTION,
    AUTH_PHASE_CLIENT_DONE,
    AUTH_PHASE_CLIENT_FAILED,
    AUTH_PHASES
};

#define AUTH_IN(phase) (1u << AUTH_PHASE_##phase)

// flags
#define AUTH_QUEUES 1u   // waits while a question is open
#define AUTH_IGNORED 2u  // taken and thrown away (RFC 4252 s.5.1)

struct auth_row {
    uint8_t message;
    bool to_server;
    unsigned phases;  // AUTH_IN() bits
    unsigned flags;
    const char *handler_name;
    enum err (*server)(struct auth_server *a, struct view message);
    enum err (*client)(struct auth_client *a, struct view message);
};

const struct auth_row *auth_row_at(size_t index);  // NULL past the end
const struct auth_row *auth_row_find(uint8_t message, bool to_server,
                                     enum auth_phase phase);
const char *auth_phase_name(enum auth_phase phase);  // for log lines

// The handlers: each decodes the whole message, checks it, then acts.
enum err auth_server_on_service_request(struct auth_server *a, struct view message);
enum err auth_server_on_request(struct auth_server *a, struct view message);
enum err auth_server_on_responses(struct auth_server *a, struct view message);
enum err auth_client_on_service_accept(struct auth_client *a, struct view message);
enum err auth_client_on_failure(struct auth_client *a, struct view message);
enum err auth_client_on_success(struct auth_client *a, struct view message);
enum err auth_client_on_banner(struct auth_client *a, struct view message);
enum err auth_client_on_pk_ok(struct auth_client *a, struct view message);
enum err auth_client_on_change(struct auth_client *a, struct view message);
enum err auth_client_on_prompts(struct auth_client *a, struct view message);
