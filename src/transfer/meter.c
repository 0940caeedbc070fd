#include "transfer/meter.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "io/clock.h"
#include "io/pty.h"

#define PERIOD_MS 1000u
#define NAME_LEAST 10
#define FIGURES 38  // columns behind the name
#define LINE_MAX_COLUMNS 400
#define FIGURE 32  // bytes of one number as text

static int columns(void) {
    struct pty_size size = {0};
    if (pty_get_size(STDOUT_FILENO, &size) != OK || size.columns < 40)
        return 80;
    return size.columns < LINE_MAX_COLUMNS ? (int)size.columns : LINE_MAX_COLUMNS;
}

// " 12MB", " 345KB": at most 4 digits.
static void format_size(char out[FIGURE], double bytes) {
    static const char units[][3] = {"B ", "KB", "MB", "GB", "TB", "PB"};
    size_t i = 0;
    while (bytes >= 9999.5 && i + 1 < sizeof units / sizeof units[0]) {
        bytes /= 1024;
        i++;
    }
    snprintf(out, FIGURE, "%4.0f%s", bytes, units[i]);
}

static void format_rate(char out[FIGURE], double bytes) {
    static const char units[] = "KMGTP";
    size_t i = 0;
    bytes /= 1024;
    while (bytes >= 999.5 && units[i + 1] != '\0') {
        bytes /= 1024;
        i++;
    }
    snprintf(out, FIGURE, "%5.1f%cB/s", bytes, units[i]);
}

static void format_time(char out[FIGURE], double seconds) {
    unsigned s = seconds > 0 && seconds < 1e6 ? (unsigned)seconds : 0;
    if (seconds >= 1e6)
        snprintf(out, FIGURE, "   --:--");
    else if (s >= 3600)
        snprintf(out, FIGURE, "%2u:%02u:%02u", s / 3600, s / 60 % 60, s % 60);
    else
        snprintf(out, FIGURE, "   %02u:%02u", s / 60, s % 60);
}

static double seconds_since(uint64_t then) {
    return (double)(clock_ms() - then) / 1000;
}

static void figures(struct meter *m, bool last, char *out, size_t size) {
    char bytes[FIGURE], rate[FIGURE], left[FIGURE];
    double all = (double)(m->total - m->start), got = (double)(m->done - m->start);
    double took = seconds_since(m->begun), mean = took > 0 ? got / took : 0;
    double now = last ? mean : m->rate;
    int percent = m->total > 0 ? (int)(100.0 * (double)m->done / (double)m->total) : 100;
    format_size(bytes, (double)m->done);
    format_rate(rate, now);
    format_time(left, last ? took : now > 0 ? (all - got) / now : 1e9);
    snprintf(out, size, " %3d%% %s %s %s %s", percent > 100 ? 100 : percent, bytes, rate,
             left, last ? "   " : "ETA");
}

static void show(struct meter *m, bool last) {
    char clean[LINE_MAX_COLUMNS + 1], line[LINE_MAX_COLUMNS + 160], behind[128];
    if (tcgetpgrp(STDOUT_FILENO) != getpgrp())
        return;
    int room = columns() - FIGURES - 1;
    room = room < NAME_LEAST ? NAME_LEAST : room;
    text_one_line(clean, (size_t)room + 1, view_text(m->name));
    figures(m, last, behind, sizeof behind);
    int n =
        snprintf(line, sizeof line, "\r%-*s%s%s", room, clean, behind, last ? "\n" : "");
    if (n > 0 && write(STDOUT_FILENO, line, (size_t)n) < 0)
        m->on = false;
}

void meter_begin(struct meter *m, bool on, const char *name, uint64_t start,
                 uint64_t total) {
    uint64_t now = clock_ms();
    *m = (struct meter){.on = on,
                        .name = name,
                        .start = start,
                        .done = start,
                        .total = total > start ? total : start,
                        .begun = now,
                        .shown = now,
                        .rate_at = start};
    fflush(stdout);
    if (on)
        show(m, false);
}

void meter_set(struct meter *m, uint64_t done) {
    m->done = done;
    if (done > m->total)
        m->total = done;
    if (!m->on)
        return;
    uint64_t now = clock_ms();
    if (now - m->shown < PERIOD_MS)
        return;
    double rate = (double)(done - m->rate_at) * 1000 / (double)(now - m->shown);
    m->rate = m->rate > 0 ? m->rate * 0.8 + rate * 0.2 : rate;
    m->shown = now;
    m->rate_at = done;
    show(m, false);
}

int meter_wait(const struct meter *m) {
    return m->on ? (int)PERIOD_MS : -1;
}

void meter_end(struct meter *m) {
    if (m->on)
        show(m, true);
    m->on = false;
}
