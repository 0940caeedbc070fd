// The judge: looks up the account, reads key files as the user, verifies signatures and
// passwords itself; only its verdict lets anybody in. One process for each link that
// names a user, forked by the keeper; whatever blocks, blocks here. With a session of
// PAM's it stays until the holder has ended, and closes it.
//
// Unknown users get the same shape: the same messages, the same work against an account
// that cannot log in, and refusals are answered at the same marks of time.
#pragma once

#include "conf/server_config.h"
#include "io/account.h"
#include "key/authorized_keys.h"
#include "key/certificate.h"
#include "server/ipc.h"
#include "server/judge_methods.h"

struct judge_start {
    int keeper;  // the judge's end
    const struct server_config *config;
    struct view session_id,
        host_key;  // of the first exchange, from the keeper's own record
    const char *peer, *local;
    uint16_t peer_port, local_port;
    const char *domain;     // that the link's socket is bound to; "": none
    struct view host_keys;  // public blobs, strings; for a holder
};

_Noreturn void judge_run(const struct judge_start *start);

// ---- judge_account.c ----

struct judge_groups {
    const char **names;
    size_t n;
};

// Everything that the rules look at; pure, so that tests can make one up.
struct judge_case {
    const char *user, *peer;
    const char *host;               // the peer's name (UseDNS), or its address
    const struct account *account;  // NULL: unknown
    struct judge_groups groups;
    bool as_root;  // the server is root's; else only `own_uid` may log in
    uid_t own_uid;
    const char *shell_fault;  // NULL: the shell is fine
};

// May this account log in at all? ERR_REFUSED with the reason for the log.
must_check enum err judge_account_allowed(const struct server_config *config,
                                          const struct judge_case *c, struct fault *why);
// PermitRootLogin, once `method` is fulfilled.
must_check enum err judge_root_allowed(const struct server_config *config, uid_t uid,
                                       enum judge_method method, bool forced_command,
                                       struct fault *why);

// ---- judge_keys.c: is this key one of the user's? ----

struct judge_search {
    const struct server_config *config;  // with Match applied
    const struct account *account;
    const char *user;  // as it was given; the account may stand for nobody
    const char *peer, *local;
    uint16_t peer_port, local_port;
    const char *domain;
    uint64_t wall_s;
    struct log *log;
    const struct key *key;
    const char *host;  // the peer's name (UseDNS), or its address
};

// Why a key is good, and what it allows.
struct judge_match {
    struct authkey_line line;  // its options; of a certificate's principal perhaps
    uint32_t permits;          // enum verdict_permit, of line and certificate
    const char *command;       // forced; into line or `text`; NULL: none
    bool no_touch_required, verify_required;
    char *text;  // owned
};
void judge_match_free(struct judge_match *m);  // also of a zeroed one

// The first reason to let this key in, from this address now. ERR_NOT_FOUND: none. Bad
// lines are logged with file and line.
must_check enum err judge_find_key(const struct judge_search *s, struct judge_match *m);
// Do the options of a line allow its use from there at `wall_s`? Pure.
struct judge_source {
    const char *host, *address;  // as in judge_search
};
must_check enum err judge_line_allows(const struct authkey_line *line, bool authority,
                                      struct judge_source from, uint64_t wall_s,
                                      struct fault *why);
// When a line ends; false: never.
bool judge_line_expiry(const struct authkey_line *line, uint64_t *at);
// A file that the user owns, with StrictModes; read with the rights that we have now.
must_check enum err judge_read_file(const struct judge_search *s, const char *path,
                                    struct buf *text, struct fault *fault);
// Tokens of file names, relative to the home.
must_check enum err judge_path(const struct judge_search *s, const char *pattern,
                               char *out, size_t size, struct fault *fault);
// Acts as the user while `fn` runs; ERR_NOT_FOUND if that cannot be.
must_check enum err judge_as_user(const struct judge_search *s,
                                  enum err (*fn)(const struct judge_search *s, void *arg),
                                  void *arg);

// ---- judge_certificate.c ----

// RevokedKeys: is it, or its authority, revoked? True also when that cannot be found out.
bool judge_key_revoked(const struct judge_search *s);
// A certificate under a line with cert-authority.
must_check enum err judge_certificate_under_line(const struct judge_search *s,
                                                 const struct authkey_line *line,
                                                 struct fault *why);
// A certificate under TrustedUserCAKeys.
must_check enum err judge_find_certificate(const struct judge_search *s,
                                           struct judge_match *m);
// What line and certificate (if it is one) allow together; the line is taken over.
// ERR_REFUSED: they force different commands.
must_check enum err judge_combine(const struct judge_search *s, struct judge_match *m,
                                  struct authkey_line *line, struct fault *why);

// ---- judge_command.c: AuthorizedKeysCommand, AuthorizedPrincipalsCommand ----

struct judge_command {
    const char *keyword, *line, *user;  // user NULL: the keyword is not usable
    bool principals;
};
// What is executed: the line's words with their tokens expanded; nothing that a token
// stands for makes a word of its own. ERR_CONFIG: malformed.
#define JUDGE_WORDS_MAX 64
struct judge_words {
    char *v[JUDGE_WORDS_MAX + 2];  // NULL behind the last
    size_t n;
};
must_check enum err judge_command_words(const struct judge_search *s,
                                        const struct judge_command *c,
                                        struct judge_words *w, struct fault *fault);
void judge_words_free(struct judge_words *w);  // also of a zeroed one
// Its output, bounded, into *out (initialised here). ERR_NOT_FOUND: none is configured.
must_check enum err judge_command_run(const struct judge_search *s,
                                      const struct judge_command *c, struct buf *out);

// ---- judge_signature.c ----

// The signed data is for this session, user, key and algorithm, and the signature is
// right. ERR_REFUSED, ERR_SIGNATURE … A touch is looked at by judge_touch_allowed().
struct judge_signature {
    struct view session_id, host_key, user;
    const char *algorithms;  // accepted
    uint32_t rsa_bits;       // at least
};
must_check enum err judge_signature_check(const struct judge_signature *want,
                                          const struct ipc_key_auth *m,
                                          struct key_touch *touch, struct fault *why);
// The same of a hostbased request, about the host's key.
must_check enum err judge_hostbased_check(const struct judge_signature *want,
                                          const struct ipc_hostbased *m,
                                          struct fault *why);
must_check enum err judge_touch_allowed(const struct server_config *config,
                                        const struct judge_match *m,
                                        const struct key_touch *touch, struct fault *why);
