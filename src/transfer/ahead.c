#include "transfer/ahead.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/clock.h"
#include "io/fd.h"
#include "transfer/interrupt.h"

// Of the server's handles a quarter may be ours; so many where it does not tell.
#define FILES_UNTOLD 16u
#define HANDLES_SHARE 4u
#define REGULAR 0100000u
#define KIND 0170000u

// Requests of one file; each stands for its ticket, 0 when none is open.
enum step {
    STEP_OPEN,
    STEP_SIZE,  // upload: how long is what stands there already?
    STEP_DATA,
    STEP_END,  // download: is there more than was told?
    STEP_SET,
    STEP_SYNC,
    STEP_CLOSE,
    STEP_COUNT
};

struct job {
    char *path;  // owned; NULL: the place is free
    bool upload, sync;
    bool failed, forgotten;
    uint32_t tickets[STEP_COUNT], open;  // open: how many of them wait
    struct sftp_handle_name handle;
    struct sftp_attributes set;  // what an upload gets in the end
    struct buf data;
    uint32_t size;
};

struct ahead {
    struct job jobs[AHEAD_FILES];
    size_t n, bytes, next;  // next: the place to look at first
};

// ---- places ----

static void job_end(struct ahead *a, struct job *j) {
    a->n--;
    a->bytes -= j->size;
    free(j->path);
    buf_free(&j->data);
    *j = (struct job){0};
}

static size_t files_most(const struct remote *r) {
    uint64_t handles = sftp_client_handles(r->client) / HANDLES_SHARE;
    if (sftp_client_fixed(r->client))
        return 0;
    if (handles == 0)
        return FILES_UNTOLD;
    return handles < AHEAD_FILES ? (size_t)handles : AHEAD_FILES;
}

// NULL: not now.
static struct job *job_new(struct remote *r, const char *path, uint64_t size) {
    if (r->ahead == NULL)
        r->ahead = calloc(1, sizeof *r->ahead);
    struct ahead *a = r->ahead;
    if (a == NULL || r->lost || interrupted() || a->n >= files_most(r) ||
        size > AHEAD_FILE_MAX || size > sftp_client_block(r->client, true) ||
        size > sftp_client_block(r->client, false) || a->bytes + size > AHEAD_BYTES)
        return NULL;
    for (size_t i = 0; i < AHEAD_FILES; i++)
        if (a->jobs[i].path != NULL && strcmp(a->jobs[i].path, path) == 0)
            return NULL;
    while (a->jobs[a->next].path != NULL)
        a->next = (a->next + 1) % AHEAD_FILES;
    struct job *j = &a->jobs[a->next];
    j->path = strdup(path);
    if (j->path == NULL)
        return NULL;
    buf_init(&j->data, AHEAD_FILE_MAX);
    j->size = (uint32_t)size;
    a->bytes += size;
    a->n++;
    return j;
}

// ---- asking ----

static void asked(struct job *j, enum step step, uint32_t ticket) {
    j->tickets[step] = ticket;
    j->open += ticket != 0;
    j->failed = j->failed || ticket == 0;
}

static void ask(struct remote *r, struct job *j, enum step step,
                enum sftp_operation_id op, union sftp_request request) {
    asked(j, step, remote_ask(r, op, &request));
}

static struct view encode(const struct sftp_attributes *a, uint8_t out[64]) {
    struct writer w = writer_to_span((struct span){out, 64});
    sftp_attributes_write(&w, a);
    return view_of(out, w.err == OK ? w.n : 0);
}

static void ask_open(struct remote *r, struct job *j, uint32_t flags,
                     const struct sftp_attributes *a) {
    uint8_t bytes[64];
    ask(r, j, STEP_OPEN, SFTP_OP_OPEN,
        (union sftp_request){.open = {view_text(j->path), flags, encode(a, bytes)}});
}

static void ask_handle(struct remote *r, struct job *j, enum step step,
                       enum sftp_operation_id op) {
    ask(r, j, step, op, (union sftp_request){.handle = {sftp_handle_view(&j->handle)}});
}

static void ask_read(struct remote *r, struct job *j, enum step step, uint64_t offset,
                     uint32_t n) {
    enum err e =
        sftp_client_read(r->client, sftp_handle_view(&j->handle), offset, n, clock_ms());
    asked(j, step, e == OK ? sftp_client_ticket(r->client) : 0);
}

