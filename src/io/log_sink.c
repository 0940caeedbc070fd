#include "io/log_sink.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "io/fault_errno.h"
#include "io/fd.h"

static const struct {
    const char *name;
    int value;
} facilities[] = {
    {"DAEMON", LOG_DAEMON},     {"USER", LOG_USER},     {"AUTH", LOG_AUTH},
    {"AUTHPRIV", LOG_AUTHPRIV}, {"LOCAL0", LOG_LOCAL0}, {"LOCAL1", LOG_LOCAL1},
    {"LOCAL2", LOG_LOCAL2},     {"LOCAL3", LOG_LOCAL3}, {"LOCAL4", LOG_LOCAL4},
    {"LOCAL5", LOG_LOCAL5},     {"LOCAL6", LOG_LOCAL6}, {"LOCAL7", LOG_LOCAL7},
};

bool log_facility_parse(const char *name, int *facility) {
    for (size_t i = 0; i < sizeof facilities / sizeof facilities[0]; i++) {
        if (strcasecmp(name, facilities[i].name) == 0) {
            *facility = facilities[i].value;
            return true;
        }
    }
    return false;
}

static const int priorities[] = {
    [LOG_LEVEL_QUIET] = LOG_CRIT,   [LOG_LEVEL_FATAL] = LOG_CRIT,
    [LOG_LEVEL_ERROR] = LOG_ERR,    [LOG_LEVEL_INFO] = LOG_INFO,
    [LOG_LEVEL_VERBOSE] = LOG_INFO, [LOG_LEVEL_DEBUG1] = LOG_DEBUG,
    [LOG_LEVEL_DEBUG2] = LOG_DEBUG, [LOG_LEVEL_DEBUG3] = LOG_DEBUG,
};

// What OpenSSH puts before a line in syslog, and log parsers look for.
static const char *const syslog_words[] = {
    [LOG_LEVEL_QUIET] = "",          [LOG_LEVEL_FATAL] = "fatal: ",
    [LOG_LEVEL_ERROR] = "error: ",   [LOG_LEVEL_INFO] = "",
    [LOG_LEVEL_VERBOSE] = "",        [LOG_LEVEL_DEBUG1] = "debug1: ",
    [LOG_LEVEL_DEBUG2] = "debug2: ", [LOG_LEVEL_DEBUG3] = "debug3: ",
};

static int shown_pid(const struct log_sink *s) {
    return s->pid > 0 ? (int)s->pid : (int)getpid();
}

static void time_text(char *out, size_t size, const char *format) {
    time_t now = time(NULL);
    struct tm tm;
    out[0] = '\0';
    if (localtime_r(&now, &tm) != NULL)
        (void)strftime(out, size, format, &tm);
}

static void write_line(void *arg, enum log_level level, const char *line) {
    struct log_sink *s = arg;
    char head[96] = "", when[40] = "", pid[24] = "";
    if (s->with_level && level >= LOG_LEVEL_DEBUG1)
        snprintf(head, sizeof head, "debug%d: ", level - LOG_LEVEL_DEBUG1 + 1);
    if (s->with_time)
        time_text(when, sizeof when, "%Y-%m-%dT%H:%M:%S%z ");
    if (s->with_pid)
        snprintf(pid, sizeof pid, "[%d]: ", shown_pid(s));
    if (s->with_pid || s->with_time)
        snprintf(head, sizeof head, "%s%s%s", when, s->program, s->with_pid ? pid : ": ");
    struct iovec parts[] = {
        {head, strlen(head)},
        {(void *)line, strlen(line)},
        {s->crlf ? "\r\n" : "\n", s->crlf ? 2 : 1},
    };
    // One call makes one line, also when several processes write. What does not go is
    // lost.
    (void)!writev(s->fd, parts, 3);
}

static int connect_syslog(void) {
    struct sockaddr_un un = {.sun_family = AF_UNIX, .sun_path = "/dev/log"};
    scoped_fd fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&un, sizeof un) != 0)
        return -1;
    int made = fd;
    fd = -1;
    return made;
}

static void write_syslog(void *arg, enum log_level level, const char *line) {
    struct log_sink *s = arg;
    char text[4400], when[32];
    time_text(when, sizeof when, "%b %e %H:%M:%S");
    int n = snprintf(text, sizeof text, "<%d>%s %s[%d]: %s%s",
                     s->facility | priorities[level], when, s->program, shown_pid(s),
                     syslog_words[level], line);
    size_t size = n < (int)sizeof text ? (size_t)n : sizeof text - 1;
    if (s->fd >= 0 && send(s->fd, text, size, MSG_NOSIGNAL) >= 0)
        return;
    if (s->fd >= 0 && errno == EAGAIN)
        return;
    fd_close(&s->fd);
    s->fd = connect_syslog();
    if (s->fd >= 0)
        (void)!send(s->fd, text, size, MSG_NOSIGNAL);
}

static void fill(struct log_sink *sink, struct log *log, const char *program, int fd,
                 enum log_level level) {
    *sink = (struct log_sink){.fd = fd};
    snprintf(sink->program, sizeof sink->program, "%s", program);
    *log = (struct log){.level = level, .write = write_line, .sink = sink};
}

void log_sink_stderr(struct log_sink *sink, struct log *log, const char *program,
                     enum log_level level) {
    fill(sink, log, program, STDERR_FILENO, level);
}

enum err log_sink_file(struct log_sink *sink, struct log *log, const char *program,
                       const char *path, enum log_level level, struct fault *f) {
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0600);
    fill(sink, log, program, fd, level);
    if (fd < 0) {
        log->write = NULL;
        return fault_errno(f, "log file %s", path);
    }
    tzset();
    sink->owned = sink->with_time = sink->with_pid = true;
    return OK;
}

void log_sink_syslog(struct log_sink *sink, struct log *log, const char *program,
                     int facility, enum log_level level) {
    fill(sink, log, program, connect_syslog(), level);
    tzset();  // now, for a confined process cannot read the time zone any more
    sink->facility = facility;
    sink->syslog = sink->owned = true;
    log->write = write_syslog;
}

void log_sink_close(struct log_sink *sink) {
    if (sink->owned)
        fd_close(&sink->fd);
    sink->fd = -1;
}

static void write_as(void *arg, enum log_level level, const char *line) {
    struct log_as *as = arg;
    as->sink->pid = as->pid;
    as->log->write(as->log->sink, level, line);
    as->sink->pid = 0;
}

struct log log_as(struct log_as *as) {
    struct log log = *as->log;
    if (log.write != NULL)
        log.write = write_as;
    log.sink = as;
    return log;
}
