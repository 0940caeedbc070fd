// Where events go (EventLog): nowhere, a file, or syslog. One writer, the keeper's: each
// line is one write(2) to a file opened for appending. It never waits for room: what
// cannot be written is counted, told once in the text log, and told by an event when
// writing works again.
#pragma once

#include "base/fault.h"
#include "io/log_sink.h"
#include "server/event_table.h"

struct event_log {
    int fd;                  // of the file; -1: none
    char path[512];          // "": none; "syslog"
    struct log_sink syslog;  // where that is meant
    struct log lines;
    bool failing, torn;  // torn: the file ends within a line
    uint64_t lost;       // since it fails
};

// `path` NULL or "none": nothing is written. The file is made with 0600; on failure
// nothing will be written.
must_check enum err event_log_open(struct event_log *l, const char *path, int facility,
                                   struct fault *fault);
void event_log_close(struct event_log *l);  // also of a zeroed one that was never open
static inline bool event_log_on(const struct event_log *l) {
    return l->path[0] != '\0';
}

// Encodes and writes; trouble, and its end, is told to `log`.
void event_log_put(struct event_log *l, const struct log *log, enum event_number number,
                   const struct event *e);
