// REP (ECMA-48 s.8.3.103, "CSI n b": the last character n times more), which libvterm is
// not given: it repeats a character without width for ever, and what it has at its start
// is one. It gets the characters themselves.
//
// Nor is it given control sequences with more parameters than it has room for, which it
// does not count.
//
// Reads what libvterm might take for such sequences, and a little more: never less.
#pragma once

#include "base/bytes.h"

struct repeat {
    uint8_t state;
    bool plain;      // of the sequence: digits alone
    uint32_t count;  // its parameter
    uint32_t separators;
    uint8_t last[4];  // the last character, UTF-8
    uint8_t last_n;   // 0: there is none
    uint32_t due;     // how often it is to be written now
};

// The byte that libvterm gets in this one's place. `due` and `last` say what follows it.
uint8_t repeat_take(struct repeat *r, uint8_t c);
