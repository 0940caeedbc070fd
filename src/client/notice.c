#include "client/notice.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "client/run.h"
#include "io/clock.h"
#include "io/fd.h"
#include "io/pty.h"

// Within five seconds; a link that is back before is not worth a word.
#define FIRST_MS 4000u
#define AGAIN_MS 1000u
#define SELDOM_MS 10000u
#define SELDOM_AFTER_MS 60000u
// How long it says that the link is back, and for how long the window is a line lower:
// programs are to see both sizes.
#define OVER_MS 1500u
#define REPAINT_MS 250u

void notice_start(struct notice *n, uint64_t since) {
    *n = (struct notice){.due = clock_after(since, FIRST_MS)};
}

// ---- where ----

// Whether a control sequence (ECMA-48) is complete; v begins behind its ESC.
static bool is_complete(struct view v) {
    if (v.n == 0)
        return false;
    if (v.p[0] == '[') {
        for (size_t i = 1; i < v.n; i++)
            if (v.p[i] >= 0x40 && v.p[i] <= 0x7e)
                return true;
        return false;
    }
    // Strings end with BEL, or with an ESC of their own.
    if (memchr("]P_^X", v.p[0], 5) != NULL)
        return memchr(v.p, '\a', v.n) != NULL;
    return v.p[0] >= 0x30 || (v.n > 1 && v.p[v.n - 1] >= 0x30);
}

// Does what a program has shown end within a character of several bytes?
static bool is_amid_character(struct view v) {
    size_t more = 0;
    while (more < v.n && more < 3 && (v.p[v.n - 1 - more] & 0xc0) == 0x80)
        more++;
    if (more == v.n)
        return false;
    uint8_t first = v.p[v.n - 1 - more];
    size_t want = first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : first >= 0xc0 ? 1 : 0;
    return more < want;
}

// A link may be lost in the middle of what a program writes to the terminal.
static bool may_write(const struct session *s) {
    struct view shown = view_of(s->shown, s->shown_n);
    const uint8_t *escape = shown.n > 0 ? memrchr(shown.p, '\033', shown.n) : NULL;
    size_t at = escape != NULL ? (size_t)(escape + 1 - shown.p) : 0;
    return buf_len(&s->out.left) == 0 && buf_len(&s->err.left) == 0 &&
           (escape == NULL || is_complete(view_of(shown.p + at, shown.n - at))) &&
           !is_amid_character(shown);
}

// -1: there is none. A passenger puts its terminal into raw mode itself.
static int terminal_of(const struct session *s) {
    if (s->closed || !(s->own ? s->raw : s->pty && tty_is(s->fds[0])))
        return -1;
    if (tty_is(s->fds[2]))
        return s->fds[2];
    return tty_is(s->fds[1]) ? s->fds[1] : -1;
}

// ---- what ----

// Down and up again: on the last line, that scrolls. The cursor's line stays to be seen.
#define MAKE_ROOM "\033D\033M"

// Saves the cursor, goes to the last line, clears it, writes, and goes back.
static void show_at_the_bottom(int fd, const char *before, const char *text) {
    struct pty_size size;
    char line[512];
    if (pty_get_size(fd, &size) != OK || size.rows == 0)
        size = (struct pty_size){.columns = 80, .rows = 24};
    int width = size.columns > 1 && size.columns < 300 ? (int)size.columns - 1 : 79;
    bool any = *text != 0;
    int n = snprintf(line, sizeof line, "%s\0337\033[%u;1H\033[2K%s%.*s%s\0338", before,
                     size.rows, any ? "\033[7m" : "", width, text, any ? "\033[0m" : "");
    (void)!fd_write_full(fd, view_of(line, (size_t)n));
}

// False: not now, since the program is in the middle of something.
static bool show(struct session *s, int fd, const char *text) {
    if (!may_write(s))
        return false;
    show_at_the_bottom(fd, s->notice.state == NOTICE_NONE ? MAKE_ROOM : "", text);
    s->notice = (struct notice_line){NOTICE_SHOWN, CLOCK_NEVER};
    return true;
}

// On all terminals; *again: when some have to be written to once more, in ms; 0: never.
static void show_all(const struct run *r, uint64_t silent_ms, const char *text,
                     uint32_t *again) {
    *again = 0;
    for (struct session *s = r->sessions; s != NULL; s = s->next) {
        int fd = terminal_of(s);
        if (fd < 0)
            continue;
        bool shown = show(s, fd, text);
        if (*again != AGAIN_MS)
            *again = shown && silent_ms >= SELDOM_AFTER_MS ? SELDOM_MS : AGAIN_MS;
    }
}

void notice_tick(struct notice *n, const struct run *r, uint64_t now, uint64_t since,
                 const char *why) {
    char text[400], host[128];
    uint32_t again;
    if (now < n->due)
        return;
    n->due = CLOCK_NEVER;
    if (r->c->log.level < LOG_LEVEL_INFO)
        return;
    snprintf(text, sizeof text, "[bowline: link to %s silent for %llu s%s%s ...]",
             text_clean(host, sizeof host, view_text(r->c->host)),
             (unsigned long long)((now - since) / 1000), why[0] != 0 ? ", " : "", why);
    show_all(r, now - since, text, &again);
    if (!n->said && (r->own == NULL || terminal_of(r->own) < 0)) {
        log_info(&r->c->log, "%s", text);
        n->said = true;
    }
    n->due = again > 0 ? clock_after(now, again) : CLOCK_NEVER;
}

void notice_end(struct notice *n, const struct run *r, uint64_t now, uint64_t since,
                bool linked) {
    char text[400], host[128];
    unsigned long long seconds = (now - since) / 1000;
    snprintf(text, sizeof text, "[bowline: link to %s silent ... resumed after %llu s]",
             text_clean(host, sizeof host, view_text(r->c->host)), seconds);
    for (struct session *s = r->sessions; s != NULL; s = s->next) {
        int fd = terminal_of(s);
        if (s->notice.state != NOTICE_SHOWN)
            continue;
        if (fd >= 0 && may_write(s))
            show_at_the_bottom(fd, "", linked ? text : "");
        s->notice = linked ? (struct notice_line){NOTICE_OVER, clock_after(now, OVER_MS)}
                           : (struct notice_line){NOTICE_NONE, CLOCK_NEVER};
    }
    if (n->said && linked)
        log_info(&r->c->log, "[bowline: resumed after %llu s]", seconds);
}

// ---- the program's line again ----

enum err notice_make_way(struct session *s) {
    if (s->notice.state != NOTICE_SHOWN && s->notice.state != NOTICE_OVER)
        return OK;
    int fd = terminal_of(s);
    s->notice = (struct notice_line){NOTICE_NONE, CLOCK_NEVER};
    if (fd < 0)
        return OK;
    if (may_write(s))
        show_at_the_bottom(fd, "", "");
    s->notice = (struct notice_line){NOTICE_REPAINT, clock_after(clock_ms(), REPAINT_MS)};
    return session_send_lower(s);
}

uint64_t notice_deadline(const struct session *s) {
    return s->notice.state == NOTICE_NONE ? CLOCK_NEVER : s->notice.due;
}

enum err notice_turn(struct session *s, uint64_t now) {
    if (now < notice_deadline(s))
        return OK;
    if (s->notice.state == NOTICE_OVER)
        return notice_make_way(s);
    s->notice.state = NOTICE_NONE;
    return session_send_size(s);
}
