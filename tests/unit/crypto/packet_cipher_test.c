// Packet ciphers: fixed vectors, round trips of every length, one bit wrong anywhere.
//
// The vectors of PACKETS were made with Python's cryptography package from the packet
// constructions' own texts (RFC 5647, RFC 4344, RFC 4253 s.6.4,
// PROTOCOL.chacha20poly1305).
#include "vector.h"

#include <stdlib.h>

#include "base/limits.h"
#include "crypto/crypto.h"
#include "crypto/packet_cipher_ops.h"
#include "crypto/registry.h"

#define SEQUENCE 0x01020304u
#define PLAIN_LEN 48
#define ROOM (40 * 1024)

struct packet_vector {
    const char *cipher, *mac, *hex;  // hex: one sealed packet, or two of the same
};

static const struct packet_vector PACKETS[] = {
    {"chacha20-poly1305@openssh.com", NULL,
     "ca853fad9edce297782865613b455fe7b830d8efccfecdd630e819a83a165e18"
     "cf4e46b31eefb91b7d0015fe29b829235a1830e15425f0c97aa10f75b369a757"},
    {"aes128-gcm@openssh.com", NULL,
     "0000002c4f389c6844d414296aa46cf543eb0cfc97e0816f819d24f67149b76c"
     "89cd77ad2e165796d48bfa84b4391206b198640a795aa3066e6b3f414ac0ccf2"
     "0000002c46e298b4ee37778835870f2189559b80a7180cd1b9d3261bab481226"
     "b13e5d4bba7eae828345f1aba51da20be96660917ef56fa32d5a8a56473b995e"},
    {"aes256-gcm@openssh.com", NULL,
     "0000002c2d475c25e0ac9f1fa36092063a6d7fa96276035518ba024b2fe7fb4f"
     "2b18d39a902c0a3582a20378cde491e3900080e16240a31e7a7c578cf2087b7b"
     "0000002c8330c8e2140f32d541358065d871409ec6993a0d5fa32427a06a684e"
     "29d865b718de8ab5e09dcb39295831341ab2b3aa1c21828e6dd39541b501e6fc"},
    {"aes128-ctr", "hmac-sha2-256-etm@openssh.com",
     "0000002c915ef92c59e8be41459f6c0d38d92586222f4982e613642ea7be3500"
     "6830f2c4a5a91f4f3b673313dc9f852117c9d7605095f8c0d93b9a9b10923d6b"
     "3f6d74c91bc88910c2a3c5de247987ab"},
    {"aes192-ctr", "hmac-sha2-512-etm@openssh.com",
     "0000002caa540494bdfdf07b65070fd5b51866c9efb5149214044004949d1130"
     "ca80a5e718ddeae097d8cddbacf151d554d64e6b0b68da33a16d7acddbdff2dd"
     "d36ac7c375bb220380439a83217052497201273299ec71e208bea4097fdd0580"
     "989e9fd33e30576d26ad58369b5ebfee"},
    {"aes256-ctr", "hmac-sha2-256",
     "1fabf28eec2df4e3419373bcf4bb25a170e9726e28f3e1c4305416a0717493bb"
     "61f0fc14d906f287ae79e1a00e032cc058f6ad928a27faaccca77d2eb05fe3a9"
     "47d39fe49cec234927beaa395cd052aa"},
    {"aes128-ctr", "hmac-sha2-512",
     "9b1eb84210ecba454193600134dd21822633559efa17602aa3b2390c6434f6c0"
     "a195acff8ae93313dc9f85219ddd0b2b83c3fdf6250a72de9deca3b25441579f"
     "975fd3e39636dd737745dba5531a11877953a22716aeb09b39fadf91c0eadf84"
     "308523c6bbf95d61d6d670c86c631ed8"},
    // Two packets each: the second one's IV is the first one's last block.
    {"aes128-cbc", "hmac-sha1-96",
     "bb8176b11e7e9b694323e497a2e1eb028a72dc8908050834c91f67ac35421e19"
     "2237d61fa0e4dcc2566344aa4cf0379418fb94417381af15b41e29b265dac330"
     "4a19309552d45d56a8ff9b6b4fc222976f554dd8cb01f676c870bfc016fb9dab"
     "dbefb203259f6a49ca3e7ebe18fb94417381af15b41e29b2"},
    {"aes192-cbc", "hmac-md5-96",
     "485b960853e712c77e05b10e37e13c108545fed85fc4665bef703c1ac9f1e665"
     "0c6d94c87b669ba6073a3a1ec2b7f55a486653adbb6aad48ecd4889dffda7e44"
     "940e62363f2248ed6f4565d26ed9d1944fcb6d2b10a9b4de3ddc37438a12f177"
     "0c88ae9ad1b965ffe73f3ccd486653adbb6aad48ecd4889d"},
    {"aes256-cbc", "hmac-sha2-256",
     "94b61462dcb1aba2bca72fb190d6978d75c086af360c19c65de9fc8b9ff55074"
     "ba4b7f2720d6c31f2a2be16bfbf7199c58f6ad928a27faaccca77d2eb05fe3a9"
     "47d39fe49cec234927beaa395cd052aa128653f645fd7e741a22c6439876d2bd"
     "494b701f529b9b26bbe7f4aae1caefbb073c8731afca767b368c33a1f07b0b61"
     "58f6ad928a27faaccca77d2eb05fe3a947d39fe49cec234927beaa395cd052aa"},
    {"3des-cbc", "hmac-md5",
     "f58d5d2838ed6903954b9e3a4b5cac6c1ec0454b8caadccc04f41417475f2951"
     "da3f4a0c3e12fb2943c5322c00c54e89486653adbb6aad48ecd4889d396d73f3"
     "9673387e85a18df0585a3b5df04acdeefc2576d6a7173c5d018665f030c04fcb"
     "f81a44f9acdf220b95eb3112de47c410486653adbb6aad48ecd4889d396d73f3"},
};

