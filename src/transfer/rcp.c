#include "transfer/rcp.h"

#include <fnmatch.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>

#include "io/fd.h"
#include "transfer/interrupt.h"
#include "transfer/say.h"

#define ROOM (256u * 1024u)
#define ALTERNATIVES_MAX 1000u

void rcp_init(struct rcp *r, int in, int out) {
    *r = (struct rcp){.in = in, .out = out};
    buf_init(&r->input, ROOM);
}

void rcp_free(struct rcp *r) {
    buf_free(&r->input);
}

static bool lost(struct rcp *r) {
    if (!r->lost && !r->far)
        say("Connection closed");
    r->lost = true;
    r->errors++;
    return false;
}

bool rcp_send(struct rcp *r, struct view v) {
    if (r->lost)
        return false;
    return fd_write_full(r->out, v) == OK || lost(r);
}

static bool fill(struct rcp *r) {
    struct span room;
    size_t n = 0;
    if (r->lost || interrupted() || buf_reserve(&r->input, ROOM, &room) != OK)
        return lost(r);
    while (n == 0) {
        struct pollfd p = {r->in, POLLIN, 0};
        if (fd_read_some(r->in, room, &n) != OK)
            return lost(r);
        if (n == 0 && poll(&p, 1, -1) < 0 && interrupted())
            return lost(r);
    }
    buf_added(&r->input, n);
    if (r->throttle != NULL)
        throttle_passed(r->throttle, n);
    return true;
}

struct view rcp_some(struct rcp *r, size_t most) {
    if (buf_len(&r->input) == 0 && !fill(r))
        return view_of(NULL, 0);
    struct view v = buf_view(&r->input);
    v.n = v.n < most ? v.n : most;
    buf_taken(&r->input, v.n);
    return v;
}

// False: the peer has gone.
static bool rcp_byte(struct rcp *r, char *c) {
    struct view v = rcp_some(r, 1);
    *c = v.n > 0 ? (char)*v.p : '\0';
    return v.n > 0;
}

bool rcp_line(struct rcp *r, char out[RCP_LINE]) {
    for (size_t n = 0; n < RCP_LINE; n++) {
        if (!rcp_byte(r, &out[n]))
            return false;
        if (out[n] != '\n')
            continue;
        out[n] = '\0';
        return true;
    }
    say("the other end sent a line of more than %u bytes", RCP_LINE);
    return lost(r);
}

bool rcp_answer(struct rcp *r) {
    char code, text[RCP_LINE];
    if (!rcp_byte(r, &code))
        return false;
    if (code == '\0')
        return true;
    if (!rcp_line(r, text))
        return false;
    if (code != 1 && code != 2) {
        say("the other end answered \"%s\" where 0, 1 or 2 was due: does its shell print "
            "text at login?",
            CLEAN(text));
        return lost(r);
    }
    if (!r->far)
        fprintf(stderr, "%s\n", CLEAN(text));
    r->errors++;
    r->lost |= code == 2;
    return false;
}

void rcp_fail(struct rcp *r, const char *format, ...) {
    char text[RCP_LINE], line[RCP_LINE + 16];
    va_list ap;
    va_start(ap, format);
    vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    r->errors++;
    if (!r->far)
        say("%s", text);
    int n = snprintf(line, sizeof line, "\001scp: %.1500s\n", text);
    (void)rcp_send(r, view_of(line, (size_t)n));
}

bool rcp_begin(struct rcp *r) {
    return rcp_answer(r);
}

// ---- names ----

// The first {…} that is not within another: its ends. False: there is none.
static bool find_braces(const char *p, size_t *open, size_t *close) {
    unsigned depth = 0;
    for (size_t i = 0; p[i] != '\0'; i++) {
        if (p[i] == '\\' && p[i + 1] != '\0') {
            i++;
        } else if (p[i] == '{') {
            if (depth++ == 0)
                *open = i;
        } else if (p[i] == '}' && depth > 0 && --depth == 0) {
            *close = i;
            return *close > *open + 1;
        }
    }
    return false;
}

// End of the alternative that begins at `at`.
static size_t alternative_end(const char *p, size_t at, size_t close) {
    unsigned depth = 0;
    for (; at < close; at++) {
        if (p[at] == '\\' && at + 1 < close)
            at++;
        else if (p[at] == '{')
            depth++;
        else if (p[at] == '}')
            depth--;
        else if (p[at] == ',' && depth == 0)
            break;
    }
    return at;
}

static bool fits(const char *asked, const char *name, unsigned *budget);

static bool fits_one(const char *asked, const char *name) {
    const char *slash = strrchr(asked, '/');
    const char *last = slash != NULL ? slash + 1 : asked;
    return strcmp(last, name) == 0 || fnmatch(last, name, 0) == 0;
}

static bool fits(const char *asked, const char *name, unsigned *budget) {
    size_t open = 0, close = 0;
    char one[NAME_PATH];
    if (*budget == 0)
        return false;
    (*budget)--;
    if (!find_braces(asked, &open, &close))
        return fits_one(asked, name);
    for (size_t at = open + 1; at <= close;) {
        size_t end = alternative_end(asked, at, close);
        int n = snprintf(one, sizeof one, "%.*s%.*s%s", (int)open, asked, (int)(end - at),
                         asked + at, asked + close + 1);
        if (n >= 0 && (size_t)n < sizeof one && fits(one, name, budget))
            return true;
        at = end + 1;
    }
    return false;
}

bool rcp_name_fits(const char *asked, const char *name) {
    unsigned budget = ALTERNATIVES_MAX;
    return fits(asked, name, &budget);
}
