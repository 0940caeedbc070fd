// File descriptors: flags, whole reads and writes, closing. -1 stands for none.
#pragma once

#include "base/bytes.h"
#include "base/fault.h"

must_check enum err fd_set_nonblock(int fd, bool on);
must_check enum err fd_set_cloexec(int fd, bool on);

// Closes *fd if it is one and sets it to -1; errno is kept.
void fd_close(int *fd);

#define scoped_fd __attribute__((cleanup(fd_close))) int

// Closes every descriptor but those listed (any order, -1 is skipped; at most 64).
// Async-signal safe: may stand between fork and exec.
void fd_close_all_but(const int *keep, size_t n);

// Opens /dev/null for each of 0, 1, 2 that is closed, so that no later descriptor lands
// there.
must_check enum err fd_fill_standard(void);

// Makes `fd` (e.g. 0) refer to /dev/null.
must_check enum err fd_to_null(int fd);

// A close-on-exec copy with a number of at least `least`; -1 with errno set on failure.
int fd_dup_above(int fd, int least);

// Reads until n bytes, end of file (then *got < n, OK) or an error. Waits, also on a
// non-blocking descriptor. ERR_IO with errno.
must_check enum err fd_read_full(int fd, struct span room, size_t *got);

// Writes all of it; waits, also on a non-blocking descriptor. ERR_CLOSED for EPIPE,
// ERR_IO.
must_check enum err fd_write_full(int fd, struct view v);

// One read(2) or write(2), repeated for EINTR. OK with *n > 0: done; OK with *n = 0:
// would block (or nothing was asked). ERR_CLOSED: end of file, or EPIPE/ECONNRESET.
// ERR_IO otherwise.
must_check enum err fd_read_some(int fd, struct span room, size_t *n);
must_check enum err fd_write_some(int fd, struct view v, size_t *n);

// Descriptors open in this process (for leak tests and diagnosis); 0 if unknown.
size_t fd_count_open(void);

// Limits of open descriptors of this process.
struct fd_limits {
    uint64_t soft, hard;
};
struct fd_limits fd_limits_now(void);
void fd_limits_set(const struct fd_limits *l);  // as far as that is allowed
// Raises the soft limit to the hard one, and that to `least` where it may be. The soft
// limit.
size_t fd_limit_raise(size_t least);
