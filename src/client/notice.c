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

// -1: there is none.
static int terminal_of(const struct run *r) {
    const struct session *s = r->own;
    if (s == NULL || !s->raw || s->closed)
        return -1;
    if (tty_is(s->fds[2]))
        return s->fds[2];
    return tty_is(s->fds[1]) ? s->fds[1] : -1;
}

// ---- what ----

// Saves the cursor, goes to the last line, clears it, writes, and goes back.
static void show_at_the_bottom(int fd, const char *text) {
    struct pty_size size;
    char line[512];
    if (pty_get_size(fd, &size) != OK || size.rows == 0)
        size = (struct pty_size){.columns = 80, .rows = 24};
    int width = size.columns > 1 && size.columns < 300 ? (int)size.columns - 1 : 79;
    int n = snprintf(line, sizeof line, "\0337\033[%u;1H\033[2K\033[7m%.*s\033[0m\0338",
                     size.rows, width, text);
    if (*text == 0)
        n = snprintf(line, sizeof line, "\0337\033[%u;1H\033[2K\0338", size.rows);
    (void)!fd_write_full(fd, view_of(line, (size_t)n));
}

void notice_tick(struct notice *n, const struct run *r, uint64_t now, uint64_t since,
                 const char *why) {
    char text[400], host[128];
    int terminal = terminal_of(r);
    if (now < n->due)
        return;
    n->due = CLOCK_NEVER;
    if (r->c->log.level < LOG_LEVEL_INFO || (n->shown && terminal < 0))
        return;
    if (terminal >= 0 && !may_write(r->own)) {
        n->due = clock_after(now, AGAIN_MS);
        return;
    }
    snprintf(text, sizeof text, "[bowline: link to %s silent for %llu s%s%s ...]",
             text_clean(host, sizeof host, view_text(r->c->host)),
             (unsigned long long)((now - since) / 1000), why[0] != 0 ? ", " : "", why);
    n->shown = true;
    n->on_terminal = terminal >= 0;
    if (terminal < 0) {
        log_info(&r->c->log, "%s", text);
        return;
    }
    show_at_the_bottom(terminal, text);
    n->due = clock_after(now, now - since < SELDOM_AFTER_MS ? AGAIN_MS : SELDOM_MS);
}

void notice_end(struct notice *n, const struct run *r, uint64_t now, uint64_t since,
                bool resumed) {
    int terminal = terminal_of(r);
    if (!n->shown || (n->on_terminal && terminal >= 0 && !may_write(r->own)))
        return;
    n->shown = false;
    if (n->on_terminal && terminal >= 0)
        show_at_the_bottom(terminal, "");
    else if (resumed)
        log_info(&r->c->log, "[bowline: resumed after %llu s]",
                 (unsigned long long)((now - since) / 1000));
}
