#include "crypto/key_cipher.h"

#include <openssl/evp.h>

#include "base/secret.h"
#include "crypto/fetched.h"
#include "crypto/provider.h"

// ChaCha20 here takes two keys, of which only the first is used for data (the second
// enciphers packet lengths on the wire), the nonce 0, and Poly1305 under the key stream's
// first block.
#define CHACHA_KEY 32
#define CHACHA_TAG 16

static const struct key_cipher ciphers[] = {
    {"aes256-ctr", "AES-256-CTR", 32, 16, 16, 0},
    {"aes192-ctr", "AES-192-CTR", 24, 16, 16, 0},
    {"aes128-ctr", "AES-128-CTR", 16, 16, 16, 0},
    {"aes256-gcm@openssh.com", "AES-256-GCM", 32, 12, 16, 16},
    {"aes128-gcm@openssh.com", "AES-128-GCM", 16, 12, 16, 16},
    {"chacha20-poly1305@openssh.com", "ChaCha20", 64, 0, 8, CHACHA_TAG},
    {"aes256-cbc", "AES-256-CBC", 32, 16, 16, 0},
    {"aes192-cbc", "AES-192-CBC", 24, 16, 16, 0},
    {"aes128-cbc", "AES-128-CBC", 16, 16, 16, 0},
    {"3des-cbc", "DES-EDE3-CBC", 24, 8, 8, 0},
};

const struct key_cipher *key_cipher_at(size_t index) {
    return index < sizeof ciphers / sizeof ciphers[0] ? &ciphers[index] : NULL;
}

const struct key_cipher *key_cipher_find(struct view name) {
    for (size_t i = 0; i < sizeof ciphers / sizeof ciphers[0]; i++) {
        if (view_is(name, ciphers[i].name))
            return &ciphers[i];
    }
    return NULL;
}

// One run over a whole buffer.
struct job {
    const struct key_cipher *cipher;
    const uint8_t *material;
    struct view in;
    uint8_t *out;
    uint8_t *tag;
    bool seal;
};

static bool run(EVP_CIPHER_CTX *ctx, struct view in, uint8_t *out) {
    int done;
    return in.n <= INT32_MAX / 2 &&
           EVP_CipherUpdate(ctx, out, &done, in.p, (int)in.n) == 1 && done == (int)in.n;
}

static bool start(EVP_CIPHER_CTX *ctx, const struct job *j, const uint8_t *iv) {
    EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, j->cipher->fetch, NULL);
    if (cipher == NULL && provider_widen() == OK)
        cipher = EVP_CIPHER_fetch(NULL, j->cipher->fetch, NULL);
    bool ok = cipher != NULL &&
              EVP_CipherInit_ex2(ctx, cipher, j->material, iv, j->seal, NULL) == 1 &&
              EVP_CIPHER_CTX_set_padding(ctx, 0) == 1;
    EVP_CIPHER_free(cipher);
    return ok;
}

static bool poly1305(const uint8_t *key, struct view data, uint8_t *tag) {
    EVP_MAC_CTX *ctx = EVP_MAC_CTX_new(fetched()->poly1305);
    size_t len;
    bool ok = ctx != NULL && EVP_MAC_init(ctx, key, CHACHA_KEY, NULL) == 1 &&
              EVP_MAC_update(ctx, data.p, data.n) == 1 &&
              EVP_MAC_final(ctx, tag, &len, CHACHA_TAG) == 1;
    EVP_MAC_CTX_free(ctx);
    return ok;
}

static enum err chacha(EVP_CIPHER_CTX *ctx, const struct job *j) {
    const uint8_t iv[16] = {0};
    uint8_t block[64] = {0}, made[CHACHA_TAG];
    enum err e = ERR_CRYPTO;
    if (!start(ctx, j, iv) || !run(ctx, view_of(block, sizeof block), block))
        return e;
    if (j->seal)
        e = run(ctx, j->in, j->out) && poly1305(block, view_of(j->out, j->in.n), j->tag)
                ? OK
                : ERR_CRYPTO;
    else if (poly1305(block, j->in, made))
        e = !secret_equal(made, j->tag, CHACHA_TAG) ? ERR_MAC
            : run(ctx, j->in, j->out)               ? OK
                                                    : ERR_CRYPTO;
    secret_wipe(block, sizeof block);
    return e;
}

static enum err block_mode(EVP_CIPHER_CTX *ctx, const struct job *j) {
    uint8_t last[16];
    int done = 0, tag_len = (int)j->cipher->tag_len;
    if (!start(ctx, j, j->material + j->cipher->key_len) || !run(ctx, j->in, j->out))
        return ERR_CRYPTO;
    if (tag_len > 0 && !j->seal &&
        EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, tag_len, j->tag) != 1)
        return ERR_CRYPTO;
    if (EVP_CipherFinal_ex(ctx, last, &done) != 1)
        return tag_len > 0 ? ERR_MAC : ERR_CRYPTO;
    if (tag_len > 0 && j->seal &&
        EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, tag_len, j->tag) != 1)
        return ERR_CRYPTO;
    return OK;
}

static enum err whole(const struct job *j) {
    if (j->in.n == 0 || j->in.n % j->cipher->block != 0)
        return ERR_FORMAT;
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    if (ctx == NULL)
        return ERR_MEMORY;
    enum err e = j->cipher->iv_len == 0 ? chacha(ctx, j) : block_mode(ctx, j);
    EVP_CIPHER_CTX_free(ctx);
    if (e != OK)
        secret_wipe(j->out, j->in.n);
    return fetched_failed(e);
}

enum err key_cipher_seal(const struct key_cipher *c, const uint8_t *material,
                         const uint8_t *in, size_t n, uint8_t *out, uint8_t *tag) {
    return whole(&(struct job){c, material, view_of(in, n), out, tag, true});
}

enum err key_cipher_open(const struct key_cipher *c, const uint8_t *material,
                         const uint8_t *in, size_t n, uint8_t *out, const uint8_t *tag) {
    uint8_t copy[16] = {0};
    if (c->tag_len > 0)
        memcpy(copy, tag, c->tag_len);
    return whole(&(struct job){c, material, view_of(in, n), out, copy, false});
}
