// Becoming another user: for good, and for a while.
#pragma once

#include <sys/types.h>

#include "base/bytes.h"
#include "base/fault.h"

struct privilege {
    uid_t uid;
    gid_t gid;
    const gid_t *groups;
    size_t groups_n;
};

// For good: groups, gid, uid (real, effective, saved), verified, and that nothing brings
// root back. As that very user already: OK without a change (supplementary groups then
// stay). ERR_REFUSED.
must_check enum err privilege_drop(const struct privilege *to, struct fault *f);

// For a while, for file access: effective uid, gid and groups. A core of root's
// privileges stays in reserve: only for code that parses nothing. One at a time.
struct privilege_before {
    uid_t uid;
    gid_t gid;
    gid_t *groups;
    size_t groups_n;
    bool changed;
};
must_check enum err privilege_act_as(const struct privilege *as,
                                     struct privilege_before *before, struct fault *f);
// Ends the process if it cannot be undone: to go on as nobody knows whom is no choice.
void privilege_back(struct privilege_before *before);

// Drops every capability, bounding set included where possible.
void privilege_drop_capabilities(void);
