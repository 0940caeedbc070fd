// Opening packets: the first byte picks the ciphers, the second what the attacker does to
// honest packets, the rest is his. An honest packet always opens to what was sealed; what
// was tampered with never does.
#include <stdlib.h>

#include "crypto/crypto.h"
#include "crypto/registry.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

#define ROOM 4096

static void must(bool good) {
    if (!good)
        abort();
}

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    (void)argc, (void)argv;
    must(crypto_init() == OK);
    return 0;
}

static struct packet_cipher *cipher_new(unsigned pick, bool seal) {
    static const uint8_t key[64] = {7};
    const struct alg *c = alg_at(ALG_CIPHER, pick % 11),
                     *m = alg_at(ALG_MAC, pick / 11 % 16);
    const struct cipher_alg *cipher = c != NULL ? c->cipher : NULL;
    struct packet_cipher *p = NULL;
    must(packet_cipher_new(&p, cipher, m->mac,
                           view_of(key, cipher != NULL ? cipher->key_len : 0),
                           view_of(key, cipher != NULL ? cipher->iv_len : 0),
                           view_of(key, m->mac->key_len), seal) == OK);
    return p;
}

// The stranger's bytes as a packet, as the transport would read them.
static void open_foreign(struct packet_cipher *c, struct view in) {
    uint8_t wire[ROOM], out[ROOM];
    uint32_t length = 0;
    if (in.n < packet_cipher_head(c) || in.n > sizeof wire)
        return;
    memcpy(wire, in.p, in.n);
    must(packet_cipher_length(c, 3, wire, &length) == OK);
    size_t tag = packet_cipher_tag_len(c);
    if (length > in.n || (size_t)length + 4 + tag > in.n)
        length = in.n >= 4 + tag ? (uint32_t)(in.n - 4 - tag) : 0;
    enum err e = packet_cipher_open(c, 3, wire, length, out);
    must(e != OK || tag == 0);  // 2^-128
}

// Sealed here, changed by one bit where `flip` says, opened there.
static void round_trip(unsigned pick, unsigned flip, struct view payload) {
    uint8_t plain[ROOM], wire[ROOM], out[ROOM];
    struct packet_cipher *s = cipher_new(pick, true), *o = cipher_new(pick, false);
    // As the transport pads it: modes that chain take whole blocks alone.
    size_t block = packet_cipher_block(s), aad = packet_cipher_aad(s);
    size_t n = (16 + payload.n + block - 1) / block * block + aad;
    size_t whole = n + packet_cipher_tag_len(s);
    memset(plain, 0, n);
    store_u32(plain, (uint32_t)(n - 4));
    memcpy(plain + 16, payload.p, payload.n);
    must(packet_cipher_seal(s, 3, plain, n, wire) == OK);
    bool tampered = flip % 2 != 0 && packet_cipher_tag_len(s) > 0;
    if (tampered)
        wire[flip / 2 * 31 % whole] ^= 1;
    uint32_t length = 0;
    must(packet_cipher_length(o, 3, wire, &length) == OK);
    enum err e = packet_cipher_open(o, 3, wire, (uint32_t)(n - 4), out);
    must(e == (tampered ? ERR_MAC : OK));
    must(tampered || (length == n - 4 && memcmp(out, plain, n) == 0));
    packet_cipher_free(s);
    packet_cipher_free(o);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2 || size > 2048)
        return 0;
    struct view rest = view_of(data + 2, size - 2);
    struct packet_cipher *c = cipher_new(data[0], false);
    open_foreign(c, rest);
    packet_cipher_free(c);
    round_trip(data[0], data[1], rest);
    return 0;
}
