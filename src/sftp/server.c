#include "sftp/server.h"

#include <stdarg.h>
#include <stdlib.h>

#include "base/text.h"
#include "sftp/server_state.h"

#define OUT_MAX (4u * SFTP_PACKET_MAX)
#define KEPT_MAX 512u  // bytes: the answers to 18 WRITEs
// length, type, id, a handle of ours, offset, length of the data
#define WRITE_HEAD (4u + 1u + 4u + 4u + SFTP_HANDLE_SIZE + 8u + 4u)

// ---- answers ----

struct sftp_answer sftp_answer_begin(struct sftp_server *s, uint8_t type) {
    struct sftp_answer a = {writer_to_buf(&s->out), buf_len(&s->out)};
    write_u32(&a.w, 0);
    write_u8(&a.w, type);
    write_u32(&a.w, s->id);
    return a;
}

void sftp_answer_end(struct sftp_server *s, struct sftp_answer *a) {
    if (a->w.err != OK)
        s->failed = a->w.err;
    else
        store_u32(s->out.p + s->out.start + a->at,
                  (uint32_t)(buf_len(&s->out) - a->at - 4));
}

void sftp_answer_drop(struct sftp_server *s, const struct sftp_answer *a) {
    s->out.end = s->out.start + a->at;
}

void sftp_answer_status(struct sftp_server *s, enum sftp_status status) {
    enum log_level level =
        status == SFTP_OK || status == SFTP_EOF ? LOG_LEVEL_DEBUG1 : LOG_LEVEL_INFO;
    sftp_note(s, level, "sent status %s", sftp_status_text(status));
    struct sftp_answer a = sftp_answer_begin(s, SFTP_STATUS);
    write_u32(&a.w, status);
    write_text(&a.w, sftp_status_text(status));
    write_text(&a.w, "");
    sftp_answer_end(s, &a);
}

void sftp_answer_name(struct sftp_server *s, const char *name) {
    struct sftp_attributes none = {0};
    struct sftp_answer a = sftp_answer_begin(s, SFTP_NAME);
    write_u32(&a.w, 1);
    write_text(&a.w, name);
    write_text(&a.w, name);
    sftp_attributes_write(&a.w, &none);
    sftp_answer_end(s, &a);
}

void sftp_answer_attributes(struct sftp_server *s, const struct sftp_attributes *a) {
    struct sftp_answer answer = sftp_answer_begin(s, SFTP_ATTRS);
    sftp_attributes_write(&answer.w, a);
    sftp_answer_end(s, &answer);
}

void sftp_note_path(const struct sftp_server *s, enum log_level level, const char *what,
                    const char *path) {
    char shown[SFTP_SHOWN];
    if (sftp_notes(s, level))
        sftp_note(s, level, "%s \"%s\"", what,
                  text_clean(shown, sizeof shown, view_text(path)));
}

bool sftp_path(struct sftp_server *s, struct view v, char out[SFTP_PATH_SIZE]) {
    if (text_copy(out, SFTP_PATH_SIZE, v))
        return true;
    sftp_answer_status(s, SFTP_BAD_MESSAGE);
    return false;
}

bool sftp_attributes(struct sftp_server *s, struct view v, struct sftp_attributes *out) {
    struct reader r = reader_of(v);
    sftp_attributes_read(&r, out);
    if (r.err != OK)
        sftp_answer_status(s, SFTP_BAD_MESSAGE);
    return r.err == OK;
}

// ---- requests ----

static bool refused(const struct sftp_server *s, const struct sftp_operation *o) {
    if (s->config.read_only && o->writes) {
        sftp_note(s, LOG_LEVEL_VERBOSE, "Refusing %s request in read-only mode", o->name);
        return true;
    }
    if (s->config.allowed & UINT64_C(1) << o->id)
        return false;
    sftp_note(s, LOG_LEVEL_VERBOSE, "Refusing denylisted %s request", o->name);
    return true;
}

static void answer_version(struct sftp_server *s, uint32_t theirs) {
    sftp_note(s, LOG_LEVEL_VERBOSE, "received client version %u", theirs);
    s->id = SFTP_VERSION;  // stands where other answers have the id
    struct sftp_answer a = sftp_answer_begin(s, SFTP_VERSION_REPLY);
    for (size_t i = 0; i < SFTP_OP_COUNT; i++) {
        const struct sftp_operation *o = sftp_operation((enum sftp_operation_id)i);
        bool withheld = (s->config.allowed & UINT64_C(1) << i) == 0 ||
                        (s->config.read_only && o->writes);
        if (o->extension == NULL || withheld)
            continue;
        write_text(&a.w, o->extension);
        write_text(&a.w, o->version);
    }
    sftp_answer_end(s, &a);
}

