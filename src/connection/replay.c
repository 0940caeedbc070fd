#include "connection/replay.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/secret.h"
#include "wire/messages.h"

#define BLOCK_SMALL (4u * 1024u)        // a page: keystrokes of a quiet connection
#define BLOCK_LARGE (1024u * 1024u)     // of bulk
#define LARGE_FROM (2u * BLOCK_SMALL)   // bytes unconfirmed that make it bulk
#define SPARE_MOST (32u * BLOCK_LARGE)  // kept from burst to burst
#define RECORD_ALIGN (sizeof(uint64_t))

enum place {
    HERE,    // the message is behind its record
    LENT,    // a loan is; the body is in the owner's memory
    SPILLED  // a loan is; the message is in a block of its own kind
};

// In a block, before each message or loan.
struct record {
    uint64_t number;  // in its lane
    uint32_t length;  // of the message
    uint16_t lane;
    uint16_t place;  // enum place
};
_Static_assert(REPLAY_LANES <= UINT16_MAX, "a lane fits its field");

struct loan {
    const uint8_t *p;  // LENT: the body; SPILLED: the message
    uint64_t mark;
    uint8_t head[REPLAY_HEAD];
    uint32_t head_n;
};

struct replay_block {
    struct replay_block *next;
    size_t size;        // of the whole block
    size_t start, end;  // offsets of the oldest record, and behind the newest
};

#define BLOCK_HEAD sizeof(struct replay_block)
_Static_assert(BLOCK_HEAD + sizeof(struct record) + LIMIT_PACKET + RECORD_ALIGN <=
                   BLOCK_LARGE,
               "any message fits into a block");

static size_t aligned(size_t n) {
    return (n + RECORD_ALIGN - 1) / RECORD_ALIGN * RECORD_ALIGN;
}

// With what follows it.
static size_t size_of(enum place place, size_t length) {
    return aligned(sizeof(struct record) +
                   (place == HERE ? length : sizeof(struct loan)));
}

static size_t record_size(const struct record *record) {
    return size_of(record->place, record->length);
}

static struct record *record_at(struct replay_block *b, size_t offset) {
    return (struct record *)(void *)((uint8_t *)b + offset);
}

// ---- blocks: whole pages, since what is given back is to be gone ----

static struct replay_block *block_new(size_t size) {
    void *p =
        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        return NULL;
    (void)madvise(p, size, MADV_DONTDUMP);
    struct replay_block *b = p;
    *b = (struct replay_block){.size = size, .start = BLOCK_HEAD, .end = BLOCK_HEAD};
    return b;
}

static void block_drop(struct replay *r, struct replay_block *b) {
    r->held -= b->size;
    munmap(b, b->size);  // the system wipes it
}

// Its bytes are confirmed: for the next messages, wiped unless bulk will be written over.
static void block_spare(struct replay *r, struct replay_block *b) {
    if (b->size <= BLOCK_SMALL)
        secret_wipe((uint8_t *)b + BLOCK_HEAD, b->end - BLOCK_HEAD);
    if (r->spare_bytes + b->size > SPARE_MOST) {
        block_drop(r, b);
        return;
    }
    b->start = b->end = BLOCK_HEAD;
    b->next = r->spare;
    r->spare = b;
    r->spare_bytes += b->size;
}

static struct replay_block *spare_take(struct replay *r, size_t size) {
    for (struct replay_block **at = &r->spare; *at != NULL; at = &(*at)->next) {
        struct replay_block *b = *at;
        if (b->size == size) {
            *at = b->next;
            b->next = NULL;
            r->spare_bytes -= size;
            return b;
        }
    }
    return NULL;
}

// At the end of that row of blocks; NULL: no memory.
static struct replay_block *block_append(struct replay *r, size_t size,
                                         struct replay_block **first,
                                         struct replay_block **last) {
    struct replay_block *b = spare_take(r, size);
    if (b == NULL) {
        b = block_new(size);
        if (b == NULL)
            return NULL;
        r->held += size;
    }
    if (*last != NULL)
        (*last)->next = b;
    else
        *first = b;
    *last = b;
    return b;
}

// The block at the end of the records, with room for so much.
static struct replay_block *block_for(struct replay *r, size_t need) {
    if (r->last != NULL && r->last->size - r->last->end >= need)
        return r->last;
    bool small = need <= BLOCK_SMALL - BLOCK_HEAD && r->own <= LARGE_FROM;
    return block_append(r, small ? BLOCK_SMALL : BLOCK_LARGE, &r->first, &r->last);
}

