#include "agent/token.h"

static const struct message_field request_fields[] = {
    FIELD(TEXT, token_request, provider),    FIELD(TEXT, token_request, type),
    FIELD(TEXT, token_request, application), FIELD(STRING, token_request, handle),
    FIELD(U32, token_request, flags),        FIELD(TEXT, token_request, pin),
    FIELD(STRING, token_request, data),      FIELDS_END};
static const struct message_field answer_fields[] = {
    FIELD(BOOL, token_answer, signed_), FIELD(STRING, token_answer, text), FIELDS_END};

void token_request_encode(struct writer *w, const struct token_request *m) {
    fields_encode(w, request_fields, m);
}

enum err token_request_decode(struct view bytes, struct token_request *m,
                              struct fault *f) {
    const struct fields_of of = {0, "request to a security key", sizeof *m,
                                 request_fields};
    struct reader r = reader_of(bytes);
    return fields_decode(&of, &r, m, f);
}

void token_answer_encode(struct writer *w, const struct token_answer *m) {
    fields_encode(w, answer_fields, m);
}

enum err token_answer_decode(struct view bytes, struct token_answer *m, struct fault *f) {
    const struct fields_of of = {0, "answer of a security key", sizeof *m, answer_fields};
    struct reader r = reader_of(bytes);
    return fields_decode(&of, &r, m, f);
}
