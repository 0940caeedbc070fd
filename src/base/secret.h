// Secrets: memory that is locked, not dumped, not inherited by a fork, and wiped when
// dropped.
#pragma once

#include "base/bytes.h"
#include "base/err.h"

// One mapping of whole pages for secrets with one lifetime: an exchange, a login, the
// host keys. Dropped whole; nobody has to remember a list of things to wipe.
struct secret_arena {
    uint8_t *p;
    size_t used, size;
};

// flags for secret_arena_init()
#define SECRET_WIPE_ON_FORK 1u  // a child finds zeros

// size is rounded up to pages. Locking that the system refuses is not an error.
must_check enum err secret_arena_init(struct secret_arena *a, size_t size,
                                      unsigned flags);

// n zeroed bytes, 16-byte aligned, or NULL when full.
void *secret_alloc(struct secret_arena *a, size_t n);

// Wipes and unmaps; also of a zeroed one.
void secret_arena_drop(struct secret_arena *a);

#define scoped_secret __attribute__((cleanup(secret_arena_drop))) struct secret_arena

// Wipes n bytes; the compiler does not remove it.
void secret_wipe(void *p, size_t n);

// In time that depends on the length alone.
bool secret_equal(const void *a, const void *b, size_t n);
