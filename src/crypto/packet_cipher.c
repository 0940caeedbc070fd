// Making, dropping and dispatching packet ciphers; the null cipher of the first exchange.
#include "crypto/packet_cipher.h"

#include <stdlib.h>

#include "base/limits.h"
#include "crypto/packet_cipher_ops.h"

static void packet_cipher_layout(struct packet_cipher *c) {
    bool etm = c->mac_alg != NULL && c->mac_alg->etm;
    c->block = c->alg != NULL ? c->alg->block : 8;
    if (c->alg == NULL) {
        c->head = 4;
    } else if (c->alg->tag_len > 0) {
        c->tag_len = c->alg->tag_len;
        c->aad = 4;
        c->head = 4;
    } else {
        c->tag_len = c->mac_alg->tag_len;
        c->aad = etm ? 4 : 0;
        c->head = etm ? 4 : c->block;
    }
}

static bool lengths_fit(const struct cipher_alg *cipher, const struct mac_alg *mac,
                        struct view key, struct view iv, struct view mac_key) {
    if (cipher == NULL)
        return true;
    if (key.n != cipher->key_len || iv.n != cipher->iv_len)
        return false;
    return cipher->tag_len > 0 || (mac != NULL && mac_key.n == mac->key_len);
}

enum err packet_cipher_new(struct packet_cipher **out, const struct cipher_alg *cipher,
                           const struct mac_alg *mac, struct view key, struct view iv,
                           struct view mac_key, bool seal) {
    if (!lengths_fit(cipher, mac, key, iv, mac_key))
        return ERR_CRYPTO;
    struct packet_cipher *c = calloc(1, sizeof *c);
    if (c == NULL)
        return ERR_MEMORY;
    c->ops = cipher != NULL ? cipher->ops : &cipher_null_ops;
    c->alg = cipher;
    c->mac_alg = cipher != NULL && cipher->tag_len == 0 ? mac : NULL;
    c->seal = seal;
    packet_cipher_layout(c);
    enum err e = c->ops->start(c, key, iv, mac_key);
    if (e != OK) {
        packet_cipher_free(c);
        return fetched_failed(e);
    }
    *out = c;
    return OK;
}

void packet_cipher_free(struct packet_cipher *c) {
    if (c == NULL)
        return;
    EVP_CIPHER_CTX_free(c->body);  // libcrypto wipes what was keyed
    EVP_CIPHER_CTX_free(c->length);
    EVP_MAC_CTX_free(c->mac);
    umac_free(c->umac);
    secret_wipe(c, sizeof *c);
    free(c);
}

size_t packet_cipher_tag_len(const struct packet_cipher *c) {
    return c->tag_len;
}

size_t packet_cipher_block(const struct packet_cipher *c) {
    return c->block;
}

size_t packet_cipher_aad(const struct packet_cipher *c) {
    return c->aad;
}

bool packet_cipher_tells(const struct packet_cipher *c) {
    return c->alg != NULL && c->alg->chained && !c->mac_alg->etm;
}

size_t packet_cipher_head(const struct packet_cipher *c) {
    return c->head;
}

enum err packet_cipher_seal(struct packet_cipher *c, uint32_t sequence,
                            const uint8_t *plain, size_t n, uint8_t *out) {
    if (n < c->head || n > 2 * (size_t)LIMIT_PACKET)
        return ERR_LIMIT;
    return c->ops->seal(c, sequence, plain, n, out);
}

enum err packet_cipher_length(struct packet_cipher *c, uint32_t sequence,
                              const uint8_t *in, uint32_t *packet_length) {
    return c->ops->length(c, sequence, in, packet_length);
}

enum err packet_cipher_open(struct packet_cipher *c, uint32_t sequence, const uint8_t *in,
                            uint32_t packet_length, uint8_t *out) {
    size_t n = (size_t)packet_length + 4;
    if (n < c->head || n > 2 * (size_t)LIMIT_PACKET)
        return ERR_LIMIT;
    return c->ops->open(c, sequence, in, n, out);
}

enum err cipher_context(EVP_CIPHER_CTX **out, enum fetched_cipher id, const uint8_t *key,
                        const uint8_t *iv, bool encrypt) {
    *out = EVP_CIPHER_CTX_new();
    if (*out == NULL)
        return ERR_MEMORY;
    const EVP_CIPHER *cipher = fetched_cipher(id);
    if (cipher == NULL)
        return fetched_failed(ERR_CRYPTO);
    return EVP_CipherInit_ex2(*out, cipher, key, iv, encrypt, NULL) == 1 ? OK
                                                                         : ERR_CRYPTO;
}

// ---- null cipher ----

static enum err null_start(struct packet_cipher *c, struct view key, struct view iv,
                           struct view mac_key) {
    (void)c, (void)key, (void)iv, (void)mac_key;
    return OK;
}

static enum err null_copy(struct packet_cipher *c, uint32_t sequence, const uint8_t *in,
                          size_t n, uint8_t *out) {
    (void)c, (void)sequence;
    if (in != out)
        memcpy(out, in, n);
    return OK;
}

static enum err null_length(struct packet_cipher *c, uint32_t sequence, const uint8_t *in,
                            uint32_t *packet_length) {
    (void)c, (void)sequence;
    *packet_length = load_u32(in);
    return OK;
}

const struct packet_cipher_ops cipher_null_ops = {null_start, null_copy, null_length,
                                                  null_copy};
