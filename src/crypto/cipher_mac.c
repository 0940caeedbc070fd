// The MACs of packets: HMAC (RFC 4253 s.6.4, RFC 6668), keyed once and rewound for each
// packet; UMAC with the sequence number, 64 bits wide, as its nonce.
#include "crypto/packet_cipher_ops.h"

enum err cipher_mac_start(struct packet_cipher *c, struct view key) {
    if (c->mac_alg->umac)
        return umac_new(&c->umac, key.p, c->mac_alg->tag_len);
    c->mac = EVP_MAC_CTX_dup(fetched()->hmac[c->mac_alg->id]);
    if (c->mac == NULL)
        return ERR_MEMORY;
    return EVP_MAC_init(c->mac, key.p, key.n, NULL) == 1 ? OK : ERR_CRYPTO;
}

static enum err cipher_umac(struct packet_cipher *c, uint32_t sequence, const uint8_t *p,
                            size_t n, uint8_t *tag) {
    uint8_t nonce[UMAC_NONCE];
    store_u64(nonce, sequence);
    return umac_tag(c->umac, nonce, p, n, tag);
}

enum err cipher_mac(struct packet_cipher *c, uint32_t sequence, const uint8_t *p,
                    size_t n, uint8_t *tag) {
    uint8_t number[4], whole[CIPHER_TAG_MAX];
    size_t whole_len = 0;
    if (c->umac != NULL)
        return cipher_umac(c, sequence, p, n, tag);
    store_u32(number, sequence);
    bool good = EVP_MAC_init(c->mac, NULL, 0, NULL) == 1 &&
                EVP_MAC_update(c->mac, number, sizeof number) == 1 &&
                EVP_MAC_update(c->mac, p, n) == 1 &&
                EVP_MAC_final(c->mac, whole, &whole_len, sizeof whole) == 1 &&
                whole_len >= c->mac_alg->tag_len;
    if (good)
        memcpy(tag, whole, c->mac_alg->tag_len);
    return good ? OK : fetched_failed(ERR_CRYPTO);
}
