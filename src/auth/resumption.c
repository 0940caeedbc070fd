// Format of the method resume-v1@bowline (doc/resume.md).
#include "auth/resumption.h"

enum err resumption_decode(const struct msg_userauth_request *m,
                           struct resumption_request *out, struct fault *fault) {
    struct reader r = reader_of(m->fields);
    *out = (struct resumption_request){.epoch = read_u64(&r)};
    struct view proof = read_string(&r);
    enum err e = reader_end(&r);
    if (e == OK && proof.n != RESUMPTION_PROOF)
        e = ERR_FORMAT;
    if (e != OK)
        return fault_set(fault, e, SSH_MSG_USERAUTH_REQUEST,
                         RESUMPTION_METHOD " request: %s", err_text(e));
    out->proof = proof;
    return OK;
}

void resumption_encode(struct writer *w, struct view user, struct view service,
                       const struct resumption_request *q) {
    write_u8(w, SSH_MSG_USERAUTH_REQUEST);
    write_string(w, user);
    write_string(w, service);
    write_text(w, RESUMPTION_METHOD);
    write_u64(w, q->epoch);
    write_string(w, q->proof);
}
