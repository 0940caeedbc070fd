// Where the client keeps what it remembers between runs:
// ${XDG_STATE_HOME:-~/.local/state}/bowline. All of it may be lost without harm.
#pragma once

#include <limits.h>
#include <stdbool.h>

// The folder, and the path of one file in it (both of PATH_MAX bytes). False: too long.
bool state_path(const char *home, const char *name, char *folder, char *path);
// Opens the file for appending, private, making the folder if need be; -1: it cannot be.
int state_open(const char *home, const char *name);
