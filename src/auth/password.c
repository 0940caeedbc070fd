// Formats of the password method (RFC 4252 s.8).
#include "auth/password.h"

enum err password_decode(const struct msg_userauth_request *m,
                         struct password_request *out, struct fault *fault) {
    *out = (struct password_request){0};
    struct password_request q = {.user = m->user, .service = m->service};
    struct reader r = reader_of(m->fields);
    q.change = read_bool(&r);
    // A NUL would cut the password short where it becomes a C string.
    q.password = read_text(&r);
    if (q.change)
        q.new_password = read_text(&r);
    enum err e = reader_end(&r);
    if (e != OK)
        return fault_set(fault, e, SSH_MSG_USERAUTH_REQUEST, "password request: %s",
                         err_text(e));
    *out = q;
    return OK;
}

void password_encode(struct writer *w, const struct password_request *q) {
    write_u8(w, SSH_MSG_USERAUTH_REQUEST);
    write_string(w, q->user);
    write_string(w, q->service);
    write_text(w, "password");
    write_bool(w, q->change);
    write_string(w, q->password);
    if (q->change)
        write_string(w, q->new_password);
}

void password_encode_change(struct writer *w, struct view prompt) {
    write_u8(w, SSH_MSG_USERAUTH_PK_OK);
    write_string(w, prompt);
    write_text(w, "");  // language
}

enum err password_decode_change(struct view message, struct view *prompt,
                                struct fault *fault) {
    struct reader r = reader_of(message);
    uint8_t number = read_u8(&r);
    *prompt = read_string(&r);
    read_string(&r);  // language
    enum err e = number == SSH_MSG_USERAUTH_PK_OK ? reader_end(&r) : ERR_FORMAT;
    if (e == OK)
        return OK;
    *prompt = (struct view){0};
    return fault_set(fault, e, SSH_MSG_USERAUTH_PK_OK, "PASSWD_CHANGEREQ: %s",
                     err_text(e));
}
