// The seccomp filter of a table of rules: private to sandbox*.c and their tests.
#pragma once

#include <linux/filter.h>

#include "io/sandbox.h"

#define SANDBOX_FILTER_MAX (SANDBOX_RULES_MAX * 7 + 8)

// Writes the program; returns its length, 0 if the table is too big.
size_t sandbox_filter_build(const struct sandbox *s, struct sock_filter *out,
                            size_t room);

// The same for a process that is in `in` already: only the calls about which `s` says
// something else. A third as long, which each forked gate saves; what `in` does not allow
// stays forbidden by its own filter.
size_t sandbox_filter_difference(const struct sandbox *in, const struct sandbox *s,
                                 struct sock_filter *out, size_t room);
