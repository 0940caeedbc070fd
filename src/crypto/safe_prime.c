#include "crypto/safe_prime.h"

#include <openssl/bn.h>

#include "crypto/provider.h"

#define ROUNDS 64  // of BN_check_prime(), at least

uint32_t safe_prime_modulo(struct view number, uint32_t m) {
    uint64_t rest = 0;
    size_t i = 0;
    for (; i + 4 <= number.n; i += 4)
        rest = ((rest << 32) | load_u32(number.p + i)) % m;
    for (; i < number.n; i++)
        rest = ((rest << 8) | number.p[i]) % m;
    return (uint32_t)rest;
}

unsigned safe_prime_generator(struct view p) {
    if (safe_prime_modulo(p, 24) == 11)
        return 2;
    uint32_t r = safe_prime_modulo(p, 10);
    return r == 3 || r == 7 ? 5 : 0;
}

static enum err is_prime(const BIGNUM *n, unsigned rounds, BN_CTX *ctx, bool *prime) {
    *prime = true;
    for (unsigned done = 0; *prime && done < rounds; done += ROUNDS) {
        int r = BN_check_prime(n, ctx, NULL);
        if (r < 0)
            return ERR_CRYPTO;
        *prime = r == 1;
    }
    return OK;
}

enum err safe_prime_test(struct view p, unsigned rounds, bool *safe) {
    *safe = false;
    if (p.n == 0 || p.n > SAFE_PRIME_BYTES_MAX)
        return ERR_LIMIT;
    BN_CTX *ctx = BN_CTX_new();
    BIGNUM *whole = BN_bin2bn(p.p, (int)p.n, NULL), *half = BN_new();
    enum err e = ctx != NULL && whole != NULL && half != NULL && BN_rshift1(half, whole)
                     ? OK
                     : ERR_MEMORY;
    // Most candidates fail at their half.
    if (e == OK && BN_is_odd(whole))
        e = is_prime(half, rounds, ctx, safe);
    if (e == OK && *safe)
        e = is_prime(whole, rounds, ctx, safe);
    BN_free(whole);
    BN_free(half);
    BN_CTX_free(ctx);
    return e;
}
