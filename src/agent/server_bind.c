// session-bind@openssh.com: this connection belongs to a session with that host, which
// the host's signature over the session proves.
#include "agent/server_state.h"
#include "key/certificate.h"

static enum err check_certificate(const struct key *host_key, uint64_t now_s,
                                  struct fault *fault) {
    scoped_buf list;
    buf_init(&list, 4096);
    if (host_key->certificate == NULL)
        return OK;
    TRY(alg_default_list(ALG_SIGNATURE, ALG_DEFAULT_CLIENT, &list));
    struct certificate_want want = {.kind = CERTIFICATE_HOST,
                                    .ca_algorithms = (const char *)buf_view(&list).p,
                                    .now_s = now_s};
    return certificate_check(host_key, &want, fault);
}

// Did this host take part in that session?
static enum err check(const struct agent_turn *t, const struct agent_session_bind *m,
                      const struct key *host_key) {
    const struct signature_alg *alg = key_signature_alg(m->signature);
    if (alg == NULL)
        return fault_set(t->fault, ERR_UNSUPPORTED, 0, "unknown signature algorithm");
    TRY(check_certificate(host_key, t->now.wall_s, t->fault));
    // A certificate's key signs under the plain name.
    struct key *plain;
    struct key_touch touch;  // a host's security key is touched by nobody
    TRY(key_from_blob(&plain, key_plain_blob(host_key), t->fault));
    enum err e = key_verify_touch(plain, alg, m->signature, m->session_id, &touch);
    key_free(plain);
    return e == OK ? OK : fault_set(t->fault, e, 0, "the host did not sign the session");
}

// Like those before? *known: the very same is there.
static enum err compare(const struct agent_turn *t, const struct agent_session_bind *m,
                        bool *known) {
    const struct agent_client *c = t->client;
    *known = false;
    for (size_t i = 0; i < c->bindings_n; i++) {
        const struct agent_binding *b = &c->bindings[i];
        if (!b->forwarding)
            return fault_set(t->fault, ERR_REFUSED, 0,
                             "the connection is bound to a login already");
        if (!view_equal(view_of(b->session_id, b->session_id_n), m->session_id))
            continue;
        *known = view_equal(key_blob(b->host_key), m->host_key);
        return *known ? OK
                      : fault_set(t->fault, ERR_REFUSED, 0,
                                  "the session is bound to another host key");
    }
    return c->bindings_n < AGENT_BINDINGS_MAX
               ? OK
               : fault_set(t->fault, ERR_LIMIT, 0, "over %d hops", AGENT_BINDINGS_MAX);
}

static enum err bind(struct agent_turn *t, const struct agent_session_bind *m) {
    struct agent_client *c = t->client;
    struct agent_binding b = {.forwarding = m->forwarding,
                              .session_id_n = m->session_id.n};
    bool known = false;
    if (m->session_id.n == 0 || m->session_id.n > sizeof b.session_id)
        return ERR_FORMAT;
    memcpy(b.session_id, m->session_id.p, m->session_id.n);
    TRY(key_from_blob(&b.host_key, m->host_key, t->fault));
    enum err e = check(t, m, b.host_key);
    if (e == OK)
        e = compare(t, m, &known);
    if (e != OK || known)
        key_free(b.host_key);
    else
        c->bindings[c->bindings_n++] = b;
    return e;
}

enum err agent_session_bind(struct agent_turn *t, struct view contents) {
    struct agent_session_bind m;
    enum err e = agent_decode_session_bind(contents, &m, t->fault);
    if (e == OK)
        e = bind(t, &m);
    if (e != OK) {
        t->client->bind_failed = true;
        return e;
    }
    return agent_succeeds(t);
}
