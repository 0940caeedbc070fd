// Signatures: RFC 8032 vectors, refusals, generated keys; bcrypt_pbkdf against other
// implementations.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#include "crypto/bcrypt_pbkdf.h"
#include "crypto/crypto.h"
#include "crypto/key_cipher.h"
#include "crypto/pk.h"
#include "crypto/registry.h"

static int start_crypto(void **state) {
    (void)state;
    return crypto_init() == OK && pk_init() == OK ? 0 : -1;
}

static const struct signature_alg *alg_named(const char *name) {
    return alg_find(ALG_SIGNATURE, view_text(name))->signature;
}

static size_t unhex(const char *hex, uint8_t *out) {
    size_t n = strlen(hex) / 2;
    for (size_t i = 0; i < n; i++) {
        char two[3] = {hex[2 * i], hex[2 * i + 1], 0};
        out[i] = (uint8_t)strtoul(two, NULL, 16);
    }
    return n;
}

// RFC 8032 s.7.1: tests 1 to 3 and SHA(abc)
static const struct {
    const char *secret, *public, *message, *signature;
} rfc8032[] = {
    {"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
     "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
     "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61"
     "e39701cf9"
     "b46bd25bf5f0595bbe24655141438e7a100b"},
    {"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
     "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
     "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458"
     "f3613d0f1"
     "1d8c387b2eaeb4302aeeb00d291612bb0c00"},
    {"c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
     "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
     "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae6"
     "7f760984d"
     "c6594a7c15e9716ed28dc027beceea1ec40a"},
    {"833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
     "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
     "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836b"
     "a3c23a3fe"
     "ebbd454d4423643ce80e2a9ac94fa54ca49f",
     "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdf"
     "bc7c66431"
     "e0303dca179c138ac17ad9bef1177331a704"},
};

static void ed25519_is_that_of_rfc8032(void **state) {
    (void)state;
    const struct signature_alg *alg = alg_named("ssh-ed25519");
    for (size_t i = 0; i < sizeof rfc8032 / sizeof rfc8032[0]; i++) {
        uint8_t secret[32], public[32], message[64], want[64], got[64];
        unhex(rfc8032[i].secret, secret);
        unhex(rfc8032[i].public, public);
        size_t n = unhex(rfc8032[i].message, message), len = sizeof got;
        unhex(rfc8032[i].signature, want);
        struct pk_parts parts = {.ed_public = view_of(public, 32),
                                 .ed_secret = view_of(secret, 32)};
        struct pk *k = NULL, *pub = NULL;
        assert_int_equal(pk_from_parts(&k, PK_ED25519, &parts, true), OK);
        assert_int_equal(pk_from_parts(&pub, PK_ED25519, &parts, false), OK);
        assert_int_equal(pk_sign(k, alg, view_of(message, n), got, &len), OK);
        assert_int_equal(len, 64);
        assert_memory_equal(got, want, 64);
        assert_int_equal(pk_verify(pub, alg, view_of(message, n), view_of(want, 64)), OK);
        assert_int_equal(pk_sign(pub, alg, view_of(message, n), got, &len), ERR_KEY);
        public[0] ^= 1;  // halves that do not match
        struct pk *bad = NULL;
        assert_int_equal(pk_from_parts(&bad, PK_ED25519, &parts, true), ERR_KEY);
        pk_free(k);
        pk_free(pub);
    }
}

// S + L verifies by the plain equation; it is the same signature in another dress.
static void ed25519_refuses_large_s(void **state) {
    (void)state;
    static const uint8_t order[32] = {0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58,
                                      0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
                                      0,    0,    0,    0,    0,    0,    0,    0,
                                      0,    0,    0,    0,    0,    0,    0,    0x10};
    const struct signature_alg *alg = alg_named("ssh-ed25519");
    uint8_t public[32], sig[64];
    unhex(rfc8032[0].public, public);
    unhex(rfc8032[0].signature, sig);
    unsigned carry = 0;
    for (size_t i = 0; i < 32; i++) {
        carry += sig[32 + i] + (unsigned)order[i];
        sig[32 + i] = (uint8_t)carry;
        carry >>= 8;
    }
    struct pk_parts parts = {.ed_public = view_of(public, 32)};
    struct pk *k = NULL;
    assert_int_equal(pk_from_parts(&k, PK_ED25519, &parts, false), OK);
    assert_int_equal(pk_verify(k, alg, view_of("", 0), view_of(sig, 64)), ERR_SIGNATURE);
    memcpy(sig + 32, order, 32);
    assert_int_equal(pk_verify(k, alg, view_of("", 0), view_of(sig, 64)), ERR_SIGNATURE);
    assert_int_equal(pk_verify(k, alg, view_of("", 0), view_of(sig, 63)), ERR_SIGNATURE);
    pk_free(k);
}

