// Where log lines go: standard error, a file, syslog.
#pragma once

#include "base/fault.h"
#include "base/log.h"

struct log_sink {
    int fd;            // -1: none
    bool syslog;       // fd is a datagram socket to /dev/log
    bool owned;        // closed by log_sink_close()
    bool crlf;         // lines end in CR LF (standard error beside a raw terminal)
    int facility;      // LOG_AUTH … of <syslog.h>
    char program[32];  // "sshd"
    bool with_time;    // file and stderr lines start with the time
    bool with_pid;
    long pid;         // shown instead of our own; 0: ours
    bool with_level;  // debug lines start with "debug1: "
};

// Each fills `sink` and `log` (prefix empty). They hold until log_sink_close().
void log_sink_stderr(struct log_sink *sink, struct log *log, const char *program,
                     enum log_level level);
// Appends; 0600. ERR_… of the opening.
must_check enum err log_sink_file(struct log_sink *sink, struct log *log,
                                  const char *program, const char *path,
                                  enum log_level level, struct fault *f);
// facility: LOG_AUTH and so on. Reconnects when syslogd was restarted; lines are dropped
// while there is none, never waited for.
void log_sink_syslog(struct log_sink *sink, struct log *log, const char *program,
                     int facility, enum log_level level);
void log_sink_close(struct log_sink *sink);

// A log like `log`, whose lines in `sink` show another process's id: log parsers take the
// lines of one id for one connection. All three are kept; so is `as`, for log_as().
struct log_as {
    const struct log *log;
    struct log_sink *sink;
    long pid;  // 0: our own
};
struct log log_as(struct log_as *as);

// "AUTH", "DAEMON", "LOCAL7" … (SyslogFacility); false if there is none.
bool log_facility_parse(const char *name, int *facility);
