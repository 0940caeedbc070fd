// The system's generator, and a pool of padding bytes.
//
// The pool is ChaCha20 key stream with a key that replaces itself at each refill (the
// first 32 bytes of a refill are the next key), in pages that a fork fills with zeros: a
// child finds `seeded` zero and starts with a key of its own. A kernel without
// MADV_WIPEONFORK has no pool.
#include "crypto/random.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/random.h>

#include "base/secret.h"
#include "crypto/fetched.h"

#define POOL_SIZE 4096
#define KEY_SIZE 32

struct pool {
    size_t used;  // bytes of `stream` handed out
    uint8_t seeded;
    uint8_t key[KEY_SIZE];
    uint8_t stream[POOL_SIZE - sizeof(size_t) - 1 - KEY_SIZE];
};

static struct pool *pool;
static EVP_CIPHER_CTX *pool_cipher;

void random_bytes(void *p, size_t n) {
    uint8_t *at = p;
    while (n > 0) {
        ssize_t got = getrandom(at, n, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            abort();
        at += got;
        n -= (size_t)got;
    }
}

static bool pool_new(void) {
    if (fetched()->cipher[FETCHED_CHACHA20] == NULL)
        return false;  // before crypto_init()
    void *p = mmap(NULL, sizeof *pool, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        return false;
    (void)madvise(p, sizeof *pool, MADV_DONTDUMP);
    pool_cipher = EVP_CIPHER_CTX_new();
    if (madvise(p, sizeof *pool, MADV_WIPEONFORK) != 0 || pool_cipher == NULL) {
        munmap(p, sizeof *pool);
        EVP_CIPHER_CTX_free(pool_cipher);
        pool_cipher = NULL;
        return false;
    }
    pool = p;
    return true;
}

static bool pool_refill(void) {
    static const uint8_t iv[16];
    if (!pool->seeded)
        random_bytes(pool->key, KEY_SIZE);
    pool->seeded = 0;
    memset(pool->stream, 0, sizeof pool->stream);
    int n = 0;
    if (EVP_CipherInit_ex2(pool_cipher, fetched()->cipher[FETCHED_CHACHA20], pool->key,
                           iv, 1, NULL) != 1 ||
        EVP_CipherUpdate(pool_cipher, pool->stream, &n, pool->stream,
                         sizeof pool->stream) != 1)
        return false;
    memcpy(pool->key, pool->stream, KEY_SIZE);
    // Only the key in the pool shall live on, not the one inside the context.
    (void)EVP_CIPHER_CTX_reset(pool_cipher);
    pool->used = KEY_SIZE;
    pool->seeded = 1;
    return true;
}

void random_padding(void *p, size_t n) {
    if ((pool == NULL && !pool_new()) || n > sizeof pool->stream - KEY_SIZE) {
        random_bytes(p, n);
        return;
    }
    if ((!pool->seeded || n > sizeof pool->stream - pool->used) && !pool_refill()) {
        random_bytes(p, n);
        return;
    }
    uint8_t *from = pool->stream + pool->used;
    memcpy(p, from, n);
    pool->used += n;
}

void random_padding_idle(void) {
    if (pool != NULL)
        (void)madvise(pool, sizeof *pool, MADV_DONTNEED);
}
