// chacha20-poly1305@openssh.com (OpenSSH's PROTOCOL.chacha20poly1305,
// draft-ietf-sshm-chacha20-poly1305).
//
// 64 bytes of key: the first half, K_2, is for the packet, the second, K_1, for its
// length. The nonce is the sequence number. Block 0 of K_2's stream gives the one-time
// Poly1305 key, the packet is enciphered from block 1 on. The tag covers enciphered
// length and packet, and is checked before anything is deciphered.
#include "crypto/packet_cipher_ops.h"

#define HALF_KEY 32
#define STREAM_BLOCK 64
#define POLY_KEY 32
#define TAG_LEN 16

static enum err chacha_start(struct packet_cipher *c, struct view key, struct view iv,
                             struct view mac_key) {
    (void)iv, (void)mac_key;
    TRY(cipher_context(&c->body, FETCHED_CHACHA20, key.p, c->iv, true));
    TRY(cipher_context(&c->length, FETCHED_CHACHA20, key.p + HALF_KEY, c->iv, true));
    c->mac = EVP_MAC_CTX_new(fetched()->poly1305);
    return c->mac != NULL ? OK : ERR_MEMORY;
}

// libcrypto's ChaCha20 takes 64 bits of block number, little-endian, and then the nonce.
static bool chacha_nonce(struct packet_cipher *c, EVP_CIPHER_CTX *ctx,
                         uint32_t sequence) {
    store_u32(c->iv + 12, sequence);
    return EVP_CipherInit_ex2(ctx, NULL, NULL, c->iv, 1, NULL) == 1;
}

// Leaves c->body at block 1 of the packet's stream.
static bool chacha_poly_key(struct packet_cipher *c, uint32_t sequence,
                            uint8_t key[STREAM_BLOCK]) {
    static const uint8_t zeros[STREAM_BLOCK];
    return chacha_nonce(c, c->body, sequence) &&
           cipher_run(c->body, key, zeros, STREAM_BLOCK);
}

static bool chacha_tag(struct packet_cipher *c, const uint8_t *key, const uint8_t *p,
                       size_t n, uint8_t *tag) {
    size_t tag_len = 0;
    return EVP_MAC_init(c->mac, key, POLY_KEY, NULL) == 1 &&
           EVP_MAC_update(c->mac, p, n) == 1 &&
           EVP_MAC_final(c->mac, tag, &tag_len, TAG_LEN) == 1;
}

static enum err chacha_seal(struct packet_cipher *c, uint32_t sequence,
                            const uint8_t *plain, size_t n, uint8_t *out) {
    uint8_t key[STREAM_BLOCK];
    bool good = chacha_nonce(c, c->length, sequence) &&
                cipher_run(c->length, out, plain, 4) &&
                chacha_poly_key(c, sequence, key) &&
                cipher_run(c->body, out + 4, plain + 4, n - 4) &&
                chacha_tag(c, key, out, n, out + n);
    secret_wipe(key, POLY_KEY);
    return good ? OK : fetched_failed(ERR_CRYPTO);
}

static enum err chacha_length(struct packet_cipher *c, uint32_t sequence,
                              const uint8_t *in, uint32_t *packet_length) {
    uint8_t plain[4];
    if (!chacha_nonce(c, c->length, sequence) || !cipher_run(c->length, plain, in, 4))
        return fetched_failed(ERR_CRYPTO);
    *packet_length = load_u32(plain);
    return OK;
}

static enum err chacha_open(struct packet_cipher *c, uint32_t sequence, const uint8_t *in,
                            size_t n, uint8_t *out) {
    uint8_t key[STREAM_BLOCK], tag[TAG_LEN];
    bool good = chacha_poly_key(c, sequence, key) && chacha_tag(c, key, in, n, tag);
    secret_wipe(key, POLY_KEY);
    if (!good || !secret_equal(tag, in + n, TAG_LEN))
        return fetched_failed(good ? ERR_MAC : ERR_CRYPTO);
    store_u32(out, (uint32_t)(n - 4));
    return cipher_run(c->body, out + 4, in + 4, n - 4) ? OK : fetched_failed(ERR_CRYPTO);
}

const struct packet_cipher_ops cipher_chacha_ops = {chacha_start, chacha_seal,
                                                    chacha_length, chacha_open};