static const struct {
    enum pk_kind kind;
    enum pk_curve curve;
    unsigned bits;
    const char *alg;
    size_t size;
} kinds[] = {
    {PK_ED25519, PK_P256, 256, "ssh-ed25519", 64},
    {PK_ECDSA, PK_P256, 256, "ecdsa-sha2-nistp256", 64},
    {PK_ECDSA, PK_P384, 384, "ecdsa-sha2-nistp384", 96},
    {PK_ECDSA, PK_P521, 521, "ecdsa-sha2-nistp521", 132},
    {PK_RSA, PK_P256, 1024, "rsa-sha2-256", 128},
    {PK_RSA, PK_P256, 1024, "rsa-sha2-512", 128},
};

static void made_keys_sign_and_come_back(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        struct pk *k = NULL, *again = NULL, *pub = NULL;
        const struct signature_alg *alg = alg_named(kinds[i].alg);
        assert_int_equal(pk_generate(&k, kinds[i].kind, kinds[i].curve, kinds[i].bits),
                         OK);
        assert_int_equal(pk_bits(k), kinds[i].bits);
        scoped_secret arena = {0};
        struct pk_parts parts;
        assert_int_equal(secret_arena_init(&arena, 8192, 0), OK);
        assert_int_equal(pk_to_parts(k, &arena, &parts), OK);
        assert_int_equal(pk_from_parts(&again, kinds[i].kind, &parts, true), OK);
        assert_int_equal(pk_from_parts(&pub, kinds[i].kind, &parts, false), OK);
        uint8_t sig[256];
        size_t n = sizeof sig;
        assert_int_equal(pk_sign(again, alg, view_text("m"), sig, &n), OK);
        assert_int_equal(n, kinds[i].size);
        assert_int_equal(pk_verify(pub, alg, view_text("m"), view_of(sig, n)), OK);
        assert_int_equal(pk_verify(pub, alg, view_text("n"), view_of(sig, n)),
                         ERR_SIGNATURE);
        assert_int_equal(pk_verify(pub, alg, view_text("m"), view_of(sig, n - 1)),
                         ERR_SIGNATURE);
        n = kinds[i].size - 1;
        assert_int_equal(pk_sign(again, alg, view_text("m"), sig, &n), ERR_LIMIT);
        for (size_t j = 0; j < sizeof kinds / sizeof kinds[0]; j++) {
            if (kinds[j].kind != kinds[i].kind || kinds[j].curve != kinds[i].curve)
                assert_int_equal(pk_verify(pub, alg_named(kinds[j].alg), view_text("m"),
                                           view_of(sig, n)),
                                 ERR_KEY);
        }
        pk_free(k);
        pk_free(again);
        pk_free(pub);
    }
}

static void ecdsa_refuses_zero_and_order(void **state) {
    (void)state;
    static const char order[] =
        "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
    struct pk *k = NULL;
    const struct signature_alg *alg = alg_named("ecdsa-sha2-nistp256");
    assert_int_equal(pk_generate(&k, PK_ECDSA, PK_P256, 0), OK);
    uint8_t sig[64], changed[64];
    size_t n = sizeof sig;
    assert_int_equal(pk_sign(k, alg, view_text("m"), sig, &n), OK);
    for (size_t half = 0; half < 64; half += 32) {
        memcpy(changed, sig, 64);
        memset(changed + half, 0, 32);
        assert_int_equal(pk_verify(k, alg, view_text("m"), view_of(changed, 64)),
                         ERR_SIGNATURE);
        unhex(order, changed + half);
        assert_int_equal(pk_verify(k, alg, view_text("m"), view_of(changed, 64)),
                         ERR_SIGNATURE);
        memset(changed + half, 0xff, 32);
        assert_int_equal(pk_verify(k, alg, view_text("m"), view_of(changed, 64)),
                         ERR_SIGNATURE);
    }
    pk_free(k);
}

static void changed_halves_are_refused(void **state) {
    (void)state;
    scoped_secret arena = {0};
    struct pk_parts parts;
    struct pk *k = NULL, *bad = NULL;
    assert_int_equal(secret_arena_init(&arena, 16384, 0), OK);
    assert_int_equal(pk_generate(&k, PK_RSA, PK_P256, 1024), OK);
    assert_int_equal(pk_to_parts(k, &arena, &parts), OK);
    struct view *numbers[] = {&parts.rsa_d, &parts.rsa_p, &parts.rsa_q, &parts.rsa_iqmp,
                              &parts.rsa_n};
    for (size_t i = 0; i < 5; i++) {
        uint8_t *last = (uint8_t *)(uintptr_t)numbers[i]->p + numbers[i]->n - 1;
        *last ^= 2;
        assert_int_equal(pk_from_parts(&bad, PK_RSA, &parts, true), ERR_KEY);
        *last ^= 2;
        struct view was = *numbers[i];
        numbers[i]->n = 0;
        assert_int_equal(pk_from_parts(&bad, PK_RSA, &parts, true), ERR_KEY);
        *numbers[i] = was;
    }
    assert_int_equal(pk_from_parts(&bad, PK_RSA, &parts, true), OK);
    pk_free(bad);
    pk_free(k);
    assert_int_equal(pk_generate(&k, PK_ECDSA, PK_P384, 0), OK);
    assert_int_equal(pk_to_parts(k, &arena, &parts), OK);
    ((uint8_t *)(uintptr_t)parts.ec_scalar.p)[40] ^= 1;
    assert_int_equal(pk_from_parts(&bad, PK_ECDSA, &parts, true), ERR_KEY);
    parts.curve = PK_P256;
    assert_int_equal(pk_from_parts(&bad, PK_ECDSA, &parts, false), ERR_KEY);
    pk_free(k);
    assert_int_equal(pk_generate(&k, PK_RSA, PK_P256, 512), ERR_KEY);
}

