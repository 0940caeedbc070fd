// Formats of the publickey method (RFC 4252 s.7) and of its hostbound form.
#include "auth/publickey.h"

enum err publickey_decode(const struct msg_userauth_request *m,
                          struct publickey_request *out, struct fault *fault) {
    *out = (struct publickey_request){0};
    struct publickey_request q = {
        .user = m->user,
        .service = m->service,
        .hostbound = view_is(m->method, PUBLICKEY_METHOD_HOSTBOUND),
    };
    struct reader r = reader_of(m->fields);
    q.has_signature = read_bool(&r);
    q.algorithm = read_text(&r);
    q.blob = read_string(&r);
    if (q.hostbound)
        q.host_key = read_string(&r);
    if (q.has_signature)
        q.signature = read_string(&r);
    enum err e = reader_end(&r);
    if (e != OK)
        return fault_set(fault, e, SSH_MSG_USERAUTH_REQUEST, "publickey request: %s",
                         err_text(e));
    *out = q;
    return OK;
}

static void encode_request(struct writer *w, const struct publickey_request *q,
                           bool has_signature) {
    write_u8(w, SSH_MSG_USERAUTH_REQUEST);
    write_string(w, q->user);
    write_string(w, q->service);
    write_text(w, q->hostbound ? PUBLICKEY_METHOD_HOSTBOUND : PUBLICKEY_METHOD);
    write_bool(w, has_signature);
    write_string(w, q->algorithm);
    write_string(w, q->blob);
    if (q->hostbound)
        write_string(w, q->host_key);
}

void publickey_encode(struct writer *w, const struct publickey_request *q) {
    encode_request(w, q, q->has_signature);
    if (q->has_signature)
        write_string(w, q->signature);
}

void publickey_encode_signed(struct writer *w, struct view session_id,
                             const struct publickey_request *q) {
    write_string(w, session_id);
    encode_request(w, q, true);
}

// The first string of a key or signature blob: its type's or algorithm's name.
static struct view blob_name(struct view blob) {
    struct reader r = reader_of(blob);
    return read_text(&r);
}

const struct signature_alg *publickey_algorithm(const struct publickey_request *q,
                                                const char *allowed) {
    const struct alg *a = alg_find(ALG_SIGNATURE, q->algorithm);
    if (a == NULL || (allowed != NULL && !name_list_has(view_text(allowed), a->name)))
        return NULL;
    if (!view_is(blob_name(q->blob), a->signature->key_type))
        return NULL;
    if (q->has_signature &&
        !view_is(blob_name(q->signature), a->signature->signature_name))
        return NULL;
    return a->signature;
}

void publickey_encode_ok(struct writer *w, struct view algorithm, struct view blob) {
    write_u8(w, SSH_MSG_USERAUTH_PK_OK);
    write_string(w, algorithm);
    write_string(w, blob);
}

enum err publickey_decode_ok(struct view message, struct view *algorithm,
                             struct view *blob, struct fault *fault) {
    struct reader r = reader_of(message);
    uint8_t number = read_u8(&r);
    *algorithm = read_text(&r);
    *blob = read_string(&r);
    enum err e = number == SSH_MSG_USERAUTH_PK_OK ? reader_end(&r) : ERR_FORMAT;
    if (e == OK)
        return OK;
    *algorithm = *blob = (struct view){0};
    return fault_set(fault, e, SSH_MSG_USERAUTH_PK_OK, "PK_OK: %s", err_text(e));
}
