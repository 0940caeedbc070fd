// SSHFP records in a DNS message; every length is compared with what is left.
#include "key/sshfp.h"

#include "crypto/digest.h"
#include "wire/reader.h"

#define CLASS_IN 1
#define FLAG_ANSWER 0x8000u
#define FLAG_AUTHENTIC 0x0020u
#define RCODE_MASK 0x000fu

static const struct {
    int number;
    const struct digest_alg *hash;
} hashes[] = {{1, &digest_sha1}, {2, &digest_sha256}};

int sshfp_algorithm(const struct key_type *type) {
    static const int numbers[] = {[PK_RSA] = 1, [PK_ECDSA] = 3, [PK_ED25519] = 4};
    return type->security_key ? 0 : numbers[type->kind];
}

static uint16_t read_u16(struct reader *r) {
    uint8_t high = read_u8(r);
    return (uint16_t)(high << 8 | read_u8(r));
}

// A name ends with an empty label or with a pointer, which is not followed: whose record
// it is does not matter in an answer to a question of ours.
static void skip_name(struct reader *r) {
    while (r->err == OK) {
        uint8_t n = read_u8(r);
        if (n == 0)
            return;
        if ((n & 0xc0) == 0xc0) {
            (void)read_u8(r);
            return;
        }
        (void)read_bytes(r, n);
    }
}

// One record's data against the key.
struct record {
    int algorithm, hash;
    struct view print;
};

static const struct digest_alg *hash_of(int number) {
    for (size_t i = 0; i < sizeof hashes / sizeof hashes[0]; i++)
        if (hashes[i].number == number)
            return hashes[i].hash;
    return NULL;
}

static enum err is_print_of(const struct record *record, const struct key *key,
                            bool *is) {
    uint8_t md[DIGEST_MAX];
    struct view blob = key_plain_blob(key);
    const struct digest_alg *hash = hash_of(record->hash);
    TRY(digest_parts(hash, &blob, 1, md));
    *is = view_equal(record->print, view_of(md, hash->size));
    return OK;
}

// What the records of one kind of hash say.
struct tally {
    size_t found;
    bool matches;
};

static enum err count(const struct record *record, const struct key *key,
                      struct tally tallies[2]) {
    bool is;
    if (record->algorithm != sshfp_algorithm(key->type) || hash_of(record->hash) == NULL)
        return OK;
    struct tally *t = &tallies[record->hash - 1];
    TRY(is_print_of(record, key, &is));
    t->found++;
    t->matches |= is;
    return OK;
}

static enum err read_record(struct reader *r, const struct key *key,
                            struct tally tallies[2]) {
    skip_name(r);
    uint16_t type = read_u16(r), class = read_u16(r);
    (void)read_u32(r);  // how long it may be kept
    struct view data = read_bytes(r, read_u16(r));
    if (r->err != OK || type != SSHFP_RECORD_TYPE || class != CLASS_IN || data.n < 2)
        return r->err;
    struct record record = {data.p[0], data.p[1], view_of(data.p + 2, data.n - 2)};
    return count(&record, key, tallies);
}

enum err sshfp_check(struct view answer, const struct key *key, struct sshfp_verdict *v) {
    struct reader r = reader_of(answer);
    struct tally tallies[2] = {{0}};
    *v = (struct sshfp_verdict){0};
    (void)read_u16(&r);
    uint16_t flags = read_u16(&r), questions = read_u16(&r), answers = read_u16(&r);
    (void)read_u32(&r);  // counts of what is not looked at
    if (r.err != OK || (flags & FLAG_ANSWER) == 0)
        return ERR_FORMAT;
    if ((flags & RCODE_MASK) != 0)
        return OK;
    for (; questions > 0; questions--) {
        skip_name(&r);
        (void)read_u32(&r);
    }
    for (; answers > 0; answers--)
        TRY(read_record(&r, key, tallies));
    TRY(r.err);
    v->found = tallies[0].found + tallies[1].found;
    v->matches = tallies[1].found > 0 ? tallies[1].matches : tallies[0].matches;
    v->authenticated = (flags & FLAG_AUTHENTIC) != 0;
    return OK;
}
