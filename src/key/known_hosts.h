// known_hosts (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT): which key belongs to which host.
//
// Texts of files in, verdicts out; nothing is kept, views point into the texts. Damaged
// lines are passed over and counted, never an error. Lines with @revoked count for every
// name they match.
#pragma once

#include "key/key.h"

// A file as it was read; name is for messages.
struct known_hosts_file {
    const char *name;
    struct view text;
};

enum known_hosts_marker {
    KNOWN_HOSTS_PLAIN,
    KNOWN_HOSTS_CERT_AUTHORITY,
    KNOWN_HOSTS_REVOKED,
};

// One line taken apart; views into the text.
struct known_hosts_line {
    const char *file;
    unsigned long number;  // from 1
    struct view text;      // the whole line without its end
    enum known_hosts_marker marker;
    struct view hosts;  // pattern list, or |1|salt|hash
    struct view type;
    struct view base64;
    struct view comment;
};

// Walks the lines of one file.
struct known_hosts_cursor {
    const struct known_hosts_file *file;
    size_t at;
    unsigned long number;
};

enum known_hosts_kind {
    KNOWN_HOSTS_END,
    KNOWN_HOSTS_ENTRY,    // all fields are filled
    KNOWN_HOSTS_COMMENT,  // empty or a comment: only text, number and file
    KNOWN_HOSTS_DAMAGED,  // only text, number and file
};

struct known_hosts_cursor known_hosts_cursor_of(const struct known_hosts_file *file);
// Fields only; whether base64 is a key is seen when it is decoded (key_from_blob).
enum known_hosts_kind known_hosts_next(struct known_hosts_cursor *c,
                                       struct known_hosts_line *line);

// Does the line's host field match the name ("host" or "[host]:port", lower case)? Plain
// text patterns with * ? and !, or the hash. A negated match is no match.
bool known_hosts_line_matches(const struct known_hosts_line *line, const char *name);
// The same, with an error (memory, a hash that cannot be made) that is no "no".
must_check enum err known_hosts_line_match(const struct known_hosts_line *line,
                                           const char *name, bool *is);
// Is the host field a hash?
bool known_hosts_line_hashed(const struct known_hosts_line *line);

// The name that files are searched for: lower case, "host" for port 22 or 0, else
// "[host]:port". ERR_LIMIT when it does not fit.
must_check enum err known_hosts_name(char *out, size_t size, const char *host,
                                     uint16_t port);

enum known_hosts_result {
    KNOWN_HOSTS_NEW,         // no key of this host is known
    KNOWN_HOSTS_OK,          // this very key is
    KNOWN_HOSTS_CHANGED,     // another key of the same type is
    KNOWN_HOSTS_OTHER_TYPE,  // only keys of other types are
    KNOWN_HOSTS_IS_REVOKED,  // @revoked names this key, whatever else matches
};

struct known_hosts_verdict {
    enum known_hosts_result result;
    struct known_hosts_line line;     // the line that decided; of NEW: nothing
    struct known_hosts_line damaged;  // the first damaged line; number 0: none
    size_t damaged_count;
};

// Is `blob` the key of the host? `name` from known_hosts_name(). Certificates'
// authorities are not looked at. Errors (memory) refuse: they are not a verdict.
must_check enum err known_hosts_check(const struct known_hosts_file *files, size_t count,
                                      const char *name, struct view blob,
                                      struct known_hosts_verdict *v);

// Is `ca_blob`, which signed the host's certificate, an authority (@cert-authority) for
// the name? OK, IS_REVOKED (@revoked names the authority) or NEW (no). Errors refuse.
must_check enum err known_hosts_check_authority(const struct known_hosts_file *files,
                                                size_t count, const char *name,
                                                struct view ca_blob,
                                                struct known_hosts_verdict *v);
// Is there any authority for the name?
bool known_hosts_has_authority(const struct known_hosts_file *files, size_t count,
                               const char *name);

// Key types known for a host, each once, in the order of the files, for the order of
// HostKeyAlgorithms; returns how many were put into types (max at most).
size_t known_hosts_types(const struct known_hosts_file *files, size_t count,
                         const char *name, const struct key_type **types, size_t max);

// Lines with exactly this key under any name ("known by the following other names");
// returns how many there are, the first `max` of them in lines.
must_check enum err known_hosts_with_key(const struct known_hosts_file *files,
                                         size_t count, struct view blob,
                                         struct known_hosts_line *lines, size_t max,
                                         size_t *found);

// Lines that match the name, markers included; returns how many, the first `max` in
// lines.
size_t known_hosts_find(const struct known_hosts_file *files, size_t count,
                        const char *name, struct known_hosts_line *lines, size_t max);

// Appends "name type base64\n", the name hashed under a fresh salt when `hash`.
must_check enum err known_hosts_make(const char *name, bool hash, const struct key *k,
                                     struct buf *out);
// Appends the hashed form of a name: |1|salt|hash.
must_check enum err known_hosts_hash_name(const char *name, struct buf *out);

// Copies the file to out without the lines for the name (markers stay). `removed`: how
// many went.
must_check enum err known_hosts_remove(const struct known_hosts_file *file,
                                       const char *name, struct buf *out,
                                       size_t *removed);