// From the bcrypt_pbkdf of Python's bcrypt 3.2.2.
static const struct {
    const char *pass, *salt;
    uint32_t rounds;
    const char *key;
} kdf[] = {
    {"password", "salt", 4,
     "5ba4bfc60c7ac272931458407f4c1c4936ea356c55125c5a279b791d65bf9842d49d7e1b572a9052715"
     "ebfa9421e7e"
     "94"},
    {"p\xc3\xa4ssw", "salz", 24,
     "56b6e2ea60b0b97f50e05acc86df6f188d59d746a56df552fa3519126c958fd1b6cfd1c7349a94dbac4"
     "c93c7c02e3f"
     "2c"},
    {"p\xc3\xa4ssw", "salz", 7,
     "73395d6d08d21fe7f7728cd0eb2174a2c76ca9100a29d18f0b539a5a052595f7182128911e454367fef"
     "fcf7ebf30e5"
     "0f192fbcf60807d312f4ecf31c5bb6238e41e418d84f1dc0334314de7f679ff2825a4e21a09cc0715c2"
     "1de9ceb4d3b"
     "5ffb4055e332"},
    {"a", "b", 1, "9876162ce862eb6d0378ea02ba62a7591ab89e8c89b280da525952ebfc760293f4"},
};

static void bcrypt_pbkdf_is_that_of_others(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof kdf / sizeof kdf[0]; i++) {
        uint8_t want[128], got[128];
        size_t n = unhex(kdf[i].key, want);
        assert_int_equal(bcrypt_pbkdf(view_text(kdf[i].pass), view_text(kdf[i].salt),
                                      kdf[i].rounds, got, n),
                         OK);
        assert_memory_equal(got, want, n);
    }
    uint8_t out[16];
    assert_int_equal(bcrypt_pbkdf(view_text("x"), view_text("y"), 0, out, 16), ERR_LIMIT);
    assert_int_equal(bcrypt_pbkdf(view_text(""), view_text("y"), 1, out, 16), ERR_LIMIT);
    assert_int_equal(bcrypt_pbkdf(view_text("x"), view_text(""), 1, out, 16), ERR_LIMIT);
    assert_int_equal(bcrypt_pbkdf(view_text("x"), view_text("y"), 1, out, 0), ERR_LIMIT);
}

static void key_ciphers_open_what_they_seal(void **state) {
    (void)state;
    const struct key_cipher *c;
    for (size_t i = 0; (c = key_cipher_at(i)) != NULL; i++) {
        uint8_t material[KEY_CIPHER_MATERIAL_MAX], plain[48], sealed[48], opened[48],
            tag[16];
        assert_true(c->key_len + c->iv_len <= sizeof material);
        assert_ptr_equal(key_cipher_find(view_text(c->name)), c);
        for (size_t j = 0; j < sizeof material; j++)
            material[j] = (uint8_t)(3 * j + 1);
        memset(plain, 'p', sizeof plain);
        assert_int_equal(key_cipher_seal(c, material, plain, 48, sealed, tag), OK);
        assert_memory_not_equal(plain, sealed, 48);
        assert_int_equal(key_cipher_open(c, material, sealed, 48, opened, tag), OK);
        assert_memory_equal(plain, opened, 48);
        assert_int_equal(key_cipher_open(c, material, sealed, 47, opened, tag),
                         ERR_FORMAT);
        sealed[5] ^= 1;
        assert_int_equal(key_cipher_open(c, material, sealed, 48, opened, tag),
                         c->tag_len > 0 ? ERR_MAC : OK);
    }
    assert_null(key_cipher_find(view_text("aes256")));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ed25519_is_that_of_rfc8032),
        cmocka_unit_test(ed25519_refuses_large_s),
        cmocka_unit_test(made_keys_sign_and_come_back),
        cmocka_unit_test(ecdsa_refuses_zero_and_order),
        cmocka_unit_test(changed_halves_are_refused),
        cmocka_unit_test(bcrypt_pbkdf_is_that_of_others),
        cmocka_unit_test(key_ciphers_open_what_they_seal),
    };
    return cmocka_run_group_tests(tests, start_crypto, NULL);
}
