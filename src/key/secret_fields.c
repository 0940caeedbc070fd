// What was read lies where the caller has it (a secret arena); the copies made on the way
// are in an arena of our own.
#include "key/secret_fields.h"

#include <stdlib.h>

#include "base/limits.h"
#include "base/text.h"
#include "key/certificate.h"
#include "key/fields.h"

// ---- reading ----

static void read_secret_ed25519(struct reader *r, struct pk_parts *parts) {
    // The seed and the public half once more.
    struct view both = read_string(r);
    if (r->err == OK && (both.n != 64 || parts->ed_public.n != 32 ||
                         memcmp(both.p + 32, parts->ed_public.p, 32) != 0))
        r->err = ERR_KEY;
    else if (r->err == OK)
        parts->ed_secret = view_of(both.p, 32);
}

// Behind the public fields. RSA's order differs from that of public blobs, so a plain RSA
// key brings its public fields here.
static void read_secret(struct reader *r, const struct key_type *type,
                        struct pk_parts *parts, bool certified) {
    switch (type->kind) {
    case PK_ED25519:
        parts->ed_public = read_string(r);
        read_secret_ed25519(r, parts);
        break;
    case PK_ECDSA:
        if (!certified)
            fields_read_public(r, type, parts);
        parts->ec_scalar = read_mpint(r);
        break;
    case PK_RSA:
        if (!certified) {
            parts->rsa_n = read_mpint(r);
            parts->rsa_e = read_mpint(r);
        }
        parts->rsa_d = read_mpint(r);
        parts->rsa_iqmp = read_mpint(r);
        parts->rsa_p = read_mpint(r);
        parts->rsa_q = read_mpint(r);
        break;
    }
}

static enum err read_plain(struct reader *r, const struct key_type *type,
                           struct pk_parts *parts, bool certified, struct key **out) {
    struct pk *pk;
    read_secret(r, type, parts, certified);
    TRY(r->err);
    TRY(pk_from_parts(&pk, type->kind, parts, true));
    return key_from_pk(out, pk);
}

// A security key's public fields and application as a blob of its own.
static enum err read_public_security(struct reader *r, const struct key_type *type,
                                     struct key **out, struct fault *fault) {
    uint8_t room[1024];
    struct pk_parts parts = {0};
    fields_read_public(r, type, &parts);
    struct view application = read_text(r);
    TRY(r->err);
    struct writer w = writer_to_span((struct span){room, sizeof room});
    fields_write_public(&w, type, &parts);
    write_string(&w, application);
    TRY(writer_end(&w));
    return key_from_blob(out, view_of(room, w.n), fault);
}

// Of a certified one the public half is that of the certificate.
static enum err read_certified_security(struct reader *r, const struct key *certificate,
                                        struct key **out, struct fault *fault) {
    if (certificate->type->kind == PK_ED25519)
        (void)read_string(r);
    if (!view_equal(read_text(r), certificate->application) && r->err == OK)
        r->err = ERR_KEY;
    TRY(r->err);
    return key_from_blob(out, key_plain_blob(certificate), fault);
}

static enum err read_security(struct reader *r, const struct key_type *type,
                              const struct key *certificate, struct key **out,
                              struct fault *fault) {
    struct key *k;
    TRY(certificate != NULL ? read_certified_security(r, certificate, &k, fault)
                            : read_public_security(r, type, &k, fault));
    uint8_t flags = read_u8(r);
    struct view handle = read_string(r);
    (void)read_string(r);  // reserved
    enum err e = r->err;
    if (e == OK)
        e = key_set_handle(k, flags, handle);
    if (e != OK)
        key_free(k);
    else
        *out = k;
    return e;
}

