// sntrup761: known answers, which OpenSSH 10.0's own gives for the same random bytes; its
// pieces against plain arithmetic; wrong ciphertexts.
#include "vector.h"

#include <stdlib.h>

#include "crypto/crypto.h"
#include "crypto/digest.h"
#include "crypto/pq/sntrup761.h"
#include "crypto/pq/sntrup_code.h"
#include "crypto/random.h"

#define P SNTRUP_P

// The stream SHA-512(seed || le32(j)) for j = 0, 1, 2, …
static void stream(uint8_t *out, size_t n, const char *seed) {
    uint8_t block[64], counter[4] = {0};
    for (size_t done = 0; done < n; done += sizeof block, counter[0]++) {
        if (done > 0 && counter[0] == 0)
            counter[1]++;
        struct view parts[] = {view_text(seed), view_of(counter, 4)};
        assert_int_equal(digest_parts(&digest_sha512, parts, 2, block), OK);
        memcpy(out + done, block, n - done < sizeof block ? n - done : sizeof block);
    }
}

static const struct {
    const char *seed, *pk, *sk, *c, *shared, *rejected;  // the first three as SHA-512
} ANSWERS[] = {
    {"reach sntrup761 kat 0",
     "597101fee410d1a3303ba897b42c1dd145792e5aa203c868771718f865d57880"
     "aa4f1322aabc6516e1a500a9062c67ede5042ea5bc15813a9b4b192d59b1a568",
     "aa6a04dfedbd0c83686580e15dfcb712c7f9041141117e12d5453e01c87e8dde"
     "757fbde67a22eda0bc001b5e466070f67766d578be223994f18b17a96b557ae2",
     "9d4bd929677894720d751523be604764cd9a119a7e10c056a6e0833fe78bc2ab"
     "4aa567dbe2b9fc42a36ecd5e26276116662186350cb4ad38dfb061307e614d7f",
     "83efc9cc0a60166f3e38fc3f13f062e284d0cb3047fa6d26319b9a99a254b27f",
     "459b8fda2a5d122baaab2944c2918cfda5858c97dd56381257eac7a9549c597d"},
    {"reach sntrup761 kat 1",
     "79861eb4d22015a6d4a52657e378a7ff506db3dc455183d2ccdb6b4ac24c8201"
     "3aac26cf12ecfada27db2be2e5f7628e241ca64c44fa82b8bc4e431bd2d86a04",
     "417cac759eb5f9ec570eafb9088f23fc36e34a5e8ad76eba85e90844dc6b3a24"
     "acfc95bc0a274ae4dbcbb3bbd469bb8a540a76d609419211c8670f93a2a521d9",
     "a61938b191e55b7e7e6016da728966e7a30cdc40c0aa948e74a5e68c6d0429fe"
     "f2e0875596fb20ea2fd93bedc722c2754fe4a0b8e1cf69c6177b50aae03686d4",
     "0420fab273dda98b20380b8796f3506d5e21c6c2cdee527ebb1e6e0643b715b4",
     "df42ead65c9856239863607526c55a08714a69cc060f2237430aef7dcd623094"},
    {"reach sntrup761 kat 2",
     "d548cae841ff02186aa2340ab6e9520adf6866713626437724adbaa66aeff86f"
     "f3d2e5dd776d13125c43e5c835a7becd02cdd66993a4a8de4115559f09e131e9",
     "3ef6c61402736f1dc32465d6b81619a3318f3f8efe9685d0648a6d8dc1817d21"
     "29e5aa11664312884fa2d4194fa60ebdd9bd02267a067575ae690ece0d895882",
     "75f21ec11753cf13b274c4d98fc2689f398b980b90e150e155d9d9fe5d675948"
     "9d4ddb4149feb06b311d29e3d0f0a18b531bbb06d73c29ef211fb86b0e0f16c2",
     "1aaac89948e8a96c1cd3dc0c5d25a7c5b50707a082fa440f844b2110a97e29e2",
     "743eefb1fb612372ba8a7ebda507f44ce56b48fbddf53894178e4769dbd02da4"},
};

