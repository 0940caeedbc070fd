// The limits of several networks as text (idle_limit.h): the file `idle` of the client's
// state folder.
//
//     bowline-idle 1
//     KEY INTERVAL ANSWERED BEARS FAILS FAILED_AT
//
// KEY is 32 hexadecimal digits, the others are decimal; the newest stands last. A line
// that is none, a key twice, or too many lines make the whole text damaged.
#pragma once

#include <stddef.h>

#include "base/buf.h"
#include "client/idle_limit.h"

#define IDLE_BOOK_MAX 128  // networks; beyond, the oldest goes
#define IDLE_BOOK_KEY 32
#define IDLE_BOOK_TEXT (16u * 1024)

struct idle_book {
    size_t n;
    struct {
        char key[IDLE_BOOK_KEY + 1];
        struct idle_limit limit;
    } at[IDLE_BOOK_MAX];
};

// False, with an empty book and the
// number of the line: damaged. Empty text is an empty book.
bool idle_book_parse(struct idle_book *b, struct view text, unsigned *line);
must_check enum err idle_book_format(const struct idle_book *b, struct buf *out);
// NULL: nothing is known.
const struct idle_limit *idle_book_find(const struct idle_book *b, const char *key);
// Becomes the newest.
void idle_book_put(struct idle_book *b, const char *key, const struct idle_limit *l);
