#include "server/terminal_record.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/secret.h"
#include "io/fd.h"
#include "io/sandbox.h"
#include "server/screen_library.h"

#define PAINT_SECONDS 10u
#define PLAIN_LINES (SCREEN_LINES + SCREEN_ROWS_MAX)  // all that a screen can show
#define TAIL (64u * 1024)  // of a record that nobody could paint
#define COMPLETE 1         // the last byte of a painting that is whole

// ---- the process that paints ----

static bool feed(struct screen *s, const struct terminal_record *r) {
    struct view v = buf_view(&r->bytes);
    size_t at = 0;
    for (size_t i = 0; i <= r->sizes_n; i++) {
        size_t to = i < r->sizes_n && r->sizes[i].at < v.n ? r->sizes[i].at : v.n;
        if (to > at && screen_feed(s, view_of(v.p + at, to - at)) != OK)
            return false;
        at = to > at ? to : at;
        if (i < r->sizes_n)
            screen_resize(s, r->sizes[i].rows, r->sizes[i].columns);
    }
    return true;
}

static bool paint(const struct terminal_record *r, enum screen_paint how,
                  struct pty_size size, struct buf *out) {
    struct screen_library library;
    struct screen *s;
    struct fault fault = {0};
    static const uint8_t complete = COMPLETE;
    if (screen_library_load(&library, &fault) != OK ||
        sandbox_enter(&sandbox_painter, NULL, &(struct sandbox_report){0}, &fault) !=
            OK ||
        screen_new(&s, &library, r->sizes[0].rows, r->sizes[0].columns) != OK ||
        !feed(s, r))
        return false;
    screen_resize(s, size.rows, size.columns);
    return screen_paint(s, how, out) == OK &&
           buf_append(out, view_of(&complete, 1)) == OK;
}

_Noreturn static void paint_child(const struct terminal_record *r, enum screen_paint how,
                                  struct pty_size size, int fd) {
    struct buf out = {.max = SCREEN_PAINT_MAX};
    const struct rlimit time = {PAINT_SECONDS, PAINT_SECONDS};
    process_reset_signals();
    alarm(3 * PAINT_SECONDS);
    (void)!setrlimit(RLIMIT_CPU, &time);
    fd_close_all_but(&fd, 1);
    _exit(paint(r, how, size, &out) && fd_write_full(fd, buf_view(&out)) == OK ? 0 : 1);
}

// ---- what it says ----

void painter_stop(struct painter *p) {
    int status;
    if (p->loop == NULL)
        return;
    struct process process = {p->exit.pid, p->exit.pidfd};
    if (p->exit.loop != NULL && process_signal(&process, SIGKILL) == OK &&
        waitpid(p->exit.pid, &status, 0) < 0)
        status = 0;
    loop_unchild(p->loop, &p->exit);
    loop_unwatch(p->loop, &p->watch);
    fd_close(&p->fd);
    buf_free(&p->out);
    p->loop = NULL;
}

// False: nothing more for now.
static bool read_output(struct painter *p) {
    struct span room;
    if (p->fd < 0 || buf_reserve(&p->out, 65536, &room) != OK)
        return false;
    ssize_t n = read(p->fd, room.p, room.n);
    if (n > 0)
        buf_added(&p->out, (size_t)n);
    else if (n == 0)
        loop_unwatch(p->loop, &p->watch);
    return n > 0;
}

static void on_output(void *arg, uint32_t ready) {
    (void)ready;
    (void)read_output(arg);
}

// What can be shown without a painting.
static void unpainted(struct painter *p) {
    const struct terminal_record *r = p->record;
    struct view v = buf_view(&r->bytes);
    if (p->how == SCREEN_STATE) {
        p->fn(p->arg, view_of(NULL, 0));
        return;
    }
    size_t n = v.n < TAIL ? v.n : TAIL;
    scoped_buf out = {.max = 2 * TAIL};
    enum err e = buf_append(&out, view_of(v.p + v.n - n, n));
    if (e == OK)
        e = terminal_modes_restore(&r->modes, &out);
    p->fn(p->arg, e == OK ? buf_view(&out) : view_of(NULL, 0));
}

static void on_exit_of(void *arg, int status) {
    struct painter *p = arg;
    while (read_output(p)) {
    }
    struct buf out = p->out;
    struct view v = buf_view(&out);
    bool good = status == 0 && v.n > 0 && v.p[v.n - 1] == COMPLETE;
    p->out = (struct buf){0};
    painter_stop(p);
    if (good)
        p->fn(p->arg, view_of(v.p, v.n - 1));
    else
        unpainted(p);
    buf_free(&out);
}

static bool start(struct terminal_record *r, struct painter *p, enum screen_paint how,
                  struct pty_size size) {
    int ends[2];
    struct process process;
    if (pipe2(ends, O_CLOEXEC) != 0)
        return false;
    if (process_fork(&process) != OK) {
        fd_close(&ends[0]);
        fd_close(&ends[1]);
        return false;
    }
    if (process.pid == 0)
        paint_child(r, how, size, ends[1]);
    fd_close(&ends[1]);
    p->loop = r->loop;
    p->fd = ends[0];
    buf_init(&p->out, SCREEN_PAINT_MAX + 65536);
    if (fd_set_nonblock(p->fd, true) == OK &&
        loop_child(r->loop, &p->exit, process.pid, process.pidfd, on_exit_of, p) == OK &&
        loop_watch(r->loop, &p->watch, p->fd, LOOP_IN, on_output, p) == OK)
        return true;
    painter_stop(p);
    return false;
}

