// Receiving files by the old protocol. The peer is not trusted: names are plain ones that
// were asked for, nothing is followed out of the target, modes lose setuid and the like.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/fd.h"
#include "transfer/interrupt.h"
#include "transfer/meter.h"
#include "transfer/rcp.h"
#include "transfer/say.h"

#define SIZE_MOST ((uint64_t)INT64_MAX)

struct record {
    mode_t mode;
    uint64_t size;
    const char *name;  // in the line
};

struct times {
    bool there;
    struct timespec t[2];  // access, modification
};

static void sink(struct rcp *r, const char *target, unsigned depth);

// Gives up: the peer is told, and nothing more is taken.
static void refuse(struct rcp *r, const char *why, const char *line) {
    rcp_fail(r, "%s: \"%s\"", why, CLEAN(line));
    r->lost = true;
}

static bool parse_number(const char **at, int base, uint64_t most, char end,
                         uint64_t *out) {
    char *stop = NULL;
    if (**at < '0' || **at > '9')
        return false;
    errno = 0;
    *out = strtoull(*at, &stop, base);
    if (errno != 0 || *stop != end || *out > most)
        return false;
    *at = stop + (end != '\0');
    return true;
}

// "T1700000000 0 1700000001 0"
static bool parse_times(const char *line, struct times *times) {
    uint64_t mtime, atime, micro;
    const char *at = line;
    if (!parse_number(&at, 10, SIZE_MOST, ' ', &mtime) ||
        !parse_number(&at, 10, 999999, ' ', &micro) ||
        !parse_number(&at, 10, SIZE_MOST, ' ', &atime) ||
        !parse_number(&at, 10, 999999, '\0', &micro))
        return false;
    *times = (struct times){true, {{(time_t)atime, 0}, {(time_t)mtime, 0}}};
    return true;
}

// "0644 12 name"
static bool parse_record(const char *line, struct record *out) {
    const char *at = line;
    uint64_t mode;
    if (strspn(line, "01234567") != 4 || !parse_number(&at, 8, 07777, ' ', &mode) ||
        !parse_number(&at, 10, SIZE_MOST, ' ', &out->size))
        return false;
    out->mode = (mode_t)mode & 0777;
    out->name = at;
    return true;
}

// Of what was asked for as "dir/", "." or "~" the name is not known.
static bool was_asked_for(const struct rcp *r, const char *name, unsigned depth) {
    char last[NAME_PATH];
    if (r->asked == NULL || depth > 0)
        return true;
    if (!path_last(last, r->asked) || strcmp(last, ".") == 0 || strcmp(last, "..") == 0 ||
        *last == '~' || strcmp(last, "/") == 0)
        return true;
    size_t n = strlen(r->asked);
    return n > 0 && r->asked[n - 1] == '/' ? rcp_name_fits(last, name)
                                           : rcp_name_fits(r->asked, name);
}

// Of a folder: its E was answered already, so the peer is not told.
static void note(struct rcp *r, const char *path, const char *what) {
    r->errors++;
    say("%s: %s: %s", CLEAN(path), what, strerror(errno));
}

// Takes all of the announced bytes; what could not be written is told by errno.
static bool receive(struct rcp *r, int fd, uint64_t size, struct meter *m) {
    int error = 0;
    for (uint64_t done = 0; done < size && !r->lost;) {
        uint64_t left = size - done;
        struct view v = rcp_some(r, left < SIZE_MAX ? (size_t)left : SIZE_MAX);
        if (error == 0 && v.n > 0 && fd_write_full(fd, v) != OK)
            error = errno != 0 ? errno : EIO;
        done += v.n;
        meter_set(m, done);
    }
    errno = error;
    return error == 0 && !r->lost;
}

// What comes after the last byte: NULL, or what failed first, with errno.
static const char *settle(const struct rcp *r, int fd, const struct record *rec,
                          const struct times *times, bool was_there) {
    struct stat st;
    const char *failed = NULL;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
        ftruncate(fd, (off_t)rec->size) != 0)
        failed = "truncate";
    int error = errno;
    if (r->preserve && fchmod(fd, rec->mode) != 0 && was_there && failed == NULL) {
        failed = "set mode";
        error = errno;
    }
    if (times->there && futimens(fd, times->t) != 0 && failed == NULL) {
        failed = "set times";
        error = errno;
    }
    errno = error;
    return failed;
}

