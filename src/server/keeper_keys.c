// Host keys: loading, signing, forgetting.
#include <stdlib.h>

#include "base/limits.h"
#include "base/secret.h"
#include "base/text.h"
#include "io/fd.h"
#include "io/file.h"
#include "key/certificate.h"
#include "key/private_key.h"
#include "server/keeper.h"
#include "wire/messages.h"

// The algorithms of the configured list that this key can sign with, in that order.
static char *algorithms_of(const struct key *key, const char *allowed) {
    scoped_buf out;
    struct view list = view_text(allowed), name;
    buf_init(&out, 4096);
    while (name_list_next(&list, &name)) {
        const struct alg *alg = alg_find(ALG_SIGNATURE, name);
        if (alg == NULL || !key_can_sign_with(key, alg->signature))
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

static enum err load_usable_key(const char *path, const struct server_config *config,
                                struct key **out, struct fault *fault) {
    TRY(load_key(path, out, fault));
    if ((*out)->type->security_key) {
        key_free(*out);
        *out = NULL;
        return fault_set(fault, ERR_UNSUPPORTED, 0,
                         "%s: a security key, which can not sign for a server", path);
    }
    unsigned bits = pk_bits((*out)->pk);
    bool security = (*out)->type->security_key;
    if (!security && ((*out)->type->kind != PK_RSA || bits >= config->required_rsa_size))
        return OK;
    key_free(*out);
    *out = NULL;
    if (security)
        return fault_set(fault, ERR_KEY, 0, "%s: a security key can not be a host key",
                         path);
    return fault_set(fault, ERR_KEY, 0, "%s: RSA key of %u bits, RequiredRSASize is %u",
                     path, bits, config->required_rsa_size);
}

static enum err add_key(struct host_keys *k, struct key *key, const char *allowed) {
    for (size_t i = 0; i < k->n; i++)
        if (view_equal(key_blob(k->keys[i]), key_blob(key))) {
            key_free(key);
            return OK;
        }
    char *algorithms = algorithms_of(key, allowed);
    if (algorithms == NULL || k->n == SETTINGS_HOST_KEYS_MAX) {
        free(algorithms);
        key_free(key);
        return OK;
    }
    k->keys[k->n] = key;
    k->signer[k->n] = k->n;
    k->algorithms[k->n++] = algorithms;
    return OK;
}

// ---- certificates ----

static enum err read_certificate(const char *path, struct key **out,
                                 struct fault *fault) {
    struct buf text = {0};
    TRY(file_read(path, 0, LIMIT_KEY_FILE, &text, fault));
    struct view line = buf_view(&text);
    const uint8_t *end = memchr(line.p, '\n', line.n);
    if (end != NULL)
        line.n = (size_t)(end - line.p);
    enum err e = key_from_public_text(out, line, fault);
    buf_free(&text);
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
    size_t signer = 0, n = k->n;
    TRY(read_certificate(path, &key, fault));
    while (signer < n && !view_equal(key_blob(k->keys[signer]), key_plain_blob(key)))
        signer++;
    if (signer == n) {
        key_free(key);
        return fault_set(fault, ERR_KEY, 0, "No matching private key for certificate: %s",
                         path);
    }
    TRY(add_key(k, key, allowed));
    if (k->n > n)
        k->signer[n] = signer;
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
    for (size_t i = 0; i < n; i++) {
        struct key *key = NULL;
        struct fault one = {0};
        enum err e = load_usable_key(files[i], config, &key, &one);
        if (e == OK)
            e = add_key(k, key, config->host_key_algorithms);
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
    k->n = 0;
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
    free(k);
    for (size_t i = 0; i < 2; i++)
        host_keys_drop(owners[i]);
}

enum err host_keys_sign(const struct host_keys *k, uint32_t index, struct view algorithm,
                        struct view hash, struct buf *out) {
    if (index >= k->n)
        return ERR_REFUSED;
    char name[64];
    const struct alg *alg = alg_find(ALG_SIGNATURE, algorithm);
    if (alg == NULL || !text_copy(name, sizeof name, algorithm) ||
        !name_list_has(view_text(k->algorithms[index]), name))
        return ERR_REFUSED;
    return key_sign(k->keys[k->signer[index]], alg->signature, hash, out);
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
static struct view prove_algorithm(const struct host_keys *k, uint32_t index,
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

static enum err prove_one(const struct host_keys *k, uint32_t index,
                          struct view session_id, const char *own, struct writer *w) {
    scoped_buf data, signature;
    buf_init(&data, LIMIT_PACKET_DEFAULT);
    buf_init(&signature, KEY_SIGNATURE_MAX);
    struct writer d = writer_to_buf(&data);
    write_text(&d, "hostkeys-prove-00@openssh.com");
    write_string(&d, session_id);
    write_string(&d, key_blob(k->keys[index]));
    TRY(writer_end(&d));
    TRY(host_keys_sign(k, index, prove_algorithm(k, index, own), buf_view(&data),
                       &signature));
    write_string(w, buf_view(&signature));
    return OK;
}

enum err host_keys_prove(const struct host_keys *k, struct view session_id,
                         const char *algorithm, struct view blobs, struct buf *out) {
    struct reader r = reader_of(blobs);
    struct writer w = writer_to_buf(out);
    for (size_t n = 0; reader_left(&r) > 0; n++) {
        struct view blob = read_string(&r);
        uint32_t index = 0;
        while (index < k->n && !view_equal(key_blob(k->keys[index]), blob))
            index++;
        if (index == k->n || n == k->n)  // none twice without end
            return ERR_REFUSED;
        TRY(prove_one(k, index, session_id, algorithm, &w));
    }
    TRY(reader_end(&r));
    return writer_end(&w);
}
