// aes128-gcm@openssh.com, aes256-gcm@openssh.com: RFC 5647 with OpenSSH's negotiation.
//
// The nonce is 4 fixed bytes and a 64-bit counter of invocations (s.7.1) that starts
// where the derived IV says; the key schedule and the GHASH tables are made once.
// packet_length is additional data, so in clear (s.7.3).
#include "crypto/packet_cipher_ops.h"

#define NONCE_LEN 12
#define TAG_LEN 16

static enum err gcm_start(struct packet_cipher *c, struct view key, struct view iv,
                          struct view mac_key) {
    (void)mac_key;
    memcpy(c->iv, iv.p, NONCE_LEN);
    c->tag_param[0] =
        OSSL_PARAM_construct_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, NULL, TAG_LEN);
    c->tag_param[1] = OSSL_PARAM_construct_end();
    return cipher_context(&c->body, (enum fetched_cipher)c->alg->id, key.p, iv.p,
                          c->seal);
}

static void gcm_next_nonce(struct packet_cipher *c) {
    store_u64(c->iv + 4, load_u64(c->iv + 4) + 1);
}

static enum err gcm_seal(struct packet_cipher *c, uint32_t sequence, const uint8_t *plain,
                         size_t n, uint8_t *out) {
    (void)sequence;
    c->tag_param[0].data = out + n;
    if (EVP_CipherInit_ex2(c->body, NULL, NULL, c->iv, 1, NULL) != 1 ||
        !cipher_run(c->body, NULL, plain, 4) ||
        !cipher_run(c->body, out + 4, plain + 4, n - 4) ||
        EVP_Cipher(c->body, NULL, NULL, 0) < 0 ||
        EVP_CIPHER_CTX_get_params(c->body, c->tag_param) != 1)
        return fetched_failed(ERR_CRYPTO);
    if (out != plain)
        memcpy(out, plain, 4);
    gcm_next_nonce(c);
    return OK;
}

static enum err gcm_length(struct packet_cipher *c, uint32_t sequence, const uint8_t *in,
                           uint32_t *packet_length) {
    (void)c, (void)sequence;
    *packet_length = load_u32(in);
    return OK;
}

// GCM deciphers while it authenticates; what was deciphered is wiped when the tag is
// wrong.
static enum err gcm_open(struct packet_cipher *c, uint32_t sequence, const uint8_t *in,
                         size_t n, uint8_t *out) {
    (void)sequence;
    uint8_t tag[TAG_LEN];
    memcpy(tag, in + n, TAG_LEN);
    c->tag_param[0].data = tag;
    if (EVP_CipherInit_ex2(c->body, NULL, NULL, c->iv, 0, c->tag_param) != 1 ||
        !cipher_run(c->body, NULL, in, 4) ||
        !cipher_run(c->body, out + 4, in + 4, n - 4) ||
        EVP_Cipher(c->body, NULL, NULL, 0) < 0) {
        secret_wipe(out, n);
        return fetched_failed(ERR_MAC);
    }
    if (out != in)
        memcpy(out, in, 4);
    gcm_next_nonce(c);
    return OK;
}

const struct packet_cipher_ops cipher_gcm_ops = {gcm_start, gcm_seal, gcm_length,
                                                 gcm_open};
