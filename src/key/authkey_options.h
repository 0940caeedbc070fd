// The options of a line of authorized_keys; for this folder.
#pragma once

#include "key/authorized_keys.h"

// Where a complaint points to.
struct authkey_place {
    const char *file;
    unsigned long number;
    struct fault *fault;
};

enum err authkey_refuse(const struct authkey_place *place, enum err code,
                        const char *format, ...) __attribute__((format(printf, 3, 4)));

// Takes the options at *at, in place, and leaves *at behind them.
must_check enum err authkey_options_parse(struct authkey_line *line, char **at,
                                          const struct authkey_place *place);

// YYYYMMDD[HHMM[SS]], with Z or UTC behind it.
bool authkey_time_parse(const char *text, struct date *t);

// Does the text begin with a type of key, ours or another's? No option is spelt like one.
bool authkey_starts_with_type(const char *text, size_t n);
