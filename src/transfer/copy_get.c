// From the server to here.
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/clock.h"
#include "io/fd.h"
#include "transfer/ahead.h"
#include "transfer/interrupt.h"
#include "transfer/names.h"
#include "transfer/say.h"

#define KIND 0170000u

bool copy_is_folder(const struct sftp_attributes *a) {
    return (a->flags & SFTP_ATTR_MODE) != 0 && (a->mode & KIND) == 0040000u;
}

bool copy_is_link(const struct sftp_attributes *a) {
    return (a->flags & SFTP_ATTR_MODE) != 0 && (a->mode & KIND) == 0120000u;
}

bool copy_is_file(const struct sftp_attributes *a) {
    return (a->flags & SFTP_ATTR_MODE) == 0 || (a->mode & KIND) == 0 ||
           (a->mode & KIND) == 0100000u;
}

struct getting {
    struct remote *r;
    const struct copy_how *how;
    const char *from, *to;
    struct sftp_attributes a;
    struct sftp_download d;
    struct meter meter;
    int fd;
    bool seekable, interrupted;
    uint64_t written;  // of what is not seekable
    int error;         // errno of the first failed write
};

static void keep(struct getting *g, struct view v, uint64_t offset) {
    if (!g->seekable && offset != g->written)
        errno = ESPIPE;
    for (ssize_t n; v.n > 0; v = view_of(v.p + n, v.n - (size_t)n)) {
        n = !g->seekable && offset != g->written ? -1
            : g->seekable                        ? pwrite(g->fd, v.p, v.n, (off_t)offset)
                                                 : write(g->fd, v.p, v.n);
        if (n < 0 && errno == EINTR && !interrupted())
            n = 0;
        if (n < 0) {
            g->error = errno;
            if (offset < g->d.hole)
                g->d.hole = offset;
            sftp_download_stop(&g->d);
            return;
        }
        offset += (uint64_t)n;
        g->written += (uint64_t)n;
    }
}

static void take(struct getting *g, const struct sftp_reply *reply) {
    struct fault fault = {0};
    if (reply->operation != SFTP_OP_READ)
        return;
    if (reply->kind == SFTP_REPLY_DATA && g->error == 0)
        keep(g, reply->bytes, reply->offset);
    enum err e = sftp_download_take(&g->d, g->r->client, reply, clock_ms());
    meter_set(&g->meter, g->meter.start + g->d.received);
    if (e != OK) {
        fault_set(&fault, e, 0, "read %s: %s", CLEAN(g->from), err_text(e));
        remote_lost(g->r, &fault);
    }
}

static bool receive(struct getting *g) {
    struct sftp_reply reply;
    while (!sftp_download_done(&g->d)) {
        if (interrupted() && !g->interrupted) {
            g->interrupted = true;
            sftp_download_stop(&g->d);
            continue;
        }
        if (sftp_download_ask(&g->d, g->r->client, clock_ms()) != OK)
            sftp_download_stop(&g->d);
        if (sftp_download_done(&g->d))
            break;
        if (!remote_turn(g->r, &reply))
            return false;
        if (reply.kind == SFTP_REPLY_NONE)
            meter_set(&g->meter, g->meter.done);
        else
            take(g, &reply);
        if (g->r->lost)
            return false;
    }
    return true;
}

// The end came before the size that the server had told. Some files have a size that
// says nothing (sysfs); one that has become shorter was cut.
static bool was_cut(struct getting *g, uint64_t whole) {
    struct sftp_attributes now;
    if (g->d.end == UINT64_MAX || (g->a.flags & SFTP_ATTR_SIZE) == 0 ||
        whole >= g->a.size || g->d.stopped)
        return false;
    if (remote_stat(g->r, g->from, true, &now) != SFTP_OK ||
        (now.flags & SFTP_ATTR_SIZE) == 0 || now.size >= g->a.size)
        return false;
    say("\"%s\" was cut short while it was fetched: %llu of %llu bytes are there",
        CLEAN(g->from), (unsigned long long)whole, (unsigned long long)g->a.size);
    return true;
}

static bool received(struct getting *g) {
    uint64_t whole = sftp_download_whole(&g->d);
    bool failed = g->d.status != SFTP_OK || g->error != 0 || g->interrupted;
    if (g->d.status != SFTP_OK)
        say_status("read remote", g->from, g->d.status);
    if (g->error != 0) {
        errno = g->error;
        say_errno("write local", g->to);
    }
    if (!failed && g->d.end < g->d.high) {
        say("\"%s\" has an end in front of data that was read: it changes, or the server "
            "is wrong",
            CLEAN(g->from));
        failed = true;
    }
    bool cut = failed || g->how->in_place || g->how->resume;
    if (cut && g->seekable && ftruncate(g->fd, (off_t)whole) != 0 && errno != EINVAL) {
        say_errno("truncate local", g->to);
        failed = true;
    }
    return !was_cut(g, whole) && !failed;
}