static void sink_file(struct rcp *r, const struct record *rec, const char *path,
                      const struct times *times) {
    struct meter meter;
    struct stat st;
    char name[NAME_PATH];
    bool was_there = stat(path, &st) == 0;
    scoped_fd fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, rec->mode | S_IWUSR);
    if (fd < 0) {
        rcp_fail(r, "%s: %s", CLEAN(path), strerror(errno));
        return;
    }
    if (!rcp_send(r, view_of("", 1)) || !path_last(name, path))
        return;
    meter_begin(&meter, r->meter, name, 0, rec->size);
    bool ok = receive(r, fd, rec->size, &meter);
    int error = errno;
    meter_end(&meter);
    if (r->lost)
        return;
    // Whatever the source says at the end, it waits for one answer, and for no more.
    (void)rcp_answer(r);
    if (r->lost)
        return;
    const char *failed = ok ? settle(r, fd, rec, times, was_there) : "write";
    if (ok && failed != NULL)
        error = errno;
    if (failed != NULL)
        rcp_fail(r, "%s: %s: %s", CLEAN(path), failed, strerror(error));
    else
        (void)rcp_send(r, view_of("", 1));
}

static void sink_folder(struct rcp *r, const struct record *rec, const char *path,
                        const struct times *times, unsigned depth) {
    struct stat st;
    bool made = false;
    if (depth >= RCP_DEPTH_MAX) {
        refuse(r, "more folders within folders than are taken", path);
        return;
    }
    if (stat(path, &st) == 0) {
        errno = ENOTDIR;
        made = S_ISDIR(st.st_mode);
    } else if (mkdir(path, rec->mode | S_IRWXU) == 0) {
        made = true;
        st.st_mode = 0;  // fresh
    }
    if (!made) {
        rcp_fail(r, "%s: %s", CLEAN(path), strerror(errno));
        return;
    }
    sink(r, path, depth + 1);
    scoped_fd fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return;
    if (times->there && futimens(fd, times->t) != 0)
        note(r, path, "set times");
    bool lowered = st.st_mode == 0 && (rec->mode & S_IRWXU) != S_IRWXU;
    if ((r->preserve || lowered) && fchmod(fd, rec->mode) != 0)
        note(r, path, "set mode");
}

static void sink_record(struct rcp *r, char kind, const char *line, const char *target,
                        bool into, const struct times *times, unsigned depth) {
    struct record rec;
    char path[NAME_PATH];
    if (!parse_record(line, &rec)) {
        refuse(r, "bad record", line);
    } else if (!name_is_plain(rec.name)) {
        refuse(r, "unexpected file name", rec.name);
    } else if (kind == 'D' && !r->recursive) {
        refuse(r, "a directory where none was asked for", rec.name);
    } else if (!was_asked_for(r, rec.name, depth)) {
        refuse(r, "the name does not match what was asked for", rec.name);
    } else if (!path_join(path, into ? target : "", into ? rec.name : target)) {
        refuse(r, "the path is too long", rec.name);
    } else if (kind == 'D') {
        sink_folder(r, &rec, path, times, depth);
    } else {
        sink_file(r, &rec, path, times);
    }
}

static bool sink_message(struct rcp *r, char kind, const char *line) {
    if (!r->far)
        fprintf(stderr, "%s\n", CLEAN(line));
    r->errors++;
    r->lost |= kind == 2;
    return !r->lost;
}

// One record. False: the folder, or all of it, has ended.
static bool take(struct rcp *r, const char *target, bool into, struct times *times,
                 unsigned depth) {
    char kind, line[RCP_LINE];
    struct view first = rcp_some(r, 1);
    if (first.n == 0)
        return false;
    kind = (char)*first.p;
    if (!rcp_line(r, line))
        return false;
    if (kind == 1 || kind == 2)
        return sink_message(r, kind, line);
    if (kind == 'E') {
        (void)rcp_send(r, view_of("", 1));
        return false;
    }
    if (kind == 'T' && parse_times(line, times))
        return rcp_send(r, view_of("", 1));
    if (kind != 'C' && kind != 'D') {
        refuse(r, "expected a record of the protocol", line);
        return false;
    }
    sink_record(r, kind, line, target, into, times, depth);
    times->there = false;
    return !r->lost;
}

static bool ended(struct rcp *r) {
    struct span room;
    size_t n = 0;
    if (r->lost || buf_len(&r->input) > 0)
        return r->lost;
    // The source's end is a plain end of the stream, between records.
    if (buf_reserve(&r->input, 1, &room) != OK ||
        fd_read_full(r->in, (struct span){room.p, 1}, &n) != OK || n == 0)
        return true;
    buf_added(&r->input, n);
    return false;
}

static void sink(struct rcp *r, const char *target, unsigned depth) {
    struct stat st;
    struct times times = {.there = false};
    bool into = depth > 0 || (stat(target, &st) == 0 && S_ISDIR(st.st_mode));
    if (r->folder && depth == 0 && !into) {
        rcp_fail(r, "%s: Not a directory", CLEAN(target));
        r->lost = true;
        return;
    }
    if (!rcp_send(r, view_of("", 1)))
        return;
    while (depth > 0 ? !r->lost : !ended(r))
        if (!take(r, target, into, &times, depth))
            return;
}

void rcp_sink(struct rcp *r, const char *target) {
    sink(r, target, 0);
}
