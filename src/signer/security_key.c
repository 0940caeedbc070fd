#include "signer/security_key.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/secret.h"
#include "base/text.h"
#include "io/prompt.h"

const char *security_key_provider(const char *configured) {
    const char *other = getenv("SSH_SK_PROVIDER");
    if (other != NULL && *other == '\0')
        other = NULL;
    if (configured != NULL && configured[0] == '$')
        configured = getenv(configured + 1);
    else if (configured == NULL || strcmp(configured, "internal") == 0)
        configured = other;
    return configured != NULL && *configured != '\0' ? configured : "internal";
}

static enum err ask_pin(const struct key *k, char *pin, struct fault *f) {
    char print[KEY_FINGERPRINT_SIZE], question[KEY_FINGERPRINT_SIZE + 80];
    key_fingerprint(print, sizeof print, key_blob(k), &digest_sha256);
    snprintf(question, sizeof question, "Enter PIN for %s key %s: ", k->type->short_name,
             print);
    return prompt_ask(question, 0, pin, PROMPT_MAX, f);
}

static void tell_touch(const struct key *k, const struct security_key_use *use) {
    char print[KEY_FINGERPRINT_SIZE];
    if ((k->handle_flags & KEY_HANDLE_TOUCH) == 0 || use->nobody)
        return;
    log_info(use->log, "Confirm user presence for key %s %s", k->type->short_name,
             key_fingerprint(print, sizeof print, key_blob(k), &digest_sha256));
}

static enum err sign(const struct key *k, const struct security_key_use *use,
                     const char *pin, const struct signature_alg *alg, struct view data,
                     struct buf *out, struct fault *f) {
    struct key_touch touch;
    struct token_request m = {.operation = TOKEN_SIGN,
                              .provider = view_text(use->provider),
                              .type = view_text(key_type_plain(k->type)->name),
                              .application = k->application,
                              .handle = view_of(k->handle, k->handle_len),
                              .flags = k->handle_flags,
                              .pin = view_text(pin),
                              .data = data};
    size_t before = buf_len(out);
    tell_touch(k, use);
    TRY(token_ask(TOKEN_SECURITY_KEY, &m, out, NULL, f));
    struct view all = buf_view(out);
    struct view signature = view_of(all.p + before, all.n - before);
    return key_verify_touch(k, alg, signature, data, &touch) == OK
               ? OK
               : fault_set(f, ERR_SIGNATURE, 0, "the token made a wrong signature");
}

// A token may want a PIN that its key's flags do not tell of; one that is wrong is asked
// for once more, since tokens lock up after a few.
enum err security_key_sign(const struct key *k, const struct security_key_use *use,
                           const struct signature_alg *alg, struct view data,
                           struct buf *out, struct fault *f) {
    char pin[PROMPT_MAX] = "";
    bool ask = (k->handle_flags & KEY_HANDLE_VERIFY) != 0 && !use->nobody;
    enum err e = ERR_PASSPHRASE;
    for (unsigned tries = 0; tries < 2 && e == ERR_PASSPHRASE; tries++, ask = true) {
        if (tries > 0 && use->nobody)
            break;
        fault_clear(f);
        e = ask ? ask_pin(k, pin, f) : OK;
        if (e == OK)
            e = sign(k, use, pin, alg, data, out, f);
        secret_wipe(pin, sizeof pin);
    }
    return e;
}
