// sntrup761 is constant in time.
#include "constant_time.h"

#ifdef HAVE_MEMCHECK
#include "crypto/pq/sntrup761.c"

// One round: a good ciphertext and a bad one.
static int run(void) {
    uint8_t pk[SNTRUP761_PUBLIC], sk[SNTRUP761_SECRET], c[SNTRUP761_CIPHERTEXT];
    uint8_t random[3 * SNTRUP761_DRAW + SNTRUP761_RHO], shared[3][SNTRUP761_SHARED];
    uint32_t x = 12345;
    for (size_t i = 0; i < sizeof random; i++) {
        x = x * 1664525 + 1013904223;
        random[i] = (uint8_t)(x >> 24);
    }
    secret(random, sizeof random);
    const uint8_t *f = random + SNTRUP761_DRAW, *r = f + SNTRUP761_DRAW;
    if (sntrup761_keygen(pk, sk, random, f, r + SNTRUP761_DRAW) != OK)
        return failed("keygen");
    now_public(sk + SK_PUBLIC, SNTRUP761_PUBLIC);
    now_public(sk + SK_HASH, HASH);
    if (sntrup761_encaps(c, shared[0], pk, r) != OK)
        return failed("encaps");
    if (sntrup761_decaps(shared[1], sk, c) != OK)
        return failed("decaps");
    c[17] ^= 4;
    if (sntrup761_decaps(shared[2], sk, c) != OK)
        return failed("decaps of a bad ciphertext");
    now_public(shared, sizeof shared);
    if (memcmp(shared[0], shared[1], 32) != 0 || memcmp(shared[0], shared[2], 32) == 0)
        return failed("secrets");
    return 0;
}
#endif

int main(int argc, char **argv) {
    return constant_time_main(argc, argv);
}
