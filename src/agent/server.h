// An agent without sockets and clock: requests in, answers or questions out.
//
// Each connection is a struct agent_client with at most one request under way. What the
// agent cannot do itself (ask a person, wait, load a library, have a token sign) is a
// question; its answer has the request looked at anew from its start, so that what
// happened meanwhile (a lock, a key removed) counts.
//
// Every request ends in one answer; what is not granted is told to nobody but the fault.
#pragma once

#include "agent/protocol.h"
#include "agent/store.h"

#define AGENT_BINDINGS_MAX 16  // hops of a forwarded agent; OpenSSH's

struct agent_options {
    uint32_t lifetime_s;            // of keys that come without; 0: none
    const struct digest_alg *hash;  // of fingerprints in questions
    const char *websafe_allow;      // patterns of applications; NULL: "ssh:*"
    bool no_websafe;                // security keys of browsers sign anything
    bool remote_providers;          // libraries may be named over a forwarded connection
};

struct agent_now {
    uint64_t ms;      // monotonic
    uint64_t wall_s;  // since 1970, for certificates
};

struct agent_server {
    struct agent_options options;
    struct agent_store store;
    bool locked;
    uint8_t lock_salt[16], lock_hash[32];
    unsigned unlock_failures;
    uint64_t unlock_after;  // ms: attempts before wait
};

struct agent_client {
    struct agent_server *server;
    struct agent_binding bindings[AGENT_BINDINGS_MAX];
    size_t bindings_n;
    bool bind_failed;    // one was tried and is not there: constrained keys stay hidden
    struct buf request;  // under way; empty: none. Wiped afterwards
};

enum agent_want {
    AGENT_WANT_NOTHING,    // the answer is there
    AGENT_WANT_TIME,       // nothing before until_ms
    AGENT_WANT_CONFIRM,    // a person: `text`
    AGENT_WANT_PROVIDER,   // may the library `provider` be used, and where does it lie?
    AGENT_WANT_KEYS,       // the same, and the keys of its tokens, opened with `pin`
    AGENT_WANT_SIGNATURE,  // of `key`, over `data`
};

// Views are valid until the answer.
struct agent_question {
    enum agent_want want;
    uint64_t until_ms;
    char text[1024];
    struct view provider, pin;
    const struct agent_key *key;
    const struct signature_alg *alg;
    struct view data;
};

struct agent_token_key {
    struct view blob, label;
};

struct agent_reply {
    bool yes;          // TIME: it has come; the others: it could be done
    const char *path;  // PROVIDER, KEYS: the library's real path
    const struct agent_token_key *keys;
    size_t keys_n;
    struct view signature;  // blob
};

void agent_server_init(struct agent_server *s, const struct agent_options *o);
void agent_server_drop(struct agent_server *s);  // wipes

void agent_client_init(struct agent_client *c, struct agent_server *s);
void agent_client_drop(struct agent_client *c);

// One request (without its length). With question->want NOTHING its answer was appended;
// else agent_client_answer() goes on. The fault says why it was refused, for the log. The
// error is that of the answer's room alone.
must_check enum err agent_client_request(struct agent_client *c, struct view message,
                                         struct agent_now now, struct buf *answer,
                                         struct agent_question *question,
                                         struct fault *fault);
must_check enum err agent_client_answer(struct agent_client *c,
                                        const struct agent_reply *reply,
                                        struct agent_now now, struct buf *answer,
                                        struct agent_question *question,
                                        struct fault *fault);
