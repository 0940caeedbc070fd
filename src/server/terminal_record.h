// What a terminal's program has written, for whoever takes the session up later: bytes
// that paint its screen, and how large the terminal was when. It stands beside the stream
// and never in its way: appending is all that is done to a byte while nobody needs a
// screen.
//
// The bytes have a cap. Where nothing but lines of text came, those go that are more than
// a screen's memory of lines (SCREEN_LINES); else a process is forked that paints a
// screen of them (terminal/screen.h), and the painting takes their place. A session's own
// process holds neither screen nor libvterm.
#pragma once

#include "base/buf.h"
#include "io/loop.h"
#include "io/process.h"
#include "io/pty.h"
#include "terminal/screen.h"

#define RECORD_BYTES (2u * 1024 * 1024)  // above it, the record is made smaller
#define RECORD_MAX (12u * 1024 * 1024)   // .. and above this, by cutting
#define RECORD_SIZES 16u

struct terminal_record;

// A process that paints, and what it said.
struct painter {
    struct loop *loop;  // NULL: none runs
    struct loop_watch watch;
    struct loop_child exit;
    int fd;
    struct buf out;
    void (*fn)(void *arg, struct view painting);
    void *arg;
    enum screen_paint how;
    const struct terminal_record *record;
};

struct record_size {
    size_t at;  // bytes before it
    uint32_t rows, columns;
};

struct terminal_record {
    struct loop *loop;
    struct buf bytes;
    struct terminal_modes modes;
    struct record_size sizes[RECORD_SIZES];
    size_t sizes_n;
    struct painter smaller;
    size_t painted;  // bytes that the running painter has
    size_t least;    // the record is not made smaller below this
};

void record_init(struct terminal_record *r, struct loop *loop, struct pty_size size);
void record_free(struct terminal_record *r);
void record_add(struct terminal_record *r, struct view bytes);
void record_resize(struct terminal_record *r, struct pty_size size);

// Has the screen painted for a terminal of that size by a process of its own: fn gets the
// painting, or, where there is none to be had, the end of the record as it is. Once, from
// the loop. False: no process could be made, and fn is not called.
must_check bool record_paint(struct terminal_record *r, struct painter *p,
                             enum screen_paint how, struct pty_size size,
                             void (*fn)(void *arg, struct view painting), void *arg);
// Also of one that does not run (zeroed): fn is not called any more.
void painter_stop(struct painter *p);
