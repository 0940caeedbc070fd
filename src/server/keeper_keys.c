// Host keys: loading, signing, forgetting.
#include <stdio.h>
#include <stdlib.h>

#include "base/limits.h"
#include "base/secret.h"
#include "base/text.h"
#include "io/fd.h"
#include "io/file.h"
#include "key/certificate.h"
#include "key/private_key.h"
#include "server/keeper.h"
#include "signer/security_key.h"
#include "wire/messages.h"

// A browser's form of signatures fits the key, but only browsers make it.
static bool makes(const struct key *key, const struct signature_alg *alg) {
    return !key->type->security_key ||
           strcmp(alg->signature_name, key_type_plain(key->type)->name) == 0;
}

// The algorithms of the configured list that this key can sign with, in that order.
static char *algorithms_of(const struct key *key, const char *allowed) {
    scoped_buf out;
    struct view list = view_text(allowed), name;
    buf_init(&out, 4096);
    while (name_list_next(&list, &name)) {
        const struct alg *alg = alg_find(ALG_SIGNATURE, name);
        if (alg == NULL || !key_can_sign_with(key, alg->signature) ||
            !makes(key, alg->signature))
            continue;
        if (buf_len(&out) > 0 && buf_append(&out, view_text(",")) != OK)
            return NULL;
        if (buf_append(&out, name) != OK)
            return NULL;
    }
    struct view v = buf_view(&out);
    return v.n > 0 ? strndup((const char *)v.p, v.n) : NULL;
}

static enum err load_key(const char *path, struct key **out, struct fault *fault) {
    scoped_fd fd = -1;
    struct buf text = {0};
    TRY(file_open(path, 0, &fd, fault));
    TRY(file_check_private(fd, path, fault));
    TRY(file_read_fd(fd, path, LIMIT_KEY_FILE, &text, fault));
    enum err e = private_key_parse(out, buf_view(&text), view_of(NULL, 0), fault);
    if (text.p != NULL)
        secret_wipe(text.p, text.room);
    buf_free(&text);
    return e;
}

static enum err read_public(const char *path, struct key **out, struct fault *fault) {
    struct buf text = {0};
    TRY(file_read(path, 0, LIMIT_KEY_FILE, &text, fault));
    enum err e = key_from_public_text(out, view_until(buf_view(&text), '\n'), fault);
    buf_free(&text);
    return e;
}

// HostKeyAgent: the file, or the one beside it, is the public half of what the agent has.
static enum err load_public_key(const char *path, struct key **out) {
    char beside[4096];
    if (read_public(path, out, NULL) == OK)
        return OK;
    snprintf(beside, sizeof beside, "%s.pub", path);
    return read_public(beside, out, NULL);
}

static enum err load_either(const char *path, const struct server_config *config,
                            struct key **out, struct fault *fault) {
    enum err e = load_key(path, out, fault);
    if (e == OK || config->host_key_agent == NULL || load_public_key(path, out) != OK)
        return e;
    fault_clear(fault);
    return OK;
}

static enum err check_usable(const char *path, const struct server_config *config,
                             const struct key *key, struct fault *fault) {
    const char *provider = config->security_key_provider;
    if (key->certificate != NULL)
        return fault_set(fault, ERR_KEY, 0,
                         "%s: a certificate; HostKey wants the key, HostCertificate this",
                         path);
    if (key->type->security_key && (provider == NULL || key->handle == NULL) &&
        config->host_key_agent == NULL)
        return fault_set(fault, ERR_KEY, 0,
                         "%s: a key of a security key, and SecurityKeyProvider is none",
                         path);
    if (key->type->kind == PK_RSA && pk_bits(key->pk) < config->required_rsa_size)
        return fault_set(fault, ERR_KEY, 0,
                         "%s: RSA key of %u bits, RequiredRSASize is %u", path,
                         pk_bits(key->pk), config->required_rsa_size);
    return OK;
}