static enum err read_key(struct reader *r, const struct key_type *type,
                         const struct key *certificate, struct key **out,
                         struct fault *fault) {
    struct pk_parts parts = {0};
    scoped_secret arena = {0};
    if (type->security_key)
        return read_security(r, type, certificate, out, fault);
    if (certificate == NULL)
        return read_plain(r, type, &parts, false, out);
    TRY(secret_arena_init(&arena, LIMIT_RSA_MAX, 0));
    TRY(pk_to_parts(certificate->pk, &arena, &parts));
    TRY(read_plain(r, type, &parts, true, out));
    if (view_equal(key_blob(*out), key_plain_blob(certificate)))
        return OK;
    key_free(*out);
    return fault_set(fault, ERR_KEY, 0, "the certificate is for another key");
}

static enum err read_certificate(struct reader *r, const struct key_type *type,
                                 struct key **out, struct fault *fault) {
    struct view blob = read_string(r);
    TRY(r->err);
    TRY(key_from_blob(out, blob, fault));
    if ((*out)->type == type)
        return OK;
    key_free(*out);
    return ERR_KEY;
}

enum err secret_fields_read(struct reader *r, struct key **key, struct key **certificate,
                            struct fault *fault) {
    char clean[64];
    struct key *c = NULL;
    struct view name = read_string(r);
    const struct key_type *type = key_type_find(name);
    if (r->err != OK)
        return fault_set(fault, r->err, 0, "the key's type %s", err_text(r->err));
    if (type == NULL || (type->plain != NULL && certificate == NULL))
        return fault_set(fault, ERR_UNSUPPORTED, 0, "key type \"%s\" is not supported",
                         text_clean(clean, sizeof clean, name));
    enum err e = type->plain != NULL ? read_certificate(r, type, &c, fault) : OK;
    if (e == OK)
        e = read_key(r, key_type_plain(type), c, key, fault);
    if (e != OK) {
        key_free(c);
        return fault_set(fault, e, 0, "%s key: %s", type->name, err_text(e));
    }
    if (certificate != NULL)
        *certificate = c;
    return OK;
}

// ---- writing ----

static void write_secret(struct writer *w, const struct key_type *type,
                         const struct pk_parts *parts, bool certified) {
    switch (type->kind) {
    case PK_ED25519:
        write_string(w, parts->ed_public);
        write_u32(w, 64);
        write_bytes(w, parts->ed_secret);
        write_bytes(w, parts->ed_public);
        break;
    case PK_ECDSA:
        if (!certified) {
            write_text(w, type->curve_name);
            write_string(w, parts->ec_point);
        }
        write_mpint(w, parts->ec_scalar);
        break;
    case PK_RSA:
        if (!certified) {
            write_mpint(w, parts->rsa_n);
            write_mpint(w, parts->rsa_e);
        }
        write_mpint(w, parts->rsa_d);
        write_mpint(w, parts->rsa_iqmp);
        write_mpint(w, parts->rsa_p);
        write_mpint(w, parts->rsa_q);
        break;
    }
}

static void write_security(struct writer *w, const struct key *k,
                           const struct pk_parts *parts, bool certified) {
    if (k->type->kind == PK_ED25519) {
        write_string(w, parts->ed_public);
    } else if (!certified) {
        write_text(w, k->type->curve_name);
        write_string(w, parts->ec_point);
    }
    write_string(w, k->application);
    write_u8(w, k->handle_flags);
    write_string(w, view_of(k->handle, k->handle_len));
    write_u32(w, 0);
}

enum err secret_fields_write(struct writer *w, const struct key *key,
                             const struct key *certificate) {
    bool security = key->type->security_key;
    if (security ? key->handle == NULL : !pk_has_secret(key->pk))
        return ERR_KEY;
    scoped_secret arena = {0};
    TRY(secret_arena_init(&arena, LIMIT_RSA_MAX, 0));
    struct pk_parts parts;
    TRY(pk_to_parts(key->pk, &arena, &parts));
    write_text(w, certificate != NULL ? certificate->type->name : key->type->name);
    if (certificate != NULL)
        write_string(w, key_blob(certificate));
    if (security)
        write_security(w, key, &parts, certificate != NULL);
    else
        write_secret(w, key->type, &parts, certificate != NULL);
    return w->err;
}
