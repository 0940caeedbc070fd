// This machine's name.
#pragma once

#include "base/bytes.h"

// The host's name as the kernel has it; always NUL-terminated.
void hostname_get(char *out, size_t size);
