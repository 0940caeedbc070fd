#include "io/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/secret.h"
#include "io/account.h"
#include "io/clock.h"
#include "io/fault_errno.h"
#include "io/fd.h"

#define LOCK_WAIT_MS 5000

static bool is_stream(const struct stat *st) {
    return S_ISFIFO(st->st_mode) || S_ISCHR(st->st_mode);
}

static enum err check_kind(int fd, const char *name, bool streams, struct stat *st,
                           struct fault *f) {
    if (fstat(fd, st) != 0)
        return fault_errno(f, "%s", name);
    if (!S_ISREG(st->st_mode) && !(streams && is_stream(st)))
        return fault_set(f, ERR_REFUSED, 0, "%s: not a regular file", name);
    return OK;
}

enum err file_open(const char *path, unsigned flags, int *out, struct fault *f) {
    *out = -1;
    bool stream = (flags & FILE_STREAM) != 0;
    int how = O_RDONLY | O_CLOEXEC | O_NOCTTY | (stream ? 0 : O_NONBLOCK);
    scoped_fd fd = open(path, (flags & FILE_NOFOLLOW) != 0 ? how | O_NOFOLLOW : how);
    struct stat st;
    if (fd < 0)
        return fault_errno(f, "%s", path);
    TRY(check_kind(fd, path, stream, &st, f));
    *out = fd;
    fd = -1;
    return OK;
}

static enum err read_into(int fd, const char *name, size_t max, struct buf *out,
                          struct fault *f) {
    struct stat st;
    struct span room;
    TRY(check_kind(fd, name, true, &st, f));
    if (st.st_size > 0 && (uint64_t)st.st_size > max)
        return fault_set(f, ERR_LIMIT, 0, "%s: longer than %zu bytes", name, max);
    // The whole at once: a secret leaves no copies behind in a growing buffer.
    size_t need = is_stream(&st) ? max + 2 : (size_t)st.st_size + 2;
    for (;;) {
        TRY(buf_reserve(out, need, &room));
        ssize_t n = read(fd, room.p, room.n - 1);
        if (n == 0)
            break;
        if (n < 0 && errno != EINTR)
            return fault_errno(f, "%s", name);
        if (n > 0)
            buf_added(out, (size_t)n);
        if (buf_len(out) > max)
            return fault_set(f, ERR_LIMIT, 0, "%s: longer than %zu bytes", name, max);
        need = 2;
    }
    room.p[0] = '\0';
    return OK;
}

enum err file_read_fd(int fd, const char *name, size_t max, struct buf *out,
                      struct fault *f) {
    buf_init(out, max + 2);
    enum err e = read_into(fd, name, max, out, f);
    if (e != OK) {
        fault_set(f, e, 0, "%s: %s", name, err_text(e));
        if (out->p != NULL)
            secret_wipe(out->p, out->room);
        buf_free(out);
    }
    return e;
}

enum err file_read(const char *path, unsigned flags, size_t max, struct buf *out,
                   struct fault *f) {
    scoped_fd fd = -1;
    buf_init(out, max + 2);
    TRY(file_open(path, flags, &fd, f));
    return file_read_fd(fd, path, max, out, f);
}

static enum err write_and_sync(int fd, struct view v, mode_t mode, const char *path,
                               struct fault *f) {
    if (fchmod(fd, mode) != 0 || fd_write_full(fd, v) != OK || fsync(fd) != 0)
        return fault_errno(f, "write %s", path);
    return OK;
}

enum err file_write(const char *path, struct view v, mode_t mode, struct fault *f) {
    // A link stays one: what it points to is replaced.
    char real[PATH_MAX], temporary[PATH_MAX + 8];
    if (realpath(path, real) == NULL &&
        (size_t)snprintf(real, sizeof real, "%s", path) >= sizeof real)
        return fault_set(f, ERR_LIMIT, 0, "%s: name too long", path);
    snprintf(temporary, sizeof temporary, "%s.XXXXXX", real);
    scoped_fd fd = mkostemp(temporary, O_CLOEXEC);
    if (fd < 0)
        return fault_errno(f, "write %s", path);
    enum err e = write_and_sync(fd, v, mode, path, f);
    if (e == OK && rename(temporary, real) != 0)
        e = fault_errno(f, "replace %s", path);
    if (e != OK)
        unlink(temporary);
    return e;
}

enum err file_create(const char *path, struct view v, mode_t mode, struct fault *f) {
    scoped_fd fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return fault_errno(f, "create %s", path);
    enum err e = write_and_sync(fd, v, mode, path, f);
    if (e != OK)
        unlink(path);
    return e;
}

