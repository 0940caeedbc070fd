// See ring.h for the layout. Every shared number goes through load() or store(): read
// once, never again by the compiler.
#include "io/ring.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "io/fault_errno.h"

#define PAGE 4096u
#define ALIGN 64u
#define PAYLOAD_AT 64u  // from the start of a record: {length, tag}, then headroom
#define SIZE_MIN 4096u
#define SIZE_MAX_DATA (64u * 1024u * 1024u)
#define WRAP UINT32_MAX  // as a length: nothing more until the end, go on at the start

_Static_assert(PAYLOAD_AT >= 8 + RING_HEADROOM, "headroom fits before the payload");

struct ring_shared {
    _Alignas(64) _Atomic uint64_t head;  // written by the producer
    _Atomic uint32_t producer_sleeps;    // set by it, cleared by either
    _Alignas(64) _Atomic uint64_t tail;  // written by the consumer
    _Atomic uint32_t consumer_sleeps;
};
_Static_assert(sizeof(struct ring_shared) <= PAGE, "indices fit their page");

struct record {
    _Atomic uint32_t length, tag;
};

static bool size_is_good(size_t size) {
    return size >= SIZE_MIN && size <= SIZE_MAX_DATA && (size & (size - 1)) == 0;
}

enum err ring_create(size_t size, int *fd) {
    *fd = -1;
    if (!size_is_good(size))
        return ERR_LIMIT;
    int made = memfd_create("ring", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (made < 0)
        return err_of_errno(errno);
    if (ftruncate(made, (off_t)(PAGE + size)) != 0 ||
        fcntl(made, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
        enum err e = err_of_errno(errno);
        close(made);
        return e;
    }
    *fd = made;
    return OK;
}

size_t ring_size_of(int fd) {
    off_t n = lseek(fd, 0, SEEK_END);
    return n > (off_t)PAGE && size_is_good((size_t)n - PAGE) ? (size_t)n - PAGE : 0;
}

enum err ring_map(struct ring *r, int fd, size_t size, enum ring_role role) {
    *r = (struct ring){0};
    if (!size_is_good(size))
        return ERR_LIMIT;
    // Without the seal the peer could cut the file under our feet: SIGBUS. F_GET_SEALS
    // also refuses whatever is no memfd. lseek tells the size with a call that sandboxes
    // allow.
    int seals = fcntl(fd, F_GET_SEALS);
    if (seals < 0 || (seals & F_SEAL_SHRINK) == 0 ||
        lseek(fd, 0, SEEK_END) != (off_t)(PAGE + size))
        return ERR_PROTOCOL;
    uint8_t *p = mmap(NULL, PAGE + size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED)
        return errno == ENOMEM ? ERR_MEMORY : ERR_PROTOCOL;
    (void)madvise(p, PAGE + size, MADV_DONTDUMP);
    *r = (struct ring){.shared = (struct ring_shared *)p,
                       .data = p + PAGE,
                       .size = size,
                       .role = role,
                       .kept = UINT64_MAX};
    return OK;
}

void ring_unmap(struct ring *r) {
    if (r->shared != NULL)
        munmap(r->shared, PAGE + r->size);
    *r = (struct ring){0};
}

static size_t record_size(size_t payload) {
    return (PAYLOAD_AT + payload + RING_TAILROOM + ALIGN - 1) & ~(size_t)(ALIGN - 1);
}

size_t ring_stride(size_t payload) {
    return record_size(payload);
}

// The largest payload in n contiguous bytes, 0 if none.
static size_t payload_in(size_t n) {
    n &= ~(size_t)(ALIGN - 1);
    return n > PAYLOAD_AT + RING_TAILROOM ? n - PAYLOAD_AT - RING_TAILROOM : 0;
}

size_t ring_payload_max(const struct ring *r) {
    return payload_in(r->size / 2);
}

static struct record *record_at(const struct ring *r, uint64_t position) {
    return (struct record *)(void *)(r->data + (position & (r->size - 1)));
}

// Looks at the consumer's index. It may only have grown, in whole records, up to our own.
static enum err see_tail(struct ring *r) {
    uint64_t tail = atomic_load_explicit(&r->shared->tail, memory_order_acquire);
    if (tail - r->tail > r->head - r->tail || tail % ALIGN != 0)
        return ERR_PROTOCOL;
    r->tail = tail;
    return OK;
}

static enum err see_head(struct ring *r) {
    uint64_t head = atomic_load_explicit(&r->shared->head, memory_order_acquire);
    if (head < r->head || head - r->tail > r->size || head % ALIGN != 0)
        return ERR_PROTOCOL;
    r->head = head;
    return OK;
}

// The oldest record that may not be written over.
static uint64_t oldest(const struct ring *r) {
    return r->kept < r->tail ? r->kept : r->tail;
}

// Bytes at the front of the data that are free, where records from `from` on stay.
static size_t free_front(const struct ring *r, uint64_t from) {
    size_t free = r->size - (size_t)(r->head - from);
    size_t to_end = r->size - (size_t)(r->head & (r->size - 1));
    return free > to_end ? free - to_end : 0;
}

// Finds the place for a payload by the indices that are known: behind the last record, or
// at the start of the data if only there is enough, or if that is wished for.
static bool place(const struct ring *r, uint64_t from, size_t least, size_t want,
                  uint64_t *at, size_t *n) {
    size_t free = r->size - (size_t)(r->head - from);
    size_t to_end = r->size - (size_t)(r->head & (r->size - 1));
    size_t here = payload_in(free < to_end ? free : to_end);
    size_t there = payload_in(free_front(r, from));
    // A smaller piece here is better than a hole at the end, unless the hole is much the
    // smaller.
    bool wrap = here < least || (r->anew && there >= want) ||
                (here < want && there >= want && to_end < r->size / 8);
    size_t room = wrap ? there : here;
    if (room < least)
        return false;
    *at = r->head + (wrap ? to_end : 0);
    *n = room < want ? room : want;
    return true;
}

enum err ring_room(struct ring *r, size_t least, size_t want, struct span *room) {
    assert(r->role == RING_PRODUCER && least >= 1 && least <= want);
    *room = (struct span){0};
    r->reserved_n = 0;
    size_t most = ring_payload_max(r);
    if (want > most)
        want = most;
    if (least > most)
        return ERR_LIMIT;
    size_t n = 0;
    uint64_t at = 0;
    // The other's cache line is touched only when what we know of it does not do.
    if (!place(r, oldest(r), want, want, &at, &n)) {
        TRY(see_tail(r));
        if (!place(r, oldest(r), least, want, &at, &n))
            return OK;
    }
    r->reserved = at;
    r->reserved_n = n;
    *room = (struct span){(uint8_t *)record_at(r, at) + PAYLOAD_AT, n};
    return OK;
}

void ring_publish(struct ring *r, size_t n, uint32_t tag) {
    assert(r->role == RING_PRODUCER && n >= 1 && n <= r->reserved_n);
    if (r->reserved != r->head)
        atomic_store_explicit(&record_at(r, r->head)->length, WRAP, memory_order_relaxed);
    struct record *record = record_at(r, r->reserved);
    atomic_store_explicit(&record->length, (uint32_t)n, memory_order_relaxed);
    atomic_store_explicit(&record->tag, tag, memory_order_relaxed);
    r->head = r->reserved + record_size(n);
    r->reserved_n = 0;
    r->anew = false;
    atomic_store_explicit(&r->shared->head, r->head, memory_order_release);
}

// So far behind the start of its memory, a producer that keeps records goes back there.
#define WARM ((size_t)512 * 1024)

void ring_keep(struct ring *r, uint64_t from) {
    assert(r->role == RING_PRODUCER);
    bool rises = from > r->kept;
    r->kept = from;
    if (!rises)
        return;
    r->reserved_n = 0;
    if (see_tail(r) == OK)  // else the next ring_room() finds it
        r->anew = (r->head & (r->size - 1)) >= WARM && free_front(r, oldest(r)) >= WARM;
}

// Past a wrap marker, if there is one. ERR_PROTOCOL if what was promised ends there.
static enum err skip_wrap(struct ring *r, uint64_t *at, uint32_t *length) {
    *at = r->tail;
    *length = atomic_load_explicit(&record_at(r, *at)->length, memory_order_relaxed);
    if (*length != WRAP)
        return OK;
    *at += r->size - (*at & (r->size - 1));
    if (*at >= r->head)
        return ERR_PROTOCOL;
    *length = atomic_load_explicit(&record_at(r, *at)->length, memory_order_relaxed);
    return OK;
}

enum err ring_peek(struct ring *r, struct span *payload, uint32_t *tag) {
    assert(r->role == RING_CONSUMER);
    *payload = (struct span){0};
    r->peeked = 0;
    if (r->head == r->tail) {
        TRY(see_head(r));
        if (r->head == r->tail)
            return OK;
    }
    uint64_t at;
    uint32_t length;
    TRY(skip_wrap(r, &at, &length));
    size_t to_end = r->size - (size_t)(at & (r->size - 1));
    size_t promised = (size_t)(r->head - at);
    if (length == 0 || length > payload_in(promised < to_end ? promised : to_end))
        return ERR_PROTOCOL;
    struct record *record = record_at(r, at);
    if (tag != NULL)
        *tag = atomic_load_explicit(&record->tag, memory_order_relaxed);
    *payload = (struct span){(uint8_t *)record + PAYLOAD_AT, length};
    r->peeked = (size_t)(at - r->tail) + record_size(length);
    return OK;
}

void ring_consume(struct ring *r) {
    assert(r->role == RING_CONSUMER && r->peeked > 0);
    r->tail += r->peeked;
    r->peeked = 0;
    atomic_store_explicit(&r->shared->tail, r->tail, memory_order_release);
}

// The sleeper sets its flag, then looks at the index; the other moves its index, then
// looks at the flag. With a full fence between the two on both sides, one of them sees
// the other.
bool ring_wake(struct ring *r) {
    bool producer = r->role == RING_PRODUCER;
    _Atomic uint32_t *sleeps =
        producer ? &r->shared->consumer_sleeps : &r->shared->producer_sleeps;
    atomic_thread_fence(memory_order_seq_cst);
    if (atomic_load_explicit(sleeps, memory_order_relaxed) == 0)
        return false;
    if (!producer && r->head - r->tail > r->size / 2) {
        // What we know of head is old at most; then the ring is fuller still.
        return false;
    }
    if (!producer && (see_head(r) != OK || r->head - r->tail > r->size / 2))
        return false;
    return atomic_exchange_explicit(sleeps, 0, memory_order_seq_cst) != 0;
}

bool ring_sleep(struct ring *r, size_t least) {
    bool producer = r->role == RING_PRODUCER;
    _Atomic uint32_t *sleeps =
        producer ? &r->shared->producer_sleeps : &r->shared->consumer_sleeps;
    atomic_store_explicit(sleeps, 1, memory_order_relaxed);
    atomic_thread_fence(memory_order_seq_cst);
    bool work;
    uint64_t at;
    size_t n;
    // An impossible index counts as work: the next call reports it. So does room that is
    // only kept: nobody wakes its owner, who may give it up.
    if (producer)
        work = see_tail(r) != OK || place(r, r->tail, least, least, &at, &n);
    else
        work = see_head(r) != OK || r->head != r->tail;
    if (work)
        atomic_store_explicit(sleeps, 0, memory_order_relaxed);
    return !work;
}

bool ring_idle(struct ring *r) {
    if (r->role != RING_PRODUCER || see_tail(r) != OK || oldest(r) != r->head)
        return false;
    r->reserved_n = 0;
    return madvise(r->data, r->size, MADV_REMOVE) == 0;
}
