// What libvterm is given in place of what a program wrote, where its version in Debian 12
// (0.1.4) cannot be trusted with that, or has no notion of it:
//
// REP (ECMA-48 s.8.3.103, "CSI n b": the last character n times more): it repeats a
// character without width for ever, and what it has at its start is one. It gets the
// characters themselves.
//
// Control sequences with more parameters than it has room for, which it does not count.
//
// U+0080 to U+009F, to which it gives the width -1: with insert mode, memory outside of
// the screen. They are nothing that a terminal shows. Since it completes a character also
// across a sequence, it gets no 0xc2 without what belongs to it.
//
// Faint and hidden text (SGR 2 and 8): the number of a font, which no program of today
// asks for, carries them through.
//
// Reads what libvterm might take for such sequences, and a little more: never less.
#pragma once

#include "base/bytes.h"

#define REPEAT_OUT 4  // bytes at most in place of one

enum repeat_font {
    REPEAT_FAINT = 1,
    REPEAT_HIDDEN = 2,
};

// The parameters of SGR, as they come.
struct repeat_sgr {
    uint8_t colour;  // parameters of a colour (38, 48, 58) that are still to come
    bool sub;        // behind ':'
    uint8_t font;    // enum repeat_font, together, if it is one
    bool said;       // this sequence says something about it
};

struct repeat {
    uint8_t state;
    bool plain;      // of the sequence: digits alone
    bool held;       // 0xc2, which may begin a control
    bool marked;     // the sequence has a private mark: it is no SGR
    uint32_t count;  // its parameter
    uint32_t separators;
    struct repeat_sgr sgr;
    uint8_t font;     // that libvterm has been told
    uint8_t last[4];  // the last character, UTF-8
    uint8_t last_n;   // 0: there is none
    uint8_t due[8];   // to be written behind what came out
    uint8_t due_n;
    uint32_t due_times;
};

// What libvterm gets in this byte's place: how many bytes; `due` says what follows them.
size_t repeat_take(struct repeat *r, uint8_t c, uint8_t out[REPEAT_OUT]);
