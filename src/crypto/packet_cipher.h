// Sealing and opening one binary packet (RFC 4253 s.6, RFC 5647,
// PROTOCOL.chacha20poly1305, encrypt-then-MAC), one direction for each object.
//
// The caller lays out the packet in plain: length (4 bytes), padding length (1), payload,
// padding; `n` counts all of it. What goes over the wire is n + tag bytes.
#pragma once

#include "base/bytes.h"
#include "base/err.h"

struct cipher_alg {
    const char *name;
    size_t key_len, iv_len;  // bytes to derive
    size_t block;            // packets are multiples of this (RFC 4253 s.6: at least 8)
    size_t tag_len;          // authenticated by itself; 0: needs a MAC
    bool length_is_clear;    // aes-gcm: length is additional data
    uint64_t rekey_bytes;    // renew after so many (RFC 4344 s.3.2); OpenSSH's figures
    const struct packet_cipher_ops *ops;
    int id;        // index into the fetched objects
    bool chained;  // CBC: a block deciphers to something that its neighbour decides
};

struct mac_alg {
    const char *name;
    size_t key_len, tag_len;  // an HMAC is cut to tag_len
    bool etm;
    bool umac;  // RFC 4418 under the sequence number as nonce; else HMAC
    int id;     // HMAC: as in struct digest_alg
};

struct packet_cipher;

// `mac` is ignored for ciphers with a tag of their own. cipher NULL: the null cipher of
// the first exchange (block 8, no tag). Keys are copied into the context.
must_check enum err packet_cipher_new(struct packet_cipher **out,
                                      const struct cipher_alg *cipher,
                                      const struct mac_alg *mac, struct view key,
                                      struct view iv, struct view mac_key, bool seal);
void packet_cipher_free(struct packet_cipher *c);  // wipes; also of NULL

size_t packet_cipher_tag_len(const struct packet_cipher *c);
size_t packet_cipher_block(const struct packet_cipher *c);
// Bytes in front that padding does not align: 4 where the length is not encrypted with
// the rest (GCM, etm, chacha20), 0 otherwise.
size_t packet_cipher_aad(const struct packet_cipher *c);
// True for CBC with a MAC over the plain packet: whoever may guess what a block deciphers
// to must learn nothing from when and how a bad packet is refused (CPNI-957037).
bool packet_cipher_tells(const struct packet_cipher *c);
// Bytes of the packet that packet_cipher_length() needs.
size_t packet_cipher_head(const struct packet_cipher *c);

// Seals plain (n bytes) to out (n + tag bytes), which may be the same place.
must_check enum err packet_cipher_seal(struct packet_cipher *c, uint32_t sequence,
                                       const uint8_t *plain, size_t n, uint8_t *out);

// Reads packet_length (RFC 4253 s.6) off the first packet_cipher_head() bytes, once for
// each packet; the value is not authenticated yet and not checked against any limit.
// Never writes to `in`.
must_check enum err packet_cipher_length(struct packet_cipher *c, uint32_t sequence,
                                         const uint8_t *in, uint32_t *packet_length);

// Opens a whole packet: `in` holds 4 + packet_length + tag bytes as received, `out` gets
// 4 + packet_length bytes and may be the same place. ERR_MAC when one bit is wrong; for
// AEAD and etm nothing of the plain text is usable then.
must_check enum err packet_cipher_open(struct packet_cipher *c, uint32_t sequence,
                                       const uint8_t *in, uint32_t packet_length,
                                       uint8_t *out);
