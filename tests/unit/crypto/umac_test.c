// UMAC: the test vectors of RFC 4418's appendix (64 bits; 96 as the first bytes of 128)
// and those of its errata and of nettle's test suite for 128 bits.
#include "vector.h"

#include <stdlib.h>

#include "crypto/crypto.h"
#include "crypto/umac.h"

static const struct {
    const char *unit;
    size_t times;
    const char *tag64, *tag128;
} VECTORS[] = {
    {"", 0, "6e155fad26900be1", "32fedb100c79ad58f07ff7643cc60465"},
    {"a", 3, "44b5cb542f220104", "185e4fe905cba7bd85e4c2dc3d117d8d"},
    {"a", 1u << 10, "26bf2f5d60118bd9", "7a54abe04af82d60fb298c3cbd195bcb"},
    {"a", 1u << 15, "27f8ef643b0d118d", "7b136bd911e4b734286ef2be501f2c3c"},
    {"a", 1u << 20, "a4477e87e9f55853", "f8acfa3ac31cfeea047f7b115b03bef5"},
    {"abc", 1, "d4d7b9f6bd4fbfcf", "883c3d4b97a61976ffcf232308cba5a5"},
    {"abc", 500, "d4cf26ddefd5c01a", "8824a260c53c66a36c9260a62cb83aa1"},
};

static struct umac *make(size_t tag_len) {
    struct umac *u = NULL;
    assert_int_equal(umac_new(&u, (const uint8_t *)"abcdefghijklmnop", tag_len), OK);
    return u;
}

static void matches_rfc4418(void **state) {
    (void)state;
    const uint8_t *nonce = (const uint8_t *)"bcdefghi";
    struct umac *u64 = make(8), *u128 = make(16);
    for (size_t i = 0; i < sizeof VECTORS / sizeof *VECTORS; i++) {
        size_t each = strlen(VECTORS[i].unit), n = each * VECTORS[i].times;
        uint8_t *m = malloc(n + 1), tag[16];
        for (size_t j = 0; j < n; j++)
            m[j] = (uint8_t)VECTORS[i].unit[j % each];
        assert_int_equal(umac_tag(u64, nonce, m, n, tag), OK);
        assert_vector(tag, 8, VECTORS[i].tag64);
        assert_int_equal(umac_tag(u128, nonce, m, n, tag), OK);
        assert_vector(tag, 16, VECTORS[i].tag128);
        free(m);
    }
    umac_free(u64);
    umac_free(u128);
}

// Every length, at any alignment, and one bit of it wrong.
static void place_does_not_matter(void **state) {
    (void)state;
    struct umac *u = make(16);
    static uint8_t a[5000], b[5008];
    vector_fill(a, sizeof a, 3, 7);
    for (size_t n = 0; n < sizeof a; n += n < 80 ? 1 : 61) {
        uint8_t one[16], other[16];
        memcpy(b + 1 + n % 7, a, n);
        assert_int_equal(umac_tag(u, (const uint8_t *)"12345678", a, n, one), OK);
        assert_int_equal(
            umac_tag(u, (const uint8_t *)"12345678", b + 1 + n % 7, n, other), OK);
        assert_memory_equal(one, other, 16);
        b[1 + n % 7 + n / 2] ^= 1;
        assert_int_equal(
            umac_tag(u, (const uint8_t *)"12345678", b + 1 + n % 7, n, other), OK);
        if (n > 0)
            assert_memory_not_equal(one, other, 16);
    }
    umac_free(u);
}

static void limits_are_kept(void **state) {
    (void)state;
    struct umac *u = NULL;
    uint8_t byte = 0, tag[16];
    assert_int_equal(umac_new(&u, (const uint8_t *)"abcdefghijklmnop", 12), ERR_CRYPTO);
    assert_null(u);
    u = make(8);
    assert_int_equal(
        umac_tag(u, (const uint8_t *)"12345678", &byte, UMAC_MESSAGE_MAX + 1, tag),
        ERR_LIMIT);
    umac_free(u);
    umac_free(NULL);
}

int main(void) {
    if (crypto_init() != OK)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matches_rfc4418),
        cmocka_unit_test(place_does_not_matter),
        cmocka_unit_test(limits_are_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
