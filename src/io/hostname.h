// This machine's name.
#pragma once

#include "base/bytes.h"

// The host's name as the kernel has it; always NUL-terminated.
void hostname_get(char *out, size_t size);
// The name of the near end of a socket, where name services know one; else the kernel's.
// May block.
void hostname_of_socket(int fd, char *out, size_t size);