static void assert_digest(const uint8_t *p, size_t n, const char *hex) {
    uint8_t out[64];
    struct view part = view_of(p, n);
    assert_int_equal(digest_parts(&digest_sha512, &part, 1, out), OK);
    assert_vector(out, sizeof out, hex);
}

static void known_answers(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof ANSWERS / sizeof *ANSWERS; i++) {
        uint8_t random[3 * SNTRUP761_DRAW + SNTRUP761_RHO];
        uint8_t pk[SNTRUP761_PUBLIC], sk[SNTRUP761_SECRET], c[SNTRUP761_CIPHERTEXT];
        uint8_t k1[32], k2[32];
        stream(random, sizeof random, ANSWERS[i].seed);
        assert_int_equal(sntrup761_keygen(pk, sk, random, random + SNTRUP761_DRAW,
                                          random + 2 * SNTRUP761_DRAW),
                         OK);
        assert_digest(pk, sizeof pk, ANSWERS[i].pk);
        assert_digest(sk, sizeof sk, ANSWERS[i].sk);
        assert_int_equal(
            sntrup761_encaps(c, k1, pk, random + 2 * SNTRUP761_DRAW + SNTRUP761_RHO), OK);
        assert_digest(c, sizeof c, ANSWERS[i].c);
        assert_vector(k1, 32, ANSWERS[i].shared);
        assert_int_equal(sntrup761_decaps(k2, sk, c), OK);
        assert_vector(k2, 32, ANSWERS[i].shared);
        c[0] ^= 1;
        assert_int_equal(sntrup761_decaps(k2, sk, c), OK);
        assert_vector(k2, 32, ANSWERS[i].rejected);
    }
}

static int centered(long x, int m) {
    int r = (int)(x % m);
    if (r > m / 2)
        r -= m;
    return r < -(m / 2) ? r + m : r;
}

// Schoolbook, modulo m.
static void plain_product(long out[P], const long a[P], const long b[P], int m) {
    static long sum[2 * P];
    memset(sum, 0, sizeof sum);
    for (int i = 0; i < P; i++)
        for (int j = 0; j < P; j++)
            sum[i + j] += a[i] * b[j];
    for (int i = 2 * P - 2; i >= P; i--) {
        sum[i - P] += sum[i];
        sum[i - P + 1] += sum[i];
    }
    for (int i = 0; i < P; i++)
        out[i] = centered(sum[i], m);
}

static void random_small(int8_t out[P]) {
    uint8_t bytes[P];
    random_bytes(bytes, sizeof bytes);
    for (int i = 0; i < P; i++)
        out[i] = (int8_t)(bytes[i] % 3 - 1);
}

static void products_are_as_plain_ones(void **state) {
    (void)state;
    for (int round = 0; round < 6; round++) {
        int8_t b[P], b2[P], got3[P];
        int16_t a[P], got[P];
        long x[P], y[P], z[P], want[P];
        random_small(b);
        random_small(b2);
        for (int i = 0; i < P; i++) {
            uint16_t r;
            random_bytes(&r, sizeof r);
            // The largest sums there can be, and random ones.
            a[i] = (int16_t)(round == 0 ? 2295 : round == 1 ? -2295 : r % 4591 - 2295);
            b[i] = (int8_t)(round < 2 ? 1 : b[i]);
            x[i] = a[i], y[i] = b[i], z[i] = b2[i];
        }
        rq_times_small(got, a, b);
        plain_product(want, x, y, SNTRUP_Q);
        for (int i = 0; i < P; i++)
            assert_int_equal(got[i], want[i]);
        r3_times(got3, b, b2);
        plain_product(want, y, z, 3);
        for (int i = 0; i < P; i++)
            assert_int_equal(got3[i], want[i]);
    }
}

