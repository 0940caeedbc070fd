// What a program of the user's own configuration prints.
#pragma once

#include "base/buf.h"
#include "base/fault.h"

// Runs argv[0] (an absolute path; no shell) with no input and our standard error, and
// appends what it prints, at most `max` bytes, to *out. It must end with status 0 before
// `deadline` (clock_ms()), else it is killed with its session. The fault says what was
// wrong, without the program's name.
must_check enum err process_output(char *const *argv, size_t max, uint64_t deadline,
                                   struct buf *out, struct fault *f);

// The same of a child that runs already, as leader of its session, and writes to the
// other end of fd, which stays the caller's. It is reaped in either case.
struct process;
must_check enum err process_collect(struct process *p, int fd, size_t max,
                                    uint64_t deadline, struct buf *out, struct fault *f);
