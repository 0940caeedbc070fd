// PerSourcePenalties (sshd_config(5)): sources that misbehave are refused for a while.
// Pure: time is an argument (ms), sources are addresses cut to PerSourceNetBlockSize.
//
// Each misdeed adds its time to what is left of the source's, up to max; only from min on
// is the source refused, and then until the whole time is over. Tables are bounded by
// max-sources; when one is full, overflow says whether the source that would be free
// first is forgotten or everybody is refused.
#pragma once

#include "base/address.h"
#include "wire/reader.h"
#include "wire/writer.h"

#define PENALTY_REASONS(X)                                                               \
    X(CRASH, "crash", "caused crash")                                                    \
    X(AUTHFAIL, "authfail", "failed authentication")                                     \
    X(INVALIDUSER, "invaliduser", "invalid user")                                        \
    X(NOAUTH, "noauth", "connections without attempting authentication")                 \
    X(GRACE, "grace-exceeded", "exceeded LoginGraceTime")                                \
    X(REFUSED, "refuseconnection", "connection prohibited by RefuseConnection")

enum penalty_reason {
#define X(name, word, text) PENALTY_##name,
    PENALTY_REASONS(X)
#undef X
    PENALTY_REASON_COUNT
};

enum {
    PENALTY_IP4,
    PENALTY_IP6,
    PENALTY_FAMILIES
};

struct penalty_rules {
    bool enabled;
    uint32_t ms[PENALTY_REASON_COUNT];
    uint32_t max_ms, min_ms;
    uint32_t max_sources[PENALTY_FAMILIES];
    bool deny_all[PENALTY_FAMILIES];
    uint32_t bits[PENALTY_FAMILIES];  // that count of an address
    const char *exempt;               // address list; NULL or "": none
};

// A network as a key: family and the bytes that count.
struct penalty_source {
    uint8_t bytes[17];
};

struct penalty_table {
    struct penalty *v;
    uint32_t n, room;
    uint32_t *buckets;  // index + 1 of the first of a chain
    uint32_t buckets_n;
};

struct penalties {
    struct penalty_rules rules;
    uint64_t seed;
    struct penalty_table tables[PENALTY_FAMILIES];
};

// `seed`: unpredictable, for the hash. `rules` and what it points to is kept.
void penalties_init(struct penalties *p, const struct penalty_rules *rules,
                    uint64_t seed);
void penalties_free(struct penalties *p);  // also of a zeroed one

// False: no address (a Unix socket, a pipe); it is never refused.
bool penalty_source_of(const struct penalty_rules *rules, const char *address,
                       struct penalty_source *out);
// "192.0.2.0/24". Returns out.
const char *penalty_source_text(const struct penalty_rules *rules, const char *address,
                                char *out, size_t size);

// One misdeed. True: the source is refused from now on and was not before; *ms_left says
// for how long.
bool penalties_add(struct penalties *p, const char *address, enum penalty_reason reason,
                   uint64_t now, uint64_t *ms_left);

// NULL: may come; else why not.
const char *penalties_refuse(struct penalties *p, const char *address, uint64_t now);

const char *penalty_reason_word(enum penalty_reason reason);
const char *penalty_reason_text(enum penalty_reason reason);

// Rules and back. The decoded rules point into the bytes.
void penalty_rules_write(const struct penalty_rules *rules, struct writer *w);
void penalty_rules_read(struct penalty_rules *rules, struct reader *r);

// When the last one is over (the clock of penalties_add()); 0: there are none.
uint64_t penalties_until(const struct penalties *p);

#define PENALTY_BYTES 27u  // of each in penalties_write()

// What is in force, for another process of this machine (times are of its clock).
void penalties_write(const struct penalties *p, uint64_t now, struct writer *w);
must_check enum err penalties_read(struct penalties *p, struct view bytes);
