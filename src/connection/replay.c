#include "connection/replay.h"

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

// In a block, before each message.
struct record {
    uint64_t number;  // in its lane
    uint32_t lane, length;
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

static size_t record_size(size_t length) {
    size_t n = sizeof(struct record) + length;
    return (n + RECORD_ALIGN - 1) / RECORD_ALIGN * RECORD_ALIGN;
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

static struct replay_block *block_for(struct replay *r, size_t need) {
    bool small = need <= BLOCK_SMALL - BLOCK_HEAD && r->bytes + need <= LARGE_FROM;
    size_t size = small ? BLOCK_SMALL : BLOCK_LARGE;
    struct replay_block *b = spare_take(r, size);
    if (b == NULL) {
        b = block_new(size);
        if (b == NULL)
            return NULL;
        r->held += size;
    }
    if (r->last != NULL)
        r->last->next = b;
    else
        r->first = b;
    r->last = b;
    return b;
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
    for (struct replay_block *b = r->first, *next; b != NULL; b = next) {
        next = b->next;
        block_drop(r, b);
    }
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

enum err replay_put(struct replay *r, uint32_t lane, struct view head, struct view body) {
    size_t length = head.n + body.n, need = record_size(length);
    if (length > LIMIT_PACKET || lane >= REPLAY_LANES)
        return ERR_LIMIT;
    struct replay_lane *l = lane_at(r, lane);
    struct replay_block *b = r->last;
    if (l == NULL)
        return ERR_MEMORY;
    if (b == NULL || b->size - b->end < need)
        b = block_for(r, need);
    if (b == NULL)
        return ERR_MEMORY;
    struct record *record = record_at(b, b->end);
    *record = (struct record){l->sent, lane, (uint32_t)length};
    memcpy(record + 1, head.p, head.n);
    if (body.n > 0)
        memcpy((uint8_t *)(record + 1) + head.n, body.p, body.n);
    b->end += need;
    r->bytes += length;
    l->sent++;
    return OK;
}

// ---- out ----

static bool is_confirmed(const struct replay *r, const struct record *record) {
    return record->number < r->lanes[record->lane].confirmed;
}

// Confirmed records at the front go.
static void release(struct replay *r) {
    while (r->first != NULL) {
        struct replay_block *b = r->first;
        while (b->start < b->end && is_confirmed(r, record_at(b, b->start))) {
            const struct record *record = record_at(b, b->start);
            r->bytes -= record->length;
            b->start += record_size(record->length);
        }
        if (b->start < b->end)
            return;
        if (r->at == b) {
            r->at = b->next;
            r->at_offset = BLOCK_HEAD;
        }
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
    r->at = r->first;
    r->at_offset = r->first != NULL ? r->first->start : 0;
}

bool replay_next(struct replay *r, struct view *message) {
    if (r->at == NULL)
        replay_rewind(r);
    while (r->at != NULL) {
        struct replay_block *b = r->at;
        if (r->at_offset < b->start)
            r->at_offset = b->start;
        if (r->at_offset >= b->end) {
            if (b->next == NULL)
                return false;
            r->at = b->next;
            r->at_offset = BLOCK_HEAD;
            continue;
        }
        const struct record *record = record_at(b, r->at_offset);
        r->at_offset += record_size(record->length);
        if (is_confirmed(r, record))
            continue;
        *message = view_of((const uint8_t *)(record + 1), record->length);
        return true;
    }
    return false;
}