static void local_times(int fd, const struct sftp_attributes *a) {
    struct timespec times[2] = {{(time_t)a->atime, 0}, {(time_t)a->mtime, 0}};
    if (a->flags & SFTP_ATTR_TIMES)
        (void)futimens(fd, times);
}

// What comes after the last byte.
static bool settle(struct getting *g) {
    bool ok = true;
    // setuid and setgid would be another owner's.
    if (g->how->preserve && (g->a.flags & SFTP_ATTR_MODE) &&
        fchmod(g->fd, g->a.mode & 0777) != 0) {
        say_errno("local chmod", g->to);
        ok = false;
    }
    if (g->how->preserve)
        local_times(g->fd, &g->a);
    if (g->how->sync && fsync(g->fd) != 0) {
        say_errno("local sync", g->to);
        ok = false;
    }
    return ok;
}

static bool open_local(struct getting *g, uint64_t *offset) {
    struct stat st;
    mode_t mode = (g->a.flags & SFTP_ATTR_MODE ? g->a.mode & 0777 : 0666) | S_IWUSR;
    bool truncates = !g->how->resume && !g->how->in_place;
    g->fd = open(g->to, O_WRONLY | O_CREAT | O_CLOEXEC | (truncates ? O_TRUNC : 0), mode);
    if (g->fd < 0 || fstat(g->fd, &st) != 0) {
        say_errno("open local", g->to);
        return false;
    }
    g->seekable = S_ISREG(st.st_mode) || lseek(g->fd, 0, SEEK_CUR) >= 0;
    *offset = g->how->resume ? (uint64_t)st.st_size : 0;
    g->written = *offset;
    if (*offset > 0 && (g->a.flags & SFTP_ATTR_SIZE) && *offset > g->a.size) {
        say("Unable to resume download of \"%s\": the local file is larger",
            CLEAN(g->from));
        return false;
    }
    return true;
}

static bool attributes(struct getting *g, const struct sftp_attributes *known) {
    uint32_t status = SFTP_OK;
    if (known != NULL && (known->flags & SFTP_ATTR_MODE) && !copy_is_link(known))
        g->a = *known;
    else
        status = remote_stat(g->r, g->from, true, &g->a);
    if (status != SFTP_OK) {
        say_status("stat remote", g->from, status);
        return false;
    }
    if (copy_is_file(&g->a))
        return true;
    say("download \"%s\": not a regular file", CLEAN(g->from));
    return false;
}

// All of it is there already.
static bool take_whole(struct getting *g, struct view data) {
    g->d.next = g->d.high = g->d.end = data.n;
    g->d.received = data.n;
    keep(g, data, 0);
    meter_set(&g->meter, data.n);
    return true;
}

// whole: the file; NULL: it is to be fetched.
static bool get_opened(struct getting *g, const struct sftp_handle_name *handle,
                       const struct buf *whole) {
    char name[NAME_PATH];
    uint64_t offset = 0, size = g->a.flags & SFTP_ATTR_SIZE ? g->a.size : 0;
    if (!open_local(g, &offset) || !path_last(name, g->from))
        return false;
    if (g->how->doings)
        say_doing("%s %s to %s", g->how->resume ? "Resuming" : "Fetching", CLEAN(g->from),
                  CLEAN(g->to));
    sftp_download_begin(&g->d, handle, offset, size);
    g->d.one_by_one = !g->seekable;
    meter_begin(&g->meter, g->how->meter, name, offset, size);
    g->r->meter = &g->meter;
    bool ok = whole != NULL ? take_whole(g, buf_view(whole)) : receive(g);
    g->r->meter = NULL;
    meter_end(&g->meter);
    return ok && received(g) && settle(g);
}

static bool close_local(struct getting *g) {
    if (g->fd < 0 || close(g->fd) == 0)
        return true;
    say_errno("close local", g->to);
    return false;
}

bool copy_get(struct remote *r, const char *from, const char *to,
              const struct sftp_attributes *known, const struct copy_how *how) {
    struct getting g = {.r = r, .how = how, .from = from, .to = to, .fd = -1};
    struct sftp_attributes none = {0};
    struct sftp_handle_name handle = {.n = 0};
    scoped_buf whole;
    buf_init(&whole, AHEAD_FILE_MAX);
    if (!attributes(&g, known))
        return false;
    if (ahead_got(r, from, &whole)) {
        bool ok = get_opened(&g, &handle, &whole);
        return close_local(&g) && ok;
    }
    uint32_t status = remote_open_file(r, from, SFTP_OPEN_READ, &none, &handle);
    if (status != SFTP_OK) {
        say_status("open remote", from, status);
        return false;
    }
    bool ok = get_opened(&g, &handle, NULL);
    if (!r->lost)
        remote_close_handle(r, &handle);
    return close_local(&g) && ok;
}

