#include "agent/protocol.h"

#include <assert.h>

static const struct message_field empty_fields[] = {FIELDS_END};
static const struct message_field sign_request_fields[] = {
    FIELD(STRING, agent_sign_request, key), FIELD(STRING, agent_sign_request, data),
    FIELD(U32, agent_sign_request, flags), FIELDS_END};
static const struct message_field add_fields[] = {FIELD(REST, agent_add, rest),
                                                  FIELDS_END};
static const struct message_field remove_fields[] = {FIELD(STRING, agent_remove, key),
                                                     FIELDS_END};
static const struct message_field smartcard_fields[] = {
    FIELD(TEXT, agent_smartcard, provider), FIELD(TEXT, agent_smartcard, pin),
    FIELD(REST, agent_smartcard, constraints), FIELDS_END};
static const struct message_field lock_fields[] = {FIELD(STRING, agent_lock, passphrase),
                                                   FIELDS_END};
static const struct message_field extension_fields[] = {
    FIELD(TEXT, agent_extension, name), FIELD(REST, agent_extension, contents),
    FIELDS_END};
static const struct message_field identities_fields[] = {
    FIELD(U32, agent_identities, count), FIELD(REST, agent_identities, keys), FIELDS_END};
static const struct message_field signature_fields[] = {
    FIELD(STRING, agent_signature, signature), FIELDS_END};
static const struct message_field session_bind_fields[] = {
    FIELD(STRING, agent_session_bind, host_key),
    FIELD(STRING, agent_session_bind, session_id),
    FIELD(STRING, agent_session_bind, signature),
    FIELD(BOOL, agent_session_bind, forwarding), FIELDS_END};

#define ROW(prefix, name, type, fields, request)                                         \
    { {prefix##name, #name, sizeof(struct type), fields##_fields}, request }
#define REQUEST(name, type, fields) ROW(AGENTC_, name, type, fields, true)
#define ANSWER(name, type, fields) ROW(AGENT_, name, type, fields, false)

static const struct agent_schema schemas[] = {
    ANSWER(FAILURE, agent_empty, empty),
    ANSWER(SUCCESS, agent_empty, empty),
    REQUEST(REQUEST_IDENTITIES, agent_empty, empty),
    ANSWER(IDENTITIES_ANSWER, agent_identities, identities),
    REQUEST(SIGN_REQUEST, agent_sign_request, sign_request),
    ANSWER(SIGN_RESPONSE, agent_signature, signature),
    REQUEST(ADD_IDENTITY, agent_add, add),
    REQUEST(REMOVE_IDENTITY, agent_remove, remove),
    REQUEST(REMOVE_ALL_IDENTITIES, agent_empty, empty),
    REQUEST(ADD_SMARTCARD_KEY, agent_smartcard, smartcard),
    REQUEST(REMOVE_SMARTCARD_KEY, agent_smartcard, smartcard),
    REQUEST(LOCK, agent_lock, lock),
    REQUEST(UNLOCK, agent_lock, lock),
    REQUEST(ADD_ID_CONSTRAINED, agent_add, add),
    REQUEST(ADD_SMARTCARD_KEY_CONSTRAINED, agent_smartcard, smartcard),
    REQUEST(EXTENSION, agent_extension, extension),
    ANSWER(EXTENSION_FAILURE, agent_empty, empty),
    ANSWER(EXTENSION_RESPONSE, agent_extension, extension),
};

const struct agent_schema *agent_schema(uint8_t number) {
    for (size_t i = 0; i < sizeof schemas / sizeof schemas[0]; i++)
        if (schemas[i].of.message == number)
            return &schemas[i];
    return NULL;
}

enum err agent_decode(uint8_t number, struct view message, void *out,
                      struct fault *fault) {
    const struct agent_schema *schema = agent_schema(number);
    struct reader r = reader_of(message);
    assert(schema != NULL);
    uint8_t got = read_u8(&r);
    if (r.err != OK || got != number) {
        memset(out, 0, schema->of.size);
        return fault_set(fault, r.err != OK ? r.err : ERR_UNEXPECTED, 0,
                         "message %u where %s was expected", got, schema->of.name);
    }
    return fields_decode(&schema->of, &r, out, fault);
}

void agent_encode(struct writer *w, uint8_t number, const void *in) {
    const struct agent_schema *schema = agent_schema(number);
    assert(schema != NULL);
    write_u8(w, number);
    fields_encode(w, schema->of.fields, in);
}

enum err agent_decode_session_bind(struct view contents, struct agent_session_bind *out,
                                   struct fault *fault) {
    const struct fields_of of = {AGENTC_EXTENSION, AGENT_SESSION_BIND, sizeof *out,
                                 session_bind_fields};
    struct reader r = reader_of(contents);
    return fields_decode(&of, &r, out, fault);
}

void agent_encode_session_bind(struct writer *w, const struct agent_session_bind *in) {
    fields_encode(w, session_bind_fields, in);
}
