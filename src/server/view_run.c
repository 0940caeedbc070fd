// The viewer's side: a terminal on one hand, a session's socket on the other.
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "base/text.h"
#include "io/fd.h"
#include "io/pty.h"
#include "io/unix_socket.h"
#include "server/view.h"
#include "terminal/modes.h"
#include "wire/reader.h"
#include "wire/writer.h"

#define LOST 255  // the exit status where the session's own is not known

struct viewing {
    int fd;
    bool watch, keys, over;
    bool line_start, pending;  // of the escape
    bool told;                 // why it is over
    int status;
    char name[VIEW_NAME];
    struct terminal_modes modes;  // that the program has set on this terminal
};

// Ours are blocked but while we wait, so that none comes in between.
static sigset_t others;
static volatile sig_atomic_t resized, ended, asked;  // asked: to leave, by SIGTERM

static void on_signal(int number) {
    if (number == SIGWINCH)
        resized = 1;
    else if (number == SIGTERM)
        asked = 1;
    else
        ended = 1;
}

bool view_name_is_good(struct view name) {
    for (size_t i = 0; i < name.n; i++) {
        uint8_t c = name.p[i];
        bool letter = (c | 32) >= 'a' && (c | 32) <= 'z';
        if (!letter &&
            (i == 0 || !((c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-')))
            return false;
    }
    return name.n > 0 && name.n <= 32;
}

// ---- to the holder ----

static void say(struct viewing *v, enum view_number number, struct view bytes) {
    uint8_t first = (uint8_t)number;
    struct view parts[] = {view_of(&first, 1), bytes};
    bool sent = false;
    while (!sent && !v->over) {
        struct pollfd p = {v->fd, POLLOUT, 0};
        if (unix_send(v->fd, parts, 2, NULL, 0, &sent) != OK)
            return;  // its last words are still to be read
        if (!sent && ppoll(&p, 1, NULL, &others) < 0 && ended)
            return;
    }
}

static void say_size(struct viewing *v) {
    struct pty_size size = {0};
    uint8_t room[16];
    resized = 0;
    if (pty_get_size(STDIN_FILENO, &size) != OK)
        size = (struct pty_size){80, 24, 0, 0};
    store_u32(room, size.columns);
    store_u32(room + 4, size.rows);
    store_u32(room + 8, size.width_px);
    store_u32(room + 12, size.height_px);
    say(v, VIEW_SIZE, view_of(room, sizeof room));
}

// ---- the keyboard ----

// Takes out what is an escape; true: the session is left.
static bool filter(struct viewing *v, uint8_t *bytes, size_t *n) {
    uint8_t out[2 * 1024];
    size_t used = 0;
    for (size_t i = 0; i < *n; i++) {
        uint8_t c = bytes[i];
        if (v->pending) {
            v->pending = false;
            if (c == 'd')
                return true;
            if (c != '~')
                out[used++] = '~';
        } else if (v->line_start && c == '~') {
            v->pending = true;
            continue;
        }
        v->line_start = c == '\r' || c == '\n';
        out[used++] = c;
    }
    memcpy(bytes, out, used);
    *n = used;
    return false;
}

static void take_keys(struct viewing *v) {
    uint8_t bytes[2 * 1024];
    ssize_t got = read(STDIN_FILENO, bytes, sizeof bytes / 2);
    size_t n = got > 0 ? (size_t)got : 0;
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) {
        v->over = true;
        return;
    }
    bool quit = v->watch && n > 0 && (memchr(bytes, 'q', n) || memchr(bytes, 3, n));
    if (quit || (v->keys && filter(v, bytes, &n))) {
        v->over = true;
        v->status = 0;
    } else if (n > 0 && !v->watch) {
        say(v, VIEW_IN, view_of(bytes, n));
    }
}

// ---- from the holder ----

// What the program had set is undone: a shell is to go on here.
static void give_back(struct viewing *v) {
    scoped_buf out = {.max = 2048};
    if (v->name[0] != '\0' && terminal_modes_leave(&v->modes, &out) == OK)
        (void)!fd_write_full(STDOUT_FILENO, buf_view(&out));
    tty_raw_leave();
}

// The other end is gone without a word.
static void tell_gone(const struct viewing *v) {
    if (v->name[0] == '\0')
        fprintf(stderr, "\r\n[bowline: that session cannot be shown: it has just ended, "
                        "or too many look at it]\r\n");
    else
        fprintf(stderr, "\r\n[bowline: session %s is gone: its process has ended]\r\n",
                v->name);
}

static void on_end(struct viewing *v, struct view fields) {
    static const char *const words[VIEW_WHYS] = {
        [VIEW_EXITED] = "ended",
        [VIEW_TAKEN] = "was taken up elsewhere",
        [VIEW_OVER] = "was ended by the server",
        [VIEW_SLOW] = "is too fast to be watched from here",
    };
    struct reader r = reader_of(fields);
    uint32_t why = read_u32(&r), status = read_u32(&r);
    struct view text = read_string(&r);
    char clean[256];
    v->over = true;
    if (reader_end(&r) != OK || why >= VIEW_WHYS)
        return;
    v->status = why == VIEW_EXITED ? (int)(status & 255) : LOST;
    v->told = true;
    give_back(v);
    fprintf(stderr, "\r\n[bowline: session %s %s%s%s]\r\n", v->name, words[why],
            text.n > 0 ? " " : "", text_clean(clean, sizeof clean, text));
}

static void take(struct viewing *v, struct view m) {
    struct reader r = reader_of(view_of(m.p + 1, m.n - 1));
    if (m.p[0] == VIEW_OUT) {
        terminal_modes_feed(&v->modes, view_of(m.p + 1, m.n - 1));
        if (fd_write_full(STDOUT_FILENO, view_of(m.p + 1, m.n - 1)) != OK)
            v->over = v->told = true;
    } else if (m.p[0] == VIEW_END) {
        on_end(v, view_of(m.p + 1, m.n - 1));
    } else if (m.p[0] == VIEW_START && read_u32(&r) == VIEW_VERSION) {
        text_clean(v->name, sizeof v->name, read_string(&r));
    } else {
        fprintf(stderr, "bowline: the server speaks another version of views\r\n");
        v->over = true;
    }
}

static void take_messages(struct viewing *v) {
    static uint8_t bytes[VIEW_MESSAGE];
    for (int i = 0; i < 16 && !v->over; i++) {
        struct unix_message got;
        if (unix_recv(v->fd, (struct span){bytes, sizeof bytes}, 0, &got) != OK) {
            v->over = true;
            return;
        }
        if (!got.ready)
            return;
        if (got.n > 0)
            take(v, view_of(bytes, got.n));
    }
}

// ---- the loop ----

// What was typed before is still the session's.
static void leave(struct viewing *v) {
    struct pollfd p = {STDIN_FILENO, POLLIN, 0};
    while (!v->over && !ended && poll(&p, 1, 0) > 0 && (p.revents & POLLIN))
        take_keys(v);
    v->over = true;
    v->status = 0;
}

static void wait_for_something(struct viewing *v) {
    struct pollfd p[] = {{v->fd, POLLIN, 0}, {STDIN_FILENO, POLLIN, 0}};
    int n = ppoll(p, 2, NULL, &others);
    if (ended)
        v->over = v->told = true;
    else if (asked)
        leave(v);
    else if (resized)
        say_size(v);
    if (n <= 0 || v->over || asked)
        return;
    if (p[0].revents != 0)
        take_messages(v);
    if (p[1].revents != 0 && !v->over)
        take_keys(v);
}

static void set_signals(void) {
    struct sigaction a = {.sa_handler = on_signal};
    const int numbers[] = {SIGWINCH, SIGHUP, SIGTERM};
    sigset_t ours;
    sigemptyset(&ours);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        (void)!sigaction(numbers[i], &a, NULL);
        sigaddset(&ours, numbers[i]);
    }
    (void)!sigprocmask(SIG_BLOCK, &ours, &others);
}

int view_run(int fd, bool watch, bool keys) {
    struct viewing v = {.fd = fd,
                        .watch = watch,
                        .keys = keys && !watch,
                        .line_start = true,
                        .status = LOST};
    terminal_modes_init(&v.modes);
    set_signals();
    if (tty_is(STDIN_FILENO) && tty_raw_enter(STDIN_FILENO) == OK)
        tty_raw_guard();
    say_size(&v);
    while (!v.over)
        wait_for_something(&v);
    if (!v.told)
        give_back(&v);
    fd_close(&fd);
    if (v.status == LOST && !v.told)
        tell_gone(&v);
    else if (!v.told && (watch || keys))
        fprintf(stderr, "\r\n[bowline: %s session %s]\r\n",
                watch ? "no longer watching" : "left", v.name);
    return v.status;
}