bool record_paint(struct terminal_record *r, struct painter *p, enum screen_paint how,
                  struct pty_size size, void (*fn)(void *arg, struct view painting),
                  void *arg) {
    p->fn = fn;
    p->arg = arg;
    p->record = r;
    p->how = how;
    return start(r, p, how, size);
}

// ---- the record ----

void record_init(struct terminal_record *r, struct loop *loop, struct pty_size size) {
    *r = (struct terminal_record){.loop = loop, .least = RECORD_BYTES};
    buf_init(&r->bytes, RECORD_MAX + RECORD_BYTES);
    terminal_modes_init(&r->modes);
    r->sizes[r->sizes_n++] = (struct record_size){0, size.rows, size.columns};
}

void record_free(struct terminal_record *r) {
    painter_stop(&r->smaller);
    if (r->bytes.p != NULL)
        secret_wipe(r->bytes.p, r->bytes.room);
    buf_free(&r->bytes);
}

void record_resize(struct terminal_record *r, struct pty_size size) {
    if (r->sizes_n == RECORD_SIZES) {
        memmove(&r->sizes[1], &r->sizes[2], (RECORD_SIZES - 2) * sizeof r->sizes[0]);
        r->sizes_n--;
    }
    r->sizes[r->sizes_n++] =
        (struct record_size){buf_len(&r->bytes), size.rows, size.columns};
}

// The first n bytes go; what they are replaced by stands at the front.
static void replace(struct terminal_record *r, size_t n, struct view by) {
    struct buf fresh;
    buf_init(&fresh, r->bytes.max);
    struct view rest = buf_view(&r->bytes);
    rest = view_of(rest.p + n, rest.n - n);
    if (by.n + rest.n > r->bytes.max || buf_append(&fresh, by) != OK ||
        buf_append(&fresh, rest) != OK) {
        buf_free(&fresh);
        buf_taken(&r->bytes, n);
        by.n = 0;
    } else {
        secret_wipe(r->bytes.p, r->bytes.room);
        buf_free(&r->bytes);
        r->bytes = fresh;
    }
    size_t kept = 0;
    struct record_size first = r->sizes[0];
    for (size_t i = 0; i < r->sizes_n; i++) {
        if (r->sizes[i].at <= n) {
            first = r->sizes[i];
            continue;
        }
        r->sizes[++kept] = r->sizes[i];
        r->sizes[kept].at = r->sizes[kept].at - n + by.n;
    }
    first.at = 0;
    r->sizes[0] = first;
    r->sizes_n = kept + 1;
}

static void set_least(struct terminal_record *r) {
    size_t twice = 2 * buf_len(&r->bytes);
    r->least = twice > RECORD_BYTES ? twice : RECORD_BYTES;
}

static void on_smaller(void *arg, struct view painting) {
    struct terminal_record *r = arg;
    if (painting.n > 0 && r->painted <= buf_len(&r->bytes))
        replace(r, r->painted, painting);
    set_least(r);
}

// The first n bytes go. Their modes still hold: those that are set now, as nothing else
// is known, or as the rest has none.
static void cut(struct terminal_record *r, size_t n) {
    scoped_buf modes = {.max = 4096};
    painter_stop(&r->smaller);
    if (terminal_modes_restore(&r->modes, &modes) != OK)
        buf_clear(&modes);
    replace(r, n, buf_view(&modes));
}

static void cut_half(struct terminal_record *r) {
    cut(r, buf_len(&r->bytes) / 2);
}

// Where as many lines begin as are ever shown; 0: there are fewer.
static size_t lines_start(struct view v) {
    size_t n = v.n;
    for (size_t lines = 0; lines <= PLAIN_LINES; lines++) {
        const uint8_t *at = n > 0 ? memrchr(v.p, '\n', n) : NULL;
        if (at == NULL)
            return 0;
        n = (size_t)(at - v.p);
    }
    return n + 1;
}

// Plain text needs no painting: nothing can be seen of what comes before so much of it.
// Where its lines are so long that there are fewer, they are all kept up to RECORD_MAX.
static bool cut_lines(struct terminal_record *r) {
    struct view v = buf_view(&r->bytes);
    size_t n = lines_start(v), from = n > 0 ? n : v.n / 2;
    if (terminal_modes_alternate(&r->modes) ||
        !terminal_is_plain(view_of(v.p + from, v.n - from), 2 * SCREEN_ROWS_MAX))
        return false;
    if (n > v.n / 4) {
        cut(r, n);
        set_least(r);
    } else {
        r->least = v.n + RECORD_BYTES;
    }
    return true;
}

static void make_smaller(struct terminal_record *r) {
    struct view v = buf_view(&r->bytes);
    struct record_size last = r->sizes[r->sizes_n - 1];
    struct pty_size size = {last.columns, last.rows, 0, 0};
    if (v.n >= RECORD_MAX) {
        cut_half(r);
        return;
    }
    if (r->smaller.loop != NULL || v.n < r->least || cut_lines(r))
        return;
    r->painted = v.n;
    r->least = v.n + RECORD_BYTES;
    if (!record_paint(r, &r->smaller, SCREEN_STATE, size, on_smaller, r))
        r->smaller.loop = NULL;
}

void record_add(struct terminal_record *r, struct view bytes) {
    terminal_modes_feed(&r->modes, bytes);
    if (buf_append(&r->bytes, bytes) != OK) {
        cut_half(r);
        if (buf_append(&r->bytes, bytes) != OK)
            buf_clear(&r->bytes);  // no memory: what follows is what there is
    }
    if (buf_len(&r->bytes) >= RECORD_BYTES)
        make_smaller(r);
}
