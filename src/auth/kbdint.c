// Formats of the keyboard-interactive method (RFC 4256 s.3). Counts are compared with the
// limit before anything is read by them.
#include "auth/kbdint.h"

enum err kbdint_decode_request(const struct msg_userauth_request *m,
                               struct view *submethods, struct fault *fault) {
    struct reader r = reader_of(m->fields);
    read_string(&r);  // language
    *submethods = read_text(&r);
    enum err e = reader_end(&r);
    if (e == OK)
        return OK;
    *submethods = (struct view){0};
    return fault_set(fault, e, SSH_MSG_USERAUTH_REQUEST,
                     "keyboard-interactive request: %s", err_text(e));
}

void kbdint_encode_request(struct writer *w, struct view user, struct view service,
                           struct view submethods) {
    write_u8(w, SSH_MSG_USERAUTH_REQUEST);
    write_string(w, user);
    write_string(w, service);
    write_text(w, "keyboard-interactive");
    write_text(w, "");  // language
    write_string(w, submethods);
}

enum err kbdint_decode_prompts(struct view message, struct kbdint_prompts *out,
                               struct fault *fault) {
    *out = (struct kbdint_prompts){0};
    struct kbdint_prompts p = {0};
    struct reader r = reader_of(message);
    uint8_t number = read_u8(&r);
    p.name = read_string(&r);
    p.instruction = read_string(&r);
    read_string(&r);  // language
    p.count = read_u32(&r);
    if (p.count > LIMIT_KBDINT_PROMPTS)
        return fault_set(fault, ERR_LIMIT, SSH_MSG_USERAUTH_PK_OK,
                         "INFO_REQUEST with %u prompts, at most %d are taken", p.count,
                         LIMIT_KBDINT_PROMPTS);
    for (uint32_t i = 0; i < p.count; i++) {
        p.prompts[i].text = read_string(&r);
        p.prompts[i].echo = read_bool(&r);
    }
    enum err e = number == SSH_MSG_USERAUTH_PK_OK ? reader_end(&r) : ERR_FORMAT;
    if (e != OK)
        return fault_set(fault, e, SSH_MSG_USERAUTH_PK_OK, "INFO_REQUEST: %s",
                         err_text(e));
    *out = p;
    return OK;
}

void kbdint_encode_prompts(struct writer *w, const struct kbdint_prompts *p) {
    write_u8(w, SSH_MSG_USERAUTH_PK_OK);
    write_string(w, p->name);
    write_string(w, p->instruction);
    write_text(w, "");  // language
    write_u32(w, p->count);
    for (uint32_t i = 0; i < p->count; i++) {
        write_string(w, p->prompts[i].text);
        write_bool(w, p->prompts[i].echo);
    }
}

enum err kbdint_decode_responses(struct view message, struct kbdint_responses *out,
                                 struct fault *fault) {
    *out = (struct kbdint_responses){0};
    struct kbdint_responses a = {0};
    struct reader r = reader_of(message);
    uint8_t number = read_u8(&r);
    a.count = read_u32(&r);
    if (a.count > LIMIT_KBDINT_PROMPTS)
        return fault_set(fault, ERR_LIMIT, SSH_MSG_USERAUTH_INFO_RESPONSE,
                         "INFO_RESPONSE with %u answers, at most %d are taken", a.count,
                         LIMIT_KBDINT_PROMPTS);
    for (uint32_t i = 0; i < a.count; i++)
        a.responses[i] = read_text(&r);
    enum err e = number == SSH_MSG_USERAUTH_INFO_RESPONSE ? reader_end(&r) : ERR_FORMAT;
    if (e != OK)
        return fault_set(fault, e, SSH_MSG_USERAUTH_INFO_RESPONSE, "INFO_RESPONSE: %s",
                         err_text(e));
    *out = a;
    return OK;
}

void kbdint_encode_responses(struct writer *w, const struct kbdint_responses *a) {
    write_u8(w, SSH_MSG_USERAUTH_INFO_RESPONSE);
    write_u32(w, a->count);
    for (uint32_t i = 0; i < a->count; i++)
        write_string(w, a->responses[i]);
}