// flock with a limit: whoever holds it for long must not hang us.
static enum err lock(int fd, const char *path, struct fault *f) {
    uint64_t deadline = clock_ms() + LOCK_WAIT_MS;
    while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            return fault_errno(f, "lock %s", path);
        if (clock_ms() >= deadline)
            return fault_set(f, ERR_TIMEOUT, 0, "lock %s: held by another process", path);
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
    return OK;
}

enum err file_append_line(const char *path, struct view line, mode_t mode,
                          struct fault *f) {
    scoped_fd fd =
        open(path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, mode);
    struct stat st;
    if (fd < 0)
        return fault_errno(f, "%s", path);
    TRY(check_kind(fd, path, false, &st, f));
    TRY(lock(fd, path, f));
    TRY(check_kind(fd, path, false, &st, f));  // its size, now that nobody else appends
    uint8_t last = '\n';
    if (st.st_size > 0 && pread(fd, &last, 1, st.st_size - 1) != 1)
        return fault_errno(f, "%s", path);
    scoped_buf text;
    buf_init(&text, line.n + 2);
    if (last != '\n')
        TRY(buf_append(&text, view_text("\n")));
    TRY(buf_append(&text, line));
    TRY(buf_append(&text, view_text("\n")));
    if (fd_write_full(fd, buf_view(&text)) != OK)
        return fault_errno(f, "write %s", path);
    return OK;
}

static enum err check_one(const struct stat *st, const char *path, uid_t uid,
                          struct fault *f) {
    if (st->st_uid != 0 && st->st_uid != uid)
        return fault_set(f, ERR_REFUSED, 0, "%s belongs to uid %u, not to uid %u or root",
                         path, (unsigned)st->st_uid, (unsigned)uid);
    bool others = (st->st_mode & 002) != 0;
    if (!others && (st->st_mode & 020) != 0)
        others = !account_private_group(uid, st->st_gid);
    if (others)
        return fault_set(f, ERR_REFUSED, 0, "%s is writable by others (mode %04o)", path,
                         (unsigned)st->st_mode & 07777);
    return OK;
}

enum err file_check_owner(int fd, const char *path, const char *home, uid_t uid,
                          struct fault *f) {
    char at[PATH_MAX], top[PATH_MAX];
    struct stat st;
    TRY(check_kind(fd, path, false, &st, f));
    TRY(check_one(&st, path, uid, f));
    if (realpath(path, at) == NULL)
        return fault_errno(f, "%s", path);
    bool has_home = home != NULL && realpath(home, top) != NULL;
    for (;;) {
        char *slash = strrchr(at, '/');
        if (slash == NULL)
            return fault_set(f, ERR_REFUSED, 0, "%s: no absolute path", path);
        slash[slash == at] = '\0';
        if (stat(at, &st) != 0)
            return fault_errno(f, "%s", at);
        TRY(check_one(&st, at, uid, f));
        if ((has_home && strcmp(at, top) == 0) || strcmp(at, "/") == 0)
            return OK;
    }
}

enum err file_check_private(int fd, const char *path, struct fault *f) {
    struct stat st;
    if (fstat(fd, &st) != 0)
        return fault_errno(f, "%s", path);
    if (st.st_uid == getuid() && (st.st_mode & 077) != 0)
        return fault_set(f, ERR_REFUSED, 0,
                         "%s can be read by others (mode %04o): chmod 600 %s", path,
                         (unsigned)st.st_mode & 07777, path);
    return OK;
}

enum err file_make_directory(const char *path, struct fault *f) {
    char part[PATH_MAX];
    size_t n = strlen(path);
    if (n == 0 || n >= sizeof part)
        return fault_set(f, ERR_LIMIT, 0, "directory name of %zu bytes", n);
    memcpy(part, path, n + 1);
    for (size_t i = 1; i <= n; i++) {
        if (part[i] != '/' && part[i] != '\0')
            continue;
        char c = part[i];
        part[i] = '\0';
        if (mkdir(part, 0700) != 0 && errno != EEXIST)
            return fault_errno(f, "make directory %s", part);
        part[i] = c;
    }
    struct stat st;
    if (stat(path, &st) == 0 && !S_ISDIR(st.st_mode))
        return fault_set(f, ERR_REFUSED, 0, "%s: not a directory", path);
    return OK;
}

bool file_is_stream(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 && is_stream(&st);
}

bool file_exists(const char *path) {
    struct stat st;
    return stat(path, &st) == 0;
}
