// The server's side of user authentication (RFC 4252), sans-IO: messages in, messages
// out.
//
// Every decision leaves as a question with a ticket and comes back as an answer; there is
// one question at a time, and requests that come meanwhile wait in a bounded queue. The
// machine itself decides only what is the same for every user: order, formats, counts,
// lists.
//
// Use: while auth_server_can_take(), hand it messages (SERVICE_REQUEST and 50 to 79) with
// auth_server_in(); after that, and after each answer, pull events with
// auth_server_next() until NONE and send what auth_server_out() has. On an error:
// disconnect with its reason.
#pragma once

#include "auth/hostbased.h"
#include "auth/kbdint.h"
#include "auth/password.h"
#include "auth/publickey.h"
#include "auth/resumption.h"
#include "base/fault.h"

// Everything is copied.
struct auth_server_config {
    struct view session_id;
    struct view host_key;  // K_S of the first exchange, for hostbound requests
    unsigned max_tries;    // MaxAuthTries: the link is cut at this failure
    const char
        *methods;  // in FAILURE until an answer says otherwise: "publickey,password"
    const char *algorithms;  // signature algorithms taken for publickey, comma-separated
    struct view banner;      // sent before the first answer; may be empty
};

enum auth_server_event_kind {
    AUTH_SERVER_NONE,
    AUTH_SERVER_ASK_USER,  // who is it? auth_server_answer_user(). Once for each link
    AUTH_SERVER_ASK_NONE,  // may this user in without anything? auth_server_answer()
    AUTH_SERVER_ASK_KEY,   // auth_server_answer(): ACCEPTABLE for a query, GRANTED or
                          // PARTIAL for a signed request whose signature the answerer has
                          // verified
    AUTH_SERVER_ASK_PASSWORD,    // auth_server_answer() or auth_server_answer_change()
    AUTH_SERVER_ASK_KBDINT,      // start: auth_server_answer_prompts() or
                                 // auth_server_answer()
    AUTH_SERVER_ASK_RESPONSES,   // to the prompts: the same
    AUTH_SERVER_ASK_HOSTBASED,   // auth_server_answer(); the answerer has verified the
                                 // signature and trusts the host
    AUTH_SERVER_ASK_RESUMPTION,  // auth_server_answer(); the answerer has checked the
                                 // proof
    AUTH_SERVER_SUCCESS,  // call transport_authenticated(), then send auth_server_out()
    AUTH_SERVER_FAILED,   // send auth_server_out(), then disconnect with reason and text
    AUTH_SERVER_UNIMPLEMENTED,  // answer UNIMPLEMENTED for the message `sequence`
};

// Views are valid until the answer to this question is given.
struct auth_server_event {
    enum auth_server_event_kind kind;
    uint32_t ticket;
    struct view user, service;     // of every question and of SUCCESS; printable or not
    struct view method;            // of every question but ASK_USER, and of SUCCESS
    struct publickey_request key;  // ASK_KEY
    const struct signature_alg *algorithm;  // ASK_KEY: that of key.algorithm
    struct hostbased_request hostbased;     // ASK_HOSTBASED
    struct view signed_data;  // ASK_KEY with signature, ASK_HOSTBASED: built here from
                              // our session id
    struct password_request password;   // ASK_PASSWORD: secrets; wiped after the answer
    struct view submethods;             // ASK_KBDINT
    struct kbdint_responses responses;  // ASK_RESPONSES: secrets; wiped after the answer
    struct resumption_request resumption;  // ASK_RESUMPTION
    unsigned tries, max_tries;             // failures so far
    enum disconnect_reason reason;         // FAILED
    const char *text;                      // FAILED: for DISCONNECT
    uint32_t sequence;                     // UNIMPLEMENTED
};

enum auth_verdict {
    AUTH_REFUSED,      // counted; FAILURE
    AUTH_ACCEPTABLE,   // a key query: PK_OK. It gives no rights
    AUTH_PARTIAL,      // right, but more is asked for: FAILURE with partial success
    AUTH_GRANTED,      // in
    AUTH_UNAVAILABLE,  // method is not there for anybody now; as REFUSED
};

struct auth_answer {
    enum auth_verdict verdict;
    const char *methods;  // that can continue, comma-separated; NULL: as before. Copied
};

struct auth_server;

must_check enum err auth_server_new(struct auth_server **out,
                                    const struct auth_server_config *config);
void auth_server_free(struct auth_server *a);  // wipes; also of NULL

// ---- in ----
// False while so much waits that the transport should not be asked for more messages.
bool auth_server_can_take(const struct auth_server *a);
// A request was made that may still succeed.
bool auth_server_undecided(const struct auth_server *a);
// One message; copied where it has to wait. `sequence` is the transport's number of it.
// An error is final: disconnect with err_disconnect_reason() and auth_server_fault().
must_check enum err auth_server_in(struct auth_server *a, struct view message,
                                   uint32_t sequence);
// The next event; NONE also while a question is open. An error is final, as above.
must_check enum err auth_server_next(struct auth_server *a,
                                     struct auth_server_event *event);

// ---- answers ----
// ERR_UNEXPECTED if the ticket is not that of the open question, or the answer does not
// fit it: then the caller is wrong and the link must end. Unknown users get the same
// methods as known ones.
must_check enum err auth_server_answer_user(struct auth_server *a, uint32_t ticket,
                                            const char *methods);
must_check enum err auth_server_answer(struct auth_server *a, uint32_t ticket,
                                       const struct auth_answer *answer);
// Before the user's answer: what holds for this user in place of the configuration's.
must_check enum err auth_server_policy(struct auth_server *a, unsigned max_tries,
                                       struct view banner);
// Before an answer: a banner of its own for it (RFC 4252 s.5.4); nothing if empty.
must_check enum err auth_server_banner(struct auth_server *a, struct view text);
must_check enum err auth_server_answer_prompts(struct auth_server *a, uint32_t ticket,
                                               const struct kbdint_prompts *prompts);
must_check enum err auth_server_answer_change(struct auth_server *a, uint32_t ticket,
                                              struct view prompt);

// ---- out ----
// The oldest queued message, empty if none; it stays until auth_server_out_done().
struct view auth_server_out(struct auth_server *a);
void auth_server_out_done(struct auth_server *a);

// ---- facts ----
bool auth_server_done(const struct auth_server *a);       // SUCCESS was said
unsigned auth_server_tries(const struct auth_server *a);  // failures that count
const struct fault *auth_server_fault(const struct auth_server *a);
