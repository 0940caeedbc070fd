// Key agreement: RFC 7748 s.6.1, NIST's ECC CDH vectors, both sides against each other,
// points that are none, and key derivation cross-checked with Python's hashlib.
#include "vector.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/param_build.h>

#include "crypto/crypto.h"
#include "crypto/kex_ops.h"
#include "crypto/registry.h"

// A group for methods that exchange one.
static const struct kex_group *group_for(const struct kex_alg *alg) {
    static struct kex_group group;
    if (!alg->group_exchange)
        return NULL;
    if (group.p_len == 0)
        assert_int_equal(kex_group_choose(&group, view_of(NULL, 0), 2048, 2048, 8192),
                         OK);
    return &group;
}

// kex_offer_new() and kex_answer() with rooms as large as can be; the blob's length.
static size_t offer(struct kex_offer **o, const struct kex_alg *alg, uint8_t *blob) {
    struct span room = {blob, KEX_BLOB_MAX};
    assert_int_equal(kex_offer_new(o, alg, group_for(alg), &room), OK);
    return room.n;
}

static enum err answer(const struct kex_alg *alg, struct view c, uint8_t *blob,
                       struct span *secret, size_t *len) {
    struct span room = {blob, KEX_BLOB_MAX};
    enum err e = kex_answer(alg, group_for(alg), c, &room, secret);
    if (len != NULL)
        *len = room.n;
    return e;
}

static const struct kex_alg *find(const char *name) {
    const struct alg *a = alg_find(ALG_KEX, view_text(name));
    assert_non_null(a);
    return a->kex;
}

// Bob's key with Alice's point.
static void x25519_matches_rfc7748(void **state) {
    (void)state;
    uint8_t scalar[32], peer[32], shared[32];
    vector_bytes(scalar, 32,
                 "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb");
    vector_bytes(peer, 32,
                 "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a");
    EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, NULL, scalar, 32);
    assert_int_equal(x25519_shared(key, peer, shared), OK);
    assert_vector(shared, 32,
                  "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742");
    EVP_PKEY_free(key);
}

static EVP_PKEY *p256_key(const char *scalar_hex, const uint8_t point[65]) {
    BIGNUM *d = NULL;
    assert_true(BN_hex2bn(&d, scalar_hex) > 0);
    OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
    OSSL_PARAM_BLD_push_utf8_string(bld, OSSL_PKEY_PARAM_GROUP_NAME, "P-256", 0);
    OSSL_PARAM_BLD_push_octet_string(bld, OSSL_PKEY_PARAM_PUB_KEY, point, 65);
    OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_PRIV_KEY, d);
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(bld);
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    EVP_PKEY *key = NULL;
    assert_int_equal(EVP_PKEY_fromdata_init(ctx), 1);
    assert_int_equal(EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_KEYPAIR, params), 1);
    EVP_PKEY_CTX_free(ctx);
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(bld);
    BN_free(d);
    return key;
}

// NIST CAVS, "ECC CDH Primitive", P-256, COUNT = 0.
static void p256_matches_nist(void **state) {
    (void)state;
    uint8_t mine[65], peer[65], k[KEX_SECRET_MAX];
    vector_bytes(mine, 65,
                 "04ead218590119e8876b29146ff89ca61770c4edbbf97d38ce385ed281d8a6b230"
                 "28af61281fd35e2fa7002523acc85a429cb06ee6648325389f59edfce1405141");
    vector_bytes(peer, 65,
                 "04700c48f77f56584c5cc632ca65640db91b6bacce3a4df6b42ce7cc838833d287"
                 "db71e509e3fd9b060ddb20ba5c51dcc5948d46fbf640dfe0441782cab85fa4ac");
    struct kex_offer o = {
        .alg = find("ecdh-sha2-nistp256"),
        .key = p256_key(
            "7d7dc5f71eb29ddaf80d6214632eeae03d9058af1fb6d22ed80badb62bc1a534", mine)};
    struct span secret = {k, sizeof k};
    assert_int_equal(kex_offer_finish(&o, view_of(peer, 65), &secret), OK);
    assert_vector(
        secret.p, secret.n,
        "0000002046fc62106420ff012e54a434fbdd2d25ccc5852060561e68040dd7778997bd7b");
    EVP_PKEY_free(o.key);
}

