// Block ciphers with a MAC of their own, either over the plain packet (RFC 4253 s.6.4)
// or, for the -etm names, over what is on the wire with the length in clear: the counter
// mode of AES (RFC 4344 s.4), and for old peers cipher block chaining (RFC 4253 s.6.3),
// where a packet's last block is the next one's IV.
//
// State runs on from packet to packet, so every byte goes through the cipher exactly
// once: with encrypt-and-mac the first block, which holds the length, is deciphered by
// block_length() and kept for block_open().
#include "crypto/packet_cipher_ops.h"

static enum err block_start(struct packet_cipher *c, struct view key, struct view iv,
                            struct view mac_key) {
    TRY(cipher_mac_start(c, mac_key));
    return cipher_context(&c->body, (enum fetched_cipher)c->alg->id, key.p, iv.p,
                          c->seal);
}

static enum err block_seal_etm(struct packet_cipher *c, uint32_t sequence,
                               const uint8_t *plain, size_t n, uint8_t *out) {
    if (!cipher_run(c->body, out + 4, plain + 4, n - 4))
        return fetched_failed(ERR_CRYPTO);
    if (out != plain)
        memcpy(out, plain, 4);
    return cipher_mac(c, sequence, out, n, out + n);
}

static enum err block_seal(struct packet_cipher *c, uint32_t sequence,
                           const uint8_t *plain, size_t n, uint8_t *out) {
    if (c->mac_alg->etm)
        return block_seal_etm(c, sequence, plain, n, out);
    TRY(cipher_mac(c, sequence, plain, n, out + n));
    return cipher_run(c->body, out, plain, n) ? OK : fetched_failed(ERR_CRYPTO);
}

static enum err block_length(struct packet_cipher *c, uint32_t sequence,
                             const uint8_t *in, uint32_t *packet_length) {
    (void)sequence;
    if (!c->mac_alg->etm) {
        if (!cipher_run(c->body, c->first, in, c->head))
            return fetched_failed(ERR_CRYPTO);
        in = c->first;
    }
    *packet_length = load_u32(in);
    return OK;
}

static enum err block_open_etm(struct packet_cipher *c, uint32_t sequence,
                               const uint8_t *in, size_t n, uint8_t *out) {
    uint8_t tag[CIPHER_TAG_MAX];
    TRY(cipher_mac(c, sequence, in, n, tag));
    if (!secret_equal(tag, in + n, c->tag_len))
        return ERR_MAC;
    if (out != in)
        memcpy(out, in, 4);
    return cipher_run(c->body, out + 4, in + 4, n - 4) ? OK : fetched_failed(ERR_CRYPTO);
}

static enum err block_open(struct packet_cipher *c, uint32_t sequence, const uint8_t *in,
                           size_t n, uint8_t *out) {
    if (c->mac_alg->etm)
        return block_open_etm(c, sequence, in, n, out);
    uint8_t tag[CIPHER_TAG_MAX];
    if (!cipher_run(c->body, out + c->head, in + c->head, n - c->head))
        return fetched_failed(ERR_CRYPTO);
    memcpy(out, c->first, c->head);
    TRY(cipher_mac(c, sequence, out, n, tag));
    if (secret_equal(tag, in + n, c->tag_len))
        return OK;
    secret_wipe(out, n);
    return ERR_MAC;
}

const struct packet_cipher_ops cipher_block_ops = {block_start, block_seal, block_length,
                                                   block_open};
