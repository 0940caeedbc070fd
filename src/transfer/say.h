// What scp and sftp tell the person. Foreign text is cleaned before it gets here:
// CLEAN().
#pragma once

#include <stdbool.h>

#include "base/text.h"

#define SAY_SIZE 1024u

// A name of the peer's or of a file, as one line of printable text, for an argument list.
// Backslashes stay: names with them are typed as they are seen.
#define CLEAN(text) text_one_line((char[SAY_SIZE]){0}, SAY_SIZE, view_text(text))

// Stands in front of each complaint ("scp: "); empty for sftp.
void say_as(const char *prefix, bool quiet);
void say_verbosity(unsigned verbose);

// On standard error, with a newline.
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
// With -v only, as "debug1: …".
void say_debug(const char *format, ...) __attribute__((format(printf, 1, 2)));
// On standard output, what is being done; not with -q.
void say_doing(const char *format, ...) __attribute__((format(printf, 1, 2)));
// On standard output, also with -q.
void say_always(const char *format, ...) __attribute__((format(printf, 1, 2)));
// "WHAT \"PATH\": TEXT": the form of most complaints about a remote file.
void say_status(const char *what, const char *path, unsigned status);
// The same with the text of errno.
void say_errno(const char *what, const char *path);