static struct packet_cipher *make(const struct cipher_alg *cipher,
                                  const struct mac_alg *mac, bool seal) {
    uint8_t key[64], iv[16], mac_key[64];
    vector_fill(key, sizeof key, 1, 7);
    vector_fill(iv, sizeof iv, 0xf0, 1);
    vector_fill(mac_key, sizeof mac_key, 5, 3);
    struct packet_cipher *c = NULL;
    assert_int_equal(packet_cipher_new(&c, cipher, mac,
                                       view_of(key, cipher != NULL ? cipher->key_len : 0),
                                       view_of(iv, cipher != NULL ? cipher->iv_len : 0),
                                       view_of(mac_key, mac != NULL ? mac->key_len : 0),
                                       seal),
                     OK);
    return c;
}

static const struct alg *find(enum alg_kind kind, const char *name) {
    const struct alg *a = alg_find(kind, view_text(name));
    assert_non_null(a);
    return a;
}

static void plain_packet(uint8_t out[PLAIN_LEN]) {
    store_u32(out, PLAIN_LEN - 4);
    out[4] = 10;
    vector_fill(out + 5, 33, 0x40, 1);
    memset(out + 38, 0xee, 10);
}

static void seals_and_opens_vectors(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof PACKETS / sizeof *PACKETS; i++) {
        const struct packet_vector *v = &PACKETS[i];
        const struct cipher_alg *cipher = find(ALG_CIPHER, v->cipher)->cipher;
        const struct mac_alg *mac = v->mac != NULL ? find(ALG_MAC, v->mac)->mac : NULL;
        struct packet_cipher *s = make(cipher, mac, true), *o = make(cipher, mac, false);
        uint8_t plain[PLAIN_LEN], want[512], got[512];
        plain_packet(plain);
        size_t n = vector_bytes(want, sizeof want, v->hex);
        size_t each = PLAIN_LEN + packet_cipher_tag_len(s);
        for (size_t at = 0; at < n; at += each) {
            uint32_t length = 0;
            assert_int_equal(packet_cipher_seal(s, SEQUENCE, plain, PLAIN_LEN, got), OK);
            assert_memory_equal(got, want + at, each);
            assert_int_equal(packet_cipher_length(o, SEQUENCE, want + at, &length), OK);
            assert_int_equal(length, PLAIN_LEN - 4);
            assert_int_equal(packet_cipher_open(o, SEQUENCE, want + at, length, got), OK);
            assert_memory_equal(got, plain, PLAIN_LEN);
        }
        packet_cipher_free(s);
        packet_cipher_free(o);
    }
}

