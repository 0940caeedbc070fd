// The old protocol of scp (rcp's): lines that announce files and folders, data, one byte
// for each answer. rcp_source.c sends, rcp_sink.c receives; both are used at either end.
//
// Records: "T mtime 0 atime 0", "C mode size name", "D mode 0 name", "E"; answers: 0, or
// 1 (the file failed) or 2 (all failed) with a line of text. The sink answers first.
#pragma once

#include <sys/types.h>

#include "base/buf.h"
#include "transfer/names.h"
#include "transfer/throttle.h"

#define RCP_LINE 2048u
#define RCP_DEPTH_MAX 64u

struct rcp {
    int in, out;
    bool recursive, preserve;
    bool folder;  // sink: the target must be one
    bool far;     // the other end's scp: what fails is told to the peer alone
    bool meter;
    // Sink: the path that was asked for, whose last part the names must match; NULL: any.
    const char *asked;
    struct throttle *throttle;  // NULL: none
    struct buf input;
    unsigned errors;
    bool lost;  // the peer has gone, or was told so: nothing more is done
};

void rcp_init(struct rcp *r, int in, int out);
void rcp_free(struct rcp *r);

// Sends all of these files. The errors are counted and said.
void rcp_source(struct rcp *r, char *const *paths, size_t n);
// Waits for the sink's first answer.
bool rcp_begin(struct rcp *r);
// Receives into the target.
void rcp_sink(struct rcp *r, const char *target);

// ---- for both ----
bool rcp_send(struct rcp *r, struct view v);
// A line without its newline; false: gone, or too long.
bool rcp_line(struct rcp *r, char out[RCP_LINE]);
// What there is of the input, at most `most`; empty: the peer has gone. Valid until the
// next call.
struct view rcp_some(struct rcp *r, size_t most);
// The peer's answer: true for 0. Its text is said.
bool rcp_answer(struct rcp *r);
// Something failed: counted, told the peer, and said unless we are the far end.
void rcp_fail(struct rcp *r, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

// Whether a name may come out of what was asked for: patterns and {a,b} as a shell has.
bool rcp_name_fits(const char *asked, const char *name);
