// From here to the server.
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/clock.h"
#include "io/fd.h"
#include "transfer/ahead.h"
#include "transfer/interrupt.h"
#include "transfer/names.h"
#include "transfer/say.h"

struct putting {
    struct remote *r;
    const struct copy_how *how;
    const char *from, *to;
    struct stat st;
    struct sftp_upload u;
    struct meter meter;
    uint32_t sizing;  // ticket of an FSTAT: what was there before; 0: none is open
    uint64_t before;  // bytes
    int fd, error;
    bool interrupted;
};

struct sftp_attributes copy_attributes(const struct stat *st, bool preserve) {
    return (struct sftp_attributes){
        .flags = SFTP_ATTR_MODE | (preserve ? SFTP_ATTR_TIMES : 0),
        .mode = preserve ? st->st_mode & 07777 : st->st_mode & 0777,
        .atime = (uint32_t)st->st_atime,
        .mtime = (uint32_t)st->st_mtime};
}

static bool lost(struct putting *p, enum err e) {
    struct fault fault = {0};
    fault_set(&fault, e, 0, "write %s: %s", CLEAN(p->to), err_text(e));
    return remote_lost(p->r, &fault);
}

static bool fill(struct putting *p) {
    struct span room;
    while (sftp_upload_wants(&p->u, p->r->client)) {
        enum err e =
            sftp_client_write_room(p->r->client, sftp_handle_view(&p->u.handle), &room);
        if (e != OK)
            return lost(p, e);
        ssize_t n = read(p->fd, room.p, room.n);
        if (n < 0 && errno == EINTR)
            return true;
        if (n < 0)
            p->error = errno;
        e = sftp_upload_send(&p->u, p->r->client, n > 0 ? (uint32_t)n : 0, clock_ms());
        if (e != OK)
            return lost(p, e);
    }
    return true;
}

static void take(struct putting *p, const struct sftp_reply *reply) {
    if (reply->kind == SFTP_REPLY_NONE)
        return;
    if (reply->ticket == p->sizing) {
        p->sizing = 0;
        if (reply->kind == SFTP_REPLY_ATTRIBUTES && copy_is_file(&reply->attributes))
            p->before = reply->attributes.size;
    } else if (reply->operation == SFTP_OP_WRITE) {
        sftp_upload_take(&p->u, reply);
    }
    meter_set(&p->meter, p->meter.start + p->u.acknowledged);
}

static bool send(struct putting *p) {
    struct sftp_reply reply;
    while (!sftp_upload_done(&p->u) || p->sizing != 0) {
        if (interrupted()) {
            p->interrupted = true;
            p->u.ended = true;
        }
        if (!fill(p))
            return false;
        if (sftp_upload_done(&p->u) && p->sizing == 0)
            break;  // the end was seen with nothing under way: no answer is to come
        if (!remote_turn(p->r, &reply))
            return false;
        take(p, &reply);
        if (reply.kind == SFTP_REPLY_NONE)
            meter_set(&p->meter, p->meter.done);
    }
    return true;
}

// What comes after the last byte, asked at once: attributes, the old rest, fsync, close.
static bool settle(struct putting *p) {
    static const char *const what[] = {"set attributes of", "fsync", "close remote"};
    union sftp_request handle = {.handle = {sftp_handle_view(&p->u.handle)}};
    struct sftp_attributes a = copy_attributes(&p->st, true);
    uint8_t bytes[64];
    uint32_t tickets[3] = {0};
    bool sent = p->u.status == SFTP_OK && p->error == 0 && !p->interrupted;
    a.flags = p->how->preserve ? a.flags : 0;
    if (p->how->in_place && p->before > p->u.next) {
        a.flags |= SFTP_ATTR_SIZE;
        a.size = p->u.next;
    }
    if (sent && a.flags != 0) {
        struct writer w = writer_to_span((struct span){bytes, sizeof bytes});
        sftp_attributes_write(&w, &a);
        union sftp_request set = {
            .handle_attributes = {sftp_handle_view(&p->u.handle), view_of(bytes, w.n)}};
        tickets[0] = remote_ask(p->r, SFTP_OP_FSETSTAT, &set);
    }
    if (sent && p->how->sync)
        tickets[1] = remote_ask(p->r, SFTP_OP_FSYNC, &handle);
    tickets[2] = remote_ask(p->r, SFTP_OP_CLOSE, &handle);
    for (size_t i = 0; i < 3; i++) {
        // In their order: the one that fails is told by name.
        uint32_t status = remote_wait_all(p->r, &tickets[i], 1);
        if (status != SFTP_OK && !p->r->lost)
            say_status(what[i], p->to, status);
        sent &= status == SFTP_OK;
    }
    return sent;
}

