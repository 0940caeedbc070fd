#include "base/secret.h"

#include <sys/mman.h>
#include <unistd.h>

enum err secret_arena_init(struct secret_arena *a, size_t size, unsigned flags) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size = (size + page - 1) / page * page;
    void *p =
        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        return ERR_MEMORY;
    (void)mlock(p, size);
    (void)madvise(p, size, MADV_DONTDUMP);
    if ((flags & SECRET_WIPE_ON_FORK) != 0 && madvise(p, size, MADV_WIPEONFORK) != 0) {
        munmap(p, size);
        return ERR_MEMORY;
    }
    *a = (struct secret_arena){p, 0, size};
    return OK;
}

void *secret_alloc(struct secret_arena *a, size_t n) {
    if (n > a->size - a->used)
        return NULL;
    n = (n + 15) & ~(size_t)15;  // size is whole pages, so this still fits
    void *p = a->p + a->used;
    a->used += n;
    return p;
}

void secret_arena_drop(struct secret_arena *a) {
    if (a->p != NULL) {
        secret_wipe(a->p, a->size);
        munmap(a->p, a->size);
    }
    *a = (struct secret_arena){0};
}

void secret_wipe(void *p, size_t n) {
    if (n > 0)
        explicit_bzero(p, n);
}

bool secret_equal(const void *a, const void *b, size_t n) {
    const volatile uint8_t *x = a, *y = b;
    uint8_t d = 0;
    for (size_t i = 0; i < n; i++)
        d |= x[i] ^ y[i];
    return d == 0;
}
