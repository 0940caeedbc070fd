// Public key blobs (RFC 4253 s.6.6, RFC 5656 s.3.1, RFC 8709 s.4).
#include "key/key.h"

#include <stdlib.h>

#include "base/limits.h"
#include "base/text.h"
#include "key/certificate.h"
#include "key/fields.h"
#include "wire/reader.h"
#include "wire/writer.h"

// The largest: an RSA modulus and exponent with their lengths.
#define BLOB_MAX (LIMIT_RSA_MAX / 8 + 64)

void fields_read_public(struct reader *r, const struct key_type *type,
                        struct pk_parts *parts) {
    switch (type->kind) {
    case PK_ED25519:
        parts->ed_public = read_string(r);
        break;
    case PK_ECDSA:
        parts->curve = type->curve;
        if (!view_is(read_string(r), type->curve_name) && r->err == OK)
            r->err = ERR_KEY;
        parts->ec_point = read_string(r);
        break;
    case PK_RSA:
        parts->rsa_e = read_mpint(r);
        parts->rsa_n = read_mpint(r);
        break;
    }
}

void fields_write_public(struct writer *w, const struct key_type *type,
                         const struct pk_parts *parts) {
    write_text(w, type->name);
    switch (type->kind) {
    case PK_ED25519:
        write_string(w, parts->ed_public);
        break;
    case PK_ECDSA:
        write_text(w, type->curve_name);
        write_string(w, parts->ec_point);
        break;
    case PK_RSA:
        write_mpint(w, parts->rsa_e);
        write_mpint(w, parts->rsa_n);
        break;
    }
}

static enum err key_make(struct key **out, const struct key_type *type,
                         struct view blob) {
    struct key *k = calloc(1, sizeof *k);
    uint8_t *copy = malloc(blob.n);
    if (k == NULL || copy == NULL) {
        free(k);
        free(copy);
        return ERR_MEMORY;
    }
    memcpy(copy, blob.p, blob.n);
    *k = (struct key){.type = type, .blob = copy, .blob_len = blob.n};
    *out = k;
    return OK;
}

static enum err unknown_type(struct view name, struct fault *fault) {
    char clean[80];
    return fault_set(fault, ERR_UNSUPPORTED, 0, "unknown key type \"%s\"",
                     text_clean(clean, sizeof clean, name));
}

// Reads the key's own blob; what views it keeps point into that copy.
static enum err key_decode(struct key *k, struct fault *fault) {
    struct reader r = reader_of(key_blob(k));
    (void)read_string(&r);
    if (k->type->plain != NULL)
        (void)read_string(&r);  // the nonce
    struct pk_parts parts = {0};
    fields_read_public(&r, k->type, &parts);
    if (k->type->security_key)
        k->application = read_text(&r);
    enum err e = r.err;
    if (e == OK && k->type->plain != NULL)
        TRY(certificate_read(&k->certificate, k, &r, fault));
    if (e == OK)
        e = reader_end(&r);
    if (e == OK)
        e = pk_from_parts(&k->pk, k->type->kind, &parts, false);
    return e == OK ? OK
                   : fault_set(fault, e, 0, "%s key: %s", k->type->name, err_text(e));
}

enum err key_from_blob(struct key **out, struct view blob, struct fault *fault) {
    struct reader r = reader_of(blob);
    struct view name = read_string(&r);
    if (r.err != OK)
        return fault_set(fault, r.err, 0, "key blob %s", err_text(r.err));
    const struct key_type *type = key_type_find(name);
    if (type == NULL)
        return unknown_type(name, fault);
    if (type->plain != NULL && blob.n > LIMIT_CERTIFICATE)
        return fault_set(fault, ERR_LIMIT, 0, "the certificate is too large");
    struct key *k;
    TRY(key_make(&k, type, blob));
    enum err e = key_decode(k, fault);
    if (e != OK)
        key_free(k);
    else
        *out = k;
    return e;
}

static const struct key_type *type_of(const struct pk *pk) {
    const struct key_type *t;
    for (size_t i = 0; (t = key_type_at(i)) != NULL; i++) {
        if (t->kind == pk_kind_of(pk) && t->plain == NULL && !t->security_key &&
            (t->kind != PK_ECDSA || t->curve == pk_curve_of(pk)))
            return t;
    }
    return NULL;
}

static enum err key_around(struct key **out, struct pk *pk) {
    const struct key_type *type = type_of(pk);
    if (type == NULL)
        return ERR_UNSUPPORTED;
    scoped_secret arena = {0};
    TRY(secret_arena_init(&arena, LIMIT_RSA_MAX, 0));
    struct pk_parts parts;
    TRY(pk_to_parts(pk, &arena, &parts));
    uint8_t room[BLOB_MAX];
    struct writer w = writer_to_span((struct span){room, sizeof room});
    fields_write_public(&w, type, &parts);
    TRY(writer_end(&w));
    TRY(key_make(out, type, view_of(room, w.n)));
    (*out)->pk = pk;
    return OK;
}

enum err key_from_pk(struct key **out, struct pk *pk) {
    enum err e = key_around(out, pk);
    if (e != OK)
        pk_free(pk);
    return e;
}

void key_free(struct key *k) {
    if (k == NULL)
        return;
    certificate_free(k->certificate);
    pk_free(k->pk);
    secret_wipe(k->handle, k->handle_len);
    free(k->handle);
    free(k->blob);
    free(k->comment);
    free(k);
}

struct view key_plain_blob(const struct key *k) {
    return k->certificate != NULL ? buf_view(&k->certificate->plain) : key_blob(k);
}

enum err key_set_comment(struct key *k, struct view comment) {
    char *copy = NULL;
    if (comment.p != NULL) {
        copy = malloc(comment.n + 1);
        if (copy == NULL)
            return ERR_MEMORY;
        (void)text_copy(copy, comment.n + 1, comment);
    }
    free(k->comment);
    k->comment = copy;
    return OK;
}

enum err key_set_handle(struct key *k, uint8_t flags, struct view handle) {
    if (handle.n == 0 || handle.n > KEY_HANDLE_SIZE_MAX)
        return ERR_LIMIT;
    uint8_t *copy = malloc(handle.n);
    if (copy == NULL)
        return ERR_MEMORY;
    memcpy(copy, handle.p, handle.n);
    free(k->handle);
    k->handle = copy;
    k->handle_len = handle.n;
    k->handle_flags = flags;
    return OK;
}
