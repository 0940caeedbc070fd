// Sending files by the old protocol.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/fd.h"
#include "transfer/interrupt.h"
#include "transfer/meter.h"
#include "transfer/rcp.h"
#include "transfer/say.h"
#include "transfer/words.h"

#define BLOCK (128u * 1024u)

static void source(struct rcp *r, const char *path, unsigned depth);

// A newline would end the record.
static bool wire_name(char out[NAME_PATH], const char *path) {
    char last[NAME_PATH];
    size_t n = 0;
    if (!path_last(last, path))
        return false;
    for (const char *p = last; *p != '\0' && n + 4 < NAME_PATH; p++) {
        if (*p == '\n')
            n = (size_t)(stpcpy(out + n, "\\^J") - out);
        else
            out[n++] = *p;
    }
    out[n] = '\0';
    return true;
}

static bool announce(struct rcp *r, char kind, const struct stat *st, const char *path) {
    char line[NAME_PATH + 64], name[NAME_PATH];
    if (!wire_name(name, path))
        return false;
    if (r->preserve) {
        int n = snprintf(line, sizeof line, "T%lld 0 %lld 0\n",
                         st->st_mtime > 0 ? (long long)st->st_mtime : 0,
                         st->st_atime > 0 ? (long long)st->st_atime : 0);
        if (!rcp_send(r, view_of(line, (size_t)n)) || !rcp_answer(r))
            return false;
    }
    int n = snprintf(line, sizeof line, "%c%04o %lld %s\n", kind,
                     (unsigned)(st->st_mode & 07777),
                     kind == 'C' ? (long long)st->st_size : 0, name);
    return rcp_send(r, view_of(line, (size_t)n)) && rcp_answer(r);
}

// Exactly so many bytes, whatever becomes of the file; zeros stand for what could not be
// read. False: they do.
static bool send_data(struct rcp *r, int fd, uint64_t size, struct meter *m) {
    static uint8_t block[BLOCK];
    uint64_t done = 0;
    int error = 0;
    while (done < size && !r->lost && !interrupted()) {
        size_t want = size - done < BLOCK ? (size_t)(size - done) : BLOCK, got = 0;
        enum err e = error == 0 ? fd_read_full(fd, (struct span){block, want}, &got) : OK;
        if (error == 0 && (e != OK || got < want)) {
            error = e != OK && errno != 0 ? errno : EIO;
            memset(block + got, 0, want - got);
        } else if (error != 0) {
            memset(block, 0, want);
        }
        (void)rcp_send(r, view_of(block, want));
        if (r->throttle != NULL)
            throttle_passed(r->throttle, want);
        done += want;
        meter_set(m, done);
    }
    r->lost |= interrupted();
    errno = error;
    return error == 0;
}

static void send_file(struct rcp *r, int fd, const struct stat *st, const char *path) {
    struct meter meter;
    char name[NAME_PATH];
    if (!announce(r, 'C', st, path) || !path_last(name, path))
        return;
    meter_begin(&meter, r->meter, name, 0, (uint64_t)st->st_size);
    bool ok = send_data(r, fd, (uint64_t)st->st_size, &meter);
    int error = errno;
    meter_end(&meter);
    if (ok)
        (void)rcp_send(r, view_of("", 1));
    else
        rcp_fail(r, "%s: %s", CLEAN(path), strerror(error));
    (void)rcp_answer(r);
}

static void send_names(struct rcp *r, const char *path, unsigned depth) {
    scoped_words names = {0};
    char child[NAME_PATH];
    enum err e = words_of_folder(&names, path);
    if (e == ERR_IO) {
        rcp_fail(r, "%s: %s", CLEAN(path), strerror(errno));
        return;
    }
    if (e != OK)
        rcp_fail(r, "%s: more files than can be listed", CLEAN(path));
    for (size_t i = 0; i < names.n && !r->lost && !interrupted(); i++) {
        if (path_join(child, path, names.list[i]))
            source(r, child, depth);
        else
            rcp_fail(r, "%s/%s: name too long", CLEAN(path), CLEAN(names.list[i]));
    }
}

static void send_folder(struct rcp *r, const struct stat *st, const char *path,
                        unsigned depth) {
    if (depth >= RCP_DEPTH_MAX) {
        rcp_fail(r, "%s: more than %u folders deep", CLEAN(path), RCP_DEPTH_MAX);
        return;
    }
    if (!announce(r, 'D', st, path))
        return;
    send_names(r, path, depth + 1);
    if (rcp_send(r, view_text("E\n")))
        (void)rcp_answer(r);
}

static void source(struct rcp *r, const char *path, unsigned depth) {
    struct stat st;
    scoped_fd fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) != 0) {
        rcp_fail(r, "%s: %s", CLEAN(path), strerror(errno));
    } else if (S_ISDIR(st.st_mode) && r->recursive) {
        fd_close(&fd);
        send_folder(r, &st, path, depth);
    } else if (S_ISREG(st.st_mode)) {
        send_file(r, fd, &st, path);
    } else {
        rcp_fail(r, "%s: not a regular file", CLEAN(path));
    }
}

void rcp_source(struct rcp *r, char *const *paths, size_t n) {
    for (size_t i = 0; i < n && !r->lost && !interrupted(); i++)
        source(r, paths[i], 0);
}