static void serve(struct sftp_server *s, const struct sftp_operation *o,
                  struct reader *r) {
    union sftp_request request;
    struct fault fault = {0};
    if (refused(s, o)) {
        sftp_answer_status(s, SFTP_PERMISSION_DENIED);
        return;
    }
    if (fields_decode(&o->of, r, &request, &fault) != OK) {
        sftp_note(s, LOG_LEVEL_INFO, "bad request: %s", fault_text(&fault));
        sftp_answer_status(s, SFTP_BAD_MESSAGE);
        return;
    }
    const sftp_handler *const tables[] = {sftp_file_handlers, sftp_path_handlers,
                                          sftp_extended_handlers};
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++)
        if (tables[i][o->id] != NULL)
            tables[i][o->id](s, &request);
}

static void serve_unknown(struct sftp_server *s, uint8_t type, struct view extension) {
    char shown[128];
    if (type == SFTP_EXTENDED)
        sftp_note(s, LOG_LEVEL_INFO, "Unknown extended request \"%s\"",
                  text_clean(shown, sizeof shown, extension));
    else
        sftp_note(s, LOG_LEVEL_ERROR, "Unknown message %u", type);
    sftp_answer_status(s, SFTP_OP_UNSUPPORTED);
}

// One packet, without its length field.
static enum err packet(struct sftp_server *s, struct view v, struct fault *fault) {
    struct reader r = reader_of(v);
    uint8_t type = read_u8(&r);
    uint32_t id = read_u32(&r);
    if (r.err != OK)
        return fault_set(fault, ERR_SHORT, 0, "sftp: a packet of %zu bytes", v.n);
    if ((type == SFTP_INIT) == s->ready)
        return fault_set(fault, ERR_UNEXPECTED, 0,
                         s->ready ? "sftp: a second INIT" : "sftp: %u before INIT", type);
    if (type == SFTP_INIT) {
        s->ready = true;
        answer_version(s, id);
        return s->failed;
    }
    s->id = id;
    s->counts.requests++;
    struct view extension = type == SFTP_EXTENDED ? read_text(&r) : view_of(NULL, 0);
    const struct sftp_operation *o = sftp_operation_find(type, extension);
    if (o != NULL)
        serve(s, o, &r);
    else
        serve_unknown(s, type, extension);
    return s->failed;
}

// ---- in ----

static enum err check_length(struct view head, uint32_t *length, struct fault *fault) {
    *length = load_u32(head.p);
    if (*length >= 5 && *length <= SFTP_PACKET_MAX)
        return OK;
    return fault_set(fault, ERR_LIMIT, 0, "sftp: bad message of %u bytes (5 to %u)",
                     *length, SFTP_PACKET_MAX);
}

static void write_piece(struct sftp_server *s, struct view data) {
    struct sftp_writing *w = &s->writing;
    if (w->status == SFTP_OK && data.n > 0) {
        struct sftp_handle *h = w->handle;
        w->status = s->vfs->write(s->config.vfs, h->node,
                                  (h->flags & SFTP_OPEN_APPEND) != 0, w->offset, data);
        if (w->status == SFTP_OK) {
            h->written += data.n;
            s->counts.written += data.n;
        }
    }
    w->offset += data.n;
    w->left -= data.n;
    if (w->left == 0) {
        s->id = w->id;
        sftp_answer_status(s, w->status);
    }
}

// Is the head of a WRITE there that is as it should be? Then its data may follow in
// pieces; what is odd is taken whole and refused by the usual way.
static bool begin_write(struct sftp_server *s) {
    struct view v = buf_view(&s->in);
    if (v.n != WRITE_HEAD || v.p[4] != SFTP_WRITE || !s->ready)
        return false;
    struct reader r = reader_of(v);
    uint32_t length = read_u32(&r);
    read_u8(&r);
    uint32_t id = read_u32(&r);
    struct view handle = read_string(&r);
    uint64_t offset = read_u64(&r);
    uint32_t data = read_u32(&r);
    struct sftp_handle *h = sftp_handle_find(s, handle);
    if (r.err != OK || handle.n != SFTP_HANDLE_SIZE || data == 0 ||
        data != length - (WRITE_HEAD - 4) || h == NULL || !sftp_handle_writable(h) ||
        refused(s, sftp_operation(SFTP_OP_WRITE)))
        return false;
    s->counts.requests++;
    s->writing = (struct sftp_writing){
        .id = id, .handle = h, .offset = offset, .left = data, .status = SFTP_OK};
    buf_clear(&s->in);
    return true;
}

