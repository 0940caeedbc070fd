// Files that say which users of which hosts are let in on their host's word:
// /etc/hosts.equiv, shosts.equiv, ~/.rhosts, ~/.shosts (hosts.equiv(5)). Text in, lines
// out; nothing is kept, views point into the text.
#pragma once

#include "base/bytes.h"

struct rhosts_line {
    unsigned long number;         // from 1
    struct view host, user;       // user empty: the one of the account itself
    bool negated;                 // refuses: the search ends
    bool host_group, user_group;  // a netgroup's name
};

struct rhosts_scan {
    struct view rest;
    unsigned long number;
    // Lines that mean nothing (of three words: comments have lines of their own), or
    // everybody ("+"): passed over, counted.
    size_t ignored;
};

struct rhosts_scan rhosts_scan_of(struct view text);
bool rhosts_next(struct rhosts_scan *s, struct rhosts_line *line);

// Who knocks. Names are C strings; netgroups are asked through `netgroup`.
struct rhosts_case {
    const char *host, *address;  // of the client; either may match
    const char *client_user;     // over there
    const char *user;            // here
    bool (*netgroup)(const char *group, const char *host, const char *user);
};

enum rhosts_result {
    RHOSTS_NOTHING,  // no line is for them
    RHOSTS_ALLOWED,
    RHOSTS_REFUSED,
};

// The first line that is for them decides; its number in *number, for the log.
enum rhosts_result rhosts_search(struct view text, const struct rhosts_case *c,
                                 unsigned long *number);
