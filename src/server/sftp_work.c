// What takes an SFTP server long: fsync, and copying a file at the server (copy-data).
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/sftp_files.h"

#define COPY_ONCE (64u * 1024u)
#define COPY_KERNEL (64u * 1024u * 1024u)

static enum sftp_status work(struct sftp_vfs *v, const struct sftp_work *w) {
    const struct sftp_files *f = (const struct sftp_files *)(void *)v;
    if (f->defer == NULL)
        return sftp_work_do(w);
    return f->defer(f->defer_arg, w) ? SFTP_LATER : SFTP_FAILURE;
}

enum sftp_status sftp_files_sync(struct sftp_vfs *v, intptr_t node) {
    struct sftp_work w = {.node = node};
    return work(v, &w);
}

enum sftp_status sftp_files_copy(struct sftp_vfs *v, const struct sftp_copy *copy) {
    struct sftp_work w = {.copies = true, .copy = *copy};
    struct stat from, to;
    if (fstat((int)copy->from, &from) != 0 || fstat((int)copy->to, &to) != 0)
        return sftp_status_of_errno(errno);
    // A file that grows by what is read of it would never end.
    if (from.st_dev == to.st_dev && from.st_ino == to.st_ino)
        return SFTP_FAILURE;
    return work(v, &w);
}

static ssize_t write_all(const struct sftp_copy *c, const uint8_t *p, size_t n,
                         off_t at) {
    for (size_t done = 0; done < n;) {
        ssize_t w = c->append ? write((int)c->to, p + done, n - done)
                              : pwrite((int)c->to, p + done, n - done, at + (off_t)done);
        if (w < 0 && errno == EINTR)
            continue;
        if (w <= 0)
            return -1;
        done += (size_t)w;
    }
    return (ssize_t)n;
}

static ssize_t copy_by_hand(const struct sftp_copy *c, off_t from, off_t to, size_t n) {
    uint8_t bytes[COPY_ONCE];
    ssize_t r = pread((int)c->from, bytes, n < sizeof bytes ? n : sizeof bytes, from);
    return r > 0 ? write_all(c, bytes, (size_t)r, to) : r;
}

// Bytes copied, 0 at the end, -1.
static ssize_t copy_once(const struct sftp_copy *c, off_t from, off_t to, size_t n,
                         bool *kernel) {
    if (*kernel && !c->append) {
        ssize_t r = copy_file_range((int)c->from, &from, (int)c->to, &to, n, 0);
        if (r > 0)
            return r;
        // Some file systems have it not, others answer 0 for files like /proc's.
        *kernel = false;
    }
    return copy_by_hand(c, from, to, n);
}

static enum sftp_status copy_all(const struct sftp_copy *c) {
    uint64_t left = c->length == 0 ? UINT64_MAX : c->length, done = 0;
    bool kernel = true;
    while (left > 0) {
        size_t n = left < COPY_KERNEL ? (size_t)left : COPY_KERNEL;
        ssize_t r = copy_once(c, (off_t)(c->from_offset + done),
                              (off_t)(c->to_offset + done), n, &kernel);
        if (r < 0 && errno == EINTR)
            continue;
        if (r < 0)
            return sftp_status_of_errno(errno);
        if (r == 0)
            return c->length == 0 ? SFTP_OK : SFTP_EOF;
        done += (uint64_t)r;
        left -= (uint64_t)r;
    }
    return SFTP_OK;
}

enum sftp_status sftp_work_do(const struct sftp_work *w) {
    if (w->copies)
        return copy_all(&w->copy);
    return fsync((int)w->node) == 0 ? SFTP_OK : sftp_status_of_errno(errno);
}
