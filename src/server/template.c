#include "server/template.h"

#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "crypto/random.h"

#define LARGEST_HOLE 65536u
#define HOLES_MAX 4096      // of one size
#define STACK_KEPT 512u     // below the caller's frame
#define STACK_USED 524288u  // deeper nobody has been

// Pointers to what is taken are not kept: that is the purpose.
void template_settle(void) {
    const uint8_t *end = sbrk(0);
    malloc_trim(0);
    for (size_t size = LARGEST_HOLE; size >= 16;
         size -= size > 1024 ? size / 4 & ~(size_t)15 : 16)
        for (int i = 0; i < HOLES_MAX; i++) {
            void *volatile p = malloc(size);
            if (p == NULL || (const uint8_t *)p >= end ||
                (const uint8_t *)p + size > end - 1024) {
                free(p);
                break;
            }
        }
}

void template_release(void) {
    uint8_t here;
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t end = ((uintptr_t)&here - STACK_KEPT) & ~(page - 1);
    malloc_trim(0);
    random_padding_idle();
    // What is not mapped of it gives ENOMEM, and the rest is done all the same.
    (void)madvise((void *)(end - STACK_USED), STACK_USED, MADV_DONTNEED);
}
