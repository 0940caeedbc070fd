#include "server/event_log.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "io/clock.h"
#include "io/fault_errno.h"
#include "io/fd.h"

// Before the object, so that rsyslog's mmjsonparse and its like know it for what it is.
#define COOKIE "@cee: "

void event_log_close(struct event_log *l) {
    if (l->fd > 0)
        fd_close(&l->fd);
    if (l->lines.write != NULL)
        log_sink_close(&l->syslog);
    *l = (struct event_log){.fd = -1};
}

enum err event_log_open(struct event_log *l, const char *path, int facility,
                        struct fault *fault) {
    event_log_close(l);
    if (path == NULL || strcmp(path, "none") == 0)
        return OK;
    if (!text_copy(l->path, sizeof l->path, view_text(path))) {
        l->path[0] = '\0';
        return fault_set(fault, ERR_LIMIT, 0, "EventLog: the path is too long");
    }
    if (strcmp(path, "syslog") == 0) {
        // A name of its own: parsers of sshd's lines shall not look at these.
        log_sink_syslog(&l->syslog, &l->lines, "sshd-events", facility, LOG_LEVEL_INFO);
        return OK;
    }
    l->fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK,
                 0600);
    if (l->fd >= 0)
        return OK;
    enum err e = fault_errno(fault, "EventLog %s", path);
    l->path[0] = '\0';
    return e;
}

// 0: written whole; else errno.
static int write_line(struct event_log *l, struct view line) {
    ssize_t n;
    if (l->torn && write(l->fd, "\n", 1) == 1)
        l->torn = false;
    if (l->torn)
        return errno;
    do
        n = write(l->fd, line.p, line.n);
    while (n < 0 && errno == EINTR);
    if (n == (ssize_t)line.n)
        return 0;
    l->torn = n > 0;
    return n < 0 ? errno : ENOSPC;
}

static void failed(struct event_log *l, const struct log *log, int error) {
    l->lost++;
    if (l->failing)
        return;
    l->failing = true;
    log_error(log, "EventLog %s: %s; events are lost until it can be written again",
              l->path, strerror(error));
}

static int put(struct event_log *l, enum event_number number, const struct event *e) {
    scoped_buf line = {0};
    if (event_encode(number, e, clock_wall_us(), &line) != OK)
        return EMSGSIZE;
    struct view v = buf_view(&line);
    if (l->fd >= 0)
        return write_line(l, v);
    char text[EVENT_LINE_MAX + sizeof COOKIE];
    memcpy(text, COOKIE, sizeof COOKIE - 1);
    memcpy(text + sizeof COOKIE - 1, v.p, v.n);
    text[sizeof COOKIE - 2 + v.n] = '\0';  // in place of the newline
    l->lines.write(l->lines.sink, LOG_LEVEL_INFO, text);
    return 0;
}

// True: it is written again.
static bool recover(struct event_log *l, const struct log *log) {
    struct event e = {.count = l->lost, .reason = view_text("write-failed")};
    if (put(l, EVENT_EVENTS_LOST, &e) != 0)
        return false;
    log_info(log, "EventLog %s is written again, %llu events were lost", l->path,
             (unsigned long long)l->lost);
    l->failing = false;
    l->lost = 0;
    return true;
}

void event_log_put(struct event_log *l, const struct log *log, enum event_number number,
                   const struct event *e) {
    if (!event_log_on(l))
        return;
    int error = l->failing && !recover(l, log) ? ENOSPC : put(l, number, e);
    if (error != 0)
        failed(l, log, error);
}