static enum err load_usable_key(const char *path, const struct server_config *config,
                                struct key **out, struct fault *fault) {
    TRY(load_either(path, config, out, fault));
    enum err e = check_usable(path, config, *out, fault);
    if (e != OK) {
        key_free(*out);
        *out = NULL;
        return e;
    }
    // Nobody stands beside a server to touch it.
    (*out)->handle_flags &= (uint8_t)~KEY_HANDLE_TOUCH;
    return OK;
}

// The plain key of that blob.
static struct key *find_key(const struct host_keys *k, struct view blob) {
    for (size_t i = 0; i < k->n; i++)
        if (view_equal(key_blob(k->keys[i]), blob))
            return k->keys[i];
    for (size_t i = 0; i < k->spares; i++)
        if (view_equal(key_blob(k->spare[i]), blob))
            return k->spare[i];
    return NULL;
}

// Takes the key over. One that may not sign by itself can still be a certificate's.
static void add_key(struct host_keys *k, struct key *key, struct key *signer,
                    const char *allowed) {
    bool known = find_key(k, key_blob(key)) != NULL;
    char *algorithms = known ? NULL : algorithms_of(key, allowed);
    if (algorithms != NULL && k->n < SETTINGS_HOST_KEYS_MAX) {
        k->keys[k->n] = key;
        k->signer[k->n] = signer;
        k->algorithms[k->n++] = algorithms;
        return;
    }
    free(algorithms);
    if (!known && key == signer && k->spares < SETTINGS_HOST_KEYS_MAX)
        k->spare[k->spares++] = key;
    else
        key_free(key);
}

// ---- certificates ----

static enum err read_certificate(const char *path, struct key **out,
                                 struct fault *fault) {
    enum err e = read_public(path, out, fault);
    if (e == OK &&
        ((*out)->certificate == NULL || (*out)->certificate->kind != CERTIFICATE_HOST)) {
        key_free(*out);
        *out = NULL;
        e = fault_set(fault, ERR_KEY, 0, "%s is no host certificate", path);
    }
    return e;
}

// The certificate's private half is one of the keys that are loaded.
static enum err add_certificate(struct host_keys *k, const char *path,
                                const char *allowed, struct fault *fault) {
    struct key *key = NULL;
    TRY(read_certificate(path, &key, fault));
    struct key *signer = find_key(k, key_plain_blob(key));
    if (signer == NULL) {
        key_free(key);
        return fault_set(fault, ERR_KEY, 0, "No matching private key for certificate: %s",
                         path);
    }
    add_key(k, key, signer, allowed);
    return OK;
}

static void add_certificates(struct host_keys *k, const struct server_config *config,
                             const struct log *log) {
    for (size_t i = 0; i < config->host_certificate.n; i++) {
        struct fault fault = {0};
        const char *path = config->host_certificate.v[i];
        if (add_certificate(k, path, config->host_key_algorithms, &fault) != OK)
            log_error(log, "Could not load host certificate \"%s\": %s", path,
                      fault_text(&fault));
    }
}

// Where secret halves are that are not here.
static void keep_places(struct host_keys *k, const struct server_config *config) {
    const char *agent = config->host_key_agent;
    const char *provider = config->security_key_provider;
    if (agent != NULL && strcmp(agent, "SSH_AUTH_SOCK") == 0)
        agent = getenv("SSH_AUTH_SOCK");
    k->agent = agent != NULL ? strdup(agent) : NULL;
    k->provider = provider != NULL ? strdup(security_key_provider(provider)) : NULL;
}

