#include "agent/client.h"

#include "key/secret_fields.h"

// ---- asking ----

enum err agent_ask(uint8_t number, struct buf *out) {
    struct writer w = writer_to_buf(out);
    agent_encode(&w, number, &(struct agent_empty){0});
    return writer_end(&w);
}

enum err agent_ask_add(const struct key *secret, const struct key *certificate,
                       const char *comment, const struct agent_constraints *c,
                       struct buf *out) {
    // All the room at once: growing would leave copies of the secret behind.
    struct span room;
    TRY(buf_reserve(out, out->max, &room));
    struct writer w = writer_to_buf(out);
    bool constrained = agent_constraints_any(c);
    write_u8(&w, constrained ? AGENTC_ADD_ID_CONSTRAINED : AGENTC_ADD_IDENTITY);
    TRY(secret_fields_write(&w, secret, certificate));
    write_text(&w, comment);
    agent_constraints_write(&w, c);
    return writer_end(&w);
}

enum err agent_ask_smartcard(bool add, const char *provider, const char *pin,
                             const struct agent_constraints *c, struct buf *out) {
    struct writer w = writer_to_buf(out);
    bool constrained = add && agent_constraints_any(c);
    struct agent_smartcard m = {view_text(provider), view_text(pin), {0}};
    agent_encode(&w,
                 !add          ? AGENTC_REMOVE_SMARTCARD_KEY
                 : constrained ? AGENTC_ADD_SMARTCARD_KEY_CONSTRAINED
                               : AGENTC_ADD_SMARTCARD_KEY,
                 &m);
    if (constrained)
        agent_constraints_write(&w, c);
    return writer_end(&w);
}

static uint32_t sign_flags(const struct signature_alg *alg) {
    if (alg->kind != PK_RSA)
        return 0;
    return alg->hash == &digest_sha256   ? AGENT_RSA_SHA2_256
           : alg->hash == &digest_sha512 ? AGENT_RSA_SHA2_512
                                         : 0;
}

enum err agent_ask_sign(struct view blob, const struct signature_alg *alg,
                        struct view data, struct buf *out) {
    struct writer w = writer_to_buf(out);
    struct agent_sign_request m = {blob, data, sign_flags(alg)};
    agent_encode(&w, AGENTC_SIGN_REQUEST, &m);
    return writer_end(&w);
}

enum err agent_ask_extension(const char *name, struct view contents, struct buf *out) {
    struct writer w = writer_to_buf(out);
    struct agent_extension m = {view_text(name), contents};
    agent_encode(&w, AGENTC_EXTENSION, &m);
    return writer_end(&w);
}

// ---- answers ----

static bool is_refusal(struct view answer) {
    return answer.n == 1 &&
           (answer.p[0] == AGENT_FAILURE || answer.p[0] == AGENT_EXTENSION_FAILURE);
}

static enum err take(uint8_t number, struct view answer, void *out) {
    return is_refusal(answer) ? ERR_REFUSED : agent_decode(number, answer, out, NULL);
}

enum err agent_take_success(struct view answer) {
    struct agent_empty m;
    return take(AGENT_SUCCESS, answer, &m);
}

bool agent_next_identity(struct view *keys, struct view *blob, struct view *comment) {
    struct reader r = reader_of(*keys);
    *blob = read_string(&r);
    *comment = read_string(&r);
    if (r.err != OK)
        return false;
    *keys = read_rest(&r);
    return true;
}

enum err agent_take_identities(struct view answer, struct agent_identities *out) {
    TRY(take(AGENT_IDENTITIES_ANSWER, answer, out));
    // The count is only a claim: what is there counts, and must be as many.
    struct view keys = out->keys, blob, comment;
    uint32_t n = 0;
    while (keys.n > 0 && agent_next_identity(&keys, &blob, &comment))
        n++;
    return keys.n != 0 || n != out->count ? ERR_FORMAT : OK;
}

enum err agent_take_signature(struct view answer, const struct signature_alg *alg,
                              struct view *signature) {
    struct agent_signature m;
    TRY(take(AGENT_SIGN_RESPONSE, answer, &m));
    struct reader r = reader_of(m.signature);
    // An old agent may sign with another algorithm than asked for; the server would
    // refuse it.
    if (!view_is(read_string(&r), alg->signature_name))
        return ERR_UNSUPPORTED;
    *signature = m.signature;
    return OK;
}

enum err agent_take_extension(struct view answer, const char *name,
                              struct view *contents) {
    struct agent_extension m;
    TRY(take(AGENT_EXTENSION_RESPONSE, answer, &m));
    if (!view_is(m.name, name))
        return ERR_UNEXPECTED;
    *contents = m.contents;
    return OK;
}