// Bytes that the packet in s->in still wants before it is looked at again.
static enum err wanted(struct sftp_server *s, size_t *n, struct fault *fault) {
    struct view v = buf_view(&s->in);
    uint32_t length = 0;
    *n = v.n < 4 ? 4 - v.n : 1;
    if (v.n < 4)
        return OK;
    TRY(check_length(v, &length, fault));
    if (v.n == 4)
        return OK;
    bool head = v.p[4] == SFTP_WRITE && v.n < WRITE_HEAD && length + 4 > WRITE_HEAD;
    *n = (head ? WRITE_HEAD : length + 4) - v.n;
    return OK;
}

// A packet, or what there is of it, that could not be served where it lies.
static enum err collect(struct sftp_server *s, struct view in, size_t *taken,
                        struct fault *fault) {
    size_t n = 0;
    TRY(wanted(s, &n, fault));
    *taken = n < in.n ? n : in.n;
    TRY(buf_append(&s->in, view_of(in.p, *taken)));
    TRY(wanted(s, &n, fault));
    if (buf_len(&s->in) < 5 || begin_write(s) || n > 0)
        return OK;
    struct view v = buf_view(&s->in);
    enum err e = packet(s, view_of(v.p + 4, v.n - 4), fault);
    buf_clear(&s->in);
    return e;
}

static enum err take(struct sftp_server *s, struct view in, size_t *taken,
                     struct fault *fault) {
    uint32_t length = 0;
    if (s->writing.left > 0) {
        *taken = in.n < s->writing.left ? in.n : s->writing.left;
        write_piece(s, view_of(in.p, *taken));
        return s->failed;
    }
    if (buf_len(&s->in) > 0 || in.n < 5)
        return collect(s, in, taken, fault);
    TRY(check_length(in, &length, fault));
    if (in.n < length + 4)
        return collect(s, in, taken, fault);
    *taken = length + 4;
    return packet(s, view_of(in.p + 4, length), fault);
}

// ---- out ----

// Where the next byte of an answer goes.
struct cursor {
    const struct span *v;
    size_t n, at;  // rooms left; bytes used of the first
    size_t left;   // bytes of room in all
};

static struct cursor cursor_of(const struct span *v, size_t n) {
    struct cursor c = {v, n, 0, 0};
    for (size_t i = 0; i < n; i++)
        c.left += v[i].n;
    return c;
}

// The contiguous room that is next, at most n bytes of it; the cursor moves behind it.
static struct span cursor_take(struct cursor *c, size_t n) {
    while (c->n > 0 && c->at == c->v->n) {
        c->v++;
        c->n--;
        c->at = 0;
    }
    if (c->n == 0)
        return (struct span){NULL, 0};
    struct span room = {c->v->p + c->at, c->v->n - c->at};
    if (room.n > n)
        room.n = n;
    c->at += room.n;
    c->left -= room.n;
    return room;
}

static void cursor_put(struct cursor *c, struct view v) {
    struct span room;
    for (size_t n = 0; n < v.n && (room = cursor_take(c, v.n - n)).n > 0; n += room.n)
        memcpy(room.p, v.p + n, room.n);
}

static void cursor_skip(struct cursor *c, size_t n) {
    for (struct span room; n > 0 && (room = cursor_take(c, n)).n > 0;)
        n -= room.n;
}

static void flush(struct sftp_server *s, struct cursor *c) {
    struct view v = buf_view(&s->out);
    size_t n = v.n < c->left ? v.n : c->left;
    if (n == 0)
        return;
    cursor_put(c, view_of(v.p, n));
    buf_taken(&s->out, n);
}

static void data_head(uint8_t head[SFTP_DATA_HEAD], uint32_t id, size_t n) {
    store_u32(head, (uint32_t)n + SFTP_DATA_HEAD - 4);
    head[4] = SFTP_DATA;
    store_u32(head + 5, id);
    store_u32(head + 9, (uint32_t)n);
}

// Pieces of `want` bytes from the cursor on, the rest in s->out (`head` bytes after its
// start). Returns the number of pieces; *kept is what lies in s->out.
static enum err read_pieces(struct sftp_server *s, struct cursor c, size_t want,
                            size_t head, struct span *pieces, size_t *n, size_t *kept) {
    struct span room;
    *n = 0;
    while (want > 0 && *n < SFTP_PIECES_MAX - 1 && (room = cursor_take(&c, want)).n > 0) {
        pieces[(*n)++] = room;
        want -= room.n;
    }
    *kept = want;
    if (want == 0)
        return OK;
    TRY(buf_reserve(&s->out, want + head, &room));
    pieces[(*n)++] = (struct span){room.p + head, want};
    return OK;
}

