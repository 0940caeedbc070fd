#include "signer/token.h"

static const struct message_field request_fields[] = {
    FIELD(U32, token_request, operation),
    FIELD(TEXT, token_request, provider),
    FIELD(TEXT, token_request, type),
    FIELD(TEXT, token_request, application),
    FIELD(STRING, token_request, handle),
    FIELD(U32, token_request, flags),
    FIELD(TEXT, token_request, pin),
    FIELD(STRING, token_request, data),
    FIELD(TEXT, token_request, device),
    FIELD(TEXT, token_request, user),
    FIELDS_END};
static const struct message_field answer_fields[] = {
    FIELD(U32, token_answer, outcome), FIELD(STRING, token_answer, text), FIELDS_END};
static const struct message_field key_fields[] = {
    FIELD(STRING, token_key, blob),        FIELD(STRING, token_key, handle),
    FIELD(U32, token_key, flags),          FIELD(STRING, token_key, user),
    FIELD(STRING, token_key, certificate), FIELD(STRING, token_key, signature),
    FIELD(STRING, token_key, authdata),    FIELDS_END};

void token_request_encode(struct writer *w, const struct token_request *m) {
    fields_encode(w, request_fields, m);
}

enum err token_request_decode(struct view bytes, struct token_request *m,
                              struct fault *f) {
    const struct fields_of of = {0, "request to a token", sizeof *m, request_fields};
    struct reader r = reader_of(bytes);
    return fields_decode(&of, &r, m, f);
}

void token_answer_encode(struct writer *w, const struct token_answer *m) {
    fields_encode(w, answer_fields, m);
}

enum err token_answer_decode(struct view bytes, struct token_answer *m, struct fault *f) {
    const struct fields_of of = {0, "answer of a token", sizeof *m, answer_fields};
    struct reader r = reader_of(bytes);
    return fields_decode(&of, &r, m, f);
}

void token_key_encode(struct writer *w, const struct token_key *m) {
    fields_encode(w, key_fields, m);
}

enum err token_key_decode(struct view bytes, struct token_key *m, struct fault *f) {
    const struct fields_of of = {0, "key of a token", sizeof *m, key_fields};
    struct reader r = reader_of(bytes);
    return fields_decode(&of, &r, m, f);
}
