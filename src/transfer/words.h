// A growing list of words, NULL-terminated: command lines, file names.
#pragma once

#include "base/bytes.h"
#include "base/err.h"

struct words {
    char **list;  // owned, each word too
    size_t n, room;
};

#define WORDS_MAX (1024u * 1024u)

must_check enum err words_add(struct words *w, const char *word);
must_check enum err words_add_view(struct words *w, struct view word);
void words_free(struct words *w);  // also of a zeroed one
// In the order of strcmp().
void words_sort(struct words *w);

// Adds what a folder of ours has, sorted, and what is no plain name (names.h) left out.
// ERR_IO with errno: it cannot be opened; ERR_LIMIT, ERR_MEMORY: w has what fitted.
must_check enum err words_of_folder(struct words *w, const char *path);

#define scoped_words __attribute__((cleanup(words_free))) struct words
