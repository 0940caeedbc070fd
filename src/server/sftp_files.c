#include "server/sftp_files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/text.h"
#include "io/fault_errno.h"
#include "io/fd.h"

// What opens may never wait for anybody, become a terminal of ours, or outlive an exec.
#define OPEN_ALWAYS (O_CLOEXEC | O_NONBLOCK | O_NOCTTY)

static struct sftp_files *files_of(struct sftp_vfs *v) {
    return (struct sftp_files *)(void *)v;
}

enum sftp_status sftp_status_of_errno(int number) {
    switch (number) {
    case 0:
        return SFTP_OK;
    case ENOENT:
    case ENOTDIR:
    case EBADF:
    case ELOOP:
        return SFTP_NO_SUCH_FILE;
    case EPERM:
    case EACCES:
    case EFAULT:
        return SFTP_PERMISSION_DENIED;
    case ENAMETOOLONG:
    case EINVAL:
        return SFTP_BAD_MESSAGE;
    case ENOSYS:
        return SFTP_OP_UNSUPPORTED;
    default:
        return SFTP_FAILURE;
    }
}

// Of a call that returns -1 and sets errno.
static enum sftp_status result(int returned) {
    return returned == 0 ? SFTP_OK : sftp_status_of_errno(errno);
}

static int fd_of(intptr_t node, bool folder) {
    return folder ? dirfd((DIR *)node) : (int)node;
}

static mode_t mask_on(const struct sftp_files *f) {
    return f->masked ? umask(f->mask) : 0;
}

static void mask_off(const struct sftp_files *f, mode_t before) {
    int number = errno;
    if (f->masked)
        umask(before);
    errno = number;
}

// ---- open files ----

static int open_flags(uint32_t flags) {
    static const struct {
        uint32_t theirs;
        int ours;
    } rows[] = {{SFTP_OPEN_APPEND, O_APPEND},
                {SFTP_OPEN_CREATE, O_CREAT},
                {SFTP_OPEN_TRUNCATE, O_TRUNC},
                {SFTP_OPEN_EXCLUSIVE, O_EXCL}};
    bool write = (flags & SFTP_OPEN_WRITE) != 0, read = (flags & SFTP_OPEN_READ) != 0;
    int out = write && read ? O_RDWR : write ? O_WRONLY : O_RDONLY;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (flags & rows[i].theirs)
            out |= rows[i].ours;
    return out;
}

static enum sftp_status open_file(struct sftp_vfs *v, const char *path, uint32_t flags,
                                  uint32_t mode, intptr_t *node) {
    const struct sftp_files *f = files_of(v);
    mode_t before = mask_on(f);
    int fd = openat(f->folder, path, open_flags(flags) | OPEN_ALWAYS, (mode_t)mode);
    mask_off(f, before);
    *node = fd;
    return fd >= 0 ? SFTP_OK : sftp_status_of_errno(errno);
}

static enum sftp_status open_folder(struct sftp_vfs *v, const char *path,
                                    intptr_t *node) {
    int fd = openat(files_of(v)->folder, path, O_RDONLY | O_DIRECTORY | OPEN_ALWAYS);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (dir == NULL) {
        enum sftp_status status = sftp_status_of_errno(errno);
        fd_close(&fd);
        return status;
    }
    *node = (intptr_t)dir;
    return SFTP_OK;
}

static enum sftp_status close_node(struct sftp_vfs *v, intptr_t node, bool folder) {
    (void)v;
    return result(folder ? closedir((DIR *)node) : close((int)node));
}

static enum sftp_status read_file(struct sftp_vfs *v, intptr_t node, uint64_t offset,
                                  const struct span *pieces, size_t n, size_t *got) {
    struct iovec rooms[SFTP_PIECES_MAX];
    (void)v;
    for (size_t i = 0; i < n; i++)
        rooms[i] = (struct iovec){pieces[i].p, pieces[i].n};
    ssize_t r;
    do
        r = preadv((int)node, rooms, (int)n, (off_t)offset);
    while (r < 0 && errno == EINTR);
    *got = r > 0 ? (size_t)r : 0;
    if (r < 0)
        return sftp_status_of_errno(errno);
    return r == 0 ? SFTP_EOF : SFTP_OK;
}

static enum sftp_status write_file(struct sftp_vfs *v, intptr_t node, bool append,
                                   uint64_t offset, struct view data) {
    (void)v;
    for (size_t n = 0; n < data.n;) {
        ssize_t w = append
                        ? write((int)node, data.p + n, data.n - n)
                        : pwrite((int)node, data.p + n, data.n - n, (off_t)(offset + n));
        if (w < 0 && errno == EINTR)
            continue;
        if (w <= 0)
            return w < 0 ? sftp_status_of_errno(errno) : SFTP_FAILURE;
        n += (size_t)w;
    }
    return SFTP_OK;
}

// ---- attributes ----