static bool finish(struct putting *p) {
    if (p->u.status != SFTP_OK)
        say_status("write remote", p->to, p->u.status);
    if (p->error != 0) {
        errno = p->error;
        say_errno("read local", p->from);
    }
    return settle(p);
}

static bool open_local(struct putting *p) {
    p->fd = open(p->from, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (p->fd < 0 || fstat(p->fd, &p->st) != 0) {
        say_errno("open local", p->from);
        return false;
    }
    if (S_ISREG(p->st.st_mode) || S_ISCHR(p->st.st_mode) || S_ISFIFO(p->st.st_mode))
        return fd_set_nonblock(p->fd, false) == OK;
    say("local \"%s\" is not a regular file", CLEAN(p->from));
    return false;
}

// Where to go on from, for a resumed upload.
static bool find_offset(struct putting *p, uint64_t *offset) {
    struct sftp_attributes there;
    *offset = 0;
    if (!p->how->resume || remote_stat(p->r, p->to, true, &there) != SFTP_OK ||
        (there.flags & SFTP_ATTR_SIZE) == 0)
        return true;
    if (there.size > (uint64_t)p->st.st_size) {
        say("Unable to resume upload of \"%s\": the remote file is larger",
            CLEAN(p->from));
        return false;
    }
    *offset = there.size;
    return lseek(p->fd, (off_t)there.size, SEEK_SET) >= 0;
}

static void say_putting(const struct copy_how *how, const char *from, const char *to) {
    if (how->doings)
        say_doing("%s %s to %s", how->resume ? "Resuming" : "Uploading", CLEAN(from),
                  CLEAN(to));
}

// It is there: what is left is to say so.
static bool was_put(const char *from, const char *to, uint64_t size,
                    const struct copy_how *how) {
    char name[NAME_PATH];
    struct meter meter;
    if (!path_last(name, from))
        return false;
    say_putting(how, from, to);
    meter_begin(&meter, how->meter, name, 0, size);
    meter_set(&meter, size);
    meter_end(&meter);
    return true;
}

static bool put_opened(struct putting *p, const struct sftp_handle_name *handle,
                       uint64_t offset) {
    char name[NAME_PATH];
    union sftp_request fstat_of = {.handle = {sftp_handle_view(handle)}};
    if (!path_last(name, p->from))
        return false;
    say_putting(p->how, p->from, p->to);
    sftp_upload_begin(&p->u, handle, offset);
    if (p->how->in_place)
        p->sizing = remote_ask(p->r, SFTP_OP_FSTAT, &fstat_of);
    meter_begin(&p->meter, p->how->meter, name, offset, (uint64_t)p->st.st_size);
    p->r->meter = &p->meter;
    bool ok = send(p);
    p->r->meter = NULL;
    meter_end(&p->meter);
    return ok && finish(p);
}

bool copy_put(struct remote *r, const char *from, const char *to,
              const struct copy_how *how) {
    struct putting p = {.r = r, .how = how, .from = from, .to = to, .fd = -1};
    struct sftp_handle_name handle;
    uint64_t offset, size;
    uint32_t flags = SFTP_OPEN_WRITE | SFTP_OPEN_CREATE;
    if (ahead_was_put(r, to, &size))
        return was_put(from, to, size, how);
    bool ok = open_local(&p) && find_offset(&p, &offset);
    if (ok) {
        struct sftp_attributes a = copy_attributes(&p.st, false);
        if (!how->resume && !how->in_place)
            flags |= SFTP_OPEN_TRUNCATE;
        uint32_t status = remote_open_file(r, to, flags, &a, &handle);
        if (status != SFTP_OK && !r->lost)
            say_status("dest open", to, status);
        ok = status == SFTP_OK && put_opened(&p, &handle, offset);
    }
    fd_close(&p.fd);
    return ok;
}

// ---- folders ----

static bool put_folder(struct remote *r, const char *from, const char *to,
                       const struct copy_how *how, unsigned depth);

static bool put_entry(struct remote *r, const char *from, const char *to,
                      const char *name, const struct copy_how *how, unsigned depth) {
    char source[NAME_PATH], target[NAME_PATH];
    struct stat st;
    if (!path_join(source, from, name) || !path_join(target, to, name)) {
        say("\"%s\" in \"%s\": the path is too long", CLEAN(name), CLEAN(from));
        return false;
    }
    if ((how->follow ? stat(source, &st) : lstat(source, &st)) != 0) {
        say_errno("stat local", source);
        return false;
    }
    if (S_ISDIR(st.st_mode))
        return put_folder(r, source, target, how, depth + 1);
    if (S_ISREG(st.st_mode))
        return copy_put(r, source, target, how);
    say("local \"%s\" is not a regular file", CLEAN(source));
    return true;
}

static bool make_remote(struct remote *r, const char *to, uint32_t mode) {
    struct sftp_attributes a;
    // A folder that is there may be written to whether or not another may be made.
    uint32_t status = remote_make_folder(r, to, mode | 0700);
    if (status == SFTP_OK)
        return true;
    if (remote_stat(r, to, true, &a) == SFTP_OK && copy_is_folder(&a))
        return true;
    if (!r->lost)
        say_status("remote mkdir", to, status);
    return false;
}

// As for downloads (copy_get.c).
static size_t ask_ahead(struct remote *r, const char *from, const char *to,
                        const struct words *names, size_t next,
                        const struct copy_how *how) {
    char source[NAME_PATH], target[NAME_PATH];
    struct stat st;
    for (; next < names->n; next++) {
        const char *name = names->list[next];
        if (!path_join(source, from, name) || !path_join(target, to, name) ||
            (how->follow ? stat(source, &st) : lstat(source, &st)) != 0 ||
            !S_ISREG(st.st_mode) || !ahead_put(r, source, target, how))
            break;
    }
    return next;
}

static bool put_names(struct remote *r, const char *from, const char *to,
                      const struct copy_how *how, unsigned depth) {
    scoped_words names = {0};
    enum err e = words_of_folder(&names, from);
    if (e == ERR_IO) {
        say_errno("local opendir", from);
        return false;
    }
    bool ok = e == OK;
    if (!ok)
        say("%s: more files than can be listed", CLEAN(from));
    size_t ahead = 0;
    for (size_t i = 0; i < names.n && !interrupted() && !r->lost; i++) {
        ahead = ask_ahead(r, from, to, &names, ahead > i ? ahead : i, how);
        ok &= put_entry(r, from, to, names.list[i], how, depth);
    }
    ahead_forget(r);
    return ok && !interrupted() && !r->lost;
}

static bool put_folder(struct remote *r, const char *from, const char *to,
                       const struct copy_how *how, unsigned depth) {
    struct stat st;
    if (depth >= COPY_DEPTH_MAX) {
        say("\"%s\": more than %u folders deep", CLEAN(from), COPY_DEPTH_MAX);
        return false;
    }
    if (stat(from, &st) != 0 || !S_ISDIR(st.st_mode)) {
        say("local \"%s\" is not a directory", CLEAN(from));
        return false;
    }
    if (how->doings)
        say_doing("Entering %s", CLEAN(from));
    struct sftp_attributes a = copy_attributes(&st, how->preserve);
    if (!make_remote(r, to, a.mode & 0777))
        return false;
    bool ok = put_names(r, from, to, how, depth);
    bool lowered = (a.mode & 0700) != 0700;
    if (!r->lost && (how->preserve || lowered)) {
        uint32_t status = remote_set(r, to, true, &a);
        if (status != SFTP_OK)
            say_status("remote setstat", to, status);
        ok &= status == SFTP_OK;
    }
    return ok;
}

bool copy_put_folder(struct remote *r, const char *from, const char *to,
                     const struct copy_how *how) {
    return put_folder(r, from, to, how, 0);
}