static void drop_row(struct replay *r, struct replay_block *b) {
    for (struct replay_block *next; b != NULL; b = next) {
        next = b->next;
        block_drop(r, b);
    }
}

// ---- life ----

void replay_init(struct replay *r) {
    *r = (struct replay){0};
}

void replay_idle(struct replay *r) {
    for (struct replay_block *b; (b = r->spare) != NULL;) {
        r->spare = b->next;
        block_drop(r, b);
    }
    r->spare_bytes = 0;
}

void replay_free(struct replay *r) {
    drop_row(r, r->first);
    drop_row(r, r->spilled);
    replay_idle(r);
    free(r->lanes);
    replay_init(r);
}

uint32_t replay_lane_of(struct view message) {
    if (message.n == 0)
        return REPLAY_LANES;
    uint8_t number = message.p[0];
    if (number == SSH_MSG_CHANNEL_OPEN || number == SSH_MSG_CHANNEL_WINDOW_ADJUST ||
        (number >= SSH_MSG_GLOBAL_REQUEST && number <= SSH_MSG_REQUEST_FAILURE))
        return 0;
    if (number < SSH_MSG_CHANNEL_OPEN_CONFIRMATION || number > SSH_MSG_CHANNEL_FAILURE ||
        message.n < 5)
        return REPLAY_LANES;
    uint32_t channel = load_u32(message.p + 1);
    return channel < LIMIT_CHANNELS ? channel + 1 : REPLAY_LANES;
}

void *replay_lanes_for(void *lanes, uint32_t *count, size_t size, uint32_t lane) {
    uint32_t n = *count == 0 ? 4 : *count;
    while (n <= lane)
        n *= 2;
    if (n == *count)
        return lanes;
    uint8_t *p = reallocarray(lanes, n, size);
    if (p == NULL)
        return NULL;
    memset(p + *count * size, 0, (n - *count) * size);
    *count = n;
    return p;
}

static struct replay_lane *lane_at(struct replay *r, uint32_t lane) {
    void *p = replay_lanes_for(r->lanes, &r->lane_count, sizeof *r->lanes, lane);
    if (p == NULL)
        return NULL;
    r->lanes = p;
    return &r->lanes[lane];
}

// ---- in ----

// The record of the lane's next message, what follows it still to be written. NULL with
// ERR_MEMORY or ERR_LIMIT.
static struct record *append(struct replay *r, uint32_t lane, size_t length,
                             enum place place, enum err *e) {
    *e = ERR_LIMIT;
    if (length > LIMIT_PACKET || lane >= REPLAY_LANES)
        return NULL;
    *e = ERR_MEMORY;
    size_t need = size_of(place, length);
    struct replay_lane *l = lane_at(r, lane);
    struct replay_block *b = l != NULL ? block_for(r, need) : NULL;
    if (b == NULL)
        return NULL;
    struct record *record = record_at(b, b->end);
    *record = (struct record){l->sent, (uint32_t)length, (uint16_t)lane, (uint16_t)place};
    b->end += need;
    r->own += place == HERE ? need : 0;
    r->bytes += length;
    l->sent++;
    *e = OK;
    return record;
}

static void join(uint8_t *to, struct view head, struct view body) {
    memcpy(to, head.p, head.n);
    if (body.n > 0)
        memcpy(to + head.n, body.p, body.n);
}

enum err replay_put(struct replay *r, uint32_t lane, struct view head, struct view body) {
    enum err e;
    struct record *record = append(r, lane, head.n + body.n, HERE, &e);
    if (record != NULL)
        join((uint8_t *)(record + 1), head, body);
    return e;
}

enum err replay_lend(struct replay *r, uint32_t lane, struct view head, struct view body,
                     uint64_t mark) {
    enum err e;
    if (head.n == 0 || head.n > REPLAY_HEAD)
        return ERR_LIMIT;
    struct record *record = append(r, lane, head.n + body.n, LENT, &e);
    if (record == NULL)
        return e;
    struct loan *loan = (struct loan *)(void *)(record + 1);
    *loan = (struct loan){.p = body.p, .mark = mark, .head_n = (uint32_t)head.n};
    memcpy(loan->head, head.p, head.n);
    r->lent++;
    return OK;
}

// ---- places ----