// NIST SP 800-38A F.5.1: the counter mode under aes128-ctr.
static void ctr_matches_sp800_38a(void **state) {
    (void)state;
    uint8_t key[16], iv[16], plain[64], out[64 + 32], mac_key[32] = {0};
    vector_bytes(key, 16, "2b7e151628aed2a6abf7158809cf4f3c");
    vector_bytes(iv, 16, "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff");
    vector_bytes(plain, 64,
                 "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"
                 "30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710");
    struct packet_cipher *c = NULL;
    assert_int_equal(packet_cipher_new(&c, find(ALG_CIPHER, "aes128-ctr")->cipher,
                                       find(ALG_MAC, "hmac-sha2-256")->mac,
                                       view_of(key, 16), view_of(iv, 16),
                                       view_of(mac_key, 32), true),
                     OK);
    assert_int_equal(packet_cipher_seal(c, 0, plain, 64, out), OK);
    assert_vector(out, 64,
                  "874d6191b620e3261bef6864990db6ce9806f66b7970fdff8617187bb9fffdff"
                  "5ae4df3edbd5d35e5b4f09020db03eab1e031dda2fbe03d1792170a0f3009cee");
    packet_cipher_free(c);
}

// The primitives themselves, as this layer calls them.
static EVP_CIPHER_CTX *keyed(enum fetched_cipher id, const char *key_hex,
                             const char *iv_hex) {
    uint8_t key[32], iv[16];
    vector_bytes(key, sizeof key, key_hex);
    vector_bytes(iv, sizeof iv, iv_hex);
    EVP_CIPHER_CTX *ctx = NULL;
    assert_int_equal(cipher_context(&ctx, id, key, iv, true), OK);
    return ctx;
}

// McGrew and Viega, "The Galois/Counter Mode of Operation", appendix B, test case 4.
static void gcm_matches_test_case_4(void **state) {
    (void)state;
    uint8_t text[60], aad[20], tag[16];
    vector_bytes(text, 60,
                 "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
                 "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39");
    vector_bytes(aad, 20, "feedfacedeadbeeffeedfacedeadbeefabaddad2");
    EVP_CIPHER_CTX *ctx = keyed(FETCHED_AES_128_GCM, "feffe9928665731c6d6a8f9467308308",
                                "cafebabefacedbaddecaf888");
    assert_true(cipher_run(ctx, NULL, aad, 20) && cipher_run(ctx, text, text, 60));
    assert_true(EVP_Cipher(ctx, NULL, NULL, 0) >= 0);
    assert_int_equal(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, 16, tag), 1);
    assert_vector(text, 60,
                  "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e"
                  "21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091");
    assert_vector(tag, 16, "5bc94fbc3221a5db94fae95ae7121a47");
    EVP_CIPHER_CTX_free(ctx);
}

// RFC 8439 s.2.4.2 and s.2.5.2.
static void chacha_and_poly_match_rfc8439(void **state) {
    (void)state;
    uint8_t text[114], key[32], tag[16];
    size_t n = 0;
    memcpy(
        text,
        "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for "
        "the future, sunscreen would be it.",
        sizeof text);
    EVP_CIPHER_CTX *ctx =
        keyed(FETCHED_CHACHA20,
              "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
              "01000000000000000000004a00000000");
    assert_true(cipher_run(ctx, text, text, sizeof text));
    assert_vector(text, 32,
                  "6e2e359a2568f98041ba0728dd0d6981e97e7aec1d4360c20a27afccfd9fae0b");
    assert_vector(text + 112, 2, "874d");
    EVP_CIPHER_CTX_free(ctx);
    vector_bytes(key, 32,
                 "85d6be7857556d337f4452fe42d506a80103808afb0db2fd4abff6af4149f51b");
    EVP_MAC_CTX *mac = EVP_MAC_CTX_new(fetched()->poly1305);
    struct view said = view_text("Cryptographic Forum Research Group");
    for (int round = 0; round < 2; round++) {  // keyed anew without a fetch
        assert_int_equal(EVP_MAC_init(mac, key, 32, NULL), 1);
        assert_int_equal(EVP_MAC_update(mac, said.p, said.n), 1);
        assert_int_equal(EVP_MAC_final(mac, tag, &n, sizeof tag), 1);
        assert_vector(tag, n, "a8061dc1305136c6c22b8baf0c0127a9");
    }
    EVP_MAC_CTX_free(mac);
}

