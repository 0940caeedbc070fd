#include "transfer/say.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "sftp/operations.h"

static const char *prefix = "";
static bool quiet;
static unsigned verbosity;

void say_as(const char *text, bool no_doings) {
    prefix = text;
    quiet = no_doings;
}

void say_verbosity(unsigned verbose) {
    verbosity = verbose;
}

static void print(const char *front, const char *format, va_list ap) {
    fflush(stdout);
    fputs(front, stderr);
    vfprintf(stderr, format, ap);
    fputs("\n", stderr);
}

void say(const char *format, ...) {
    va_list ap;
    va_start(ap, format);
    print(prefix, format, ap);
    va_end(ap);
}

void say_debug(const char *format, ...) {
    va_list ap;
    if (verbosity == 0)
        return;
    va_start(ap, format);
    print("debug1: ", format, ap);
    va_end(ap);
}

static void print_out(const char *format, va_list ap) {
    vprintf(format, ap);
    fputs("\n", stdout);
    fflush(stdout);
}

void say_doing(const char *format, ...) {
    va_list ap;
    if (quiet)
        return;
    va_start(ap, format);
    print_out(format, ap);
    va_end(ap);
}

void say_always(const char *format, ...) {
    va_list ap;
    va_start(ap, format);
    print_out(format, ap);
    va_end(ap);
}

void say_status(const char *what, const char *path, unsigned status) {
    say("%s \"%s\": %s", what, CLEAN(path), sftp_status_text(status));
}

void say_errno(const char *what, const char *path) {
    int error = errno;
    say("%s \"%s\": %s", what, CLEAN(path), strerror(error));
}
