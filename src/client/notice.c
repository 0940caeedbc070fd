#include "client/notice.h"

#include <stdio.h>
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

// -1: there is none, or it shows what a program writes at this moment.
static int terminal_of(const struct run *r) {
    const struct session *s = r->own;
    if (s == NULL || !s->raw || s->closed)
        return -1;
    if (tty_is(s->fds[2]))
        return s->fds[2];
    return tty_is(s->fds[1]) ? s->fds[1] : -1;
}

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
    if (!n->shown)
        return;
    n->shown = false;
    if (n->on_terminal && terminal >= 0)
        show_at_the_bottom(terminal, "");
    else if (resumed)
        log_info(&r->c->log, "[bowline: resumed after %llu s]",
                 (unsigned long long)((now - since) / 1000));
}