static void attributes_of(const struct stat *st, struct sftp_attributes *a) {
    *a = (struct sftp_attributes){
        .flags = SFTP_ATTR_SIZE | SFTP_ATTR_OWNER | SFTP_ATTR_MODE | SFTP_ATTR_TIMES,
        .size = (uint64_t)st->st_size,
        .uid = st->st_uid,
        .gid = st->st_gid,
        .mode = st->st_mode,
        .atime = (uint32_t)st->st_atime,
        .mtime = (uint32_t)st->st_mtime,
    };
}

static enum sftp_status next_entry(struct sftp_vfs *v, intptr_t node,
                                   struct sftp_entry *out) {
    struct stat st;
    (void)v;
    errno = 0;
    const struct dirent *d = readdir((DIR *)node);
    if (d == NULL)
        return errno == 0 ? SFTP_EOF : sftp_status_of_errno(errno);
    *out = (struct sftp_entry){.links = 0};
    text_copy(out->name, sizeof out->name, view_text(d->d_name));
    if (fstatat(dirfd((DIR *)node), d->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
        attributes_of(&st, &out->attributes);
        out->links = (uint32_t)st.st_nlink;
    }
    return SFTP_OK;
}

static enum sftp_status stat_path(struct sftp_vfs *v, const char *path, bool follow,
                                  struct sftp_attributes *out) {
    struct stat st;
    if (fstatat(files_of(v)->folder, path, &st, follow ? 0 : AT_SYMLINK_NOFOLLOW) != 0)
        return sftp_status_of_errno(errno);
    attributes_of(&st, out);
    return SFTP_OK;
}

static enum sftp_status stat_node(struct sftp_vfs *v, intptr_t node, bool folder,
                                  struct sftp_attributes *out) {
    struct stat st;
    (void)v;
    if (fstat(fd_of(node, folder), &st) != 0)
        return sftp_status_of_errno(errno);
    attributes_of(&st, out);
    return SFTP_OK;
}

static void times_of(const struct sftp_attributes *a, struct timespec out[2]) {
    out[0] = (struct timespec){a->atime, 0};
    out[1] = (struct timespec){a->mtime, 0};
}

// truncate(2) has no *at() form.
static int truncate_at(int folder, const char *path, uint64_t size) {
    scoped_fd fd = openat(folder, path, O_WRONLY | OPEN_ALWAYS);
    return fd >= 0 ? ftruncate(fd, (off_t)size) : -1;
}

// The last failure counts.
static void also(enum sftp_status *status, int returned) {
    if (returned != 0)
        *status = sftp_status_of_errno(errno);
}

static enum sftp_status set_path(struct sftp_vfs *v, const char *path, bool follow,
                                 const struct sftp_attributes *a) {
    int folder = files_of(v)->folder, flags = follow ? 0 : AT_SYMLINK_NOFOLLOW;
    enum sftp_status status = SFTP_OK;
    struct timespec times[2];
    if ((a->flags & SFTP_ATTR_SIZE) && !follow)
        return SFTP_OP_UNSUPPORTED;
    if (a->flags & SFTP_ATTR_SIZE)
        also(&status, truncate_at(folder, path, a->size));
    if (a->flags & SFTP_ATTR_MODE)
        also(&status, fchmodat(folder, path, a->mode & 07777, flags));
    times_of(a, times);
    if (a->flags & SFTP_ATTR_TIMES)
        also(&status, utimensat(folder, path, times, flags));
    if (a->flags & SFTP_ATTR_OWNER)
        also(&status, fchownat(folder, path, a->uid, a->gid, flags));
    return status;
}

static enum sftp_status set_node(struct sftp_vfs *v, intptr_t node, bool folder,
                                 const struct sftp_attributes *a) {
    int fd = fd_of(node, folder);
    enum sftp_status status = SFTP_OK;
    struct timespec times[2];
    (void)v;
    if (a->flags & SFTP_ATTR_SIZE)
        also(&status, ftruncate(fd, (off_t)a->size));
    if (a->flags & SFTP_ATTR_MODE)
        also(&status, fchmod(fd, a->mode & 07777));
    times_of(a, times);
    if (a->flags & SFTP_ATTR_TIMES)
        also(&status, futimens(fd, times));
    if (a->flags & SFTP_ATTR_OWNER)
        also(&status, fchown(fd, a->uid, a->gid));
    return status;
}

// ---- names ----

static enum sftp_status remove_path(struct sftp_vfs *v, const char *path, bool folder) {
    return result(unlinkat(files_of(v)->folder, path, folder ? AT_REMOVEDIR : 0));
}

static enum sftp_status make_folder(struct sftp_vfs *v, const char *path, uint32_t mode) {
    const struct sftp_files *f = files_of(v);
    mode_t before = mask_on(f);
    int returned = mkdirat(f->folder, path, (mode_t)mode);
    mask_off(f, before);
    return result(returned);
}

// File systems without RENAME_NOREPLACE: a link never replaces anything either; what
// cannot be linked is looked for first.
static int rename_by_link(int folder, const char *from, const char *to) {
    struct stat st;
    if (linkat(folder, from, folder, to, 0) == 0) {
        if (unlinkat(folder, from, 0) == 0)
            return 0;
        int number = errno;
        unlinkat(folder, to, 0);
        errno = number;
        return -1;
    }
    if (errno == EEXIST)
        return -1;
    if (fstatat(folder, to, &st, AT_SYMLINK_NOFOLLOW) == 0) {
        errno = EEXIST;
        return -1;
    }
    return renameat(folder, from, folder, to);
}

static enum sftp_status rename_path(struct sftp_vfs *v, const char *from, const char *to,
                                    bool over) {
    int folder = files_of(v)->folder;
    if (over)
        return result(renameat(folder, from, folder, to));
    if (renameat2(folder, from, folder, to, RENAME_NOREPLACE) == 0)
        return SFTP_OK;
    if (errno != EINVAL && errno != ENOSYS)
        return sftp_status_of_errno(errno);
    return result(rename_by_link(folder, from, to));
}

static enum sftp_status link_path(struct sftp_vfs *v, const char *from, const char *to) {
    int folder = files_of(v)->folder;
    return result(linkat(folder, from, folder, to, 0));
}

static enum sftp_status symlink_path(struct sftp_vfs *v, const char *target,
                                     const char *path) {
    return result(symlinkat(target, files_of(v)->folder, path));
}

static enum sftp_status readlink_path(struct sftp_vfs *v, const char *path, char *out) {
    ssize_t n = readlinkat(files_of(v)->folder, path, out, SFTP_PATH_SIZE - 1);
    if (n < 0)
        return sftp_status_of_errno(errno);
    out[n] = '\0';
    return SFTP_OK;
}

// ---- file systems ----

static enum sftp_status filesystem_of(int fd, struct sftp_filesystem *out) {
    struct statvfs s;
    if (fstatvfs(fd, &s) != 0)
        return sftp_status_of_errno(errno);
    *out = (struct sftp_filesystem){
        .block_size = s.f_bsize,
        .fragment_size = s.f_frsize,
        .blocks = s.f_blocks,
        .blocks_free = s.f_bfree,
        .blocks_available = s.f_bavail,
        .files = s.f_files,
        .files_free = s.f_ffree,
        .files_available = s.f_favail,
        .id = s.f_fsid,
        .flags = s.f_flag & (ST_RDONLY | ST_NOSUID),
        .name_max = s.f_namemax,
    };
    return SFTP_OK;
}

static enum sftp_status filesystem_path(struct sftp_vfs *v, const char *path,
                                        struct sftp_filesystem *out) {
    scoped_fd fd = openat(files_of(v)->folder, path, O_PATH | O_CLOEXEC);
    return fd >= 0 ? filesystem_of(fd, out) : sftp_status_of_errno(errno);
}

static enum sftp_status filesystem_node(struct sftp_vfs *v, intptr_t node, bool folder,
                                        struct sftp_filesystem *out) {
    (void)v;
    return filesystem_of(fd_of(node, folder), out);
}

// ---- life ----

static const struct sftp_vfs_ops file_ops = {
    .open = open_file,
    .open_folder = open_folder,
    .close = close_node,
    .read = read_file,
    .write = write_file,
    .next = next_entry,
    .stat = stat_path,
    .fstat = stat_node,
    .set = set_path,
    .fset = set_node,
    .remove = remove_path,
    .make_folder = make_folder,
    .rename = rename_path,
    .link = link_path,
    .symlink = symlink_path,
    .readlink = readlink_path,
    .realpath = sftp_files_realpath,
    .home = sftp_files_home,
    .filesystem = filesystem_path,
    .ffilesystem = filesystem_node,
    .sync = sftp_files_sync,
    .copy = sftp_files_copy,
    .owner = sftp_files_owner,
    .date = sftp_files_date,
};

static int open_start(const char *path) {
    return openat(AT_FDCWD, path, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

enum err sftp_files_open(struct sftp_files *f, const char *start, const char *fallback,
                         struct fault *fault) {
    char path[SFTP_PATH_SIZE];
    *f = (struct sftp_files){.vfs = {&file_ops}, .folder = open_start(start)};
    if (f->folder < 0 && fallback != NULL) {
        start = fallback;
        f->folder = open_start(start);
    }
    if (f->folder < 0)
        return fault_errno(fault, "starting folder %s", start);
    // Before start is known, a relative one is the working directory's.
    if (start[0] != '/' && getcwd(f->start, sizeof f->start) == NULL)
        return fault_errno(fault, "working directory");
    if (sftp_files_realpath(&f->vfs, start, path) != SFTP_OK)
        return fault_set(fault, ERR_NOT_FOUND, 0, "starting folder %s: no such path",
                         start);
    text_copy(f->start, sizeof f->start, view_text(path));
    return OK;
}

void sftp_files_close(struct sftp_files *f) {
    fd_close(&f->folder);
}
