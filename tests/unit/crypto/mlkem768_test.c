// ML-KEM-768 against Go's accumulated vectors (crypto/mlkem, TestAccumulated) and FIPS
// 203's rules.
#include "vector.h"

#include <openssl/evp.h>
#include <stdlib.h>

#include "crypto/crypto.h"
#include "crypto/pq/mlkem768.h"
#include "crypto/pq/mlkem_poly.h"
#include "crypto/provider.h"

#define ROUNDS 10000
#define ROUND_BYTES (2 * MLKEM768_SEED + MLKEM768_SEED + MLKEM768_CIPHERTEXT)

// The whole stream SHAKE128("") of n bytes.
static uint8_t *shake_stream(size_t n) {
    uint8_t *p = malloc(n);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    assert_non_null(p);
    assert_int_equal(EVP_DigestInit_ex(ctx, EVP_shake128(), NULL), 1);
    assert_int_equal(EVP_DigestFinalXOF(ctx, p, n), 1);
    EVP_MD_CTX_free(ctx);
    return p;
}

static void accumulate_round(EVP_MD_CTX *sum, const uint8_t *in) {
    uint8_t ek[MLKEM768_PUBLIC], dk[MLKEM768_SECRET], c[MLKEM768_CIPHERTEXT], k[32],
        k2[32];
    assert_int_equal(mlkem768_keygen(ek, dk, in, in + 32), OK);
    assert_int_equal(mlkem768_encaps(c, k, ek, in + 64), OK);
    assert_int_equal(mlkem768_decaps(k2, dk, c), OK);
    assert_memory_equal(k, k2, sizeof k);
    assert_int_equal(mlkem768_decaps(k2, dk, in + 96), OK);  // implicit rejection
    assert_memory_not_equal(k, k2, sizeof k);
    EVP_DigestUpdate(sum, ek, sizeof ek);
    EVP_DigestUpdate(sum, c, sizeof c);
    EVP_DigestUpdate(sum, k, sizeof k);
    EVP_DigestUpdate(sum, k2, sizeof k2);
}

static void matches_accumulated_vectors(void **state) {
    (void)state;
    uint8_t *in = shake_stream((size_t)ROUNDS * ROUND_BYTES), got[32];
    EVP_MD_CTX *sum = EVP_MD_CTX_new(), *part = EVP_MD_CTX_new();
    assert_int_equal(EVP_DigestInit_ex(sum, EVP_shake128(), NULL), 1);
    for (size_t i = 0; i < ROUNDS; i++) {
        accumulate_round(sum, in + i * ROUND_BYTES);
        if (i + 1 != 100)
            continue;
        assert_int_equal(EVP_MD_CTX_copy_ex(part, sum), 1);
        assert_int_equal(EVP_DigestFinalXOF(part, got, sizeof got), 1);
        assert_vector(got, 32,
                      "1114b1b6699ed191734fa339376afa7e285c9e6acf6ff0177d346696ce564415");
    }
    assert_int_equal(EVP_DigestFinalXOF(sum, got, sizeof got), 1);
    assert_vector(got, 32,
                  "8a518cc63da366322a8e7a818c7a0d63483cb3528d34a4cf42f35d5ad73f22fc");
    EVP_MD_CTX_free(sum);
    EVP_MD_CTX_free(part);
    free(in);
}

static void one_bit_of_the_ciphertext_changes_everything(void **state) {
    (void)state;
    uint8_t ek[MLKEM768_PUBLIC], dk[MLKEM768_SECRET], c[MLKEM768_CIPHERTEXT], k[32],
        k2[32];
    uint8_t seed[96];
    vector_fill(seed, sizeof seed, 3, 11);
    assert_int_equal(mlkem768_keygen(ek, dk, seed, seed + 32), OK);
    assert_int_equal(mlkem768_encaps(c, k, ek, seed + 64), OK);
    for (size_t bit = 0; bit < sizeof c * 8; bit += 61) {
        c[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_int_equal(mlkem768_decaps(k2, dk, c), OK);
        assert_memory_not_equal(k, k2, 32);
        c[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
}

// FIPS 203 s.7.2: each coefficient of the key in turn set to each value from q to 4095
// (some).
static void keys_over_the_modulus_are_refused(void **state) {
    (void)state;
    uint8_t ek[MLKEM768_PUBLIC], dk[MLKEM768_SECRET], c[MLKEM768_CIPHERTEXT], k[32];
    uint8_t seed[96] = {0};
    assert_int_equal(mlkem768_keygen(ek, dk, seed, seed + 32), OK);
    struct poly good, bad;
    for (size_t i = 0; i < 3 * MLKEM_N; i++) {
        uint8_t *at = ek + i / MLKEM_N * 384;
        poly_decode12(&good, at);
        for (int v = MLKEM_Q - 1; v < 4096; v += v < MLKEM_Q + 1 ? 1 : 255) {
            bad = good;
            bad.c[i % MLKEM_N] = (int16_t)v;
            poly_encode12(at, &bad);
            enum err want = v < MLKEM_Q ? OK : ERR_KEX;
            assert_int_equal(mlkem768_encaps(c, k, ek, seed + 64), want);
        }
        poly_encode12(at, &good);
    }
}

// Compress_d and Decompress_d (s.4.2.1) for every number there is.
static void compression_rounds_as_specified(void **state) {
    (void)state;
    for (unsigned x = 0; x < MLKEM_Q; x++) {
        struct poly p, back;
        uint8_t out[320];
        for (size_t i = 0; i < MLKEM_N; i++)
            p.c[i] = (int16_t)x;
        poly_compress10(out, &p);
        poly_decompress10(&back, out);
        unsigned y = (x * 2048 + MLKEM_Q) / (2 * MLKEM_Q) % 1024;
        assert_int_equal(back.c[7], (y * MLKEM_Q + 512) / 1024);
        poly_compress4(out, &p);
        poly_decompress4(&back, out);
        y = (x * 32 + MLKEM_Q) / (2 * MLKEM_Q) % 16;
        assert_int_equal(back.c[9], (y * MLKEM_Q + 8) / 16);
        poly_compress1(out, &p);
        poly_decompress1(&back, out);
        y = (x * 4 + MLKEM_Q) / (2 * MLKEM_Q) % 2;
        assert_int_equal(back.c[11], y * 1665);
    }
}

static void ntt_and_back_is_identity(void **state) {
    (void)state;
    struct poly p, q;
    for (int16_t extreme = -MLKEM_Q; extreme <= MLKEM_Q; extreme++) {
        for (int i = 0; i < MLKEM_N; i++)
            p.c[i] = (int16_t)(i % 3 == 0 ? extreme : (i * extreme) % MLKEM_Q);
        q = p;
        poly_ntt(&q);
        poly_ntt_back(&q);  // times 2^16
        poly_reduce(&q);
        poly_times_r(&p);  // times 2^16, too
        poly_reduce(&p);
        assert_memory_equal(&p, &q, sizeof p);
    }
}

int main(void) {
    if (crypto_init() != OK || provider_widen() != OK)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(compression_rounds_as_specified),
        cmocka_unit_test(ntt_and_back_is_identity),
        cmocka_unit_test(matches_accumulated_vectors),
        cmocka_unit_test(one_bit_of_the_ciphertext_changes_everything),
        cmocka_unit_test(keys_over_the_modulus_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
