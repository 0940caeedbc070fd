// Accounts: a copy of what passwd, group and shadow say.
#pragma once

#include <sys/types.h>

#include "base/bytes.h"
#include "base/fault.h"

#define ACCOUNT_GROUPS_MAX 256

struct account {
    char *name, *directory, *shell;  // owned; shell is /bin/sh where passwd has none
    uid_t uid;
    gid_t gid;
    gid_t *groups;  // owned; the primary one included
    size_t groups_n;
    // from shadow, where it can be read
    bool shadow_known;
    bool locked;  // "!", "*LK*" in front: no login at all with UsePAM no (OpenSSH's rule)
    bool expired;      // the account itself
    bool must_change;  // the password
    // Days until the account or the password expires, where there is something to warn
    // of; else negative.
    long account_days, password_days;
    char *password;  // hash, owned, wiped on drop; NULL if unknown or none
};

// May block (name services). ERR_NOT_FOUND; ERR_IO if the database failed.
must_check enum err account_by_name(const char *name, struct account *a, struct fault *f);
must_check enum err account_by_uid(uid_t uid, struct account *a, struct fault *f);
void account_drop(struct account *a);  // also of a zeroed one

#define scoped_account __attribute__((cleanup(account_drop))) struct account

// Name of a group, copied; false if there is none.
bool account_group_name(gid_t gid, char *out, size_t size);
// Calls for each group's name until `fn` returns false.
void account_each_group(const struct account *a, bool (*fn)(void *arg, const char *name),
                        void *arg);

// Is that group the user's private one (Debian's way): of the user's name, and nobody
// else in it, neither as a member nor by a primary group? Asks the whole database.
bool account_private_group(uid_t uid, gid_t gid);

// Is it in that netgroup? NULL: any host, any user. May block (name services).
bool account_in_netgroup(const char *group, const char *host, const char *user);

// The shell is an executable file. ERR_REFUSED with the reason.
must_check enum err account_check_shell(const struct account *a, struct fault *f);

// /etc/nologin (or /run/nologin) is there and the account is not root's: its text (at
// most size - 1 bytes) into out, true.
bool account_nologin(const struct account *a, char *out, size_t size);
