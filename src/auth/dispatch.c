// The dispatch table of user authentication (RFC 4252, RFC 4253 s.10).
#include "auth/dispatch.h"

static const char *const phase_names[AUTH_PHASES] = {
    [AUTH_PHASE_SERVER_SERVICE] = "service request awaited",
    [AUTH_PHASE_SERVER_READY] = "authentication request awaited",
    [AUTH_PHASE_SERVER_ASKED] = "authentication request being judged",
    [AUTH_PHASE_SERVER_PROMPTED] = "response awaited",
    [AUTH_PHASE_SERVER_DONE] = "authenticated",
    [AUTH_PHASE_SERVER_FAILED] = "authentication failed",
    [AUTH_PHASE_CLIENT_START] = "before authentication",
    [AUTH_PHASE_CLIENT_SERVICE] = "service accept awaited",
    [AUTH_PHASE_CLIENT_IDLE] = "nothing asked",
    [AUTH_PHASE_CLIENT_NONE] = "answer to none awaited",
    [AUTH_PHASE_CLIENT_QUERY] = "answer to a key query awaited",
    [AUTH_PHASE_CLIENT_SIGNED] = "answer to a signature awaited",
    [AUTH_PHASE_CLIENT_PASSWORD] = "answer to a password awaited",
    [AUTH_PHASE_CLIENT_KBDINT] = "answer to keyboard-interactive awaited",
    [AUTH_PHASE_CLIENT_HOSTBASED] = "answer to hostbased awaited",
    [AUTH_PHASE_CLIENT_RESUMPTION] = "answer to resume-v1@bowline awaited",
    [AUTH_PHASE_CLIENT_DONE] = "authenticated",
    [AUTH_PHASE_CLIENT_FAILED] = "authentication failed",
};

#define OUTSTANDING                                                                      \
    (AUTH_IN(CLIENT_NONE) | AUTH_IN(CLIENT_QUERY) | AUTH_IN(CLIENT_SIGNED) |             \
     AUTH_IN(CLIENT_PASSWORD) | AUTH_IN(CLIENT_KBDINT) | AUTH_IN(CLIENT_HOSTBASED) |     \
     AUTH_IN(CLIENT_RESUMPTION))
// A query asks for no success, so none is taken.
#define CAN_SUCCEED (OUTSTANDING & ~AUTH_IN(CLIENT_QUERY))

#define SERVER(message, phases, flags, handler)                                          \
    { SSH_MSG_##message, true, phases, flags, #handler, handler, NULL }
#define CLIENT(message, phases, flags, handler)                                          \
    { SSH_MSG_##message, false, phases, flags, #handler, NULL, handler }

static const struct auth_row rows[] = {
    SERVER(SERVICE_REQUEST, AUTH_IN(SERVER_SERVICE) | AUTH_IN(SERVER_READY), 0,
           auth_server_on_service_request),
    SERVER(SERVICE_REQUEST, AUTH_IN(SERVER_ASKED), AUTH_QUEUES,
           auth_server_on_service_request),
    // RFC 4252 s.5.1: a request while prompts are out gives those up.
    SERVER(USERAUTH_REQUEST, AUTH_IN(SERVER_READY) | AUTH_IN(SERVER_PROMPTED), 0,
           auth_server_on_request),
    SERVER(USERAUTH_REQUEST, AUTH_IN(SERVER_ASKED), AUTH_QUEUES, auth_server_on_request),
    SERVER(USERAUTH_REQUEST, AUTH_IN(SERVER_DONE) | AUTH_IN(SERVER_FAILED), AUTH_IGNORED,
           auth_server_on_request),
    SERVER(USERAUTH_INFO_RESPONSE, AUTH_IN(SERVER_PROMPTED), 0, auth_server_on_responses),

    CLIENT(SERVICE_ACCEPT, AUTH_IN(CLIENT_SERVICE), 0, auth_client_on_service_accept),
    CLIENT(USERAUTH_FAILURE, OUTSTANDING, 0, auth_client_on_failure),
    CLIENT(USERAUTH_SUCCESS, CAN_SUCCEED, 0, auth_client_on_success),
    CLIENT(USERAUTH_BANNER, OUTSTANDING | AUTH_IN(CLIENT_IDLE), 0, auth_client_on_banner),
    // Message 60 means what was asked.
    CLIENT(USERAUTH_PK_OK, AUTH_IN(CLIENT_QUERY), 0, auth_client_on_pk_ok),
    CLIENT(USERAUTH_PK_OK, AUTH_IN(CLIENT_PASSWORD), 0, auth_client_on_change),
    CLIENT(USERAUTH_PK_OK, AUTH_IN(CLIENT_KBDINT), 0, auth_client_on_prompts),
};

const struct auth_row *auth_row_at(size_t index) {
    return index < sizeof rows / sizeof rows[0] ? &rows[index] : NULL;
}

const struct auth_row *auth_row_find(uint8_t message, bool to_server,
                                     enum auth_phase phase) {
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct auth_row *row = &rows[i];
        if (row->message == message && row->to_server == to_server &&
            (row->phases & 1u << phase) != 0)
            return row;
    }
    return NULL;
}

const char *auth_phase_name(enum auth_phase phase) {
    return phase_names[phase];
}
