// Keys of PKCS#11 tokens (PKCS11Provider, -I), for which certificates of CertificateFile
// may stand. The library is loaded by ssh-pkcs11-helper: once for the list, and for each
// signature.
#include <stdio.h>
#include <stdlib.h>

#include "base/secret.h"
#include "base/text.h"
#include "client/identities.h"
#include "io/file.h"
#include "io/prompt.h"
#include "signer/helper.h"

static void list_keys(struct identities *ids) {
    struct identities_token *t = &ids->token;
    struct fault fault = {0};
    struct token_request m = {.operation = TOKEN_LIST,
                              .provider = view_text(ids->c->config.pkcs11_provider)};
    buf_init(&t->list, TOKEN_MESSAGE_MAX);
    t->listed = true;
    if (token_ask(TOKEN_PKCS11, &m, &t->list, NULL, &fault) != OK) {
        log_error(&ids->c->log, "%s: no keys: %s", ids->c->config.pkcs11_provider,
                  fault_text(&fault));
        identities_note(ids, false, "PKCS11Provider %s: %s",
                        ids->c->config.pkcs11_provider, fault_text(&fault));
    }
    t->left = reader_of(buf_view(&t->list));
}

// The next key of the list; its certificates come before it.
static bool take_key(struct identities_token *t) {
    if (reader_left(&t->left) == 0)
        return false;
    t->blob = read_string(&t->left);
    t->label = read_string(&t->left);
    t->next_certificate = 0;
    return t->left.err == OK;
}

static bool offer_certificate(struct identities *ids, const char *path) {
    struct identities_token *t = &ids->token;
    struct key *certificate = identities_read_certificate(ids, path);
    if (certificate == NULL)
        return false;
    if (!view_equal(key_plain_blob(certificate), t->blob)) {
        key_free(certificate);
        return false;
    }
    snprintf(ids->name, sizeof ids->name, "%s", path);
    ids->certificate = certificate;
    ids->blob = key_blob(certificate);
    return true;
}

static bool offer(struct identities *ids) {
    struct identities_token *t = &ids->token;
    const struct conf_list *files = &ids->c->config.certificate_file;
    char path[PATH_MAX];
    while (t->next_certificate < files->n)
        if (client_path(ids->c, files->v[t->next_certificate++], path, sizeof path) &&
            offer_certificate(ids, path))
            return true;
    text_clean(ids->name, sizeof ids->name, t->label);
    ids->blob = t->blob;
    t->blob = (struct view){0};
    return true;
}

bool identities_next_token(struct identities *ids) {
    struct identities_token *t = &ids->token;
    if (ids->c->config.pkcs11_provider == NULL)
        return false;
    if (!t->listed)
        list_keys(ids);
    identities_drop_offer(ids);
    if (t->blob.n == 0 && !take_key(t))
        return false;
    ids->in_token = true;
    return offer(ids);
}

// Once for a login: the PIN is kept until its end.
static enum err ask_pin(struct identities *ids, struct fault *fault) {
    char question[PATH_MAX + 32];
    if (ids->token.pin[0] != '\0')
        return OK;
    if (ids->c->config.batch_mode)
        return fault_set(fault, ERR_REFUSED, 0,
                         "its PIN is not asked for in batch mode (try: ssh-add -s)");
    snprintf(question, sizeof question, "Enter PIN for '%s': ", ids->name);
    return prompt_ask(question, 0, ids->token.pin, sizeof ids->token.pin, fault);
}

enum err identities_sign_token(struct identities *ids, const struct signature_alg *alg,
                               struct view data, struct buf *out, struct fault *fault) {
    struct view plain =
        ids->certificate != NULL ? key_plain_blob(ids->certificate) : ids->blob;
    struct key_touch touch;
    struct key *key = NULL;
    TRY(ask_pin(ids, fault));
    struct token_request m = {.operation = TOKEN_SIGN,
                              .provider = view_text(ids->c->config.pkcs11_provider),
                              .type = view_text(alg->signature_name),
                              .handle = plain,
                              .pin = view_text(ids->token.pin),
                              .data = data};
    enum err e = token_ask(TOKEN_PKCS11, &m, out, NULL, fault);
    if (e == ERR_PASSPHRASE)
        secret_wipe(ids->token.pin, sizeof ids->token.pin);
    if (e == OK)
        e = key_from_blob(&key, plain, fault);
    if (e == OK && key_verify_touch(key, alg, buf_view(out), data, &touch) != OK)
        e = fault_set(fault, ERR_SIGNATURE, 0, "the token made a wrong signature");
    key_free(key);
    return e;
}

void identities_close_token(struct identities *ids) {
    buf_free(&ids->token.list);
    secret_wipe(ids->token.pin, sizeof ids->token.pin);
}
