// The messages of the client's machine (RFC 4252, RFC 4256).
#include "auth/client_state.h"

// ---- out ----

#define BEGIN_MESSAGE(m, w, size)                                                        \
    struct auth_message *m = auth_message_new(size);                                     \
    if (m == NULL)                                                                       \
        return ERR_MEMORY;                                                               \
    struct writer w = writer_to_span((struct span){m->bytes, m->room})

static size_t head_room(const struct auth_client *a) {
    return strlen(a->user) + strlen(a->service) + 128;
}

enum err auth_client_send_service_request(struct auth_client *a) {
    struct msg_service s = {.name = view_text("ssh-userauth")};
    BEGIN_MESSAGE(m, w, 64);
    message_encode(&w, SSH_MSG_SERVICE_REQUEST, &s);
    return auth_queue_written(&a->out, m, &w);
}

enum err auth_client_send_none(struct auth_client *a) {
    struct msg_userauth_request q = {.user = view_text(a->user),
                                     .service = view_text(a->service),
                                     .method = view_text("none")};
    BEGIN_MESSAGE(m, w, head_room(a));
    message_encode(&w, SSH_MSG_USERAUTH_REQUEST, &q);
    TRY(auth_queue_written(&a->out, m, &w));
    a->none_done = true;
    a->outstanding = AUTH_PHASE_CLIENT_NONE;
    return OK;
}

struct publickey_request auth_client_key_request(const struct auth_client *a) {
    return (struct publickey_request){
        .user = view_text(a->user),
        .service = view_text(a->service),
        .algorithm = view_text(a->algorithm->name),
        .blob = auth_message_view(a->blob),
        .hostbound = a->hostbound,
        .host_key = a->hostbound ? auth_message_view(a->host_key) : (struct view){0},
    };
}

size_t auth_client_key_room(const struct auth_client *a) {
    return head_room(a) + a->blob->n + a->host_key->n + 64;
}

enum err auth_client_send_key(struct auth_client *a, struct view signature) {
    struct publickey_request q = auth_client_key_request(a);
    q.has_signature = signature.n > 0;
    q.signature = signature;
    BEGIN_MESSAGE(m, w, auth_client_key_room(a) + signature.n);
    publickey_encode(&w, &q);
    TRY(auth_queue_written(&a->out, m, &w));
    a->query = !q.has_signature;
    a->outstanding = q.has_signature ? AUTH_PHASE_CLIENT_SIGNED : AUTH_PHASE_CLIENT_QUERY;
    return OK;
}

enum err auth_client_send_kbdint(struct auth_client *a) {
    BEGIN_MESSAGE(m, w, head_room(a) + strlen(a->devices));
    kbdint_encode_request(&w, view_text(a->user), view_text(a->service),
                          view_text(a->devices));
    TRY(auth_queue_written(&a->out, m, &w));
    a->kbdint_prompted = false;
    a->outstanding = AUTH_PHASE_CLIENT_KBDINT;
    return OK;
}

enum err auth_client_send_password(struct auth_client *a, struct password_request *q) {
    q->user = view_text(a->user);
    q->service = view_text(a->service);
    BEGIN_MESSAGE(m, w, head_room(a) + q->password.n + q->new_password.n);
    password_encode(&w, q);
    TRY(auth_queue_written(&a->out, m, &w));
    a->outstanding = AUTH_PHASE_CLIENT_PASSWORD;
    return OK;
}

enum err auth_client_send_hostbased(struct auth_client *a,
                                    const struct hostbased_request *q) {
    BEGIN_MESSAGE(
        m, w, head_room(a) + q->blob.n + q->host.n + q->client_user.n + q->signature.n);
    hostbased_encode(&w, q);
    TRY(auth_queue_written(&a->out, m, &w));
    a->outstanding = AUTH_PHASE_CLIENT_HOSTBASED;
    return OK;
}

enum err auth_client_send_resumption(struct auth_client *a) {
    struct resumption_request q = {a->resumption_epoch, auth_message_view(a->resumption)};
    BEGIN_MESSAGE(m, w, head_room(a) + q.proof.n);
    resumption_encode(&w, view_text(a->user), view_text(a->service), &q);
    TRY(auth_queue_written(&a->out, m, &w));
    auth_message_free(a->resumption);
    a->resumption = NULL;
    a->outstanding = AUTH_PHASE_CLIENT_RESUMPTION;
    return OK;
}

enum err auth_client_send_responses(struct auth_client *a,
                                    const struct kbdint_responses *r) {
    size_t room = 16;
    for (uint32_t i = 0; i < r->count; i++)
        room += r->responses[i].n + 4;
    BEGIN_MESSAGE(m, w, room);
    kbdint_encode_responses(&w, r);
    TRY(auth_queue_written(&a->out, m, &w));
    a->outstanding = AUTH_PHASE_CLIENT_KBDINT;
    return OK;
}

struct view auth_client_out(struct auth_client *a) {
    return auth_message_view(a->out.first);
}

void auth_client_out_done(struct auth_client *a) {
    auth_message_free(auth_queue_pop(&a->out));
}
