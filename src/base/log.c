#include "base/log.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"

static const char *const names[] = {"QUIET",   "FATAL",  "ERROR",  "INFO",
                                    "VERBOSE", "DEBUG1", "DEBUG2", "DEBUG3"};

bool log_level_parse(const char *name, enum log_level *level) {
    if (strcasecmp(name, "DEBUG") == 0)
        name = "DEBUG1";
    for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcasecmp(name, names[i]) == 0) {
            *level = (enum log_level)i;
            return true;
        }
    }
    return false;
}

const char *log_level_name(enum log_level level) {
    return names[level];
}

void log_at_v(const struct log *log, enum log_level level, const char *format,
              va_list ap) {
    if (log == NULL || log->write == NULL || level > log->level)
        return;
    char line[2048], clean[4096];
    size_t n = strlen(log->prefix);
    memcpy(line, log->prefix, n);
    vsnprintf(line + n, sizeof line - n, format, ap);
    // Last defence: whatever slipped in, one call makes one line.
    text_one_line(clean, sizeof clean, view_text(line));
    log->write(log->sink, level, clean);
}

void log_at(const struct log *log, enum log_level level, const char *format, ...) {
    if (log == NULL || level > log->level)
        return;
    va_list ap;
    va_start(ap, format);
    log_at_v(log, level, format, ap);
    va_end(ap);
}
