// Key revocation lists (OpenSSH's PROTOCOL.krl): read, asked, made. And lists of revoked
// keys as plain text.
//
// A list that can not be read whole revokes: every error here means "refuse the key".
// Signed lists are refused, as OpenSSH's own support for them is gone.
#pragma once

#include "key/key.h"
#include "wire/reader.h"

enum krl_kind {
    KRL_KEY,      // a key's blob
    KRL_SHA1,     // hash of a key's blob
    KRL_SHA256,   // the same
    KRL_SERIALS,  // an authority's certificates from lo to hi
    KRL_KEY_ID,   // an authority's certificates with this id
};

struct krl_entry {
    enum krl_kind kind;
    struct view data;  // blob, hash or id
    struct view ca;    // authority's blob; empty: any authority
    uint64_t lo, hi;   // not 0
};

// A list being read; views into its bytes, which stay the caller's.
struct krl {
    uint64_t version, generated;  // generated: seconds since 1970
    struct view comment;
    struct reader rest, section, part;  // what is unread of each
    uint8_t section_type, part_type;    // 0: none is open
    struct view ca;
    struct view bits;  // of a bitmap, lowest serial `first`
    uint64_t first, bit;
};

bool krl_is(struct view bytes);  // does it start like a list?

// Reads the head. ERR_FORMAT and others: the fault says why.
must_check enum err krl_open(struct krl *k, struct view bytes, struct fault *fault);
// The next entry; ERR_NOT_FOUND at the end. Sections that we do not know are errors, but
// for extensions that say they may be passed over.
must_check enum err krl_next(struct krl *k, struct krl_entry *e, struct fault *fault);

// Is the key revoked: itself, and of a certificate the key in it, its serial, its id or
// its authority? *revoked is true when this fails.
must_check enum err krl_check(struct view bytes, const struct key *key, bool *revoked,
                              struct fault *fault);

// RevokedKeys: a list as above, or text with one public key a line. The same.
must_check enum err revoked_keys_check(struct view file_text, const char *file,
                                       const struct key *key, bool *revoked,
                                       struct fault *fault);

// --- making
// ----------------------------------------------------------------------------------

struct krl_maker;
must_check enum err krl_maker_new(struct krl_maker **out);
void krl_maker_free(struct krl_maker *m);  // also of NULL

// Copies the entry.
must_check enum err krl_maker_add(struct krl_maker *m, const struct krl_entry *e);
// All entries of a list.
must_check enum err krl_maker_add_list(struct krl_maker *m, struct view bytes,
                                       struct fault *fault);
// A plain key by its blob; a certificate by its serial, or by its id when it has none.
must_check enum err krl_maker_add_key(struct krl_maker *m, const struct key *key);

// A line of a specification (ssh-keygen(1), KEY REVOCATION LISTS), without its end. `ca`
// NULL: none was named (then serials and ids are refused); empty: any authority. Empty
// lines and comments are nothing.
must_check enum err krl_maker_add_line(struct krl_maker *m, struct view line,
                                       const struct view *ca, struct fault *fault);

// Appends the list.
must_check enum err krl_maker_write(struct krl_maker *m, uint64_t version,
                                    uint64_t generated_s, const char *comment,
                                    struct buf *out);