// Both ends of one direction, and rooms for a packet.
struct pair {
    const struct cipher_alg *cipher;
    const struct mac_alg *mac;
    struct packet_cipher *seal, *open;
    uint8_t *plain, *wire, *out;
    uint32_t sequence;
};

static void pair_start(struct pair *p, const struct cipher_alg *cipher,
                       const struct mac_alg *mac) {
    *p = (struct pair){cipher,
                       mac,
                       make(cipher, mac, true),
                       make(cipher, mac, false),
                       malloc(ROOM),
                       malloc(ROOM),
                       malloc(ROOM),
                       UINT32_MAX - 100};
    vector_fill(p->plain, ROOM, 17, 29);
}

static void pair_end(struct pair *p) {
    packet_cipher_free(p->seal);
    packet_cipher_free(p->open);
    free(p->plain);
    free(p->wire);
    free(p->out);
}

// Seals n bytes and opens them; `place` bit 0: seal in place, bit 1: open in place.
static void pair_trip(struct pair *p, size_t n, unsigned place) {
    uint32_t length = 0;
    store_u32(p->plain, (uint32_t)(n - 4));
    const uint8_t *from = p->plain;
    if ((place & 1) != 0)
        from = memcpy(p->wire, p->plain, n);
    assert_int_equal(packet_cipher_seal(p->seal, p->sequence, from, n, p->wire), OK);
    size_t whole = n + packet_cipher_tag_len(p->seal);
    memcpy(p->out, p->wire, whole);
    assert_int_equal(packet_cipher_length(p->open, p->sequence, p->out, &length), OK);
    assert_memory_equal(p->out, p->wire, whole);
    assert_int_equal(length, n - 4);
    const uint8_t *in = (place & 2) != 0 ? p->out : p->wire;
    assert_int_equal(packet_cipher_open(p->open, p->sequence, in, length, p->out), OK);
    assert_memory_equal(p->out, p->plain, n);
    p->sequence++;  // passes 2^32
}

static void every_length(const struct cipher_alg *cipher, const struct mac_alg *mac) {
    struct pair p;
    pair_start(&p, cipher, mac);
    // A mode that chains takes whole blocks alone.
    size_t step = cipher != NULL && cipher->chained ? cipher->block : 1;
    size_t aad = packet_cipher_aad(p.seal), least = packet_cipher_head(p.seal) + 1;
    for (size_t n = step > 1 ? aad + 2 * step : least; n <= 304; n += step)
        for (unsigned place = 0; place < 4; place++)
            pair_trip(&p, n, place);
    for (unsigned place = 0; place < 4; place++)
        pair_trip(&p, 32 * 1024 + 16 + aad, place);
    pair_end(&p);
}

// The packet with one bit wrong: refused, and an AEAD or etm leaves nothing of the plain
// text.
static void refuses_bit(const struct cipher_alg *cipher, const struct mac_alg *mac,
                        size_t bit) {
    struct pair p;
    pair_start(&p, cipher, mac);
    size_t n = 64 + (cipher->chained ? packet_cipher_aad(p.seal) : 0);
    store_u32(p.plain, (uint32_t)(n - 4));
    assert_int_equal(packet_cipher_seal(p.seal, 7, p.plain, n, p.wire), OK);
    size_t whole = n + packet_cipher_tag_len(p.seal);
    if (bit < whole * 8)
        p.wire[bit / 8] ^= (uint8_t)(1 << bit % 8);
    uint32_t length = 0, sequence = bit < whole * 8 ? 7 : 8;
    memset(p.out, 0xa5, n);
    assert_int_equal(packet_cipher_length(p.open, 7, p.wire, &length), OK);
    // The reader trusts the length only so far as to read that much.
    enum err e = packet_cipher_open(p.open, sequence, p.wire, (uint32_t)(n - 4), p.out);
    bool counter = strstr(cipher->name, "gcm") != NULL;  // numbers its packets by itself
    assert_int_equal(e, bit >= whole * 8 && counter ? OK : ERR_MAC);
    if (e != OK)
        assert_memory_not_equal(p.out + 8, p.plain + 8, 32);
    pair_end(&p);
}

static void refuses_every_bit(const struct cipher_alg *cipher,
                              const struct mac_alg *mac) {
    size_t tag = cipher->tag_len > 0 ? cipher->tag_len : mac->tag_len;
    for (size_t bit = 0; bit <= (64 + tag) * 8; bit++)
        refuses_bit(cipher, mac, bit);
}

