#include "crypto/memory.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"

#define ROOM (32u * 1024u)  // libcrypto 3.0 takes 23 KiB
#define ALIGNED 16u

// Parts of the names of the sources whose objects are written to at each use.
static const char *const written[] = {"/evp/", "/err.c", "/threads_"};

static _Alignas(4096) uint8_t room[ROOM];
static size_t used;
static bool gathers;

static bool is_written(const char *file) {
    static const char *last;  // as a rule the same one again
    static bool was;
    if (file == last || file == NULL)
        return file != NULL && was;
    last = file;
    was = false;
    for (size_t i = 0; i < sizeof written / sizeof *written; i++)
        was = was || strstr(file, written[i]) != NULL;
    return was;
}

static bool is_ours(const void *p) {
    return (const uint8_t *)p >= room && (const uint8_t *)p < room + ROOM;
}

static void *take(size_t n, const char *file, int line) {
    (void)line;
    if (!gathers || n > ROOM - used || !is_written(file))
        return malloc(n);
    void *p = room + used;
    used += (n + ALIGNED - 1) & ~(size_t)(ALIGNED - 1);
    used = used < ROOM ? used : ROOM;
    return p;
}

static void give(void *p, const char *file, int line) {
    (void)file, (void)line;
    if (!is_ours(p))
        free(p);
}

static void *change(void *p, size_t n, const char *file, int line) {
    if (!is_ours(p))
        return realloc(p, n);
    void *fresh = malloc(n);
    size_t behind = (size_t)(room + ROOM - (uint8_t *)p);  // its own length is not known
    if (fresh != NULL)
        memcpy(fresh, p, n < behind ? n : behind);
    give(p, file, line);
    return fresh;
}

void memory_gather(void) {
    CRYPTO_malloc_fn now = NULL;
    CRYPTO_get_mem_functions(&now, NULL, NULL);
    gathers = now == take ||
              (now == CRYPTO_malloc && CRYPTO_set_mem_functions(take, change, give) == 1);
}

void memory_gathered(void) {
    gathers = false;
}
