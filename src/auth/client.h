// The client's side of user authentication (RFC 4252), sans-IO: messages in, messages
// out.
//
// It never waits where it need not: SERVICE_REQUEST and the first request go out
// together. A success counts only after SERVICE_ACCEPT and while a request that can
// succeed is outstanding.
//
// Use: auth_client_start(); hand it messages (SERVICE_ACCEPT and 50 to 79) with
// auth_client_in(); after each call pull events until NONE and send what
// auth_client_out() has.
#pragma once

#include "auth/hostbased.h"
#include "auth/kbdint.h"
#include "auth/password.h"
#include "auth/publickey.h"
#include "auth/resumption.h"
#include "base/fault.h"

// Everything is copied.
struct auth_client_config {
    const char *user;
    const char *service;  // "ssh-connection"
    struct view session_id;
    struct view host_key;  // K_S, for hostbound requests
    const char *methods;   // in order of preference; those we do not know are passed over
    const char *algorithms;  // for publickey, in order of preference
    bool hostbound;          // allowed, where the server announces it
    const char *devices;  // hint for keyboard-interactive: names and commas; NULL: none
    unsigned password_tries;  // NumberOfPasswordPrompts, also for keyboard-interactive
    // Of a login that comes back for a connection, in place of a person: with the first
    // flight where there is no key to begin with, else (or with `last`) when nothing else
    // is left. No proof: not so.
    struct resumption_request resumption;
    bool resumption_last;
};

// A key to offer. Views are copied.
struct auth_identity {
    struct view blob;
    const struct signature_alg *algorithm;  // auth_client_algorithm()
    bool sign_now;  // no query first: the private half is at hand and needs nobody
};

// A key of this host's, for hostbased. Everything is copied.
struct auth_host_identity {
    struct view blob;
    const struct signature_alg *algorithm;
    const char *host;  // this host's name
    const char *user;  // who is logged in here
};

enum auth_client_event_kind {
    AUTH_CLIENT_NONE,
    AUTH_CLIENT_NEED_IDENTITY,  // the next key: auth_client_answer_identity()
    AUTH_CLIENT_SIGN,           // sign `data`: auth_client_answer_sign()
    AUTH_CLIENT_PASSWORD,       // auth_client_answer_password()
    AUTH_CLIENT_CHANGE,   // password expired, `text` says so: auth_client_answer_change()
    AUTH_CLIENT_PROMPTS,  // keyboard-interactive: auth_client_answer_prompts()
    AUTH_CLIENT_NEED_HOST,  // the next key of this host: auth_client_answer_host()
    AUTH_CLIENT_HOST_SIGN,  // sign `data` with it: auth_client_answer_host_sign()
    AUTH_CLIENT_BANNER,     // `text`, raw
    AUTH_CLIENT_REFUSED,    // a request was refused; `methods` can continue
    AUTH_CLIENT_PARTIAL,    // one factor is done; `methods` can continue
    AUTH_CLIENT_SUCCESS,    // call transport_authenticated()
    AUTH_CLIENT_FAILED,  // nothing left to try; `methods` is what the server would take
};

// Views are valid until the next call that is not a getter; those of questions until the
// answer.
struct auth_client_event {
    enum auth_client_event_kind kind;
    uint32_t ticket;
    bool restart;      // NEED_IDENTITY: after a partial success, from the start
    struct view blob;  // SIGN; REFUSED, PARTIAL, SUCCESS: key of the request
    const struct signature_alg *algorithm;  // SIGN
    struct view data;                       // SIGN
    unsigned attempt;                       // PASSWORD, PROMPTS: from 1
    struct view text;                       // BANNER, CHANGE: raw
    struct kbdint_prompts prompts;          // PROMPTS: raw
    const char *method;                     // REFUSED, PARTIAL, SUCCESS
    const char *methods;  // REFUSED, PARTIAL, FAILED: the server's list, printable
};

// What was tried, for the message to people in the end.
struct auth_client_record {
    const char *method;
    char fingerprint[KEY_FINGERPRINT_SIZE];  // of a key; else empty
    bool query;                              // only asked about
    bool accepted;                           // PK_OK, partial success or success
};

struct auth_client;

must_check enum err auth_client_new(struct auth_client **out,
                                    const struct auth_client_config *config);
void auth_client_free(struct auth_client *a);  // wipes; also of NULL

// Queues SERVICE_REQUEST and a first request: `first` (asking for its signature at once
// if sign_now), or `none` when it is NULL.
must_check enum err auth_client_start(struct auth_client *a,
                                      const struct auth_identity *first);

// An EXT_INFO entry of the server's: server-sig-algs and the hostbound announcement are
// kept, others ignored. May come at any time, or never.
void auth_client_ext_info(struct auth_client *a, struct view name, struct view value);

// The algorithm to use for a key of this type with this server: the first of
// config.algorithms that fits and, for RSA, that the server announced (rsa-sha2-512 first
// where it announced nothing). NULL if there is none in common.
const struct signature_alg *auth_client_algorithm(const struct auth_client *a,
                                                  const char *key_type);

// ---- in ----
must_check enum err auth_client_in(struct auth_client *a, struct view message);
// The next event; an error is final.
must_check enum err auth_client_next(struct auth_client *a,
                                     struct auth_client_event *event);

// ---- answers: ERR_UNEXPECTED if the ticket is not that of the open question ----
must_check enum err
auth_client_answer_identity(struct auth_client *a, uint32_t ticket,
                            const struct auth_identity *identity);  // NULL: no more
// An empty signature: it could not be made; on to the next key.
must_check enum err auth_client_answer_sign(struct auth_client *a, uint32_t ticket,
                                            struct view signature_blob);
// NULL: no more.
must_check enum err auth_client_answer_host(struct auth_client *a, uint32_t ticket,
                                            const struct auth_host_identity *identity);
// Empty: it could not be made; on to the next key.
must_check enum err auth_client_answer_host_sign(struct auth_client *a, uint32_t ticket,
                                                 struct view signature_blob);
// password.p NULL: nobody to ask, or given up; on to the next method.
must_check enum err auth_client_answer_password(struct auth_client *a, uint32_t ticket,
                                                struct view password);
must_check enum err auth_client_answer_change(struct auth_client *a, uint32_t ticket,
                                              struct view old_password,
                                              struct view new_password);
// NULL: given up.
must_check enum err auth_client_answer_prompts(struct auth_client *a, uint32_t ticket,
                                               const struct kbdint_responses *responses);

// ---- out ----
// The oldest queued message, empty if none; wiped by auth_client_out_done().
struct view auth_client_out(struct auth_client *a);
void auth_client_out_done(struct auth_client *a);

// ---- facts ----
bool auth_client_done(const struct auth_client *a);
const struct auth_client_record *
auth_client_record_at(const struct auth_client *a,
                      size_t index);  // NULL past the end
const struct fault *auth_client_fault(const struct auth_client *a);
