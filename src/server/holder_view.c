#include "server/holder_view.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "base/limits.h"
#include "base/text.h"
#include "io/fd.h"
#include "io/unix_socket.h"
#include "server/holder_link.h"
#include "server/holder_status.h"
#include "wire/reader.h"
#include "wire/writer.h"

#define WRITER_WAITS (256u * 1024)  // then the program waits
#define WATCHER_WAITS (2u * 1024 * 1024)

static struct terminal_kept *kept(const struct session *s) {
    return s->kept;
}

static void drop(struct viewer *v) {
    struct session *s = v->session;
    struct viewer **at = &kept(s)->viewers;
    while (*at != v)
        at = &(*at)->next;
    *at = v->next;
    painter_stop(&v->painter);
    loop_unwatch(&s->c.holder->loop, &v->watch);
    fd_close(&v->fd);
    buf_free(&v->out);
    buf_free(&v->first);
    free(v);
    keep_changed(s->c.holder);
}

// ---- out ----

// False: no room now, or the viewer is gone (and freed).
static bool send_piece(struct viewer *v, enum view_number number, struct view bytes,
                       bool *gone) {
    uint8_t first = (uint8_t)number;
    struct view parts[] = {view_of(&first, 1), bytes};
    bool sent = false;
    *gone = unix_send(v->fd, parts, 2, NULL, 0, &sent) != OK;
    return sent;
}

// False: the viewer is gone.
static bool flush_buf(struct viewer *v, struct buf *b, bool *all) {
    bool gone = false;
    while (buf_len(b) > 0) {
        struct view piece = buf_view(b);
        piece.n = piece.n < VIEW_PIECE ? piece.n : VIEW_PIECE;
        if (!send_piece(v, VIEW_OUT, piece, &gone))
            break;
        buf_taken(b, piece.n);
    }
    *all = buf_len(b) == 0;
    if (*all)
        buf_release_if_empty(b);
    return !gone;
}

static bool send_end(struct viewer *v, bool *gone) {
    uint8_t room[256];
    struct writer w = writer_to_span((struct span){room, sizeof room});
    write_u32(&w, v->why);
    write_u32(&w, v->status);
    write_text(&w, v->text);
    return send_piece(v, VIEW_END, view_of(room, w.n), gone);
}

static void flush(struct viewer *v) {
    bool all = false, gone = false;
    if (!v->painted)
        return;
    if (!flush_buf(v, &v->first, &all) || (all && !flush_buf(v, &v->out, &all))) {
        drop(v);
        return;
    }
    bool ended = all && v->over && send_end(v, &gone);
    if (ended || gone)
        drop(v);
    else if (loop_change(&v->session->c.holder->loop, &v->watch,
                         LOOP_IN | (all && !v->over ? 0 : LOOP_OUT)) != OK)
        drop(v);
}

static void end(struct viewer *v, enum view_why why, uint32_t status, const char *text) {
    if (v->over)
        return;
    v->over = true;
    v->why = why;
    v->status = status;
    (void)text_copy(v->text, sizeof v->text, view_text(text));
    if (!v->sized)
        v->painted = true;
}

void view_output(struct session *s, struct view bytes) {
    struct terminal_kept *k = kept(s);
    record_add(&k->record, bytes);
    for (struct viewer *v = k->viewers, *next; v != NULL; v = next) {
        next = v->next;
        if (!v->sized || v->over)
            continue;
        if (v->watches && buf_len(&v->out) > WATCHER_WAITS) {
            buf_clear(&v->out);
            end(v, VIEW_SLOW, 0, "");
        } else if (buf_append(&v->out, bytes) != OK) {
            end(v, VIEW_SLOW, 0, "");
        }
        flush(v);
    }
}

bool view_room(const struct session *s) {
    for (const struct viewer *v = kept(s)->viewers; v != NULL; v = v->next)
        if (!v->watches && !v->over && buf_len(&v->out) > WRITER_WAITS)
            return false;
    return true;
}

bool view_has_writer(const struct session *s) {
    for (const struct viewer *v = kept(s)->viewers; v != NULL; v = v->next)
        if (!v->watches && !v->over)
            return true;
    return false;
}

uint32_t view_count(const struct session *s, bool watching) {
    uint32_t n = 0;
    for (const struct viewer *v = kept(s)->viewers; v != NULL; v = v->next)
        n += v->watches == watching && !v->over;
    return n;
}