static void ask_write(struct remote *r, struct job *j) {
    struct view handle = sftp_handle_view(&j->handle), data = buf_view(&j->data);
    struct span room;
    enum err e = sftp_client_write_room(r->client, handle, &room);
    if (e == OK) {
        memcpy(room.p, data.p, data.n);
        e = sftp_client_write(r->client, handle, 0, (uint32_t)data.n, clock_ms());
    }
    asked(j, STEP_DATA, e == OK ? sftp_client_ticket(r->client) : 0);
}

// ---- a file's way ----

// What comes after the last byte of an upload.
static void settle(struct remote *r, struct job *j) {
    uint8_t bytes[64];
    if (j->set.flags != 0)
        ask(r, j, STEP_SET, SFTP_OP_FSETSTAT,
            (union sftp_request){.handle_attributes = {sftp_handle_view(&j->handle),
                                                       encode(&j->set, bytes)}});
    if (j->sync)
        ask_handle(r, j, STEP_SYNC, SFTP_OP_FSYNC);
    ask_handle(r, j, STEP_CLOSE, SFTP_OP_CLOSE);
}

static void opened(struct remote *r, struct job *j) {
    if (j->upload && !j->forgotten) {
        // Also of one that was emptied: another name for it may be under way as well.
        ask_handle(r, j, STEP_SIZE, SFTP_OP_FSTAT);
        if (j->size > 0)
            ask_write(r, j);
        return;
    }
    if (!j->upload && !j->forgotten) {
        if (j->size > 0)
            ask_read(r, j, STEP_DATA, 0, j->size);
        ask_read(r, j, STEP_END, j->size, 1);
    }
    ask_handle(r, j, STEP_CLOSE, SFTP_OP_CLOSE);
}

static void take_open(struct remote *r, struct job *j, const struct sftp_reply *reply) {
    if (reply->kind != SFTP_REPLY_HANDLE) {
        j->failed = true;
        return;
    }
    memcpy(j->handle.p, reply->bytes.p, reply->bytes.n);
    j->handle.n = reply->bytes.n;
    opened(r, j);
}

static void take_size(struct remote *r, struct job *j, const struct sftp_reply *reply) {
    if (reply->kind == SFTP_REPLY_ATTRIBUTES && copy_is_file(&reply->attributes) &&
        (reply->attributes.flags & SFTP_ATTR_SIZE) && reply->attributes.size > j->size) {
        j->set.flags |= SFTP_ATTR_SIZE;
        j->set.size = j->size;
    }
    settle(r, j);
}

// True: more of the answer is to come.
static bool take_data(struct job *j, const struct sftp_reply *reply) {
    bool fits = reply->kind == SFTP_REPLY_DATA && reply->offset == buf_len(&j->data) &&
                buf_append(&j->data, reply->bytes) == OK;
    j->failed = j->failed || !fits;
    return reply->kind == SFTP_REPLY_DATA && reply->left > 0;
}

static void take(struct remote *r, struct job *j, enum step step,
                 const struct sftp_reply *reply) {
    bool data = reply->kind == SFTP_REPLY_DATA;
    if (step == STEP_DATA && !j->upload ? take_data(j, reply) : data && reply->left > 0)
        return;
    j->tickets[step] = 0;
    j->open--;
    if (step == STEP_OPEN)
        take_open(r, j, reply);
    else if (step == STEP_SIZE)
        take_size(r, j, reply);
    else if (step == STEP_END)
        j->failed =
            j->failed || reply->kind != SFTP_REPLY_STATUS || reply->status != SFTP_EOF;
    else if (step != STEP_DATA || j->upload)
        j->failed = j->failed || reply->status != SFTP_OK;
}

bool ahead_take(struct remote *r, const struct sftp_reply *reply) {
    struct ahead *a = r->ahead;
    if (a == NULL || a->n == 0 || reply->ticket == 0)
        return false;
    for (size_t i = 0; i < AHEAD_FILES; i++) {
        // Answers come to the oldest as a rule.
        struct job *j = &a->jobs[(a->next + i) % AHEAD_FILES];
        for (size_t step = 0; j->open > 0 && step < STEP_COUNT; step++) {
            if (j->tickets[step] != reply->ticket)
                continue;
            take(r, j, (enum step)step, reply);
            if (j->forgotten && j->open == 0)
                job_end(a, j);
            return true;
        }
    }
    return false;
}

