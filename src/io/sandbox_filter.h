// The seccomp filter of a table of rules: private to sandbox*.c and their tests.
#pragma once

#include <linux/filter.h>

#include "io/sandbox.h"

#define SANDBOX_FILTER_MAX (SANDBOX_RULES_MAX * 7 + 8)

// Writes the program; returns its length, 0 if the table is too big.
size_t sandbox_filter_build(const struct sandbox *s, struct sock_filter *out,
                            size_t room);