// The record at that place, which moves behind it; NULL: that was all.
static struct record *step(struct replay *r, struct replay_place *at) {
    if (at->block == NULL)
        *at = (struct replay_place){r->first, 0};
    while (at->block != NULL) {
        struct replay_block *b = at->block;
        if (at->offset < b->start)
            at->offset = b->start;
        if (at->offset < b->end) {
            struct record *record = record_at(b, at->offset);
            at->offset += record_size(record);
            return record;
        }
        if (b->next == NULL)
            return NULL;
        *at = (struct replay_place){b->next, BLOCK_HEAD};
    }
    return NULL;
}

// That block goes.
static void leave(struct replay_place *at, const struct replay_block *b) {
    if (at->block == b)
        *at = (struct replay_place){b->next, BLOCK_HEAD};
}

// ---- what is lent ----

static struct loan *loan_of(struct record *record) {
    return (struct loan *)(void *)(record + 1);
}

// The oldest record whose body is lent, where r->loan is left; NULL: none.
static struct record *oldest_loan(struct replay *r) {
    if (r->lent == 0)
        return NULL;
    for (;;) {
        struct replay_place next = r->loan;
        struct record *record = step(r, &next);
        if (record == NULL || record->place == LENT)
            return record;
        r->loan = next;
    }
}

uint64_t replay_lent_from(struct replay *r) {
    struct record *record = oldest_loan(r);
    return record != NULL ? loan_of(record)->mark : UINT64_MAX;
}

static enum err spill(struct replay *r, struct record *record) {
    struct loan *loan = loan_of(record);
    struct replay_block *b = r->spilled_last;
    if (b == NULL || b->size - b->end < aligned(record->length))
        b = block_append(r, BLOCK_LARGE, &r->spilled, &r->spilled_last);
    if (b == NULL)
        return ERR_MEMORY;
    uint8_t *to = (uint8_t *)b + b->end;
    join(to, view_of(loan->head, loan->head_n),
         view_of(loan->p, record->length - loan->head_n));
    loan->p = to;
    b->end += aligned(record->length);
    record->place = SPILLED;
    r->lent--;
    return OK;
}

enum err replay_spill(struct replay *r, uint64_t mark) {
    struct record *record;
    while ((record = oldest_loan(r)) != NULL && loan_of(record)->mark < mark)
        TRY(spill(r, record));
    return OK;
}

// ---- out ----

static bool is_confirmed(const struct replay *r, const struct record *record) {
    return record->number < r->lanes[record->lane].confirmed;
}

// The oldest of the spilled messages goes, and its block with the last one in it.
static void unspill(struct replay *r, size_t length) {
    struct replay_block *b = r->spilled;
    b->start += aligned(length);
    if (b->start < b->end)
        return;
    r->spilled = b->next;
    if (r->spilled == NULL)
        r->spilled_last = NULL;
    block_spare(r, b);
}

static void forget(struct replay *r, struct replay_block *b) {
    const struct record *record = record_at(b, b->start);
    size_t size = record_size(record);
    r->bytes -= record->length;
    r->own -= record->place == HERE ? size : 0;
    b->start += size;
    if (record->place == LENT)
        r->lent--;
    else if (record->place == SPILLED)
        unspill(r, record->length);
}

// Confirmed records at the front go.
static void release(struct replay *r) {
    while (r->first != NULL) {
        struct replay_block *b = r->first;
        while (b->start < b->end && is_confirmed(r, record_at(b, b->start)))
            forget(r, b);
        if (b->start < b->end)
            return;
        leave(&r->at, b);
        leave(&r->loan, b);
        r->first = b->next;
        if (r->first == NULL)
            r->last = NULL;
        block_spare(r, b);
    }
}

enum err replay_confirm(struct replay *r, uint32_t lane, uint64_t count) {
    if (lane >= r->lane_count)
        return count == 0 && lane < REPLAY_LANES ? OK : ERR_PROTOCOL;
    struct replay_lane *l = &r->lanes[lane];
    if (count > l->sent || count < l->confirmed)
        return ERR_PROTOCOL;
    l->confirmed = count;
    release(r);
    return OK;
}

uint64_t replay_sent(const struct replay *r, uint32_t lane) {
    return lane < r->lane_count ? r->lanes[lane].sent : 0;
}

void replay_rewind(struct replay *r) {
    r->at = (struct replay_place){0};
}

bool replay_next(struct replay *r, struct view *message) {
    struct record *record;
    while ((record = step(r, &r->at)) != NULL) {
        if (is_confirmed(r, record))
            continue;
        assert(record->place != LENT);
        const void *p = record->place == HERE ? record + 1 : (void *)loan_of(record)->p;
        *message = view_of(p, record->length);
        return true;
    }
    return false;
}