// ---- folders ----

static bool get_folder(struct remote *r, const char *from, const char *to,
                       const struct sftp_attributes *known, const struct copy_how *how,
                       unsigned depth);

static bool get_entry(struct remote *r, const char *from, const char *to,
                      const struct remote_entry *e, const struct copy_how *how,
                      unsigned depth) {
    char source[NAME_PATH], target[NAME_PATH];
    struct sftp_attributes a = e->attributes;
    if (strcmp(e->name, ".") == 0 || strcmp(e->name, "..") == 0)
        return true;
    if (!name_is_plain(e->name)) {
        say("the server names \"%s\" in \"%s\", which is no file name: it is left out",
            CLEAN(e->name), CLEAN(from));
        return false;
    }
    if (!path_join(source, from, e->name) || !path_join(target, to, e->name)) {
        say("\"%s\" in \"%s\": the path is too long", CLEAN(e->name), CLEAN(from));
        return false;
    }
    if (copy_is_link(&a) && how->follow && remote_stat(r, source, true, &a) != SFTP_OK) {
        say("\"%s\": a link that leads nowhere is left out", CLEAN(source));
        return false;
    }
    if (copy_is_folder(&a))
        return get_folder(r, source, target, &a, how, depth + 1);
    if (copy_is_file(&a))
        return copy_get(r, source, target, &a, how);
    say("download \"%s\": not a regular file", CLEAN(source));
    return true;
}

// From `next` on, as far as there is room. Up to what is no small file: what is in there
// has its turn first.
static size_t ask_ahead(struct remote *r, const char *from,
                        const struct remote_listing *names, size_t next,
                        const struct copy_how *how) {
    char source[NAME_PATH];
    for (; next < names->n; next++) {
        const struct remote_entry *e = &names->list[next];
        if (!name_is_plain(e->name))
            continue;
        if (!path_join(source, from, e->name) ||
            !ahead_get(r, source, &e->attributes, how))
            break;
    }
    return next;
}

static bool get_names(struct remote *r, const char *from, const char *to,
                      const struct remote_listing *names, const struct copy_how *how,
                      unsigned depth) {
    bool ok = true;
    size_t ahead = 0;
    for (size_t i = 0; i < names->n && !interrupted() && !r->lost; i++) {
        ahead = ask_ahead(r, from, names, ahead > i ? ahead : i, how);
        ok &= get_entry(r, from, to, &names->list[i], how, depth);
    }
    ahead_forget(r);
    return ok;
}

static bool make_local(const char *to, mode_t mode) {
    struct stat st;
    if (mkdir(to, mode | S_IRWXU) == 0)
        return true;
    int error = errno;
    if (error == EEXIST && stat(to, &st) == 0 && S_ISDIR(st.st_mode))
        return true;
    errno = error;
    say_errno("mkdir local", to);
    return false;
}

static void settle_folder(const char *to, const struct sftp_attributes *a, bool fresh,
                          const struct copy_how *how) {
    scoped_fd fd = open(to, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return;
    if (how->preserve)
        local_times(fd, a);
    bool lowered = fresh && (a->mode & S_IRWXU) != S_IRWXU;
    if ((a->flags & SFTP_ATTR_MODE) && (how->preserve || lowered) &&
        fchmod(fd, a->mode & 0777) != 0)
        say_errno("local chmod", to);
}

static bool get_folder(struct remote *r, const char *from, const char *to,
                       const struct sftp_attributes *known, const struct copy_how *how,
                       unsigned depth) {
    scoped_listing names = {0};
    struct sftp_attributes a = {0};
    struct stat st;
    if (depth >= COPY_DEPTH_MAX) {
        say("\"%s\": more than %u folders deep", CLEAN(from), COPY_DEPTH_MAX);
        return false;
    }
    if (known != NULL)
        a = *known;
    else if (remote_stat(r, from, true, &a) != SFTP_OK || !copy_is_folder(&a)) {
        say("\"%s\" is not a directory", CLEAN(from));
        return false;
    }
    if (how->doings)
        say_doing("Retrieving %s", CLEAN(from));
    bool fresh = stat(to, &st) != 0;
    if (!make_local(to, a.flags & SFTP_ATTR_MODE ? a.mode & 0777 : 0777))
        return false;
    uint32_t status = remote_list(r, from, &names);
    if (status != SFTP_OK)
        say_status("remote readdir", from, status);
    bool ok = get_names(r, from, to, &names, how, depth) && status == SFTP_OK;
    settle_folder(to, &a, fresh, how);
    return ok && !interrupted() && !r->lost;
}

bool copy_get_folder(struct remote *r, const char *from, const char *to,
                     const struct sftp_attributes *known, const struct copy_how *how) {
    return get_folder(r, from, to, known, how, 0);
}
