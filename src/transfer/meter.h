// The progress line of a transfer, on the terminal.
//
// One line, cut to the terminal's width, written at most once a second and at the end;
// the name in it is cleaned. Only the process group in the foreground writes.
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct meter {
    bool on;
    const char *name;
    uint64_t start, total, done;  // bytes: where it began, where it ends, where it is
    uint64_t begun, shown;        // clock_ms()
    uint64_t rate_at;             // `done` at `shown`
    double rate;                  // bytes a second, smoothed
};

// on: standard output is a terminal and the person wants it.
void meter_begin(struct meter *m, bool on, const char *name, uint64_t start,
                 uint64_t total);
void meter_set(struct meter *m, uint64_t done);
// Milliseconds until it wants to be told again (for a wait); -1: it is off.
int meter_wait(const struct meter *m);
void meter_end(struct meter *m);
