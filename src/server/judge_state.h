// What the files of the judge share; for nobody else.
#pragma once

#include "auth/resumption.h"
#include "io/look_up.h"
#include "server/judge.h"

#define JUDGE_GROUP_NAME 64
#define JUDGE_KEYS_MAX 16  // that one login uses

struct judge_pam;

// What the factors so far allow together.
struct judge_grant {
    uint32_t permits;
    uint32_t tunnel;          // the device that is for them; TUN_UNIT_ANY: any
    char *command;            // owned; NULL: none
    struct buf environment;   // strings
    struct buf open, listen;  // strings host:port; empty: no limit
    bool expires;
    uint64_t expires_at;
    char key[1024];  // of the last key, for the log
    char comment[256];
    struct buf info;                // for ExposeAuthInfo
    struct buf identity;            // of keys and hosts: strings; empty: none was one
    uint8_t *used[JUDGE_KEYS_MAX];  // blobs of keys, owned
    size_t used_len[JUDGE_KEYS_MAX], used_n;
    char message[4096];  // for the terminal
};

struct judge {
    const struct judge_start *start;
    struct ipc_side side;
    struct log log;
    struct ipc_log_sink log_sink;
    char asked[LIMIT_USER_NAME + 1];  // the name as the peer sent and signed it
    char user[LIMIT_USER_NAME + 1];   // without ":style"
    struct account account;           // of the user, or one that stands for nobody
    char names[ACCOUNT_GROUPS_MAX][JUDGE_GROUP_NAME];
    const char *groups[ACCOUNT_GROUPS_MAX];
    size_t groups_n;
    char name[LOOK_UP_NAME_SIZE];  // of the peer's address (UseDNS)
    const char *host;              // that name, or the address
    struct server_config config;   // with Match applied
    bool known, allowed;
    char why[200];      // the user may not log in; "": may
    char notice[1024];  // for the user whose login was refused; "": none
    bool told_certificate;
    bool must_change;  // the password, before anything else
    bool comes_back;   // for a connection that it has: no session is begun
    bool vouched;      // by a proof of that connection's secret, in place of a person
    uint32_t factors;  // that a person has given so far: bits of ipc_factors
    uint64_t asked_at;
    struct judge_methods methods;
    struct judge_grant grant;
    struct judge_pam *pam;  // NULL: not begun, or without PAM
    uint8_t bytes[LIMIT_IPC_MESSAGE];
    // A message that came while PAM's modules waited for something else.
    struct ipc_message pending;
    bool has_pending;
};

// judge.c
_Noreturn void judge_give_up(struct judge *j, const char *what);
void judge_tell(struct judge *j, enum ipc_number number, const void *body);
// FACTS for the answer that follows; `c` NULL: of no certificate.
void judge_tell_facts(struct judge *j, const struct certificate *c, const char *ca);
// Waits for the next message; views into j->bytes. The process ends with the keeper's
// word.
void judge_receive(struct judge *j, struct ipc_message *m);
// Ends of a question. `key` may be empty.
void judge_refuse(struct judge *j, uint32_t ticket, const char *method, const char *key);
const char *judge_log_name(const struct judge *j, enum judge_method method);
// The method is fulfilled; what it said is in j->grant. Tells what follows: more methods,
// a new password, or access.
void judge_fulfilled(struct judge *j, uint32_t ticket, enum judge_method method);

// judge_publickey.c
void judge_on_key_query(struct judge *j, const struct ipc_key_query *m);
void judge_on_key_auth(struct judge *j, const struct ipc_key_auth *m);

// "ED25519 SHA256:…"; key NULL: of a blob that is none. Tells a certificate's facts.
void judge_key_text(struct judge *j, const struct key *key, struct view blob, char *out,
                    size_t size);
// The key was signed with: a line for ExposeAuthInfo; it does not count a second time.
must_check enum err judge_key_used(struct judge *j, const char *method,
                                   const struct key *key);

// Whose login this is, beyond the name: one more entry of j->grant.identity.
must_check enum err judge_identity_add(struct judge *j, const char *kind, struct view by,
                                       struct view name);

// judge_resumption.c
void judge_on_factors(struct judge *j, const struct ipc_factors *m);

// judge_hostbased.c
void judge_on_hostbased(struct judge *j, const struct ipc_hostbased *m);

// judge_password.c
void judge_on_password(struct judge *j, const struct ipc_password *m);
void judge_on_none(struct judge *j, const struct ipc_none *m);

// judge_pam.c; nothing of it is called without UsePAM.
enum judge_pam_answer {
    JUDGE_PAM_REFUSED,
    JUDGE_PAM_OK,
    JUDGE_PAM_CHANGE,  // right, but the password has to be changed
};
bool judge_pam_password(struct judge *j, const char *password);
bool judge_pam_change(struct judge *j, const char *password, const char *next);
void judge_on_kbdint(struct judge *j, const struct ipc_kbdint *m);
// The account stage; messages for the peer are in judge_pam_messages().
enum judge_pam_answer judge_pam_account(struct judge *j);
const char *judge_pam_messages(struct judge *j);
// Credentials and session; the environment is appended as strings.
must_check enum err judge_pam_open(struct judge *j, struct buf *environment);
void judge_pam_close(struct judge *j);

// judge_verdict.c: lets somebody in.
void judge_verdict(struct judge *j, uint32_t ticket, enum judge_method method);
