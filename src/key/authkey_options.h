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