// What enters the exchange hash: an mpint in its shortest form, or a string of a hash.
static void assert_secret_form(const struct kex_alg *alg, struct span secret) {
    assert_int_equal(load_u32(secret.p), secret.n - 4);
    if (alg->post_quantum)
        assert_int_equal(secret.n, 4 + alg->hash->size);
    else
        assert_true(secret.p[4] < 0x80 && (secret.p[4] != 0 || secret.p[5] >= 0x80));
}

static void both_sides_agree(void **state) {
    (void)state;
    const struct alg *a;
    for (size_t i = 0; (a = alg_at(ALG_KEX, i)) != NULL; i++) {
        assert_string_equal(a->name, a->kex->name);
        assert_true(a->kex->client_blob_len <= KEX_BLOB_MAX);
        assert_true(a->kex->server_blob_len <= KEX_BLOB_MAX);
        for (int round = 0; round < (a->kex->group_exchange ? 2 : 4); round++) {
            uint8_t q_c[KEX_BLOB_MAX], q_s[KEX_BLOB_MAX], k1[KEX_SECRET_MAX],
                k2[KEX_SECRET_MAX];
            struct span s1 = {k1, sizeof k1}, s2 = {k2, sizeof k2};
            struct kex_offer *o = NULL;
            size_t c_len = offer(&o, a->kex, q_c);
            size_t s_len;
            assert_int_equal(answer(a->kex, view_of(q_c, c_len), q_s, &s1, &s_len), OK);
            assert_int_equal(kex_offer_finish(o, view_of(q_s, s_len), &s2), OK);
            assert_true(view_equal(view_of(s1.p, s1.n), view_of(s2.p, s2.n)));
            assert_secret_form(a->kex, s1);
            kex_offer_free(o);
        }
    }
    kex_offer_free(NULL);
}

static void other_lengths_are_refused(void **state) {
    (void)state;
    const struct alg *a;
    for (size_t i = 0; (a = alg_at(ALG_KEX, i)) != NULL; i++) {
        uint8_t q_c[KEX_BLOB_MAX + 8] = {0}, q_s[KEX_BLOB_MAX + 8] = {0},
                                   k[KEX_SECRET_MAX];
        struct kex_offer *o = NULL;
        offer(&o, a->kex, q_c);
        for (size_t n = 0; n < sizeof q_c; n++) {
            struct span secret = {k, sizeof k};
            bool field = a->kex->ops->field;
            if (field ? n == 0 || n > a->kex->client_blob_len
                      : n != a->kex->client_blob_len)
                assert_int_equal(answer(a->kex, view_of(q_c, n), q_s, &secret, NULL),
                                 ERR_KEX);
            if (field ? n == 0 || n > a->kex->server_blob_len
                      : n != a->kex->server_blob_len)
                assert_int_equal(kex_offer_finish(o, view_of(q_s, n), &secret), ERR_KEX);
        }
        kex_offer_free(o);
    }
}

// Points of small order, and encodings of them past p (RFC 7748 s.7; cr.yp.to/ecdh.html).
static const char *const SMALL_ORDER[] = {
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
};

static void points_of_small_order_are_refused(void **state) {
    (void)state;
    const struct kex_alg *plain = find("curve25519-sha256");
    const struct kex_alg *hybrid = find("mlkem768x25519-sha256");
    for (size_t i = 0; i < sizeof SMALL_ORDER / sizeof *SMALL_ORDER; i++) {
        uint8_t q_c[KEX_BLOB_MAX], q_s[KEX_BLOB_MAX], point[32], k[KEX_SECRET_MAX];
        struct span secret = {k, sizeof k};
        struct kex_offer *o = NULL;
        vector_bytes(point, 32, SMALL_ORDER[i]);
        assert_int_equal(answer(plain, view_of(point, 32), q_s, &secret, NULL), ERR_KEX);
        offer(&o, plain, q_c);
        assert_int_equal(kex_offer_finish(o, view_of(point, 32), &secret), ERR_KEX);
        kex_offer_free(o);
        offer(&o, hybrid, q_c);
        assert_int_equal(answer(hybrid, view_of(q_c, 1216), q_s, &secret, NULL), OK);
        memcpy(q_s + 1088, point, 32);
        assert_int_equal(kex_offer_finish(o, view_of(q_s, 1120), &secret), ERR_KEX);
        memcpy(q_c + 1184, point, 32);
        assert_int_equal(answer(hybrid, view_of(q_c, 1216), q_s, &secret, NULL), ERR_KEX);
        kex_offer_free(o);
    }
}

