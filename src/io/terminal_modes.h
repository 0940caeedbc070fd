// Terminal modes as the numbers of RFC 4254 s.8 and the termios that they stand for: one
// table.
#pragma once

#include "base/bytes.h"
#include "base/err.h"

#define TERMINAL_MODES_MAX 96

struct terminal_mode {
    uint8_t opcode;
    uint32_t value;
};

// All modes of a terminal that have a number, the speeds too. ERR_IO if fd is no
// terminal.
must_check enum err terminal_modes_get(int fd, struct terminal_mode *out, size_t room,
                                       size_t *n);

// Sets those known; unknown ones are skipped, a pair of speed numbers that termios lacks
// too. ERR_IO if fd is no terminal.
must_check enum err terminal_modes_set(int fd, const struct terminal_mode *modes,
                                       size_t n);