// ---- being told ----

static void say_on_channel(struct session *s, struct view bytes) {
    struct holder *h = s->c.holder;
    uint8_t message[CONNECTION_DATA_HEADER + 512];
    holder_flush(h);
    if (!s->c.open || connection_out_pending(h->connection, s->c.channel) ||
        bytes.n > 512 || connection_data_max(h->connection, s->c.channel) < bytes.n)
        return;
    connection_data_header(h->connection, s->c.channel, 0, bytes.n, message);
    memcpy(message + CONNECTION_DATA_HEADER, bytes.p, bytes.n);
    holder_put(h, view_of(message, CONNECTION_DATA_HEADER + bytes.n));
}

// On the last line of the terminal that shows the session.
static void view_notice(struct session *s, const char *text) {
    char line[400];
    int n = snprintf(line, sizeof line,
                     "\x1b"
                     "7\x1b[999;1H\x1b[0;7m\x1b[2K[bowline: %.200s]\x1b[0m\x1b"
                     "8",
                     text);
    struct view v = view_of(line, (size_t)n);
    say_on_channel(s, v);
    for (struct viewer *o = kept(s)->viewers, *next; o != NULL; o = next) {
        next = o->next;
        if (o->watches || o->over || !o->sized)
            continue;
        if (buf_append(&o->out, v) == OK)
            flush(o);
    }
}

// ---- coming ----

static int terminal_of(const struct session *s) {
    return s->streams[STREAM_OUT].fd;
}

static void on_painted(void *arg, struct view painting) {
    struct viewer *v = arg;
    v->painted = true;
    if (buf_append(&v->first, painting) != OK)
        end(v, VIEW_SLOW, 0, "");
    flush(v);
}

static void take_over(struct viewer *v) {
    struct session *s = v->session;
    char words[256];
    snprintf(words, sizeof words, "by %s", v->who);
    for (struct viewer *o = kept(s)->viewers, *next; o != NULL; o = next) {
        next = o->next;
        if (o == v || o->watches || o->over)
            continue;
        end(o, VIEW_TAKEN, 0, words);
        flush(o);
    }
    snprintf(words, sizeof words, "[bowline: session %s was taken up by %s]\r\n",
             kept(s)->name, v->who);
    if (s->c.open && !keep_leave(s, words))
        end(v, VIEW_OVER, 0, "");
}

static void set_size(struct viewer *v) {
    struct session *s = v->session;
    if (v->watches || v->over || terminal_of(s) < 0 || v->size.columns == 0)
        return;
    record_resize(&kept(s)->record, v->size);
    (void)!pty_set_size(terminal_of(s), v->size);
}

static void tell_of(struct viewer *v) {
    struct session *s = v->session;
    struct ipc_event e = {.channel = s->c.channel,
                          .kind = view_text(v->watches ? "watch" : "attach"),
                          .text = view_text(kept(s)->name),
                          .host = view_text(v->who),
                          .status = UINT32_MAX};
    holder_tell(s->c.holder, EVENT_SESSION_VIEWED, &e);
}

// It has said how large it is: it gets what there is to see.
static void begin(struct viewer *v) {
    struct session *s = v->session;
    uint8_t room[128];
    char words[256];
    bool gone = false;
    struct writer w = writer_to_span((struct span){room, sizeof room});
    write_u32(&w, VIEW_VERSION);
    write_text(&w, kept(s)->name);
    v->sized = true;
    tell_of(v);
    if (v->watches) {
        snprintf(words, sizeof words, "%s watches this session", v->who);
        view_notice(s, words);
    } else {
        take_over(v);
    }
    (void)send_piece(v, VIEW_START, view_of(room, w.n), &gone);
    struct pty_size size = v->size;
    struct record_size now = kept(s)->record.sizes[kept(s)->record.sizes_n - 1];
    if (v->watches)
        size = (struct pty_size){now.columns, now.rows, 0, 0};
    bool ended = s->exited && terminal_of(s) < 0;
    if (ended)
        view_program_ended(s);
    if (!record_paint(&kept(s)->record, &v->painter,
                      ended ? SCREEN_LAST : SCREEN_TERMINAL, size, on_painted, v))
        on_painted(v, buf_view(&kept(s)->record.bytes));
    else
        set_size(v);
    keep_changed(s->c.holder);
}

// ---- in ----

