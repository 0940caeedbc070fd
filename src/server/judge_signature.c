// Is the signature over this very session, user, key and algorithm, and is it right? The
// data that was signed is built here again, from what the keeper knows, and must be the
// same bytes.
#include "auth/hostbased.h"
#include "auth/publickey.h"
#include "base/limits.h"
#include "server/judge.h"

#define SERVICE "ssh-connection"

static enum err rebuild_matches(const struct publickey_request *q, struct view session_id,
                                struct view data) {
    scoped_buf built = {0};
    buf_init(&built, LIMIT_PACKET);
    struct writer w = writer_to_buf(&built);
    publickey_encode_signed(&w, session_id, q);
    TRY(writer_end(&w));
    return view_equal(buf_view(&built), data) ? OK : ERR_REFUSED;
}

// The signature itself, and the size of the key that made it.
static enum err verify(const struct judge_signature *want,
                       const struct signature_alg *alg, struct view blob,
                       struct view signature, struct view data, struct key_touch *touch,
                       struct fault *why) {
    struct key *key = NULL;
    TRY(key_from_blob(&key, blob, why));
    enum err e = OK;
    if (key->type->kind == PK_RSA && pk_bits(key->pk) < want->rsa_bits)
        e = fault_set(why, ERR_REFUSED, 0, "RSA key of %u bits, at least %u are required",
                      pk_bits(key->pk), want->rsa_bits);
    if (e == OK)
        e = key_verify_touch(key, alg, signature, data, touch);
    if (e != OK)
        e = fault_set(why, e, 0, "signature is wrong");
    key_free(key);
    return e;
}

enum err judge_signature_check(const struct judge_signature *want,
                               const struct ipc_key_auth *m, struct key_touch *touch,
                               struct fault *why) {
    struct publickey_request q = {.user = want->user,
                                  .service = view_text(SERVICE),
                                  .algorithm = m->algorithm,
                                  .blob = m->blob,
                                  .has_signature = true,
                                  .signature = m->signature};
    const struct signature_alg *alg = publickey_algorithm(&q, want->algorithms);
    if (alg == NULL)
        return fault_set(why, ERR_REFUSED, 0,
                         "signature algorithm is not allowed for this key");
    if (rebuild_matches(&q, want->session_id, m->data) != OK) {
        q.hostbound = true;
        q.host_key = want->host_key;
        if (rebuild_matches(&q, want->session_id, m->data) != OK)
            return fault_set(why, ERR_REFUSED, 0, "signature is for something else");
    }
    return verify(want, alg, m->blob, m->signature, m->data, touch, why);
}

enum err judge_hostbased_check(const struct judge_signature *want,
                               const struct ipc_hostbased *m, struct fault *why) {
    struct hostbased_request q = {want->user, view_text(SERVICE), m->algorithm, m->blob,
                                  m->host,    m->client_user,     m->signature};
    const struct signature_alg *alg = hostbased_algorithm(&q, want->algorithms);
    struct key_touch touch = {0};
    scoped_buf built = {0};
    if (alg == NULL)
        return fault_set(why, ERR_REFUSED, 0,
                         "signature algorithm is not allowed for this key");
    buf_init(&built, LIMIT_PACKET);
    struct writer w = writer_to_buf(&built);
    hostbased_encode_signed(&w, want->session_id, &q);
    TRY(writer_end(&w));
    if (!view_equal(buf_view(&built), m->data))
        return fault_set(why, ERR_REFUSED, 0, "signature is for something else");
    return verify(want, alg, m->blob, m->signature, m->data, &touch, why);
}

enum err judge_touch_allowed(const struct server_config *config,
                             const struct judge_match *m, const struct key_touch *touch,
                             struct fault *why) {
    bool present = (config->pubkey_auth_options & PUBKEY_TOUCH_REQUIRED) != 0 ||
                   !m->no_touch_required;
    bool verified =
        (config->pubkey_auth_options & PUBKEY_VERIFY_REQUIRED) != 0 || m->verify_required;
    if (!touch->security_key)
        return OK;
    if (present && !touch->present)
        return fault_set(why, ERR_REFUSED, 0,
                         "the security key was not touched, which is required");
    if (verified && !touch->verified)
        return fault_set(why, ERR_REFUSED, 0,
                         "the security key did not verify its user (PIN), which is "
                         "required");
    return OK;
}
