// Text: cleaning what strangers wrote, patterns, numbers, durations, suggestions.
#pragma once

#include "base/bytes.h"
#include "base/err.h"

// Copies foreign bytes as one line of printable UTF-8: controls, invalid UTF-8,
// bidirectional overrides and backslashes become \ooo or \\ . Always ends with NUL; cut
// at `size`, and then ends in "...". Returns out, so that it can stand in an argument
// list.
const char *text_clean(char *out, size_t size, struct view foreign);

// For a line of ours that may hold cleaned text already: the same, but backslashes stay
// as they are.
const char *text_one_line(char *out, size_t size, struct view mixed);

// The same as text_clean(), but newline, tab and backslash pass (server banners for a
// terminal). Returns the length.
size_t text_clean_lines(char *out, size_t size, struct view foreign);

// Bytes of the valid UTF-8 sequence at the front (1 to 4), 0 if there is none; *rune is
// its code point. Overlong forms, surrogates and what lies above U+10FFFF are not valid.
size_t text_utf8(struct view v, uint32_t *rune);

// Copies with NUL; false when it did not fit (then out holds what fitted).
bool text_copy(char *out, size_t size, struct view v);

// Cuts the next word off the front of a line; blanks, tabs and carriage returns separate.
// Empty when there is none left.
struct view text_next_word(struct view *line);

// What lies between blanks, tabs and ends of lines at both ends.
struct view text_trimmed(struct view v);

// Whole decimal number within [min, max]; no sign, no blanks, no overflow.
bool text_number(const char *s, uint64_t min, uint64_t max, uint64_t *value);

// OpenSSH's time formats: "90", "1h30m", "2w3d4h5m6s"; seconds. False if malformed or
// over 2^31-1.
bool text_duration(const char *s, uint32_t *seconds);

// "500", "4K", "1G" (powers of 1024); false if malformed.
bool text_size(const char *s, uint64_t *bytes);

// Shell pattern with * and ?, in time linear in the product of the lengths.
bool text_match(const char *pattern, const char *s);

// Comma-separated patterns, ! negates: 1 matched, 0 not, -1 a negated one matched.
// `lower` compares in lower case.
int text_match_list(const char *patterns, const char *s, bool lower);

// The name of the list most like `s` (edit distance at most 1/3 of its length), or NULL.
const char *text_suggest(const char *s,
                         const char *(*name_at)(size_t index, const void *arg),
                         const void *arg);

// Next word of a line as OpenSSH's configuration has them: blanks separate, "double" and
// 'single quotes' keep, backslash escapes quotes, itself and (outside of quotes) a blank,
// one '=' allowed after the first word when `equals`. Works in place: *cursor moves on,
// returns NULL at the end; *bad is set on an open quote.
char *text_word(char **cursor, bool equals, bool *bad);
