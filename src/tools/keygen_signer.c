#include "tools/keygen_signer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/secret.h"
#include "base/text.h"
#include "io/file.h"
#include "io/prompt.h"
#include "signer/security_key.h"

// ---- private files ----

// The name may be that of the public half or of a certificate beside it.
static bool private_path(const char *file, char *out, size_t size) {
    static const char *const endings[] = {"-cert.pub", ".pub"};
    if (!text_copy(out, size, view_text(file)))
        return keygen_fail("the file's name is too long") == 0;
    for (size_t i = 0; i < 2; i++) {
        size_t n = strlen(out), m = strlen(endings[i]);
        if (n > m && strcmp(out + n - m, endings[i]) == 0)
            out[n - m] = '\0';
    }
    return file_exists(out) ||
           keygen_fail("%s: no private key is there, and no agent has it", file) == 0;
}

static bool open_file(struct keygen_signer *s) {
    char path[KEYGEN_PATH], pass[PROMPT_MAX], question[KEYGEN_PATH + 64];
    struct keygen one = *s->k;
    if (!private_path(s->name, path, sizeof path))
        return false;
    one.file = path;
    snprintf(question, sizeof question, "Enter passphrase for \"%s\": ", path);
    if (!keygen_load(&one, question, &s->secret, pass))
        return false;
    secret_wipe(pass, sizeof pass);
    if (s->public != NULL && !view_equal(key_plain_blob(s->public), key_blob(s->secret)))
        return keygen_fail("%s and %s are not halves of one key", s->name, path) == 0;
    return true;
}

// ---- agents ----

static const struct agent_link_key *find_in_agent(const struct keygen_signer *s) {
    const struct agent_link_key *key =
        agent_link_find(&s->agent, key_plain_blob(s->public));
    return key != NULL ? key : agent_link_find(&s->agent, key_blob(s->public));
}

// Says why not only where the agent is demanded.
static bool open_agent(struct keygen_signer *s, bool demanded) {
    const char *path = getenv("SSH_AUTH_SOCK");
    struct fault f = {0};
    enum err e = path != NULL && *path != '\0' ? agent_link_open(&s->agent, path, &f)
                                               : ERR_NOT_FOUND;
    if (e == OK)
        e = agent_link_list(&s->agent);
    const struct agent_link_key *key = e == OK ? find_in_agent(s) : NULL;
    if (key != NULL) {
        s->agent_key = key->blob;
        return true;
    }
    agent_link_close(&s->agent);
    if (demanded && e != OK)
        keygen_fail("no agent can be asked (SSH_AUTH_SOCK): %s",
                    f.text[0] != '\0' ? f.text : err_text(e));
    else if (demanded)
        keygen_fail("the agent does not have the key of %s", s->name);
    return false;
}

// ---- tokens ----

static bool open_token(struct keygen_signer *s) {
    char question[KEYGEN_PATH + 64];
    struct fault f = {0};
    snprintf(question, sizeof question, "Enter PIN for %s: ", s->k->library);
    fflush(stdout);
    return prompt_ask(question, PROMPT_STDIN, s->pin, sizeof s->pin, &f) == OK ||
           keygen_fail("%s", fault_text(&f)) == 0;
}

// ---- all ----

bool keygen_signer_open(struct keygen_signer *s, const struct keygen *k, const char *file,
                        bool agent_first) {
    struct fault f = {0};
    *s = (struct keygen_signer){.k = k, .name = file, .agent = {.fd = -1}};
    bool must_public = k->ca_in_agent || k->library != NULL;
    // A pipe is read once, and then for the secret half.
    bool ask_public = must_public || !file_is_stream(file);
    if (ask_public && keygen_load_public(file, &s->public, &f) != OK) {
        s->public = NULL;
        if (must_public)
            return keygen_fail("Couldn't load public key %s: %s", file,
                               fault_reason(&f, file)) == 0;
    }
    if (k->library != NULL)
        return open_token(s);
    if (k->ca_in_agent)
        return open_agent(s, true);
    return (agent_first && s->public != NULL && open_agent(s, false)) || open_file(s);
}

void keygen_signer_close(struct keygen_signer *s) {
    key_free(s->public);
    key_free(s->secret);
    if (s->agent.fd >= 0)
        agent_link_close(&s->agent);
    secret_wipe(s->pin, sizeof s->pin);
}

struct key *keygen_signer_plain(const struct keygen_signer *s) {
    const struct key *key = s->public != NULL ? s->public : s->secret;
    struct key *plain = NULL;
    return key_from_blob(&plain, key_plain_blob(key), NULL) == OK ? plain : NULL;
}

static void say(void *arg, enum log_level level, const char *text) {
    (void)arg, (void)level;
    fflush(stdout);
    fprintf(stderr, "%s\n", text);
}

static enum err sign_with_secret(struct keygen_signer *s, const struct signature_alg *alg,
                                 struct view data, struct buf *out, struct fault *f) {
    struct log log = {.level = LOG_LEVEL_INFO, .write = say};
    struct security_key_use use = {security_key_provider(s->k->provider), &log, false};
    return s->secret->type->security_key
               ? security_key_sign(s->secret, &use, alg, data, out, f)
               : key_sign(s->secret, alg, data, out);
}

static enum err sign_with_token(struct keygen_signer *s, const struct signature_alg *alg,
                                struct view data, struct buf *out, struct fault *f) {
    struct token_request m = {.operation = TOKEN_SIGN,
                              .provider = view_text(s->k->library),
                              .type = view_text(alg->name),
                              .handle = key_plain_blob(s->public),
                              .pin = view_text(s->pin),
                              .data = data};
    return token_ask(TOKEN_PKCS11, &m, out, NULL, f);
}

enum err keygen_signer_sign(struct keygen_signer *s, const struct signature_alg *alg,
                            struct view data, struct buf *out, struct fault *f) {
    if (s->agent.fd >= 0)
        return agent_link_sign(&s->agent, s->agent_key, alg, data, out);
    return s->secret != NULL ? sign_with_secret(s, alg, data, out, f)
                             : sign_with_token(s, alg, data, out, f);
}