static void inverses_are_inverses(void **state) {
    (void)state;
    for (int round = 0; round < 4; round++) {
        int8_t a[P], inverse3[P], one3[P];
        int16_t inverse[P], one[P];
        do
            random_small(a);
        while (!r3_inverse(inverse3, a));
        r3_times(one3, a, inverse3);
        rq_third_inverse(inverse, a);
        rq_times_small(one, inverse, a);
        for (int i = 0; i < P; i++) {
            assert_int_equal(one3[i], i == 0);
            assert_int_equal(centered(3 * one[i], SNTRUP_Q), i == 0);
        }
    }
    int8_t none[P] = {0}, out[P];
    assert_int_equal(r3_inverse(out, none), 0);
}

static int by_size(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static void sorts(void **state) {
    (void)state;
    for (int round = 0; round < 20; round++) {
        uint32_t x[P], want[P];
        random_bytes(x, sizeof x);
        for (int i = 0; i < P; i += round + 1)
            x[i] = i % 2 != 0 ? UINT32_MAX : x[i] % 5;
        memcpy(want, x, sizeof x);
        qsort(want, P, sizeof *want, by_size);
        sntrup_sort(x);
        assert_memory_equal(x, want, sizeof x);
    }
}

static void codes_round_trip(void **state) {
    (void)state;
    for (int round = 0; round < 8; round++) {
        int16_t a[P], back[P];
        int8_t s[P], s_back[P];
        uint8_t rq[SNTRUP_RQ_LEN], rounded[SNTRUP_ROUNDED_LEN], small[SNTRUP_SMALL_LEN];
        for (int i = 0; i < P; i++) {
            uint16_t r;
            random_bytes(&r, sizeof r);
            a[i] = (int16_t)(round == 0 ? 2295 : round == 1 ? -2295 : r % 4591 - 2295);
        }
        rq_encode(rq, a);
        rq_decode(back, rq);
        assert_memory_equal(a, back, sizeof a);
        rq_round(a);
        rounded_encode(rounded, a);
        rounded_decode(back, rounded);
        assert_memory_equal(a, back, sizeof a);
        random_small(s);
        small_encode(small, s);
        small_decode(s_back, small);
        assert_memory_equal(s, s_back, sizeof s);
        // Any bytes give numbers in range.
        random_bytes(rq, sizeof rq);
        memset(rq, 0xff, round < 4 ? sizeof rq : 0);
        rq_decode(back, rq);
        for (int i = 0; i < P; i++)
            assert_in_range(back[i] + 2295, 0, 4590);
    }
}

static void any_bytes_are_a_key_and_a_ciphertext(void **state) {
    (void)state;
    uint8_t pk[SNTRUP761_PUBLIC], sk[SNTRUP761_SECRET], c[SNTRUP761_CIPHERTEXT];
    uint8_t random[SNTRUP761_DRAW], k1[32], k2[32], k3[32];
    random_bytes(random, sizeof random);
    for (int fill = 0; fill < 256; fill += 51) {
        memset(pk, fill, sizeof pk);
        memset(sk, fill, sizeof sk);
        memset(c, fill, sizeof c);
        assert_int_equal(sntrup761_encaps(c, k1, pk, random), OK);
        assert_int_equal(sntrup761_decaps(k2, sk, c), OK);
        c[1038] ^= 0x80;
        assert_int_equal(sntrup761_decaps(k3, sk, c), OK);
        assert_memory_not_equal(k2, k3, 32);
    }
}

int main(void) {
    if (crypto_init() != OK)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sorts),
        cmocka_unit_test(products_are_as_plain_ones),
        cmocka_unit_test(inverses_are_inverses),
        cmocka_unit_test(codes_round_trip),
        cmocka_unit_test(known_answers),
        cmocka_unit_test(any_bytes_are_a_key_and_a_ciphertext),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
