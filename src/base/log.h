// Text logs: levels as OpenSSH's LogLevel, one line for each call, never a byte of the
// peer's that was not cleaned (text_clean). Where lines go is the sink's business
// (io/log_sink).
#pragma once

#include <stdarg.h>
#include <stdbool.h>

enum log_level {
    LOG_LEVEL_QUIET,
    LOG_LEVEL_FATAL,
    LOG_LEVEL_ERROR,
    LOG_LEVEL_INFO,
    LOG_LEVEL_VERBOSE,
    LOG_LEVEL_DEBUG1,
    LOG_LEVEL_DEBUG2,
    LOG_LEVEL_DEBUG3,
};

struct log {
    enum log_level level;  // what is above it is dropped before it is formatted
    char prefix[64];  // in front of each line, e.g. the connection's id; may be empty
    // Takes one finished line without newline. NULL: nothing is written.
    void (*write)(void *sink, enum log_level level, const char *line);
    void *sink;
};

// "QUIET" … "DEBUG3" (DEBUG is DEBUG1), in any case; false if there is no such level.
bool log_level_parse(const char *name, enum log_level *level);
const char *log_level_name(enum log_level level);

void log_at(const struct log *log, enum log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void log_at_v(const struct log *log, enum log_level level, const char *format,
              va_list ap);

#define log_fatal(log, ...) log_at(log, LOG_LEVEL_FATAL, __VA_ARGS__)
#define log_error(log, ...) log_at(log, LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_info(log, ...) log_at(log, LOG_LEVEL_INFO, __VA_ARGS__)
#define log_verbose(log, ...) log_at(log, LOG_LEVEL_VERBOSE, __VA_ARGS__)
#define log_debug(log, ...) log_at(log, LOG_LEVEL_DEBUG1, __VA_ARGS__)
#define log_debug2(log, ...) log_at(log, LOG_LEVEL_DEBUG2, __VA_ARGS__)
#define log_debug3(log, ...) log_at(log, LOG_LEVEL_DEBUG3, __VA_ARGS__)