static void on_size(struct viewer *v, struct view m) {
    struct reader r = reader_of(m);
    v->size = (struct pty_size){.columns = read_u32(&r), .rows = read_u32(&r)};
    v->size.width_px = read_u32(&r);
    v->size.height_px = read_u32(&r);
    if (reader_end(&r) != OK)
        return;
    if (!v->sized)
        begin(v);
    else
        set_size(v);
}

static void on_viewer(void *arg, uint32_t ready) {
    struct viewer *v = arg;
    struct session *s = v->session;
    uint8_t bytes[VIEW_MESSAGE];
    struct unix_message got;
    if (ready & LOOP_OUT) {
        flush(v);
        return;
    }
    if (unix_recv(v->fd, (struct span){bytes, sizeof bytes}, 0, &got) != OK) {
        drop(v);
        return;
    }
    if (!got.ready || got.n == 0)
        return;
    struct view m = view_of(bytes + 1, got.n - 1);
    if (bytes[0] == VIEW_SIZE)
        on_size(v, m);
    else if (bytes[0] == VIEW_IN && v->sized && !v->watches && !v->over)
        carrier_input(&s->c, m);
    else if (bytes[0] != VIEW_IN)
        drop(v);
}

// Those that do not take their end are not kept for ever.
static bool has_room(const struct session *s) {
    struct viewer *oldest = NULL;
    uint32_t over = 0;
    for (struct viewer *v = kept(s)->viewers; v != NULL; v = v->next)
        if (v->over) {
            oldest = v;  // the newest stands first
            over++;
        }
    if (over >= VIEWERS_MAX)
        drop(oldest);
    return view_count(s, true) + view_count(s, false) < VIEWERS_MAX;
}

static struct session *named(struct holder *h, struct view name) {
    for (struct session *s = h->sessions; s != NULL; s = s->next)
        if (kept(s) != NULL && !kept(s)->collected &&
            (name.n == 0 || view_is(name, kept(s)->name)))
            return s;
    return NULL;
}

void view_add(struct holder *h, const struct ipc_view *m, int fd) {
    struct session *s = named(h, m->name);
    struct viewer *v = s != NULL && has_room(s) ? calloc(1, sizeof *v) : NULL;
    if (v == NULL) {
        fd_close(&fd);
        return;
    }
    *v = (struct viewer){.next = kept(s)->viewers,
                         .session = s,
                         .fd = fd,
                         .watches = (m->flags & VIEW_WATCH) != 0};
    text_clean(v->who, sizeof v->who, m->who);
    buf_init(&v->out, 2 * WATCHER_WAITS);
    buf_init(&v->first, SCREEN_PAINT_MAX + 65536);
    kept(s)->viewers = v;
    if (loop_watch(&h->loop, &v->watch, fd, LOOP_IN, on_viewer, v) != OK)
        drop(v);
}

// ---- the end ----

void view_program_ended(struct session *s) {
    bool told = false;
    uint32_t status = WIFEXITED(s->status)     ? (uint32_t)WEXITSTATUS(s->status)
                      : WIFSIGNALED(s->status) ? 128u + (uint32_t)WTERMSIG(s->status)
                                               : 0;
    char words[64];
    snprintf(words, sizeof words, "with status %u", status);
    for (struct viewer *v = kept(s)->viewers, *next; v != NULL; v = next) {
        next = v->next;
        told = told || (!v->watches && !v->over);
        end(v, VIEW_EXITED, status, words);
        flush(v);
    }
    kept(s)->collected = kept(s)->collected || told;
}

void view_end_all(struct session *s, enum view_why why) {
    if (kept(s) == NULL)
        return;
    while (kept(s)->viewers != NULL) {
        struct viewer *v = kept(s)->viewers;
        bool gone;
        v->why = why;
        (void)send_end(v, &gone);
        drop(v);
    }
}

// The keyboard of the one who types is read as far as the program takes it.
void view_update(struct session *s) {
    bool waits = buf_len(&s->c.waiting) > 0;
    for (struct viewer *v = kept(s)->viewers, *next; v != NULL; v = next) {
        next = v->next;
        uint32_t events = v->watch.events & ~LOOP_IN;
        if (!waits || v->watches || !v->sized)
            events |= LOOP_IN;
        if (loop_change(&s->c.holder->loop, &v->watch, events) != OK)
            drop(v);
    }
}
