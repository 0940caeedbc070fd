// The client machine's state, shared by its files: client.c (questions, methods,
// handlers) and client_send.c (its messages).
#pragma once

#include "auth/client.h"
#include "auth/dispatch.h"
#include "auth/queue.h"

#define AUTH_METHODS_SIZE 512
#define AUTH_RECORDS 64

struct auth_client {
    char *user, *service, *preferred, *algorithms, *devices;
    struct auth_message *session_id, *host_key;
    bool hostbound_allowed, hostbound_announced;
    unsigned password_tries;
    struct auth_message *resumption;  // its proof; NULL: none, or it was shown
    uint64_t resumption_epoch;
    bool resumption_last;
    char *server_sig_algs;  // NULL: not announced

    bool started, accepted, done, failed;
    enum auth_phase outstanding;      // CLIENT_IDLE if nothing
    char methods[AUTH_METHODS_SIZE];  // the server's list
    bool methods_known;

    // the methods' own progress
    bool keys_done, keys_restart, none_done, password_done, kbdint_done, kbdint_prompted,
        hosts_done;
    unsigned passwords, kbdints, signatures, partials, banners;

    // the key on offer
    struct auth_message *blob, *signed_data;
    const struct signature_alg *algorithm;
    bool query, hostbound;
    char *host, *host_user;  // hostbased: this host's name, and the user here

    struct auth_queue out;
    struct auth_message *held;  // the message a question or notice points into
    uint32_t ticket;            // of the open question
    bool asked;                 // a question is open
    bool notice_untold, question_untold;
    struct auth_client_event notice, question;
    struct auth_client_record records[AUTH_RECORDS];
    size_t record_count;
    struct fault fault;
};

// client.c, for the methods' own files
void auth_client_ask(struct auth_client *a, struct auth_client_event question);
bool auth_client_close_question(struct auth_client *a, uint32_t ticket,
                                enum auth_client_event_kind kind);
// The next request or question.
must_check enum err auth_client_advance(struct auth_client *a);
// client_hostbased.c
must_check enum err auth_client_try_hosts(struct auth_client *a);

// The request about the key on offer, without signature.
struct publickey_request auth_client_key_request(const struct auth_client *a);
// Bytes that any request about it needs, the signature aside.
size_t auth_client_key_room(const struct auth_client *a);

// Each queues one message and says what is outstanding then.
must_check enum err auth_client_send_service_request(struct auth_client *a);
must_check enum err auth_client_send_none(struct auth_client *a);
must_check enum err auth_client_send_key(struct auth_client *a, struct view signature);
must_check enum err auth_client_send_kbdint(struct auth_client *a);
must_check enum err auth_client_send_password(struct auth_client *a,
                                              struct password_request *q);
must_check enum err auth_client_send_resumption(struct auth_client *a);
must_check enum err auth_client_send_hostbased(struct auth_client *a,
                                               const struct hostbased_request *q);
must_check enum err auth_client_send_responses(struct auth_client *a,
                                               const struct kbdint_responses *r);
