#include "io/login_record.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <lastlog.h>
#include <paths.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <utmpx.h>

#include "io/clock.h"
#include "io/fd.h"

#define BTMP "/var/log/btmp"
#define NO_TERMINAL "ssh:notty"

_Static_assert(LOGIN_RECORD_HOST == sizeof((struct lastlog *)0)->ll_host,
               "as libc has it");

// Fields of these records need no NUL at their end.
static void put(char *field, size_t size, const char *text) {
    size_t n = strlen(text);
    memcpy(field, text, n < size ? n : size);
}
#define PUT(field, text) put((field), sizeof(field), (text))

static void put_address(struct utmpx *u, const char *address) {
    struct in_addr v4;
    struct in6_addr v6;
    if (inet_pton(AF_INET, address, &v4) == 1)
        memcpy(u->ut_addr_v6, &v4, sizeof v4);
    else if (inet_pton(AF_INET6, address, &v6) == 1)
        memcpy(u->ut_addr_v6, &v6, sizeof v6);
}

static struct utmpx entry(short type, const char *line, int64_t at) {
    struct utmpx u = {.ut_type = type};
    size_t n = strlen(line);
    // The end of the line's name, as login(1) and others have it: they replace each
    // other's entries by it.
    PUT(u.ut_id, n > sizeof u.ut_id ? line + n - sizeof u.ut_id : line);
    PUT(u.ut_line, line);
    u.ut_tv.tv_sec = (int32_t)at;
    return u;
}

// ---- utmp and wtmp ----

static bool still_there(const struct login_record *r) {
    struct utmpx want = entry(USER_PROCESS, r->line, 0), *found;
    setutxent();
    found = getutxline(&want);
    bool same = found != NULL && found->ut_pid == r->pid;
    endutxent();
    return same;
}

static void write_utmp(const struct utmpx *u) {
    setutxent();
    (void)pututxline(u);
    endutxent();
    updwtmpx(_PATH_WTMP, u);
}

static void write_lastlog(const struct login_record *r) {
    struct lastlog l = {.ll_time = (int32_t)r->at};
    scoped_fd fd = open(_PATH_LASTLOG, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
    PUT(l.ll_line, r->line);
    PUT(l.ll_host, r->host);
    if (fd >= 0)
        (void)!pwrite(fd, &l, sizeof l, (off_t)r->uid * (off_t)sizeof l);
}

bool login_record_write(const struct login_record *r) {
    struct utmpx u = entry(r->in ? USER_PROCESS : DEAD_PROCESS, r->line, r->at);
    u.ut_pid = r->pid;
    if (!r->in && !still_there(r))
        return false;
    if (r->in) {
        PUT(u.ut_user, r->user);
        PUT(u.ut_host, r->host);
        put_address(&u, r->address);
        write_lastlog(r);
    }
    write_utmp(&u);
    return true;
}

// ---- btmp ----

void login_record_failed(const char *user, const char *host, const char *address,
                         int64_t at) {
    struct utmpx u = entry(LOGIN_PROCESS, NO_TERMINAL, at);
    struct stat st;
    scoped_fd fd = open(BTMP, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_uid != 0 ||
        (st.st_mode & (S_IXGRP | S_IRWXO)))
        return;
    u.ut_pid = getpid();
    PUT(u.ut_user, user);
    PUT(u.ut_host, host);
    put_address(&u, address);
    ssize_t n = write(fd, &u, sizeof u);
    if (n > 0 && n < (ssize_t)sizeof u)  // readers would take what follows at an angle
        (void)!ftruncate(fd, st.st_size);
}

// ---- lastlog ----

bool login_record_last(uid_t uid, int64_t *at, char host[LOGIN_RECORD_HOST]) {
    struct lastlog l;
    scoped_fd fd = open(_PATH_LASTLOG, O_RDONLY | O_CLOEXEC);
    if (fd < 0 ||
        pread(fd, &l, sizeof l, (off_t)uid * (off_t)sizeof l) != (ssize_t)sizeof l ||
        l.ll_time == 0)
        return false;
    *at = l.ll_time;
    memcpy(host, l.ll_host, LOGIN_RECORD_HOST);
    host[LOGIN_RECORD_HOST - 1] = '\0';
    return true;
}