enum err keeper_load_keys(const struct keeper_options *options,
                          const struct server_config *config, const struct log *log,
                          struct host_keys **out, struct fault *fault) {
    struct host_keys *k = calloc(1, sizeof *k);
    const char *const *files = config->host_key.v;
    size_t n = config->host_key.n;
    if (k == NULL)
        return ERR_MEMORY;
    if (options->host_key_files_n > 0) {
        files = options->host_key_files;
        n = options->host_key_files_n;
    }
    k->refs = 1;
    keep_places(k, config);
    for (size_t i = 0; i < n; i++) {
        struct key *key = NULL;
        struct fault one = {0};
        enum err e = load_usable_key(files[i], config, &key, &one);
        if (e == OK)
            add_key(k, key, key, config->host_key_algorithms);
        else
            log_error(log, "Unable to load host key \"%s\": %s", files[i],
                      fault_text(&one));
    }
    add_certificates(k, config, log);
    *out = k;
    if (k->n > 0)
        return OK;
    host_keys_drop(k);
    *out = NULL;
    return fault_set(fault, ERR_CONFIG, 0, "no hostkeys available -- exiting.");
}

void host_keys_forget(struct host_keys *k) {
    for (size_t i = 0; i < k->n; i++) {
        if (!k->lent[i])
            key_free(k->keys[i]);
        free(k->algorithms[i]);
    }
    for (size_t i = 0; i < k->spares; i++)
        key_free(k->spare[i]);
    k->n = k->spares = 0;
    for (size_t i = 0; i < 2; i++)
        if (k->owners[i] != NULL)
            host_keys_forget(k->owners[i]);
}

void host_keys_drop(struct host_keys *k) {
    if (k == NULL || --k->refs > 0)
        return;
    struct host_keys *owners[2] = {k->owners[0], k->owners[1]};
    k->owners[0] = k->owners[1] = NULL;
    host_keys_forget(k);
    free(k->agent);
    free(k->provider);
    free(k);
    for (size_t i = 0; i < 2; i++)
        host_keys_drop(owners[i]);
}

const struct signature_alg *host_keys_algorithm(const struct host_keys *k, uint32_t index,
                                                struct view name) {
    char text[64];
    const struct alg *alg = alg_find(ALG_SIGNATURE, name);
    return index < k->n && alg != NULL && text_copy(text, sizeof text, name) &&
                   name_list_has(view_text(k->algorithms[index]), text)
               ? alg->signature
               : NULL;
}

bool host_keys_elsewhere(const struct host_keys *k, uint32_t index) {
    const struct key *key = k->signer[index];
    return !pk_has_secret(key->pk) && (key->handle != NULL || k->agent != NULL);
}

enum err host_keys_sign(const struct host_keys *k, uint32_t index, struct view algorithm,
                        struct view hash, struct buf *out) {
    const struct signature_alg *alg = host_keys_algorithm(k, index, algorithm);
    return alg != NULL ? key_sign(k->signer[index], alg, hash, out) : ERR_REFUSED;
}

enum err host_keys_blobs(const struct host_keys *k, struct buf *out) {
    struct writer w = writer_to_buf(out);
    for (size_t i = 0; i < k->n; i++)
        if (k->keys[i]->certificate == NULL)
            write_string(&w, key_blob(k->keys[i]));
    return writer_end(&w);
}

// By which algorithm: the link's own where that fits (what the peer expects of RSA), else
// the first.
struct view host_keys_prove_algorithm(const struct host_keys *k, uint32_t index,
                                      const char *own) {
    struct view list = view_text(k->algorithms[index]), name, first = {NULL, 0};
    while (name_list_next(&list, &name)) {
        if (view_is(name, own))
            return name;
        bool certificate = memmem(name.p, name.n, "-cert-", 6) != NULL;
        if (first.n == 0 && !certificate)
            first = name;
    }
    return first;
}

bool host_keys_find(const struct host_keys *k, struct view blob, uint32_t *index) {
    for (*index = 0; *index < k->n; ++*index)
        if (view_equal(key_blob(k->keys[*index]), blob))
            return true;
    return false;
}

enum err host_keys_prove_data(const struct host_keys *k, uint32_t index,
                              struct view session_id, struct buf *out) {
    struct writer d = writer_to_buf(out);
    write_text(&d, "hostkeys-prove-00@openssh.com");
    write_string(&d, session_id);
    write_string(&d, key_blob(k->keys[index]));
    return writer_end(&d);
}
