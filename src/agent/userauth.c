#include "agent/userauth.h"

#include "wire/fields.h"

#define USERAUTH_REQUEST 50
#define HOSTBOUND "publickey-hostbound-v00@openssh.com"

struct publickey {
    struct view user, service, method;
    bool signed_;
    struct view algorithm, key;
    struct view rest;
};

static const struct message_field publickey_fields[] = {
    FIELD(TEXT, publickey, user),      FIELD(TEXT, publickey, service),
    FIELD(TEXT, publickey, method),    FIELD(BOOL, publickey, signed_),
    FIELD(TEXT, publickey, algorithm), FIELD(STRING, publickey, key),
    FIELD(REST, publickey, rest),      FIELDS_END};

static bool algorithm_fits(struct view name, const struct key *key) {
    const struct alg *alg = alg_find(ALG_SIGNATURE, name);
    return alg != NULL && key_can_sign_with(key, alg->signature);
}

static bool read_host_key(struct agent_userauth *out, const struct publickey *p) {
    struct reader r = reader_of(p->rest);
    if (view_is(p->method, "publickey"))
        return p->rest.n == 0;
    out->host_key = read_string(&r);
    return view_is(p->method, HOSTBOUND) && reader_end(&r) == OK;
}

bool agent_userauth_read(struct agent_userauth *out, struct view data,
                         const struct key *key) {
    const struct fields_of of = {USERAUTH_REQUEST, "USERAUTH_REQUEST",
                                 sizeof(struct publickey), publickey_fields};
    struct publickey p;
    struct reader r = reader_of(data);
    *out = (struct agent_userauth){.session_id = read_string(&r)};
    if (read_u8(&r) != USERAUTH_REQUEST || out->session_id.n == 0 ||
        fields_decode(&of, &r, &p, NULL) != OK)
        return false;
    out->user = p.user;
    return view_is(p.service, "ssh-connection") && p.signed_ &&
           algorithm_fits(p.algorithm, key) && view_equal(p.key, key_blob(key)) &&
           read_host_key(out, &p);
}

bool agent_is_sshsig(struct view data) {
    struct reader r = reader_of(data);
    struct view magic = read_bytes(&r, 6);
    struct view space = read_text(&r);
    (void)read_string(&r);  // reserved
    struct view hash = read_text(&r), digest = read_string(&r);
    const struct digest_alg *alg = view_is(hash, "sha256")   ? &digest_sha256
                                   : view_is(hash, "sha512") ? &digest_sha512
                                                             : NULL;
    return view_is(magic, "SSHSIG") && space.n > 0 && reader_end(&r) == OK &&
           alg != NULL && digest.n == alg->size;
}