static void points_off_the_curve_are_refused(void **state) {
    (void)state;
    static const char *const names[] = {"ecdh-sha2-nistp256", "ecdh-sha2-nistp384",
                                        "ecdh-sha2-nistp521"};
    for (size_t i = 0; i < 3; i++) {
        const struct kex_alg *alg = find(names[i]);
        size_t n = alg->client_blob_len;
        uint8_t good[KEX_BLOB_MAX], bad[KEX_BLOB_MAX], q_s[KEX_BLOB_MAX],
            k[KEX_SECRET_MAX];
        struct span secret = {k, sizeof k};
        struct kex_offer *o = NULL;
        offer(&o, alg, good);
        kex_offer_free(o);
        memcpy(bad, good, n);
        bad[n - 1] ^= 1;
        assert_int_equal(answer(alg, view_of(bad, n), q_s, &secret, NULL), ERR_KEX);
        for (unsigned form = 0; form < 256;
             form++) {  // infinity, compressed, hybrid forms
            memcpy(bad, good, n);
            bad[0] = (uint8_t)form;
            enum err want = form == 4 ? OK : ERR_KEX;
            assert_int_equal(answer(alg, view_of(bad, n), q_s, &secret, NULL), want);
            secret.n = sizeof k;
        }
        memset(bad, 0, n);
        assert_int_equal(answer(alg, view_of(bad, n), q_s, &secret, NULL), ERR_KEX);
        memset(bad + 1, 0xff, n - 1);
        bad[0] = 4;
        assert_int_equal(answer(alg, view_of(bad, n), q_s, &secret, NULL), ERR_KEX);
    }
}

static void hybrid_checks_the_modulus(void **state) {
    (void)state;
    const struct kex_alg *alg = find("mlkem768x25519-sha256");
    uint8_t q_c[KEX_BLOB_MAX], q_s[KEX_BLOB_MAX], k[KEX_SECRET_MAX];
    struct span secret = {k, sizeof k};
    struct kex_offer *o = NULL;
    offer(&o, alg, q_c);
    kex_offer_free(o);
    q_c[300] = 0xff;  // 12 bits of ones
    q_c[301] = 0xff;
    assert_int_equal(answer(alg, view_of(q_c, 1216), q_s, &secret, NULL), ERR_KEX);
}

// 0, 1, p - 1, p, more than p, negative numbers and those with leading zeros.
static void refuse_number(const struct kex_alg *alg, struct view number) {
    uint8_t q_s[KEX_BLOB_MAX], q_c[KEX_BLOB_MAX], k[KEX_SECRET_MAX];
    struct span secret = {k, sizeof k};
    struct kex_offer *o = NULL;
    offer(&o, alg, q_c);
    assert_int_equal(answer(alg, number, q_s, &secret, NULL), ERR_KEX);
    assert_int_equal(kex_offer_finish(o, number, &secret), ERR_KEX);
    kex_offer_free(o);
}

static void bad_numbers_are_refused(void **state) {
    (void)state;
    static const char *const names[] = {"diffie-hellman-group14-sha256",
                                        "diffie-hellman-group-exchange-sha256",
                                        "diffie-hellman-group16-sha512"};
    for (size_t i = 0; i < 3; i++) {
        const struct kex_alg *alg = find(names[i]);
        BIGNUM *p =
            i < 2 ? BN_get_rfc3526_prime_2048(NULL) : BN_get_rfc3526_prime_4096(NULL);
        uint8_t number[KEX_BLOB_MAX] = {0};
        size_t n = (size_t)BN_num_bytes(p) + 1;
        refuse_number(alg, view_of("", 1));  // a byte of 0
        refuse_number(alg, view_of("\1", 1));
        refuse_number(alg, view_of("\x80", 1));  // negative
        refuse_number(alg, view_of("\0\2", 2));  // not the shortest
        BN_bn2bin(p, number + 1);
        refuse_number(alg, view_of(number, n));
        number[n - 1]--;
        refuse_number(alg, view_of(number, n));
        memset(number + 1, 0xff, n - 1);
        refuse_number(alg, view_of(number, n));
        BN_free(p);
    }
}

static void room_for_the_secret_is_checked(void **state) {
    (void)state;
    uint8_t k[8], x[4] = {0, 0, 0x80, 1};
    struct span s = {k, 6};
    assert_int_equal(kex_secret_mpint(&s, x, 4), ERR_LIMIT);
    s.n = 7;
    assert_int_equal(kex_secret_mpint(&s, x, 4), OK);
    assert_vector(s.p, s.n, "00000003008001");
    s.n = 7;
    assert_int_equal(kex_secret_string(&s, x, 4), ERR_LIMIT);
    s.n = 8;
    assert_int_equal(kex_secret_string(&s, x, 4), OK);
    assert_vector(s.p, s.n, "0000000400008001");
}