// ---- begin ----

bool ahead_get(struct remote *r, const char *from, const struct sftp_attributes *a,
               const struct copy_how *how) {
    const struct sftp_attributes none = {0};
    if (how->resume || (a->flags & SFTP_ATTR_SIZE) == 0 ||
        (a->flags & SFTP_ATTR_MODE) == 0 || (a->mode & KIND) != REGULAR)
        return false;
    struct job *j = job_new(r, from, a->size);
    if (j == NULL)
        return false;
    ask_open(r, j, SFTP_OPEN_READ, &none);
    return true;
}

size_t ahead_get_matches(struct remote *r, const struct remote_matches *m, size_t next,
                         const struct copy_how *how) {
    while (next < m->n &&
           ahead_get(r, m->list[next].path, &m->list[next].attributes, how))
        next++;
    return next;
}

// All of a small file. False: it is none, or not to be had.
static bool read_local(const char *path, struct stat *st, struct buf *out) {
    scoped_fd fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct span room;
    if (fd < 0 || fstat(fd, st) != 0 || !S_ISREG(st->st_mode) || st->st_size < 0 ||
        st->st_size > (off_t)AHEAD_FILE_MAX ||
        buf_reserve(out, (size_t)st->st_size + 1, &room) != OK)
        return false;
    ssize_t n = read(fd, room.p, (size_t)st->st_size + 1);
    if (n != st->st_size)
        return false;
    buf_added(out, (size_t)n);
    return true;
}

bool ahead_put(struct remote *r, const char *from, const char *to,
               const struct copy_how *how) {
    struct stat st;
    scoped_buf data;
    buf_init(&data, AHEAD_FILE_MAX + 1);
    if (how->resume || !read_local(from, &st, &data))
        return false;
    struct job *j = job_new(r, to, (uint64_t)st.st_size);
    if (j == NULL)
        return false;
    if (buf_append(&j->data, buf_view(&data)) != OK) {
        job_end(r->ahead, j);
        return false;
    }
    struct sftp_attributes fresh = copy_attributes(&st, false);
    j->upload = true;
    j->sync = how->sync;
    if (how->preserve)
        j->set = copy_attributes(&st, true);
    ask_open(r, j,
             SFTP_OPEN_WRITE | SFTP_OPEN_CREATE |
                 (how->in_place ? 0 : SFTP_OPEN_TRUNCATE),
             &fresh);
    return true;
}

// ---- its turn ----

// The finished job; NULL: there is none, or not all went well.
static struct job *finished(struct remote *r, const char *path, bool upload) {
    struct ahead *a = r->ahead;
    struct job *j = NULL;
    struct sftp_reply reply;
    for (size_t i = 0; a != NULL && a->n > 0 && i < AHEAD_FILES && j == NULL; i++) {
        struct job *one = &a->jobs[(a->next + i) % AHEAD_FILES];
        if (one->path != NULL && !one->forgotten && one->upload == upload &&
            strcmp(one->path, path) == 0)
            j = one;
    }
    if (j == NULL)
        return NULL;
    while (j->open > 0)
        if (!remote_turn(r, &reply))
            return NULL;
    if (!j->failed && buf_len(&j->data) == j->size)
        return j;
    job_end(a, j);
    return NULL;
}

bool ahead_got(struct remote *r, const char *path, struct buf *data) {
    struct job *j = finished(r, path, false);
    if (j == NULL)
        return false;
    bool ok = buf_append(data, buf_view(&j->data)) == OK;
    job_end(r->ahead, j);
    return ok;
}

bool ahead_was_put(struct remote *r, const char *path, uint64_t *size) {
    struct job *j = finished(r, path, true);
    if (j == NULL)
        return false;
    *size = j->size;
    job_end(r->ahead, j);
    return true;
}

void ahead_forget(struct remote *r) {
    for (size_t i = 0; r->ahead != NULL && i < AHEAD_FILES; i++) {
        struct job *j = &r->ahead->jobs[i];
        if (j->path == NULL)
            continue;
        j->forgotten = true;
        if (j->open == 0)
            job_end(r->ahead, j);
    }
}

void ahead_free(struct ahead *a) {
    for (size_t i = 0; a != NULL && i < AHEAD_FILES; i++)
        if (a->jobs[i].path != NULL)
            job_end(a, &a->jobs[i]);
    free(a);
}
