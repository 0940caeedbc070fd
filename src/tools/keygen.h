// ssh-keygen: what its commands share. One struct of options, one function for each
// command.
#pragma once

#include <sys/types.h>

#include "base/buf.h"
#include "base/fault.h"
#include "key/authorized_keys.h"
#include "key/private_key.h"

#define KEYGEN_FAILED 255  // as OpenSSH's fatal()
#define KEYGEN_USAGE 1
#define KEYGEN_PATH 4096
#define KEYGEN_OPTIONS 64

struct keygen {
    int command;                    // the letter that chose it, 0: generate
    const char *file;               // -f
    const char *type;               // -t
    const char *comment;            // -C
    const char *new_pass;           // -N; NULL: ask
    const char *old_pass;           // -P; NULL: ask
    const char *host;               // -F, -R
    const char *cipher;             // -Z
    const char *format;             // -m
    unsigned bits;                  // -b, 0: the type's default
    uint32_t rounds;                // -a, 0: default
    const struct digest_alg *hash;  // -E
    bool quiet, hash_hosts, fingerprint;
    bool verbose;
    const char *ca;                       // -s: authority's key; with -Y a signature file
    const char *identity;                 // -I: id of a certificate; with -Y a principal
    const char *names;                    // -n: principals; with -Y the name space
    const char *validity;                 // -V
    const char *serial;                   // -z: of a certificate or a revocation list
    const char *operation;                // -Y
    const char *dns_host;                 // -r; with -Y a revocation list
    const char *options[KEYGEN_OPTIONS];  // -O
    size_t option_count;
    bool host_certificate, update, generic, ca_in_agent;  // -h, -u, -g, -U
    const char *library;                                  // -D: of a PKCS#11 token
    const char *provider;                                 // -w: of security keys
    const char *moduli;                                   // -M
    char *const *args;                                    // behind the options
    size_t arg_count;
    char home[KEYGEN_PATH], user[256];
};

// Reads the command line; on failure it has said why and exit status is the result.
int keygen_options(struct keygen *k, int argc, char **argv);

// The commands; each returns the exit status.
int keygen_generate(struct keygen *k);            // -t
int keygen_generate_host_keys(struct keygen *k);  // -A
int keygen_passphrase(struct keygen *k);          // -p
int keygen_comment(struct keygen *k);             // -c
int keygen_public(struct keygen *k);              // -y
int keygen_fingerprint(struct keygen *k);         // -l, -B
int keygen_find_host(struct keygen *k);           // -F
int keygen_remove_host(struct keygen *k);         // -R
int keygen_hash_hosts(struct keygen *k);          // -H
int keygen_export(struct keygen *k);              // -e
int keygen_import(struct keygen *k);              // -i
int keygen_certify(struct keygen *k);             // -s
int keygen_show_certificates(struct keygen *k);   // -L
int keygen_make_krl(struct keygen *k);            // -k
int keygen_query_krl(struct keygen *k);           // -Q
int keygen_signatures(struct keygen *k);          // -Y
int keygen_dns(struct keygen *k);                 // -r
int keygen_resident(struct keygen *k);            // -K
int keygen_token_keys(struct keygen *k);          // -D
int keygen_moduli(struct keygen *k);              // -M

// A new key on a security key of that type, as -O and -w say; its file's handle. Asks for
// PINs. False: it is said why.
bool keygen_enrol(struct keygen *k, const struct key_type *type, struct key **out);

// --- for the commands
// ------------------------------------------------------------------------

// A key type as -t names it, with what belongs to it.
struct keygen_type {
    const char *name;  // "ed25519"
    const char *file;  // "id_ed25519"
    enum pk_kind kind;
    unsigned bits;              // by default
    const char *security_type;  // of keys on security keys: the type's name; else NULL
};
const struct keygen_type *keygen_type_at(size_t index);
const struct keygen_type *
keygen_type_find(const char *name);  // also by the name in blobs

// "ssh-keygen: " and the text, on standard error; returns KEYGEN_FAILED.
int keygen_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

// Asks for a file name on standard input unless -f gave one, proposing ~/.ssh/NAME.
// False at the end of input.
bool keygen_ask_file(struct keygen *k, const char *question, const char *name);
// One line of standard input after a question; false at its end.
bool keygen_ask_line(const char *question, char *out, size_t size);
// True when the file is not there or may be overwritten.
bool keygen_may_write(const char *path);

// A new passphrase, twice, or that of -N. False when nobody answers.
bool keygen_ask_new_passphrase(const struct keygen *k, char *out, size_t size);

// The key of a private key file; asks for its passphrase (`question`) if it needs one and
// -P did not give it. The passphrase used is left in `pass` (size PROMPT_MAX) for the
// caller to wipe. On failure it has said why.
bool keygen_load(const struct keygen *k, const char *question, struct key **key,
                 char *pass);

// Writes key files, saying nothing but errors.
bool keygen_save_private(const struct keygen *k, const struct key *key, const char *pass);
bool keygen_save_public(const struct keygen *k, const struct key *key);

// A public key from FILE.pub, FILE itself, or the readable half of a private file; no
// passphrase.
enum err keygen_load_public(const char *path, struct key **key, struct fault *f);

// "256 SHA256:… comment (ED25519)" and, with -v, the picture; comment NULL: "no comment".
void keygen_print_fingerprint(const struct keygen *k, const struct key *key,
                              const char *comment);

// Writes a file whole, taking the place of one that is there. On failure it has said why.
bool keygen_write_file(const char *path, struct view text, mode_t mode);
// Reads a whole file ("-": standard input); the caller frees *text. It has said why not.
bool keygen_read_file(const char *path, size_t max, struct buf *text);

// Takes the next line off a text; false at its end.
bool keygen_next_line(struct view *text, struct view *line);

// The value of an option of -O "name=value", or NULL; "" for "name" alone.
const char *keygen_option_value(const char *option, const char *name);

// Seconds since 1970 of YYYYMMDD[HHMM[SS]][Z] (local time without Z).
bool keygen_time(const char *text, uint64_t *s);
// "2026-01-31T12:00:00" in local time; returns out.
const char *keygen_time_text(char *out, size_t size, uint64_t s);