// READ: the file's bytes go straight into the rooms behind their head. Nothing is in
// s->out.
static enum err answer_read(struct sftp_server *s, struct cursor *c) {
    struct sftp_reading r = s->reading;
    struct span pieces[SFTP_PIECES_MAX];
    uint8_t head[SFTP_DATA_HEAD];
    struct cursor body = *c;
    bool direct = c->left > sizeof head;
    size_t n, kept, got = 0;
    cursor_skip(&body, direct ? sizeof head : body.left);
    TRY(read_pieces(s, body, r.length, direct ? 0 : sizeof head, pieces, &n, &kept));
    enum sftp_status status = r.length == 0 ? SFTP_EOF
                                            : s->vfs->read(s->config.vfs, r.handle->node,
                                                           r.offset, pieces, n, &got);
    s->reading.on = false;
    s->id = r.id;
    if (status != SFTP_OK || got == 0) {
        sftp_answer_status(s, status != SFTP_OK ? status : SFTP_EOF);
        return s->failed;
    }
    r.handle->read += got;
    s->counts.read += got;
    data_head(head, r.id, got);
    if (!direct) {
        memcpy(s->out.p + s->out.end, head, sizeof head);
        buf_added(&s->out, sizeof head + got);
        return OK;
    }
    size_t straight = r.length - kept;
    cursor_put(c, view_of(head, sizeof head));
    cursor_skip(c, got < straight ? got : straight);
    if (got > straight)
        buf_added(&s->out, got - straight);
    return OK;
}

// ---- both ----

// May the READ that waits be answered into what is left of the rooms? A fresh set saves
// the copy of what does not fit into these.
static bool has_room(const struct sftp_server *s, const struct cursor *c, size_t room,
                     bool split) {
    return c->left > 0 && (c->left >= sftp_server_due(s) || (split && c->left == room));
}

static bool keeps(const struct sftp_server *s, const struct sftp_step *step) {
    return step->keeps && !s->reading.on && !s->waits && buf_len(&s->out) < KEPT_MAX;
}

enum err sftp_server_step(struct sftp_server *s, struct sftp_step *step,
                          struct fault *fault) {
    struct cursor c = cursor_of(step->rooms, step->n);
    size_t room = c.left, one;
    enum err e = OK;
    step->taken = 0;
    while (e == OK) {
        if (!keeps(s, step)) {
            flush(s, &c);
            if (buf_len(&s->out) > 0 || s->waits)
                break;
        }
        if (s->reading.on) {
            if (!has_room(s, &c, room, step->split))
                break;
            e = answer_read(s, &c);
        } else if (step->taken == step->in.n) {
            break;
        } else {
            struct view rest =
                view_of(step->in.p + step->taken, step->in.n - step->taken);
            e = take(s, rest, &one, fault);
            step->taken += e == OK ? one : 0;
        }
    }
    step->filled = room - c.left;
    return e == OK ? OK : fault_set(fault, e, 0, "sftp: %s", err_text(e));
}

size_t sftp_server_due(const struct sftp_server *s) {
    return buf_len(&s->out) + (s->reading.on ? SFTP_DATA_HEAD + s->reading.length : 0);
}

bool sftp_server_waits(const struct sftp_server *s) {
    return s->waits;
}

void sftp_server_finish(struct sftp_server *s, enum sftp_status status) {
    if (!s->waits)
        return;
    s->waits = false;
    sftp_answer_status(s, status);
}

struct sftp_server_counts sftp_server_counts(const struct sftp_server *s) {
    return s->counts;
}

// ---- life ----

enum err sftp_server_new(struct sftp_server **out,
                         const struct sftp_server_config *config) {
    struct sftp_server *s = calloc(1, sizeof *s);
    *out = s;
    if (s == NULL)
        return ERR_MEMORY;
    s->config = *config;
    s->vfs = config->vfs->ops;
    buf_init(&s->in, SFTP_PACKET_MAX + 4);
    buf_init(&s->out, OUT_MAX);
    return OK;
}

void sftp_server_free(struct sftp_server *s) {
    if (s == NULL)
        return;
    for (uint32_t i = 0; i < s->handles_n; i++) {
        if (s->handles[i]->used)
            sftp_handle_close(s, s->handles[i], true);
        free(s->handles[i]);
    }
    free(s->handles);
    buf_free(&s->in);
    buf_free(&s->out);
    free(s);
}
