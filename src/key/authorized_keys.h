// authorized_keys (sshd(8), AUTHORIZED_KEYS FILE FORMAT): one line is options and a key.
//
// A line is taken whole or refused whole: an unknown option, an open quote, a value that
// does not parse or a line over LIMIT_TEXT_LINE refuses it. Options can not be shed: they
// are in the same struct as the key they belong to.
#pragma once

#include "base/date.h"
#include "key/key.h"

#define AUTHKEY_TUNNEL_NONE (-1)
#define AUTHKEY_TUNNEL_ANY 0x7fffffff
#define AUTHKEY_PORT_ANY 0
#define AUTHKEY_LIST_MAX 1024  // values of one list option

// What the key may do; all true but no_touch_required without options.
struct authkey_permits {
    bool port_forwarding;
    bool agent_forwarding;
    bool x11_forwarding;
    bool pty;
    bool user_rc;
};

// permitopen and permitlisten; host "" (listen) or "*" (both) stands for any.
struct authkey_address {
    const char *host;
    uint16_t port;  // AUTHKEY_PORT_ANY: "*"
};

struct authkey_line {
    struct authkey_permits permit;
    bool restricted;  // "restrict" stands in the line
    bool cert_authority;
    bool no_touch_required;
    bool verify_required;
    const char *command;  // NULL: none
    const char *from;  // pattern list, to be matched by the caller; NULL: from anywhere
    const char *principals;    // comma-separated; NULL: none given
    const char **environment;  // "NAME=value"
    size_t environment_count;
    struct authkey_address *open, *listen;
    size_t open_count, listen_count;
    struct date *expires;  // the earliest; none: expires_count 0
    size_t expires_count;  // every one given: the key ends with the first of them
    int tunnel;            // device number, AUTHKEY_TUNNEL_NONE or _ANY
    struct key *key;       // with its comment
    unsigned long number;  // line in the file
    char *text;            // owned: what the strings point into
};

// One line without its end. `file` and `number` are for the fault's text (and stay in the
// line). ERR_NOT_FOUND: empty or a comment; ERR_UNSUPPORTED: a key type that we do not
// have; ERR_CONFIG: refused, the fault names file, line and option. On success the caller
// frees it.
must_check enum err authkey_parse(struct authkey_line *line, struct view text,
                                  const char *file, unsigned long number,
                                  struct fault *fault);
void authkey_free(struct authkey_line *line);  // also of a zeroed one

// Walks a file's text for the lines of one key, without decoding the others.
struct authkey_scan {
    struct view text;
    const char *file;
    struct buf wanted;  // the blob in base64
    size_t at;
    unsigned long number;
};

must_check enum err authkey_scan_init(struct authkey_scan *s, struct view text,
                                      const char *file, struct view blob);
// The next line with the key: OK; ERR_NOT_FOUND: no more; any other error: a line with
// this key was refused, the fault says why, and the next call goes on behind it. Clear
// the fault between.
must_check enum err authkey_scan_next(struct authkey_scan *s, struct authkey_line *line,
                                      struct fault *fault);
void authkey_scan_free(struct authkey_scan *s);
