// The client's hostbased method (RFC 4252 s.9): one key of this host's after the other,
// each signed with at once, for there is no query.
#include <stdlib.h>

#include "auth/client_state.h"
#include "base/limits.h"

enum err auth_client_try_hosts(struct auth_client *a) {
    auth_client_ask(a, (struct auth_client_event){.kind = AUTH_CLIENT_NEED_HOST});
    return OK;
}

static struct hostbased_request request(const struct auth_client *a) {
    return (struct hostbased_request){
        .user = view_text(a->user),
        .service = view_text(a->service),
        .algorithm = view_text(a->algorithm->name),
        .blob = auth_message_view(a->blob),
        .host = view_text(a->host),
        .client_user = view_text(a->host_user),
    };
}

static enum err ask_signature(struct auth_client *a) {
    struct hostbased_request q = request(a);
    struct view session_id = auth_message_view(a->session_id);
    auth_message_free(a->signed_data);
    a->signed_data = auth_message_new(auth_client_key_room(a) + session_id.n + q.host.n +
                                      q.client_user.n);
    if (a->signed_data == NULL)
        return ERR_MEMORY;
    struct writer w =
        writer_to_span((struct span){a->signed_data->bytes, a->signed_data->room});
    hostbased_encode_signed(&w, session_id, &q);
    TRY(writer_end(&w));
    a->signed_data->n = w.n;
    auth_client_ask(
        a, (struct auth_client_event){.kind = AUTH_CLIENT_HOST_SIGN,
                                      .blob = q.blob,
                                      .algorithm = a->algorithm,
                                      .data = auth_message_view(a->signed_data)});
    return OK;
}

enum err auth_client_answer_host(struct auth_client *a, uint32_t ticket,
                                 const struct auth_host_identity *identity) {
    if (!auth_client_close_question(a, ticket, AUTH_CLIENT_NEED_HOST))
        return ERR_UNEXPECTED;
    if (identity == NULL || ++a->signatures > LIMIT_AUTH_SIGNATURES) {
        a->hosts_done = true;
        return auth_client_advance(a);
    }
    a->blob = auth_message_copy(identity->blob);
    a->host = strdup(identity->host);
    a->host_user = strdup(identity->user);
    if (a->blob == NULL || a->host == NULL || a->host_user == NULL)
        return ERR_MEMORY;
    a->algorithm = identity->algorithm;
    return ask_signature(a);
}

enum err auth_client_answer_host_sign(struct auth_client *a, uint32_t ticket,
                                      struct view signature_blob) {
    if (!auth_client_close_question(a, ticket, AUTH_CLIENT_HOST_SIGN))
        return ERR_UNEXPECTED;
    if (signature_blob.n == 0)
        return auth_client_advance(a);
    struct hostbased_request q = request(a);
    q.signature = signature_blob;
    return auth_client_send_hostbased(a, &q);
}
