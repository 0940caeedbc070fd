// The judge: looks up the account, reads key files as the user, verifies signatures
// itself; only its verdict lets anybody in. One short process for each link that names a
// user, forked by the keeper; whatever blocks, blocks here.
//
// Unknown users get the same shape: the same messages, the same work against an account
// that cannot log in, and no refusal is answered before REFUSAL_FLOOR_MS have passed.
#pragma once

#include "conf/server_config.h"
#include "io/account.h"
#include "key/authorized_keys.h"
#include "server/ipc.h"

struct judge_start {
    int keeper;  // the judge's end
    const struct server_config *config;
    struct view session_id,
        host_key;  // of the first exchange, from the keeper's own record
    const char *peer, *local;
    uint16_t peer_port, local_port;
};

_Noreturn void judge_run(const struct judge_start *start);

// ---- inside the judge ----

struct judge_groups {
    const char **names;
    size_t n;
};

// Everything that the rules look at; pure, so that tests can make one up.
struct judge_case {
    const char *user, *peer;
    const struct account *account;  // NULL: unknown
    struct judge_groups groups;
    bool as_root;  // the server is root's; else only `own_uid` may log in
    uid_t own_uid;
    const char *shell_fault;  // NULL: the shell is fine
    bool nologin;
};

// judge_account.c: may this account log in at all? ERR_REFUSED with the reason for the
// log.
must_check enum err judge_account_allowed(const struct server_config *config,
                                          const struct judge_case *c, struct fault *why);
// PermitRootLogin, once a key has verified.
must_check enum err judge_root_allowed(const struct server_config *config, uid_t uid,
                                       bool forced_command, struct fault *why);
// Does AuthenticationMethods let a single public key in?
bool judge_methods_allow_key(const struct server_config *config);

// judge_keys.c: the user's files, searched for the key.
struct judge_search {
    const struct server_config *config;  // with Match applied
    const struct account *account;
    const char *peer;
    uint64_t wall_s;
    struct log *log;
};
// The first line that allows this key from this address now; to be authkey_free()d.
// ERR_NOT_FOUND: none. Bad lines are logged with file and line.
must_check enum err judge_find_key(const struct judge_search *s, struct view blob,
                                   struct authkey_line *line);
// Do the options of a line allow its use from `peer` at `wall_s`? Pure.
must_check enum err judge_line_allows(const struct authkey_line *line, const char *peer,
                                      uint64_t wall_s, struct fault *why);
// When a line ends; false: never.
bool judge_line_expiry(const struct authkey_line *line, uint64_t *at);

// judge_signature.c: the signed data is for this session, user, key and algorithm, and
// the signature is right. ERR_REFUSED, ERR_SIGNATURE …
struct judge_signature {
    struct view session_id, host_key, user;
    const char *algorithms;  // accepted
    uint32_t rsa_bits;       // at least
};
must_check enum err judge_signature_check(const struct judge_signature *want,
                                          const struct ipc_key_auth *m,
                                          struct fault *why);
