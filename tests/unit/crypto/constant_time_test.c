// ML-KEM-768 is constant in time.
#include "constant_time.h"

#ifdef HAVE_MEMCHECK
#include "crypto/pq/mlkem768.c"

// One round: the same key, a good ciphertext and a bad one.
static int run(void) {
    uint8_t ek[MLKEM768_PUBLIC], dk[MLKEM768_SECRET], c[MLKEM768_CIPHERTEXT];
    uint8_t seeds[3 * MLKEM768_SEED], shared[3][MLKEM768_SHARED];
    for (size_t i = 0; i < sizeof seeds; i++)
        seeds[i] = (uint8_t)(i * 37 + 11);
    secret(seeds, sizeof seeds);
    enum err e = mlkem768_keygen(ek, dk, seeds, seeds + MLKEM768_SEED);
    if (e != OK)
        return failed("keygen");
    now_public(dk + 3 * 384, MLKEM768_PUBLIC + 32);  // the copy of ek and its hash
    if (mlkem768_encaps(c, shared[0], ek, seeds + 2 * MLKEM768_SEED) != OK)
        return failed("encaps");
    if (mlkem768_decaps(shared[1], dk, c) != OK)
        return failed("decaps");
    c[17] ^= 4;
    if (mlkem768_decaps(shared[2], dk, c) != OK)
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
