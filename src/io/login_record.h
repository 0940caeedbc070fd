// The system's records of who is on: utmp(5), wtmp, lastlog, btmp, in the layout of
// Debian's libc, as who(1), last(1), lastlog(8) and lastb(1) read them. Files that are
// not there, or may not be written, are passed over in silence.
#pragma once

#include <sys/types.h>

#include "base/bytes.h"

#define LOGIN_RECORD_HOST 256

struct login_record {
    bool in;           // a login; else the end of one
    const char *line;  // "pts/3"
    const char *user;
    const char *host;     // the name that its address has, or its address
    const char *address;  // in numbers; "": none
    pid_t pid;            // that stands for the login: alive as long as it lasts
    uid_t uid;            // for lastlog
    int64_t at;           // seconds since 1970
};

// utmp and wtmp, and lastlog for a login. An end is written only if that line's entry is
// still of that process: true if it was. May wait for a lock, ten seconds at the most.
bool login_record_write(const struct login_record *r);

// btmp: a login that failed, without a terminal. Only into a file of root's that nobody
// else can read. Never waits.
void login_record_failed(const char *user, const char *host, const char *address,
                         int64_t at);

// lastlog: when and from where this user was on last. False: never, or it is not known.
bool login_record_last(uid_t uid, int64_t *at, char host[LOGIN_RECORD_HOST]);