static void for_each_pair(void (*check)(const struct cipher_alg *,
                                        const struct mac_alg *)) {
    const struct alg *c, *m;
    for (size_t i = 0; (c = alg_at(ALG_CIPHER, i)) != NULL; i++) {
        if (c->cipher->tag_len > 0)
            check(c->cipher, NULL);
        for (size_t j = 0; c->cipher->tag_len == 0 && (m = alg_at(ALG_MAC, j)) != NULL;
             j++)
            check(c->cipher, m->mac);
    }
}

static void round_trips_of_every_length(void **state) {
    (void)state;
    for_each_pair(every_length);
    every_length(NULL, NULL);
}

static void one_wrong_bit_is_refused(void **state) {
    (void)state;
    for_each_pair(refuses_every_bit);
}

static void layout_is_as_declared(void **state) {
    (void)state;
    struct packet_cipher *c = make(NULL, NULL, true);
    assert_int_equal(packet_cipher_block(c), 8);
    assert_int_equal(packet_cipher_tag_len(c), 0);
    assert_int_equal(packet_cipher_aad(c), 0);
    assert_int_equal(packet_cipher_head(c), 4);
    packet_cipher_free(c);
    c = make(find(ALG_CIPHER, "aes128-ctr")->cipher, find(ALG_MAC, "hmac-sha2-512")->mac,
             false);
    assert_int_equal(packet_cipher_block(c), 16);
    assert_int_equal(packet_cipher_tag_len(c), 64);
    assert_int_equal(packet_cipher_aad(c), 0);
    assert_int_equal(packet_cipher_head(c), 16);
    uint8_t small[64] = {0};
    assert_int_equal(packet_cipher_open(c, 0, small, 8, small), ERR_LIMIT);
    assert_int_equal(packet_cipher_open(c, 0, small, UINT32_MAX, small), ERR_LIMIT);
    packet_cipher_free(c);
    packet_cipher_free(NULL);
}

static void only_plain_macs_over_chained_blocks_tell(void **state) {
    (void)state;
    const struct {
        const char *cipher, *mac;
        bool tells;
    } rows[] = {{"aes128-cbc", "hmac-sha2-256", true},
                {"3des-cbc", "hmac-md5-96", true},
                {"aes256-cbc", "hmac-sha2-256-etm@openssh.com", false},
                {"aes128-ctr", "hmac-sha2-256", false}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct packet_cipher *c = make(find(ALG_CIPHER, rows[i].cipher)->cipher,
                                       find(ALG_MAC, rows[i].mac)->mac, false);
        assert_int_equal(packet_cipher_tells(c), rows[i].tells);
        packet_cipher_free(c);
    }
}

static void wrong_key_lengths_are_refused(void **state) {
    (void)state;
    uint8_t key[64] = {0};
    struct packet_cipher *c = NULL;
    const struct cipher_alg *gcm = find(ALG_CIPHER, "aes128-gcm@openssh.com")->cipher;
    const struct cipher_alg *ctr = find(ALG_CIPHER, "aes128-ctr")->cipher;
    struct view none = {NULL, 0}, k16 = {key, 16}, iv12 = {key, 12}, k32 = {key, 32};
    assert_int_equal(packet_cipher_new(&c, gcm, NULL, k32, iv12, none, true), ERR_CRYPTO);
    assert_int_equal(packet_cipher_new(&c, gcm, NULL, k16, k16, none, true), ERR_CRYPTO);
    assert_int_equal(packet_cipher_new(&c, ctr, NULL, k16, k16, none, true), ERR_CRYPTO);
    assert_null(c);
}

int main(void) {
    if (crypto_init() != OK)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(seals_and_opens_vectors),
        cmocka_unit_test(ctr_matches_sp800_38a),
        cmocka_unit_test(gcm_matches_test_case_4),
        cmocka_unit_test(chacha_and_poly_match_rfc8439),
        cmocka_unit_test(layout_is_as_declared),
        cmocka_unit_test(only_plain_macs_over_chained_blocks_tell),
        cmocka_unit_test(wrong_key_lengths_are_refused),
        cmocka_unit_test(one_wrong_bit_is_refused),
        cmocka_unit_test(round_trips_of_every_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
