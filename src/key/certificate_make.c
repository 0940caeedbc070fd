// Making certificates: the same fields as certificate.c reads, written and signed.
#include <stdlib.h>

#include "base/limits.h"
#include "crypto/random.h"
#include "key/certificate.h"
#include "wire/writer.h"

#define NONCE_SIZE 32

// The row of the certificates for a type.
static const struct key_type *type_for(const struct key_type *plain) {
    const struct key_type *t;
    for (size_t i = 0; (t = key_type_at(i)) != NULL; i++) {
        if (t->plain != NULL && key_type_plain(t) == plain)
            return t;
    }
    return NULL;
}

static int compare_options(const void *a, const void *b) {
    return strcmp(((const struct certificate_option *)a)->name,
                  ((const struct certificate_option *)b)->name);
}

static void write_data(struct writer *w, const struct certificate_option *o) {
    if (!o->string) {
        write_string(w, o->data);
        return;
    }
    write_u32(w, (uint32_t)o->data.n + 4);
    write_string(w, o->data);
}

// Sorted by name, as the format wants them.
static enum err write_options(struct writer *w, const struct certificate_template *t,
                              bool critical) {
    scoped_buf room;
    buf_init(&room, LIMIT_CERTIFICATE);
    struct writer inner = writer_to_buf(&room);
    struct certificate_option *sorted = calloc(t->option_count + 1, sizeof *sorted);
    if (sorted == NULL)
        return ERR_MEMORY;
    if (t->option_count > 0)
        memcpy(sorted, t->options, t->option_count * sizeof *sorted);
    qsort(sorted, t->option_count, sizeof *sorted, compare_options);
    for (size_t i = 0; i < t->option_count; i++) {
        if (sorted[i].critical != critical)
            continue;
        write_text(&inner, sorted[i].name);
        write_data(&inner, &sorted[i]);
    }
    free(sorted);
    TRY(writer_end(&inner));
    write_string(w, buf_view(&room));
    return OK;
}

static enum err write_principals(struct writer *w, const struct certificate_template *t) {
    scoped_buf room;
    buf_init(&room, LIMIT_CERTIFICATE);
    struct writer inner = writer_to_buf(&room);
    for (size_t i = 0; i < t->principal_count; i++)
        write_text(&inner, t->principals[i]);
    TRY(writer_end(&inner));
    write_string(w, buf_view(&room));
    return OK;
}

// The subject's fields, as they stand in its blob behind the name.
static struct view subject_fields(const struct key *subject) {
    struct reader r = reader_of(key_plain_blob(subject));
    (void)read_string(&r);
    return read_rest(&r);
}

static enum err write_certificate(struct buf *out, const struct key *subject,
                                  const struct certificate_template *t,
                                  const struct key *ca) {
    const struct key_type *type = type_for(key_type_plain(subject->type));
    uint8_t nonce[NONCE_SIZE];
    if (type == NULL)
        return ERR_UNSUPPORTED;
    random_bytes(nonce, sizeof nonce);
    struct writer w = writer_to_buf(out);
    write_text(&w, type->name);
    write_string(&w, view_of(nonce, sizeof nonce));
    write_bytes(&w, subject_fields(subject));
    write_u64(&w, t->serial);
    write_u32(&w, t->kind);
    write_text(&w, t->key_id);
    TRY(write_principals(&w, t));
    write_u64(&w, t->valid_after);
    write_u64(&w, t->valid_before);
    TRY(write_options(&w, t, true));
    TRY(write_options(&w, t, false));
    write_text(&w, "");
    write_string(&w, key_blob(ca));
    return writer_end(&w);
}

enum err certificate_begin(const struct key *subject,
                           const struct certificate_template *t, const struct key *ca,
                           struct buf *out, struct fault *fault) {
    if (t->principal_count > LIMIT_CERTIFICATE_PRINCIPALS)
        return fault_set(fault, ERR_LIMIT, 0, "more than %d principals",
                         LIMIT_CERTIFICATE_PRINCIPALS);
    if (t->option_count > LIMIT_CERTIFICATE_OPTIONS)
        return fault_set(fault, ERR_LIMIT, 0, "more than %d options",
                         LIMIT_CERTIFICATE_OPTIONS);
    if (ca->certificate != NULL)
        return fault_set(fault, ERR_KEY, 0, "a certificate can not be an authority");
    enum err e = write_certificate(out, subject, t, ca);
    return e == OK ? OK
                   : fault_set(fault, e, 0, "the certificate can not be made: %s",
                               err_text(e));
}

enum err certificate_end(struct key **out, const struct key *subject,
                         const struct key *ca, struct view signature, struct buf *blob,
                         struct fault *fault) {
    const struct signature_alg *alg = key_signature_alg(signature);
    struct key_touch touch;
    if (alg == NULL || key_verify_touch(ca, alg, signature, buf_view(blob), &touch) != OK)
        return fault_set(fault, ERR_SIGNATURE, 0,
                         "the authority's signature is not right");
    struct writer w = writer_to_buf(blob);
    write_string(&w, signature);
    TRY(writer_end(&w));
    // Read again, so that nothing leaves that we would not take ourselves.
    TRY(key_from_blob(out, buf_view(blob), fault));
    if (subject->comment == NULL)
        return OK;
    enum err e = key_set_comment(*out, view_text(subject->comment));
    if (e != OK)
        key_free(*out);
    return e;
}

enum err certificate_make(struct key **out, const struct key *subject,
                          const struct certificate_template *t, const struct key *ca,
                          const struct signature_alg *alg, struct fault *fault) {
    scoped_buf blob, signature;
    buf_init(&blob, LIMIT_CERTIFICATE);
    buf_init(&signature, KEY_SIGNATURE_MAX);
    TRY(certificate_begin(subject, t, ca, &blob, fault));
    enum err e = key_sign(ca, alg, buf_view(&blob), &signature);
    if (e != OK)
        return fault_set(fault, e, 0, "the certificate can not be made: %s", err_text(e));
    return certificate_end(out, subject, ca, buf_view(&signature), &blob, fault);
}
