// Files: read whole and bounded, written whole or not at all, checked for who may write
// them.
//
// Nothing here blocks on a FIFO or device: those are refused, but with FILE_STREAM.
#pragma once

#include <sys/types.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/fault.h"

// flags
#define FILE_NOFOLLOW 1u  // the last component may not be a link
// Pipes, FIFOs and terminals are as good as files, and are waited for: only for names
// that the person at the program gave (a shell's `<(command)`, /dev/stdin).
#define FILE_STREAM 2u

// Opens a regular file for reading. ERR_NOT_FOUND, ERR_REFUSED (also: not a regular
// file).
must_check enum err file_open(const char *path, unsigned flags, int *fd, struct fault *f);

// Reads all of it (of what file_open() gave: also of a stream), at most `max` bytes (else
// ERR_LIMIT), into *out, which is initialised here and is the caller's to buf_free(); a
// NUL is put behind the last byte (not counted), so that text can be parsed in place.
must_check enum err file_read(const char *path, unsigned flags, size_t max,
                              struct buf *out, struct fault *f);
must_check enum err file_read_fd(int fd, const char *name, size_t max, struct buf *out,
                                 struct fault *f);

// Writes a temporary file beside it, syncs it and renames it: readers see the old or the
// new one.
must_check enum err file_write(const char *path, struct view v, mode_t mode,
                               struct fault *f);
// Makes a new file; ERR_REFUSED if there is one.
must_check enum err file_create(const char *path, struct view v, mode_t mode,
                                struct fault *f);

// Appends one line (a newline is added) under a lock, creating the file with `mode`; if
// the file does not end in a newline one is put in front.
must_check enum err file_append_line(const char *path, struct view line, mode_t mode,
                                     struct fault *f);

// StrictModes: the file (opened as fd) and each directory above it, up to and including
// `home` if it lies in it, else up to the root, belong to root or `uid` and are not
// writable by others, nor by a group other than the private one of that user (not root's;
// account_private_group()). ERR_REFUSED, with the fault naming the first bad one.
must_check enum err file_check_owner(int fd, const char *path, const char *home,
                                     uid_t uid, struct fault *f);

// A private key's file: not readable by others than its owner (mode & 077 is 0), when it
// is ours.
must_check enum err file_check_private(int fd, const char *path, struct fault *f);

// Makes the directory and what is missing above it, 0700.
must_check enum err file_make_directory(const char *path, struct fault *f);

bool file_exists(const char *path);
// A pipe, FIFO or terminal.
bool file_is_stream(const char *path);
