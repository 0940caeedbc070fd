// Formats of the hostbased method (RFC 4252 s.9).
#include "auth/hostbased.h"

#include "auth/publickey.h"

static void read_fields(struct reader *r, struct hostbased_request *q) {
    q->algorithm = read_text(r);
    q->blob = read_string(r);
    q->host = read_text(r);
    q->client_user = read_text(r);
}

static enum err ended(struct reader *r, const struct hostbased_request *q,
                      struct hostbased_request *out, struct fault *fault) {
    enum err e = reader_end(r);
    if (e != OK)
        return fault_set(fault, e, SSH_MSG_USERAUTH_REQUEST, "hostbased request: %s",
                         err_text(e));
    *out = *q;
    return OK;
}

enum err hostbased_decode(const struct msg_userauth_request *m,
                          struct hostbased_request *out, struct fault *fault) {
    struct hostbased_request q = {.user = m->user, .service = m->service};
    struct reader r = reader_of(m->fields);
    *out = (struct hostbased_request){0};
    read_fields(&r, &q);
    q.signature = read_string(&r);
    return ended(&r, &q, out, fault);
}

static void encode_request(struct writer *w, const struct hostbased_request *q) {
    write_u8(w, SSH_MSG_USERAUTH_REQUEST);
    write_string(w, q->user);
    write_string(w, q->service);
    write_text(w, HOSTBASED_METHOD);
    write_string(w, q->algorithm);
    write_string(w, q->blob);
    write_string(w, q->host);
    write_string(w, q->client_user);
}

void hostbased_encode(struct writer *w, const struct hostbased_request *q) {
    encode_request(w, q);
    write_string(w, q->signature);
}

void hostbased_encode_signed(struct writer *w, struct view session_id,
                             const struct hostbased_request *q) {
    write_string(w, session_id);
    encode_request(w, q);
}

enum err hostbased_decode_signed(struct view data, struct view *session_id,
                                 struct hostbased_request *out, struct fault *fault) {
    struct hostbased_request q = {0};
    struct reader r = reader_of(data);
    *out = (struct hostbased_request){0};
    *session_id = read_string(&r);
    uint8_t number = read_u8(&r);
    q.user = read_text(&r);
    q.service = read_text(&r);
    struct view method = read_text(&r);
    read_fields(&r, &q);
    if (r.err == OK &&
        (number != SSH_MSG_USERAUTH_REQUEST || !view_is(method, HOSTBASED_METHOD)))
        return fault_set(fault, ERR_FORMAT, number, "no hostbased request");
    return ended(&r, &q, out, fault);
}

const struct signature_alg *hostbased_algorithm(const struct hostbased_request *q,
                                                const char *allowed) {
    struct publickey_request same = {.algorithm = q->algorithm,
                                     .blob = q->blob,
                                     .has_signature = q->signature.n > 0,
                                     .signature = q->signature};
    return publickey_algorithm(&same, allowed);
}
