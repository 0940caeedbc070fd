// The agent's keys.
//
// A secret half lies as fields in a secret arena of its own (locked, not dumped, wiped
// when the key goes) and becomes a usable key only for the moment of a signature.
#pragma once

#include "agent/constraint.h"
#include "base/secret.h"

// What a list of all of them must fit in is one message.
#define AGENT_KEYS_MAX 2048
#define AGENT_COMMENT_MAX 1024

enum agent_holder {
    AGENT_HELD_HERE,
    AGENT_HELD_BY_SECURITY_KEY,  // signed by the helper for `provider`, with the handle
    AGENT_HELD_BY_TOKEN,         // signed by the PKCS#11 helper for `provider`
};

struct agent_key {
    struct key *public;          // certificate or plain; what the list shows
    struct secret_arena secret;  // key/secret_fields.h; of a token's key its PIN
    size_t secret_n;
    char *comment, *provider;  // provider NULL: none
    enum agent_holder holder;
    uint64_t deadline;  // ms; UINT64_MAX: none
    bool confirm;
    struct agent_destinations destinations;
};

struct agent_store {
    struct agent_key *keys[AGENT_KEYS_MAX];
    size_t n;
    size_t listed;  // bytes that a list of all takes
};

void agent_key_free(struct agent_key *k);  // wipes; also of NULL
// Builds one of the halves; `secret` is copied as fields. All is the caller's.
must_check enum err agent_key_new(struct agent_key **out, const struct key *secret,
                                  const struct key *certificate, struct view comment);
// The key with its secret half; the caller's for the moment.
must_check enum err agent_key_open(const struct agent_key *k, struct key **out);

// Keeps a token's PIN; and gives it.
must_check enum err agent_key_keep_pin(struct agent_key *k, struct view pin);
struct view agent_key_pin(const struct agent_key *k);

// By its blob; NULL when there is none.
struct agent_key *agent_store_find(const struct agent_store *s, struct view blob);
// Takes it over, in the place of one with the same blob. ERR_LIMIT: too many, and k is
// still the caller's.
must_check enum err agent_store_put(struct agent_store *s, struct agent_key *k);
void agent_store_remove(struct agent_store *s, struct view blob);
void agent_store_clear(struct agent_store *s);
// Removes those of a provider; how many.
size_t agent_store_remove_provider(struct agent_store *s, const char *provider);
// Removes what is over its time.
void agent_store_expire(struct agent_store *s, uint64_t now);
uint64_t agent_store_deadline(const struct agent_store *s);  // the next; UINT64_MAX
