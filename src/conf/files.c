// Configuration files of this system.
#include "conf/files.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static void close_fd(int *fd) {
    if (*fd >= 0)
        close(*fd);
}

static enum err check(int fd, bool strict, char *detail) {
    struct stat st;
    if (fstat(fd, &st) != 0 || S_ISDIR(st.st_mode)) {
        snprintf(detail, 128, "not a file that can be read");
        return ERR_IO;
    }
    if (strict &&
        ((st.st_uid != 0 && st.st_uid != getuid()) || (st.st_mode & 022) != 0)) {
        snprintf(detail, 128,
                 "Bad owner or permissions (uid %u, mode %04o): others may not own or "
                 "write it",
                 (unsigned)st.st_uid, (unsigned)st.st_mode & 07777u);
        return ERR_REFUSED;
    }
    return OK;
}

static enum err read_all(int fd, struct buf *out, char *detail) {
    for (;;) {
        struct span room;
        enum err e = buf_reserve(out, 4096, &room);
        if (e != OK) {
            snprintf(detail, 128, "the file is too large");
            return e;
        }
        ssize_t n = read(fd, room.p, room.n);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            snprintf(detail, 128, "%s", strerror(errno));
            return ERR_IO;
        }
        if (n == 0)
            return OK;
        buf_added(out, (size_t)n);
    }
}

static enum err read_file(void *ctx, const char *path, bool strict, struct buf *out,
                          char *detail) {
    (void)ctx;
    __attribute__((cleanup(close_fd))) int fd =
        open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0) {
        int e = errno;
        snprintf(detail, 128, "%s", strerror(e));
        return e == ENOENT || e == ENOTDIR ? ERR_NOT_FOUND : ERR_IO;
    }
    TRY(check(fd, strict, detail));
    return read_all(fd, out, detail);
}

static enum err glob_files(void *ctx, const char *pattern,
                           enum err (*each)(void *arg, const char *path), void *arg) {
    (void)ctx;
    glob_t found;
    enum err e = OK;
    int r = glob(pattern, GLOB_TILDE, NULL, &found);
    if (r == GLOB_NOMATCH)
        return OK;
    if (r != 0)
        return r == GLOB_NOSPACE ? ERR_MEMORY : ERR_IO;
    for (size_t i = 0; i < found.gl_pathc && e == OK; i++)
        e = each(arg, found.gl_pathv[i]);
    globfree(&found);
    return e;
}

const struct conf_source conf_files = {NULL, read_file, glob_files};
