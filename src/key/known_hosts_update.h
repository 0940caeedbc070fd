// UpdateHostKeys (OpenSSH's PROTOCOL s.2.5): what the keys that a host announces, and
// proves to have, change in the files that know it.
#pragma once

#include "key/known_hosts.h"

// Names under which the host is known: the one that was asked for, and its address where
// CheckHostIP wants that too.
struct known_hosts_names {
    const char *v[2];
    size_t n;  // 1 or 2
};

// A key that the host announces.
struct known_hosts_offer {
    const struct key *key;  // plain
    bool known;             // set by known_hosts_plan()
};

struct known_hosts_plan {
    size_t fresh;  // offered and in no file
    size_t old;    // lines of this host with keys that are not offered any more
    // Why nothing is to be changed (in words, "… at FILE:LINE" with `line`); NULL: it
    // may.
    const char *blocked;
    struct known_hosts_line line;
};

// A plan is blocked where lines say more than one thing: patterns, other names of the
// same key, authorities or revocations for the host.
must_check enum err known_hosts_plan(const struct known_hosts_file *files, size_t count,
                                     const struct known_hosts_names *names,
                                     struct known_hosts_offer *offers, size_t offers_n,
                                     struct known_hosts_plan *plan);

// Appends the file as it is to be: without the host's lines whose keys are not offered,
// with those of the offered keys that it lacks when `add`. *changed: anything is
// different.
must_check enum err known_hosts_replace(const struct known_hosts_file *file,
                                        const struct known_hosts_names *names,
                                        const struct known_hosts_offer *offers,
                                        size_t offers_n, bool add, bool hash,
                                        struct buf *out, bool *changed);
