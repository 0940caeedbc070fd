// ssh-keygen: files, lines and times, as several commands need them.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include "io/clock.h"
#include "io/fd.h"
#include "io/file.h"
#include "key/authkey_options.h"
#include "tools/keygen.h"

bool keygen_write_file(const char *path, struct view text, mode_t mode) {
    struct fault f = {0};
    enum err e = file_exists(path) ? file_write(path, text, mode, &f)
                                   : file_create(path, text, mode, &f);
    return e == OK || keygen_fail("%s", fault_text(&f)) == 0;
}

static enum err read_all(int fd, size_t max, struct buf *text) {
    struct span room;
    buf_init(text, max);
    for (;;) {
        struct pollfd wait = {.fd = fd, .events = POLLIN};
        size_t n = 0;
        TRY(buf_reserve(text, 1, &room));
        enum err e = fd_read_some(fd, room, &n);
        if (e != OK)
            return e == ERR_CLOSED ? OK : e;
        if (n == 0)
            (void)!poll(&wait, 1, -1);  // whoever gave it to us does not block on it
        buf_added(text, n);
    }
}

bool keygen_read_file(const char *path, size_t max, struct buf *text) {
    bool input = strcmp(path, "-") == 0;
    // Pipes and devices are as good as files here: the caller named them.
    scoped_fd fd = input ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return keygen_fail("%s: %s", path, strerror(errno)) == 0;
    enum err e = read_all(fd, max, text);
    return e == OK || keygen_fail("%s: %s", path, err_text(e)) == 0;
}

bool keygen_next_line(struct view *text, struct view *line) {
    if (text->n == 0)
        return false;
    const uint8_t *end = memchr(text->p, '\n', text->n);
    size_t n = end != NULL ? (size_t)(end - text->p) : text->n;
    *line = view_of(text->p, n);
    n += end != NULL;
    *text = view_of(text->p + n, text->n - n);
    return true;
}

const char *keygen_option_value(const char *option, const char *name) {
    size_t n = strlen(name);
    if (strncasecmp(option, name, n) != 0)
        return NULL;
    return option[n] == '=' ? option + n + 1 : option[n] == '\0' ? option + n : NULL;
}

bool keygen_time(const char *text, uint64_t *s) {
    struct date t;
    if (!authkey_time_parse(text, &t))
        return false;
    *s = clock_date_s(&t);
    return true;
}

const char *keygen_time_text(char *out, size_t size, uint64_t s) {
    struct tm tm;
    time_t t = s > INT32_MAX * (uint64_t)1000 ? INT32_MAX * (time_t)1000 : (time_t)s;
    out[0] = '\0';
    if (localtime_r(&t, &tm) != NULL)
        (void)!strftime(out, size, "%Y-%m-%dT%H:%M:%S", &tm);
    return out;
}