static const struct {
    const struct digest_alg *hash;
    char letter;
    const char *hex;
} DERIVED[] = {
    {&digest_sha256, 'A', "0b09cbaf1e21094a572fbcf9"},
    {&digest_sha256, 'C',
     "37a666ffdb2ac2f148f6f4a56955d24699a246c86332b09af7e4af4620c07948213bdc18d74a6871149"
     "0d50b"
     "c0382a0b25eb1daa94759a1d40911112884cd222886f4cadedad59b2ac8ec9d2d5bae3591e8634007d7"
     "d618f"
     "b6e257a0a90e3bbbf2c007f4"},
    {&digest_sha512, 'F',
     "54406cce5af402136d352b1440d5b144dc5d0e2fe79b13ccc9570831fe6b5ea4a726f85bf85cecc961d"
     "31acc"
     "db0fa430c476b62d6febfb96e3df8239e71d0fc8"},
    {&digest_sha384, 'E',
     "22ce4cca306fac8ada3719bd3cbff67f2a87015bbd384bef32e60b336b6ae44e59689510c2c96939053"
     "f07d3"
     "ec8167b14c"},
};

static void derives_as_rfc4253(void **state) {
    (void)state;
    uint8_t k[37] = {0, 0, 0, 33, 0}, h[32], session[32], out[128];
    vector_fill(k + 5, 32, 0x80, 1);
    vector_fill(h, 32, 0, 1);
    vector_fill(session, 32, 100, 1);
    for (size_t i = 0; i < sizeof DERIVED / sizeof *DERIVED; i++) {
        size_t n = strlen(DERIVED[i].hex) / 2;
        memset(out, 0xee, sizeof out);
        assert_int_equal(kex_derive(DERIVED[i].hash, view_of(k, 37), view_of(h, 32),
                                    view_of(&DERIVED[i].letter, 1), view_of(session, 32),
                                    out, n),
                         OK);
        assert_vector(out, n, DERIVED[i].hex);
        assert_int_equal(out[n], 0xee);
    }
}

// ---- what libcrypto has allocated ----

static size_t pieces;

static void *counted(size_t n, const char *file, int line) {
    (void)file, (void)line;
    void *p = malloc(n);
    pieces += p != NULL;
    return p;
}

static void uncounted(void *p, const char *file, int line) {
    (void)file, (void)line;
    pieces -= p != NULL;
    free(p);
}

static void *moved(void *p, size_t n, const char *file, int line) {
    if (p == NULL)
        return counted(n, file, line);
    if (n > 0)
        return realloc(p, n);
    uncounted(p, file, line);
    return NULL;
}

// What it looks up for the first time stays in its memory; what each link's process would
// look up anew costs each of them time and pages. To be the first of these tests.
static void all_is_looked_up_beforehand(void **state) {
    (void)state;
    static const char *const names[] = {"curve25519-sha256", "ecdh-sha2-nistp256",
                                        "mlkem768x25519-sha256"};
    static uint8_t q_c[KEX_BLOB_MAX], q_s[KEX_BLOB_MAX], secret[KEX_SECRET_MAX];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const struct kex_alg *alg = find(names[i]);
        struct span s = {secret, sizeof secret};
        struct kex_offer *o;
        size_t before = pieces, n, m;
        n = offer(&o, alg, q_c);
        assert_int_equal(answer(alg, view_of(q_c, n), q_s, &s, &m), OK);
        s.n = sizeof secret;
        assert_int_equal(kex_offer_finish(o, view_of(q_s, m), &s), OK);
        kex_offer_free(o);
        assert_int_equal(pieces, before);
    }
}

int main(void) {
    if (CRYPTO_set_mem_functions(counted, moved, uncounted) != 1 || crypto_init() != OK)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_is_looked_up_beforehand),
        cmocka_unit_test(x25519_matches_rfc7748),
        cmocka_unit_test(p256_matches_nist),
        cmocka_unit_test(both_sides_agree),
        cmocka_unit_test(other_lengths_are_refused),
        cmocka_unit_test(points_of_small_order_are_refused),
        cmocka_unit_test(points_off_the_curve_are_refused),
        cmocka_unit_test(hybrid_checks_the_modulus),
        cmocka_unit_test(bad_numbers_are_refused),
        cmocka_unit_test(room_for_the_secret_is_checked),
        cmocka_unit_test(derives_as_rfc4253),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
