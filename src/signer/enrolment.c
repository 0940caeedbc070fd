#include "signer/enrolment.h"

#include <stdlib.h>

#include "wire/writer.h"

#define RESIDENT_MAX 256  // keys of one device; the largest known hold a hundred

void enrolment_free(struct enrolment *e) {
    key_free(e->key);
    buf_free(&e->attestation);
    buf_free(&e->text);
    *e = (struct enrolment){0};
}

void enrolments_free(struct enrolments *list) {
    for (size_t i = 0; i < list->n; i++)
        enrolment_free(&list->at[i]);
    free(list->at);
    *list = (struct enrolments){0};
}

// "ssh-sk-attest-v01"  string certificate  string signature  string authenticator data
// uint32 reserved  string reserved
static enum err write_attestation(const struct token_key *t, struct buf *out) {
    struct writer w = writer_to_buf(out);
    write_text(&w, "ssh-sk-attest-v01");
    write_string(&w, t->certificate);
    write_string(&w, t->signature);
    write_string(&w, t->authdata);
    write_u32(&w, 0);
    write_text(&w, "");
    return writer_end(&w);
}

static enum err take(struct view text, struct enrolment *e, struct fault *f) {
    struct token_key t;
    *e = (struct enrolment){0};
    buf_init(&e->text, TOKEN_MESSAGE_MAX);
    buf_init(&e->attestation, TOKEN_MESSAGE_MAX);
    TRY(buf_append(&e->text, text));
    TRY(token_key_decode(buf_view(&e->text), &t, f));
    e->user = t.user;
    TRY(key_from_blob(&e->key, t.blob, f));
    if (!e->key->type->security_key || e->key->certificate != NULL)
        return fault_set(f, ERR_KEY, 0, "the token told no security key");
    TRY(key_set_handle(e->key, (uint8_t)t.flags, t.handle));
    return write_attestation(&t, &e->attestation);
}

enum err enrolment_make(const struct token_request *m, struct enrolment *out,
                        bool *exists, struct fault *f) {
    scoped_buf text;
    buf_init(&text, TOKEN_MESSAGE_MAX);
    *out = (struct enrolment){0};
    TRY(token_ask(TOKEN_SECURITY_KEY, m, &text, exists, f));
    enum err e = take(buf_view(&text), out, f);
    if (e == OK && (!view_is(m->type, out->key->type->name) ||
                    !view_equal(m->application, out->key->application)))
        e = fault_set(f, ERR_KEY, 0, "the token made another key than asked for");
    if (e != OK)
        enrolment_free(out);
    return e;
}

enum err enrolments_read(const char *provider, const char *device, const char *pin,
                         struct enrolments *out, struct fault *f) {
    struct token_request m = {.operation = TOKEN_RESIDENT,
                              .provider = view_text(provider),
                              .device = view_text(device),
                              .pin = view_text(pin)};
    scoped_buf text;
    buf_init(&text, TOKEN_MESSAGE_MAX);
    *out = (struct enrolments){0};
    TRY(token_ask(TOKEN_SECURITY_KEY, &m, &text, NULL, f));
    out->at = calloc(RESIDENT_MAX, sizeof *out->at);
    if (out->at == NULL)
        return ERR_MEMORY;
    struct reader r = reader_of(buf_view(&text));
    enum err e = OK;
    while (e == OK && reader_left(&r) > 0) {
        struct view one = read_string(&r);
        e = out->n == RESIDENT_MAX ? ERR_LIMIT : r.err;
        if (e == OK)
            e = take(one, &out->at[out->n++], f);
    }
    if (e != OK)
        enrolments_free(out);
    return e;
}
